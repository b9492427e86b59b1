"""kissapi: an async TCP and HTTP server framework that stays simple.

    from kissapi import Request, Router, Server

    router = Router()

    @router.get("/double/{number}")
    async def double(req: Request, number: int, times: int = 1):
        return {"double": number * 2**times}

    Server(router=router).loop()

Most apps need `Request`, `Response`, `Router`, `Server` and `Fail`; `kissapi.extras` has WebSocket, sessions,
auth, OpenAPI, the test client and more. `kissapi guide` prints the chapters of the guide.

How it is made:

    bytes → parser → connection → router → hooks → handler → response → bytes

core/      the flow of one request, whatever the protocol: connection, dispatch, hooks, Fail
backends/  asyncio, selectors, TLS; what a handler can await; worker threads
http/      HTTP/1.x on the core: parser, framing, bodies, limits; Request, Response, encoder
routing/   routers, the patterns of paths, and the table that finds the route of a request
net/       addresses, listening sockets, certificates, trusted proxies
log/       lines for people, records for a logger
server/    the settings and the life of one server
process/   signals, graceful restart, workers and their master, loop threads
cli/       the command line, --reload, routes, check
extras/    what an app may want and nothing else imports: files, WebSocket, SSE, the test client …
compat/    stand-ins for what a small Python lacks

A room imports only rooms above it; tests/house/test_imports.py has the law.
"""

from kissapi.backends.awaitables import sleep, to_thread
from kissapi.backends.clock import clock
from kissapi.backends.event import Event
from kissapi.backends.gather import gather
from kissapi.backends.queue import Queue
from kissapi.backends.spawn import spawn
from kissapi.backends.timeout import timeout
from kissapi.core import Fail
from kissapi.http.app import App
from kissapi.http.files import File as Upload
from kissapi.http.headers import Headers
from kissapi.http.link import Link
from kissapi.http.parser import HttpParser
from kissapi.http.request import Request
from kissapi.http.response import Response, html, redirect
from kissapi.process.program import serve
from kissapi.routing.markers import Cookie, File, Form, Header, Query
from kissapi.routing.router import Router
from kissapi.server import Server

__version__ = "0.3.0"

__all__ = [
    "App",
    "Cookie",
    "Event",
    "Fail",
    "File",
    "Form",
    "Header",
    "Headers",
    "HttpParser",
    "Link",
    "Query",
    "Queue",
    "Request",
    "Response",
    "Router",
    "Server",
    "Upload",
    "clock",
    "gather",
    "html",
    "redirect",
    "serve",
    "sleep",
    "spawn",
    "timeout",
    "to_thread",
]
