"""Mount: an ASGI app as a router, and the start and the end of the app in each loop that serves it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop
from kissapi.backends.threads import copy_context
from kissapi.extras.asgi.inward.exchange import Exchange
from kissapi.extras.asgi.inward.lifespan import Lifespan
from kissapi.extras.asgi.inward.scope import websocket_scope
from kissapi.extras.asgi.inward.sockets import Socket
from kissapi.extras.websocket.handshake import Terms
from kissapi.http.words import name_of
from kissapi.routing.gateway import gateway

if TYPE_CHECKING:
    from kissapi.http.request import Request
    from kissapi.routing.router import Router


def from_asgi(
    app: Callable[..., Any],
    *,
    factory: bool = False,
    lifespan: bool = True,
    max_body: int | None = None,
    max_message: int = 16 << 20,
    ping_interval: float | None = 20.0,
    ping_timeout: float = 20.0,
    compress: bool = True,
) -> Router:
    """A router that serves an ASGI 3 app, such as one of FastAPI, Starlette, Django or Litestar.

    It may be mounted anywhere: the app finds the prefix as `root_path`. The app starts and ends with the
    server, by its lifespan; with `lifespan=False` it is not asked to. `max_body`, in bytes, takes the place
    of the server's limit. With `factory=True` `app` is a function without arguments that makes one for each
    event loop: `Server(loops=4)` needs that, for what an app opens belongs to one loop. The rest is for
    WebSockets, as of `Router.websocket`; origins are the app's to check. The app needs asyncio: on the
    selectors backend the server does not start.
    Raises `TypeError` for what takes no (scope, receive, send).

        router["/legacy"] = from_asgi(legacy)
    """
    if not callable(app):
        raise TypeError(f"an ASGI app takes (scope, receive, send), and {app!r} cannot be called")
    terms = Terms(
        origins="*",
        subprotocols=(),
        max_message=max_message,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        compress=compress,
    )
    mounted = Mounted(app, factory, lifespan, terms)
    router = gateway(mounted, stream=True, max_body=max_body)
    router.lifespan(mounted.live)
    return router


class Mounted:
    """The handler of all requests for one app."""

    def __init__(self, app: Callable[..., Any], factory: bool, lifespan: bool, terms: Terms) -> None:
        self.__qualname__ = f"the ASGI app {name_of(app)}"  # for the log
        self._app = app
        self._factory = factory
        self._lifespan = lifespan
        self._terms = terms
        self._lives: dict[int, Lifespan] = {}  # by the `id` of the namespace of their loops
        self._loops: list[Any] = []  # that serve it

    async def __call__(self, request: Request) -> Any:
        """The answer, for hooks around it."""
        return await self._begin(request, copy_context())

    def _begin(self, request: Any, context: Any = None) -> Any:
        """What answers: an `Exchange`, which is a task, or for a WebSocket a coroutine."""
        connection = request._connection
        life = self._lives.get(id(connection.service.app)) or self._unstarted()
        # Not by `in`: that takes its left side for a number first, and has an error formatted each time.
        if request._head.lower().find(b"upgrade:") > 0 and _asks_for_websocket(request):
            return self._answer_websocket(request, life)
        return Exchange(request).start(life, connection.context if context is None else context)

    async def _answer_websocket(self, request: Any, life: Lifespan) -> Any:
        return await Socket(request).answer(self._terms, life.app, websocket_scope(request, life.state))

    async def live(self, namespace: Any) -> AsyncIterator[None]:
        """The life of the app in one loop."""
        loop = running_loop()
        asyncio = sys.modules.get("asyncio")
        if asyncio is None or asyncio._get_running_loop() is not loop:
            raise RuntimeError(
                "an ASGI app needs asyncio, and this server runs on selectors: leave out loop and backend"
            )
        if not self._factory and any(other is not loop for other in self._loops):
            raise RuntimeError(
                "an ASGI app belongs to one event loop, and this server has several: give a function that "
                "makes one for each, from_asgi(make_app, factory=True); or serve it with workers"
            )
        life = self._lives[id(namespace)] = Lifespan(self._app() if self._factory else self._app)
        self._loops.append(loop)
        try:
            if self._lifespan:
                await life.start()
            yield
            if self._lifespan:
                await life.stop()
        finally:
            life.cancel()
            self._loops.remove(loop)
            del self._lives[id(namespace)]

    def _unstarted(self) -> Lifespan:
        """A life of which the app knows nothing: for a test client outside of `with`."""
        if self._factory:
            raise RuntimeError("the app has not been started: in tests, with Client(router) as client: …")
        return self._lives.setdefault(0, Lifespan(self._app))


def _asks_for_websocket(request: Any) -> bool:
    headers = request.headers
    options = headers.get("connection", "").lower()
    return (
        request.method == "GET" and headers.get("upgrade", "").lower() == "websocket" and "upgrade" in options
    )
