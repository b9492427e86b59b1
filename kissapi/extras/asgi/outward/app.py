"""Outward: a kissapi app for any ASGI server: uvicorn, granian, hypercorn, Ray Serve, adapters for Lambda.

What happens between a request and its answer is kissapi's, by the same code as on its own server: routes,
hooks, arguments, limits, streams, WebSockets. Bytes, TLS, HTTP itself and processes are those of the server
below. `examples/guide/asgi.md` has the table of what differs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kissapi.extras.asgi.outward.exchange import Exchange
from kissapi.extras.asgi.outward.site import Site
from kissapi.routing.router import Router
from kissapi.server import Server

if TYPE_CHECKING:
    from kissapi.extras.asgi.outward.request import Scope
    from kissapi.extras.asgi.outward.transport import Receive, Send


class Application:
    """The ASGI 3 app of `server`; each event loop that it runs on has a `Site` of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._site: Site | None = None  # the one that was asked last
        self._sites: dict[Any, Site] = {}

    def __repr__(self) -> str:
        return f"<kissapi.extras.asgi.to_asgi({self.server.router!r})>"

    def __getstate__(self) -> dict[str, Any]:  # Ray Serve sends it to its replicas, where it starts anew
        return {"server": self.server, "_site": None, "_sites": {}}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one scope. Raises `ValueError` for a type of scope that is none of ASGI 3."""
        site = self._site
        if site is None or site.loop is not asyncio.get_running_loop() or not site.serves:
            site = self._here()
            if scope["type"] == "lifespan":
                await site.live(receive, send)
                return
            await site.started()  # a server without lifespan: the first request starts the app
        if scope["type"] not in ("http", "websocket"):
            raise ValueError(f"ASGI has http, websocket and lifespan; {scope['type']!r} is not known here")
        await Exchange(site.service, scope, receive, send).run()

    def _here(self) -> Site:
        """The site of the running loop."""
        loop = asyncio.get_running_loop()
        site = self._sites.get(loop)
        if site is None or site.ended:
            for other in [each for each in self._sites if each.is_closed()]:
                del self._sites[other]  # each test has a loop of its own, perhaps
            site = self._sites[loop] = Site(self.server, loop)
        self._site = site
        return site


def to_asgi(app: Router | Server) -> Application:
    """`app` as an ASGI 3 app: a router, or a server for its settings.

    A server's limits, `headers`, `json`, `request_class`, `logger`, `access_log`, `trusted_proxies` and
    `debug` hold, and its `on_start`, `on_stop` and `lifespan`; where it listens, TLS, loops and workers are
    those of the ASGI server. Of a router alone there is no access log: most ASGI servers write one. The app
    starts with the lifespan, or with the first request where the server has none. Raises `TypeError` for
    anything else, `ValueError` for a server that cannot run there.

        app = to_asgi(router)  # uvicorn main:app
    """
    if isinstance(app, Router):
        app = Server(router=app, access_log=False)
    elif not isinstance(app, Server):
        raise TypeError(f"to_asgi takes a Router or a Server, not {app!r}: app = to_asgi(router)")
    settings = app.settings
    if not settings.speaks_http:
        raise ValueError("ASGI servers speak HTTP: a server with a parser_class of its own serves by loop()")
    if settings.backend != "asyncio":
        raise ValueError(f"ASGI servers run asyncio, and this server has backend={settings.backend!r}")
    return Application(app)
