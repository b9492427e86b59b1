"""Server: the life of a server: bind, serve, stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from kissapi import log as logs
from kissapi import sockets
from kissapi.awaitables import running_loop, sleep, threads
from kissapi.limits import Limits
from kissapi.parser import HttpParser
from kissapi.request import Request
from kissapi.router import Router
from kissapi.service import Service

if TYPE_CHECKING:
    from logging import Logger

FunctionT = TypeVar("FunctionT", bound=Callable[[], Any])

BACKENDS = ("asyncio", "selectors")
_PATIENCE = 1.0  # seconds from a second signal to an end without further ado


class Server:
    """Serves a router, over HTTP or a protocol of your own.

    `host` and `port` are where it listens; port 0 is a free one, which `port` and `url` then tell.
    `backend` is `"asyncio"`, or `"selectors"` for a loop of our own that needs no asyncio.
    `parser_class` and `request_class` change the protocol; see `kissapi.parser`.
    `logger`, a `logging.Logger`, gets the log instead of standard output; `access_log=False` leaves out the
    lines of requests. `loop_factory` makes asyncio's event loop, for example `uvloop.new_event_loop`.
    `limits` are the sizes, times and counts of `kissapi.limits`: `max_body=1 << 20`.

    Raises `ValueError` for an unknown backend and `TypeError` for an unknown argument.

        server = Server(router=router)
        server.loop()
    """

    def __init__(
        self,
        host: str | None = "0.0.0.0",
        port: int = 8000,
        *,
        router: Router | None = None,
        backend: str = "asyncio",
        parser_class: Callable[[Any], Any] = HttpParser,
        request_class: type[Request] = Request,
        logger: Logger | None = None,
        access_log: bool = True,
        loop_factory: Callable[[], Any] | None = None,
        **limits: float | None,
    ) -> None:
        if backend not in BACKENDS:
            hint = "; for uvloop: loop_factory=uvloop.new_event_loop" if backend == "uvloop" else ""
            raise ValueError(f'backend must be "asyncio" or "selectors", not {backend!r}{hint}')
        if loop_factory is not None and backend != "asyncio":
            raise ValueError('loop_factory makes an asyncio loop: it goes with backend="asyncio"')
        if router is not None and not isinstance(router, Router):
            raise TypeError(f"router must be a Router, not {router!r}")
        if not callable(parser_class):
            raise TypeError(
                f"parser_class must be what makes a parser: a class or function, not {parser_class!r}"
            )
        if host is not None and not isinstance(host, str):
            raise TypeError(f"host must be a string, not {host!r}; a port has a name: Server(port=8000)")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise ValueError(f"port must be a number from 0 to 65535, not {port!r}")
        if not isinstance(request_class, type) or not issubclass(request_class, Request):
            raise TypeError(f"request_class must be Request or a subclass of it, not {request_class!r}")
        if logger is not None and not hasattr(logger, "info"):
            raise TypeError(f"logger must be a logging.Logger, not {logger!r}: logging.getLogger({logger!r})")
        self.host = host
        self.port = port
        self.router = router if router is not None else Router()
        self.backend = backend
        self.parser_class = parser_class
        self.request_class = request_class
        self.logger = logger
        self.access_log = access_log
        self.loop_factory = loop_factory
        self.limits = Limits(**limits)
        self.service: Service | None = None
        self._on_start: list[Callable[[], Any]] = []
        self._on_stop: list[Callable[[], Any]] = []
        self._listeners: list[sockets.Listener] = []
        self._loop: Any = None
        self._stop_asked: Any = None
        self._forced = False
        self._signalled = False
        self._watchdog: threading.Timer | None = None

    def __repr__(self) -> str:
        return f"<Server {self.url} backend={self.backend!r}{'' if self.service else ' not running'}>"

    @property
    def url(self) -> str:
        """Where it can be reached: `http://127.0.0.1:8000`; for another protocol than HTTP, `tcp://…`."""
        is_http = isinstance(self.parser_class, type) and issubclass(self.parser_class, HttpParser)
        host = self.host or "0.0.0.0"
        return f"{'http' if is_http else 'tcp'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def loop(self) -> None:
        """Serve until SIGINT (Ctrl-C) or SIGTERM, then stop gracefully; a second signal stops at once.

        Raises `SystemExit` with one line that says what to do if it cannot listen there.
        """
        try:
            running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("server.loop() starts an event loop, and one runs here: await server.run()")
        try:
            self._backend().run(self._serve_until_signal(), self.loop_factory)
        except OSError as error:
            if self.service is not None or not hasattr(error, "cannot_listen"):
                raise
            if not _in_main_thread():
                raise  # SystemExit would end a thread without a word
            raise SystemExit(f"kissapi: {error.strerror}") from None
        finally:
            if self._watchdog is not None:
                self._watchdog.cancel()

    async def run(self) -> None:
        """Serve inside a running event loop until `stop()` or the task is cancelled; touches no signals.

        await server.run()
        """
        async with self:
            await self._stop_asked

    def stop(self) -> None:
        """Ask a running server to stop gracefully, from any thread. A second call stops it at once."""
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._ask_to_stop)
            except RuntimeError:
                pass  # closed: it has stopped this very moment

    def on_start(self, function: FunctionT) -> FunctionT:
        """Call `function()`, sync or async, before the first client is served; if it raises, nobody is.

        @server.on_start
        async def connect():
            app.database = await open_database()
        """
        self._on_start.append(function)
        return function

    def on_stop(self, function: FunctionT) -> FunctionT:
        """Call `function()`, sync or async, when the last client has gone; the last registered is first."""
        self._on_stop.append(function)
        return function

    async def __aenter__(self) -> Server:
        """Start serving: `async with Server(port=0, router=router) as server: print(server.url)`."""
        if self.service is not None:
            raise RuntimeError("this server is running already")
        self._forced = self._signalled = False
        loop = running_loop()
        backend = self._backend()
        if not isinstance(loop, backend.Loop):
            raise RuntimeError(
                f"this server has backend={self.backend!r}, and the loop here is another: use server.loop()"
            )
        listening = self._bind()
        log = logs.LoggerLog(self.logger) if self.logger is not None else logs.Log()
        try:
            service = Service(
                loop=loop,
                spawn=backend.spawner(loop),
                router=self.router,
                parser_class=self.parser_class,
                request_class=self.request_class,
                limits=self.limits,
                log=log,
                access_log=self.access_log,
            )
        except BaseException:
            for sock in listening:
                sock.close()
            raise
        try:
            for function in self._on_start:
                await _call(function)
        except BaseException:
            for sock in listening:
                sock.close()
            raise
        self.router._serve(1)
        self._loop = loop
        threads.limit = self.limits.max_threads
        self._stop_asked = loop.create_future()
        adopt = backend.adopter(loop, service)
        most = self.limits.max_connections

        def has_room() -> bool:
            return most is None or len(service.connections) < most

        self._listeners = [sockets.Listener(sock, loop, adopt, has_room, log.warning) for sock in listening]
        service.on_closed = self._room_again
        self.port = listening[0].getsockname()[1]
        self.service = service  # last: whoever sees it, sees the port too
        log.info(f"Serving on {self.url}")
        if self.parser_class is HttpParser and HttpParser.library.__name__.startswith("kissapi."):
            log.info("Parsing HTTP in pure Python; with httptools installed it is faster")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop: answer what is in hand, let idle clients deliver one more request, then close."""
        service = self.service
        assert service is not None
        try:
            try:
                refused = [listener.refuse_handshakes() for listener in self._listeners]
                if any(refused):
                    await sleep(sockets.HANDSHAKE)
            finally:
                for listener in self._listeners:
                    listener.close()
            await sleep(0)  # what was just accepted becomes a connection
            service.stop()
            deadline = service.time() + self.limits.shutdown_timeout
            while (service.connections or service.afters) and service.time() < deadline and not self._forced:
                await sleep(0.01)
        finally:
            self.router._serve(-1)
            self.service = self._loop = None
            for connection in tuple(service.connections):
                connection.abort("stopped")
            for task in tuple(service.afters):
                task.cancel()
            try:
                # connection_lost, the cancelled handlers, what their `finally` waits for
                for _turn in range(3):
                    await sleep(0)
                for function in reversed(self._on_stop):
                    try:
                        await _call(function)
                    except Exception as error:
                        service.log.error(f"on_stop: {function!r} failed", error)
            finally:
                service.log.finish()

    def _backend(self) -> Any:
        if self.backend == "selectors":
            from kissapi.backends import selectors as backend
        else:
            from kissapi.backends import asyncio as backend  # type: ignore[no-redef]
        return backend

    def _bind(self) -> list[Any]:
        try:
            return sockets.bind(self.host, self.port, self.limits.backlog)
        except OSError as error:
            error.cannot_listen = True  # type: ignore[attr-defined]
            raise

    async def _serve_until_signal(self) -> None:
        loop = running_loop()
        signals = (signal.SIGINT, signal.SIGTERM) if _in_main_thread() else ()
        for number in signals:
            try:
                loop.add_signal_handler(number, _nothing)  # so that a signal wakes the loop
            except NotImplementedError:  # asyncio on Windows, which wakes by itself
                pass
            signal.signal(number, self._on_signal)
        try:
            async with self:
                await self._stop_asked
        finally:
            for number in signals:
                signal.signal(number, signal.SIG_DFL)
                try:
                    loop.remove_signal_handler(number)
                except NotImplementedError:
                    pass

    def _on_signal(self, number: int, frame: object) -> None:
        """Python calls this between two steps of whatever runs, even of a handler that holds up the loop."""
        if not self._signalled:
            self._signalled = True
            self.stop()
            return
        self._forced = True
        if self._watchdog is None:
            # Not the loop's business: it may be held up, and at exit Python joins the threads of executors.
            self._watchdog = threading.Timer(_PATIENCE, os._exit, (1,))
            self._watchdog.daemon = True
            self._watchdog.start()

    def _ask_to_stop(self) -> None:
        if self._stop_asked.done():
            self._forced = True
        else:
            self._stop_asked.set_result(None)

    def _room_again(self) -> None:
        for listener in self._listeners:
            listener.resume()


async def _call(function: Callable[[], Any]) -> None:
    outcome = function()
    if hasattr(outcome, "__await__"):
        await outcome


def _nothing() -> None:
    pass


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
