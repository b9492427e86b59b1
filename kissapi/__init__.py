"""kissapi: an async TCP and HTTP server framework that stays simple.

    bytes → parser → connection → router → hooks → handler → response → bytes

core/           the flow of a request, whatever the protocol: connection, dispatch, hooks, Fail
contract.py     what a class of parsers has of the parser contract
parser.py       HttpParser; the one door to httptools
head.py         a whole head of the usual form, read at one look
request_line.py method, target, version
host.py         host and port of a Host field or a URL
framing.py      where a message ends; its body
connection.py   limits of time on the connection of the core
upgrade.py      a connection that is another protocol's
encoder.py      what becomes of a handler's result in HTTP: bytes, or a sender
body_writer.py  an answer that goes out as it is made
body_reader.py  a body that a handler takes as it comes
request.py      what was asked
response.py     what is answered, and its head
headers.py      fields, looked up in any case, checked when set
codec.py        percent-encoding, queries, JSON
cookies.py      the field that sets a cookie
router.py       what is registered: routes, hooks, mounted routers
path.py         the pattern of a route, as segments
dispatch.py     what HTTP adds to the way of a request: escapes, HEAD, OPTIONS, limits of bodies
handlers.py     whatever function an app registers, as a coroutine function
limits.py       every number, with its reason
log.py          lines for people
service.py      what one event loop serves over HTTP: limits, logs, the tick, the stop
address.py      where a server listens, as people write it
sockets.py      binding and accepting
notify.py       what systemd is told
tls.py          the context of new TLS handshakes, and the files that its certificate comes from
trust.py        the proxies whose word about their clients is taken
forwarded.py    what they say in fields of the head
proxy_protocol.py  what they say in front of the connection
server.py       the life of a server
program.py      a process that serves: its restart, its end
signals.py      the signals that it takes over, and that forked processes must not inherit
restart.py      a new process that takes over the listening sockets
reload.py       a program that starts anew when a file changes (with watch.py: which files those are)
loops.py        several event loops, each in its thread
workers.py      several processes, and the master that looks after them
worker.py       one of them
share.py        who of them takes the next client
awaitables.py   sleep and to_thread, on every backend
threads.py      the worker threads of plain `def` handlers
__main__.py     the command line (with flags.py: what it says; target.py: what app:router stands for)
backends/       asyncio.py (with epoll.py), selectors.py (with loop.py, poll.py): what differs between both;
                tls.py: TLS, the same for both
"""

from kissapi.awaitables import sleep, to_thread
from kissapi.core import Fail
from kissapi.headers import Headers
from kissapi.parser import HttpParser
from kissapi.program import serve
from kissapi.request import Request
from kissapi.response import Response, html, redirect
from kissapi.router import Router
from kissapi.server import Server

__version__ = "0.2.0"

__all__ = [
    "Fail",
    "Headers",
    "HttpParser",
    "Request",
    "Response",
    "Router",
    "Server",
    "html",
    "redirect",
    "serve",
    "sleep",
    "to_thread",
]
