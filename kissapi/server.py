"""Server: the life of a server: bind, serve, stop."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from kissapi import log as logs
from kissapi import sockets
from kissapi.address import Address, parse_address
from kissapi.awaitables import running_loop, sleep, threads
from kissapi.limits import Limits
from kissapi.parser import HttpParser
from kissapi.program import Program
from kissapi.request import Request
from kissapi.restart import Handed, inheritance
from kissapi.router import Router
from kissapi.service import Service
from kissapi.threads import copy_context

if TYPE_CHECKING:
    from logging import Logger
    from ssl import SSLContext

    from kissapi.loops import Loops
    from kissapi.share import Share
    from kissapi.tls import Password, Tls
    from kissapi.trust import Trusted

FunctionT = TypeVar("FunctionT", bound=Callable[[], Any])

BACKENDS = ("asyncio", "selectors")


class Server:
    """Serves a router, over HTTP or a protocol of your own.

    `host` and `port` are where it listens; port 0 is a free one, which `port` and `url` then tell. `bind`,
    one address or several, takes their place: see `kissapi.address`; Unix sockets get the mode `unix_mode`.
    `loops=4` serves on four event loops, each in a thread of its own: see `kissapi.loops`. `workers=4` serves
    in four processes, which a fifth one looks after: see `kissapi.workers`; each has so many loops.
    `backend` is `"asyncio"`, or `"selectors"` for a loop of our own that needs no asyncio; by default it is
    the first of them that this Python has.
    `parser_class` and `request_class` change the protocol; see `kissapi.contract`.
    `logger`, a `logging.Logger`, gets the log instead of standard output; a class of logs such as
    `kissapi.extras.json_log.JsonLog` writes it in its own way. `access_log=False` leaves out the lines of
    requests. `loop_factory` makes asyncio's event loop, for example `uvloop.new_event_loop`.
    `debug=True` shows tracebacks to clients, for development: see `kissapi.extras.debug`.
    `certfile` and `keyfile`, in PEM form, make it HTTPS. The key may be in `certfile`; if it is encrypted,
    `keyfile_password` opens it. Files that change are taken again. `ssl`, an `ssl.SSLContext`, is for more.
    `trusted_proxies="127.0.0.1, 10.0.0.0/8, unix"` are those whose word about their clients is taken, in the
    fields that `proxy_headers` names: see `kissapi.forwarded`. With `proxy_protocol=True` they have to say it
    in front of each connection, too: see `kissapi.proxy_protocol`.
    `limits` are the sizes, times and counts of `kissapi.limits`: `max_body=1 << 20`.

    Raises `ValueError` for an unknown backend or a certificate that cannot be used, and `TypeError` for an
    unknown argument.

        server = Server(router=router)
        server.loop()
    """

    def __init__(
        self,
        host: str | None = "0.0.0.0",
        port: int = 8000,
        *,
        bind: str | Iterable[str] | None = None,
        unix_mode: int | None = None,
        loops: int = 1,
        workers: int | None = None,
        router: Router | None = None,
        backend: str | None = None,
        parser_class: Callable[[Any], Any] = HttpParser,
        request_class: type[Request] = Request,
        logger: Logger | type[logs.Log] | None = None,
        access_log: bool = True,
        loop_factory: Callable[[], Any] | None = None,
        debug: bool | Literal["force"] = False,
        ssl: SSLContext | None = None,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        keyfile_password: Password | None = None,
        trusted_proxies: str | Iterable[str] | None = None,
        proxy_headers: str | Iterable[str] | None = None,
        proxy_protocol: bool = False,
        **limits: float | None,
    ) -> None:
        # A loop_factory names asyncio as well as its name does, and what is named is not replaced.
        self._without_asyncio = backend is None and loop_factory is None and not _has_asyncio()
        if backend is None:
            backend = "selectors" if self._without_asyncio else "asyncio"
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
        if isinstance(loops, bool) or not isinstance(loops, int) or loops < 1:
            raise ValueError(f"loops must be a number of event loops, at least 1, not {loops!r}")
        self.host = host
        self.port = port
        self.addresses = [Address(host, port)]
        if bind is not None:
            texts = [bind] if isinstance(bind, str) else list(bind)
            self.addresses = [address for text in texts for address in parse_address(text)]
            if not self.addresses:
                raise ValueError("bind has no address: give one, such as 127.0.0.1:8000")
            self.host, self.port = self.addresses[0].host, self.addresses[0].port
        if unix_mode is not None and not (isinstance(unix_mode, int) and 0 <= unix_mode <= 0o777):
            raise ValueError(f"unix_mode is a number such as 0o660, at most 0o777, not {unix_mode!r}")
        self.unix_mode = unix_mode
        if workers is not None:
            if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
                raise ValueError(f"workers must be a number of processes, at least 1, not {workers!r}")
            if not hasattr(os, "fork"):
                raise ValueError("workers need os.fork, which this system has not: use loops=…")
        self.loops = loops
        self.workers = workers
        self.router = router if router is not None else Router()
        self.backend = backend
        if debug:
            from kissapi.extras.debug import debug as show

            show(self.router, force=debug == "force")
        self.parser_class = parser_class
        self.request_class = request_class
        self.logger = logger
        self.access_log = access_log
        self.loop_factory = loop_factory
        self.limits = Limits(**limits)
        self.tls: Tls | None = None
        if any(given is not None for given in (ssl, certfile, keyfile, keyfile_password)):
            from kissapi.tls import make_tls  # only now: importing ssl costs 10 ms

            protocols = ["http/1.1"] if self._speaks_http() else []
            self.tls = make_tls(ssl, certfile, keyfile, keyfile_password, protocols)
        self.trusted: Trusted | None = None
        self.proxy_fields: frozenset[str] = frozenset()
        self.proxy_protocol = proxy_protocol
        if trusted_proxies is not None:
            from kissapi import forwarded
            from kissapi.trust import Trusted

            self.trusted = Trusted(trusted_proxies)
            self.proxy_fields = forwarded.field_names(
                forwarded.USUAL if proxy_headers is None else proxy_headers
            )
        elif proxy_protocol or proxy_headers is not None:
            raise ValueError('whose word is taken? trusted_proxies="127.0.0.1" names the proxies')
        self.service: Service | None = None
        self._context: Any = None  # the context variables that requests begin with
        self._on_start: list[Callable[[], Any]] = []
        self._on_stop: list[Callable[[], Any]] = []
        self._listeners: list[sockets.Listener] = []
        self._files: dict[str, sockets.File | None] = {}  # of Unix sockets, by path
        self._crowd: Any = None  # who has the connections: the service, or several loops
        self._loop: Any = None
        self._life: Any = None  # the task that serves, if it is ours
        self.begun: Any = None  # a future: whether it serves, once that is known
        self._stop_asked: Any = None
        self._starting = False
        self._cut = False  # told to stop while it started
        self._forced = False
        self._leaving = False
        self._bound: Handed = []  # the listening sockets, by what was asked for
        # In a worker: the listening sockets, which others have as well, and what counts clients and requests.
        self._shared: list[Any] | None = None
        self._share: Share | None = None
        self._around_handle: Callable[[Any], Any] | None = None

    def __repr__(self) -> str:
        return f"<Server {self.url} backend={self.backend!r}{'' if self.service else ' not running'}>"

    @property
    def url(self) -> str:
        """Where it can be reached: `http://127.0.0.1:8000`; for another protocol than HTTP, `tcp://…`.

        Over TLS, `https://…` and `tls://…`.
        """
        scheme = ("http", "https") if self._speaks_http() else ("tcp", "tls")
        address = self.addresses[0]
        if not address.path:
            address = Address(self.host, self.port)
        return f"{scheme[self.tls is not None]}{'+' if address.path else '://'}{address}"

    def loop(self) -> None:
        """Serve until SIGINT (Ctrl-C) or SIGTERM, then stop gracefully; a second signal stops at once.

        Raises `SystemExit` with one line that says what to do if it cannot listen there.
        """
        Program([self]).run()

    async def run(self) -> None:
        """Serve inside a running event loop until `stop()` or the task is cancelled; touches no signals.

        await server.run()
        """
        await self._begin()

    def _begin(self) -> Any:
        """A task that serves, from the start to the end; it can be stopped from now on."""
        self._open()
        self.begun = self._loop.create_future()
        self._life = self._loop.create_task(self._live())
        return self._life

    def _open(self) -> None:
        if self._loop is not None:
            raise RuntimeError("this server is running already")
        self._loop = running_loop()
        self._stop_asked = self._loop.create_future()
        self._life = None
        self._starting = True
        self._cut = self._forced = False

    async def _live(self) -> None:
        backend = self._backend()
        try:
            async with self:
                self.begun.set_result(True)
                await self._stop_asked
        except backend.CancelledError:
            if not self._cut or backend.cancelling() > 1:  # others want the end, too, and want to know of it
                raise
        finally:
            if not self.begun.done():
                self.begun.set_result(False)

    def stop(self) -> None:
        """Ask a running server to stop gracefully, from any thread. A second call stops it at once.

        One that `loop()` or `run()` is about to start is told to let it be: `on_start` is cancelled.
        """
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._ask_to_stop)
            except RuntimeError:
                pass  # closed: it has stopped this very moment

    def reload_certificate(self) -> None:
        """Take `certfile` and `keyfile` again, now; new connections get what is in them, from any thread.

        It is done without being asked, too, for the first client that comes a second after they have changed.
        Raises `ValueError` for files that cannot be used, and the old certificate stays; `RuntimeError` for a
        server that was not given files.
        """
        if self.tls is None:
            raise RuntimeError("this server has no certificate: Server(certfile=…, keyfile=…)")
        self.tls.reload()

    def on_start(self, function: FunctionT) -> FunctionT:
        """Call `function()`, sync or async, before the first client is served; if it raises, nobody is.

        Then, and if a signal cancels it, what `on_stop` has registered is called all the same.

        @server.on_start
        async def connect():
            MyRequest.database = await open_database()  # the request_class of this server
        """
        self._on_start.append(function)
        return function

    def on_stop(self, function: FunctionT) -> FunctionT:
        """Call `function()`, sync or async, when the last client has gone; the last registered is first.

        All of them are called, whatever one raises: that is a line in the log. They are called for a server
        that could not start as well, so what one closes may not have been opened.
        """
        self._on_stop.append(function)
        return function

    async def __aenter__(self) -> Server:
        """Start serving: `async with Server(port=0, router=router) as server: print(server.url)`."""
        if not self._starting:
            self._open()
        try:
            await self._start()
        except BaseException:
            self._loop = None
            raise
        finally:
            self._starting = False
        return self

    async def _start(self) -> None:
        if self.workers is not None:
            raise RuntimeError("workers are started by server.loop() or serve(…); this serves in one process")
        for name in ("max_requests", "max_memory"):
            if getattr(self.limits, name) is not None and self._shared is None:
                raise ValueError(f"{name} is for workers, which can be replaced: Server(workers=1, {name}=…)")
        self._leaving = self._shared is not None
        loop = self._loop
        backend = self._backend()
        if not isinstance(loop, backend.Loop):
            raise RuntimeError(
                f"this server has backend={self.backend!r}, and the loop here is another: use server.loop()"
            )
        threads.limit = self.limits.max_threads
        most = self.limits.max_connections
        listening = self._bind() if self._shared is None else self._shared
        log: logs.Log | None = None
        try:
            # With several loops, this one only accepts; its service has no connections.
            service, adopt = self._make_service(loop)
            crowd: Service | Loops = service
            service.on_closed = self._room_again
            log = service.log
            for function in self._on_start:
                await _call(function)
            self._context = service.context = copy_context()  # what on_start has set, all requests see
            if self.loops > 1:
                from kissapi.loops import Loops

                def run(main: Any) -> None:
                    backend.run(main, self.loop_factory)

                def closed() -> None:
                    if most is not None or self._share is not None:
                        loop.call_soon_threadsafe(self._room_again)

                crowd = Loops(self.loops, self._make_service, run, closed)
                adopt = crowd.adopt
        except BaseException:
            self._starting = False
            for sock in listening:
                sock.close()
            if inheritance.line is None:  # else they are those of a server that goes on
                self._remove_files()
            if log is not None:  # what was opened is closed; why it could not start is what counts
                await self._run_on_stop(log)
                log.finish()
            raise
        self.router._serve(1)
        self._crowd = crowd

        share = self._share

        def has_room() -> bool:
            if most is not None and crowd.count() >= most:
                return False
            if share is None or share.has_turn(crowd.count()):
                return True
            loop.call_later(share.PAUSE, self._room_again)
            return False

        self._listeners = [sockets.Listener(sock, loop, adopt, has_room, log.warning) for sock in listening]
        self._locate(listening)
        self.service = service  # last: whoever sees it, sees the port too
        if self._shared is None:
            self._announce(log)

    def _announce(self, log: logs.Log) -> None:
        if self._without_asyncio:
            log.info('This Python has no asyncio: serving on backend="selectors"')
        log.info(f"Serving on {self.url}")
        for address in self.addresses[1:]:
            log.info(f"Serving on {address} as well")
        for path, file in self._files.items():
            if self.unix_mode is None and (mode := sockets.closed_to_others(path, file)):
                log.info(
                    f"unix:{path} has mode {mode}: programs of other users, such as nginx, cannot connect; "
                    "unix_mode=0o660 (--unix-mode 660) lets in those of its group, 0o666 all"
                )
        if self.tls is not None and self.tls.lacks_certificate():
            log.warning(
                "no client can connect: ssl= has no certificate; context.load_cert_chain(…) gives it one"
            )
        if self.parser_class is HttpParser and HttpParser.library.__name__.startswith("kissapi."):
            log.info("Parsing HTTP in pure Python; with httptools installed it is faster")

    async def __aexit__(self, *_: object) -> None:
        """Stop: answer what is in hand, let idle clients deliver one more request, then close."""
        service = self.service
        assert service is not None
        try:
            try:
                refused = [not self._leaving and listener.refuse_handshakes() for listener in self._listeners]
                if any(refused):
                    await sleep(sockets.HANDSHAKE)
            finally:
                for listener in self._listeners:
                    if self._leaving:
                        listener.leave()
                    else:
                        listener.close()
                if self._share is not None:
                    self._share.leave()
                    self._share = None
            await sleep(0)  # what was just accepted becomes a connection
            await self._crowd.finish(lambda: self._forced)
        finally:
            self.router._serve(-1)
            self.service = self._loop = None
            if not self._leaving:
                self._remove_files()
            try:
                left = await self._run_on_stop(service.log)
            finally:
                service.log.finish()
        if left is not None:
            raise left

    async def _run_on_stop(self, log: logs.Log) -> BaseException | None:
        """Call them all. Gives the first error that is to end more than a function, if there was one."""
        backend = self._backend()
        left: BaseException | None = None
        asked = backend.cancelling()
        for function in reversed(self._on_stop):
            try:
                await _call(function)
            except GeneratorExit:  # the loop has been closed
                raise
            except BaseException as error:
                if isinstance(error, backend.CancelledError) and backend.cancelling() > asked:
                    asked = backend.cancelling()  # it is not what the function waited for that was cancelled
                    left = left or error
                    continue
                log.error(f"on_stop: {function!r} failed", error)
                if isinstance(error, (SystemExit, KeyboardInterrupt)):
                    left = left or error
        return left

    def _remove_files(self) -> None:
        for path, file in self._files.items():
            sockets.remove(path, file)

    def _backend(self) -> Any:
        if self.backend == "selectors":
            from kissapi.backends import selectors as backend
        else:
            try:
                from kissapi.backends import asyncio as backend  # type: ignore[no-redef]
            except ImportError:
                if _has_asyncio():
                    raise
                raise ImportError(
                    'this Python has no asyncio: choose backend="selectors" (--backend selectors), '
                    "and leave out loop_factory (--loop)"
                ) from None
        return backend

    def _speaks_http(self) -> bool:
        return isinstance(self.parser_class, type) and issubclass(self.parser_class, HttpParser)

    def _make_service(self, loop: Any) -> tuple[Service, Callable[[Any], None]]:
        """What `loop` serves, and what makes a connection of an accepted socket there."""
        backend = self._backend()
        request_class = self.request_class
        if self.trusted is not None and self.proxy_fields:
            from kissapi.forwarded import behind

            request_class = behind(self.trusted, self.proxy_fields, request_class)
        service = Service(
            loop=loop,
            spawn=backend.spawner(loop),
            router=self.router,
            parser_class=self.parser_class,
            request_class=request_class,
            limits=self.limits,
            log=self._make_log(),
            access_log=self.access_log,
            context=self._context,
        )
        if self._around_handle is not None:
            service.handle = self._around_handle(service.handle)
        adopt = backend.adopter(loop, service, self.tls)
        if self.trusted is not None and self.proxy_protocol:
            from kissapi.proxy_protocol import Gate

            adopt = Gate(loop, service, adopt, self.trusted).enter
        return service, adopt

    def _make_log(self) -> logs.Log:
        if isinstance(self.logger, type):
            return self.logger()
        return logs.LoggerLog(self.logger) if self.logger is not None else logs.Log()

    def _bind(self) -> list[Any]:
        listening: list[Any] = []
        self._files, self._bound = {}, []
        try:
            for address in self.addresses:
                if not listening and not address.path and address.fd < 0:
                    address = Address(self.host, self.port)  # they may have been set since
                found, file = inheritance.take(address)
                if not found:
                    found = sockets.listen(address, self.limits.backlog, self.unix_mode)
                    file = sockets.file_of(address.path) if address.path else None
                self._bound.append((str(address), found, file))
                listening += found
                if address.path:
                    self._files[address.path] = file
            self.router._check_addresses([sock.getsockname() for sock in listening])
        except OSError as error:
            for sock in listening:
                sock.close()
            error.cannot_listen = True  # type: ignore[attr-defined]
            raise
        return listening

    def _locate(self, listening: list[Any]) -> None:
        """Know the port that we got."""
        if self.addresses[0].fd >= 0 and isinstance(name := listening[0].getsockname(), tuple):
            self.host, self.port = name[:2]
        elif not self.addresses[0].path:
            self.port = listening[0].getsockname()[1]

    def _leave(self) -> None:
        """Stop, and leave the sockets to others who have them."""
        self._leaving = True
        if self._loop is not None:
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        if self._stop_asked.done():
            self._forced = True
        else:
            self._stop_asked.set_result(None)
            if self._starting and self._life is not None:
                self._cut = True
                self._life.cancel()

    def _room_again(self) -> None:
        if self._share is not None:
            self._share.has(self._crowd.count())
        for listener in self._listeners:
            listener.resume()


def _has_asyncio() -> bool:
    from importlib.util import (
        find_spec,
    )  # to import asyncio itself costs 40 ms, and selectors needs none of it

    try:
        return find_spec("asyncio") is not None
    except ImportError:  # a hook that hides it
        return False


async def _call(function: Callable[[], Any]) -> None:
    outcome = function()
    if hasattr(outcome, "__await__"):
        await outcome
