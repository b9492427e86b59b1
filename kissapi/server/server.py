"""Server: what users make and start: settings, the functions of its start and its end, its running life."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from kissapi.http.parser import HttpParser
from kissapi.http.request import Request
from kissapi.routing.lifespan import Lifespan, Step
from kissapi.server.life import steps_of
from kissapi.server.listening import bind
from kissapi.server.running import Running
from kissapi.server.settings import Setting, Settings, is_argument

if TYPE_CHECKING:
    import os
    from logging import Logger
    from ssl import SSLContext

    from kissapi.http.limits import Limits
    from kissapi.http.service import Service
    from kissapi.log import Log
    from kissapi.net.address import Address
    from kissapi.net.certificate import Password, TlsContext
    from kissapi.routing.router import Router
    from kissapi.server.listening import Claim, ListeningSockets


class Server(Lifespan):
    """Serves a router, over HTTP or a protocol of your own.

    `host` and `port` are where it listens; port 0 is a free one, which `port` and `url` then tell. `bind`,
    one address or several, takes their place: see `kissapi.net.address`; Unix sockets get `unix_mode`.
    `loops=4` serves on four event loops, each in a thread of its own: see `kissapi.process.loop_threads`.
    `workers=4` serves in four processes, which a fifth one looks after: see `kissapi.process.master`; each
    has so many loops.
    `loop` is the name of the event loop: `"asyncio"`, `"uvloop"`, or `"selectors"` for a loop of our own that
    needs no asyncio; by default it is asyncio's, or selectors on a Python that has none. `backend` is the
    same but for uvloop, and `loop_factory` makes any other loop of asyncio's kind.
    `parser_class` and `request_class` change the protocol; see `kissapi.http.contract`.
    `logger`, a `logging.Logger`, gets the log instead of standard output; a class of logs such as
    `kissapi.extras.json_log.JsonLog` writes it in its own way. `access_log=False` leaves out the lines of
    requests. `headers={"X-Frame-Options": "DENY"}` are fields of every answer, errors, streams and the 101 of
    WebSocket included; a `Response` that has one of them sends its own instead. Parsers with `encode` do not
    send them. `json=orjson` reads and writes JSON: what has `dumps` and `loads`, or `encode` and `decode`.
    `debug=True` shows tracebacks to clients, for development: see `kissapi.extras.debug`.
    `certfile` and `keyfile`, in PEM form, make it HTTPS. The key may be in `certfile`; if it is encrypted,
    `keyfile_password` opens it. Files that change are read again. `ssl`, an `ssl.SSLContext`, is for more.
    `trusted_proxies="127.0.0.1, 10.0.0.0/8, unix"` may say which client a request comes from, in the
    fields that `proxy_headers` names: see `kissapi.http.forwarded`. With `proxy_protocol=True` they have to
    say it at the start of each connection, too: see `kissapi.net.proxy_protocol`.
    `limits` are the sizes, times and counts of `kissapi.http.limits`: `max_body=1 << 20`.

    Most are attributes, too, which can be set until it runs; `settings` are all of them together.
    Raises `ValueError` for an unknown event loop or a certificate that cannot be used, `TypeError` for an
    unknown argument, and `ImportError` that says what to install.

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
        loop: str | None = None,
        backend: str | None = None,
        loop_factory: Callable[[], Any] | None = None,
        parser_class: Callable[[Any], Any] = HttpParser,
        request_class: type[Request] = Request,
        logger: Logger | type[Log] | None = None,
        access_log: bool = True,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        json: Any = None,
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
        given = {
            "host": host,
            "port": port,
            "bind": bind,
            "unix_mode": unix_mode,
            "loops": loops,
            "workers": workers,
            "router": router,
            "loop": loop,
            "backend": backend,
            "loop_factory": loop_factory,
            "parser_class": parser_class,
            "request_class": request_class,
            "logger": logger,
            "access_log": access_log,
            "headers": headers,
            "json": json,
            "debug": debug,
            "ssl": ssl,
            "certfile": certfile,
            "keyfile": keyfile,
            "keyfile_password": keyfile_password,
            "trusted_proxies": trusted_proxies,
            "proxy_headers": proxy_headers,
            "proxy_protocol": proxy_protocol,
        }
        self.running: Running | None = None  # its life, or the last one
        self._steps: list[Step] = []
        self._settings = Settings(given | limits)
        self._show_errors(None)

    def __repr__(self) -> str:
        return f"<Server {self.url} backend={self.backend!r}{'' if self.service else ' not running'}>"

    # Settings

    host: Setting[str | None] = Setting()
    port: Setting[int] = Setting()
    unix_mode: Setting[int | None] = Setting()
    loops: Setting[int] = Setting()
    workers: Setting[int | None] = Setting()
    router: Setting[Router] = Setting()
    backend: Setting[str] = Setting()
    loop_factory: Setting[Callable[[], Any] | None] = Setting()
    parser_class: Setting[Callable[[Any], Any]] = Setting()
    request_class: Setting[type[Request]] = Setting()
    logger: Setting[Logger | type[Log] | None] = Setting()
    access_log: Setting[bool] = Setting()
    headers: Setting[Any] = Setting()  # a `ServerHeaders`, of what `headers=` takes
    debug: Setting[bool | Literal["force"]] = Setting()
    proxy_protocol: Setting[bool] = Setting()
    # What follows from settings is read like them, and cannot be set.
    limits: Setting[Limits] = Setting()
    addresses: Setting[Sequence[Address]] = Setting()
    tls: Setting[TlsContext | None] = Setting()

    if not TYPE_CHECKING:  # it is for wrong names, which mypy would allow because of it

        def __setattr__(self, name, value):
            if is_argument(name) and not isinstance(vars(Server).get(name), Setting):
                raise AttributeError(f"set it by server.settings = server.settings.replace({name}=…)")
            super().__setattr__(name, value)

    @property
    def settings(self) -> Settings:
        """What it was made with, and what has been set since; once it serves, the port it has got."""
        return self._settings if self.running is None else self.running.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._refuse_while_running()
        if not isinstance(settings, Settings):
            raise TypeError(f"settings are made by server.settings.replace(…), not {settings!r}")
        before = self.settings
        self._settings, self.running = settings, None
        self._show_errors(before)

    @property
    def url(self) -> str:
        """Where it can be reached: `http://127.0.0.1:8000`; for another protocol than HTTP, `tcp://…`.

        Over TLS, `https://…` and `tls://…`.
        """
        return self.settings.url

    def _show_errors(self, before: Settings | None) -> None:
        settings = self._settings
        if settings.debug and (
            before is None or (before.debug, before.router) != (settings.debug, settings.router)
        ):
            from kissapi.extras.debug import debug as show

            show(settings.router, force=settings.debug == "force")

    # Its life

    @property
    def service(self) -> Service | None:
        """What it serves with, while it does; of several loops, that of the one which accepts."""
        return self.running.service if self.running is not None else None

    def loop(self) -> None:
        """Serve until SIGINT (Ctrl-C) or SIGTERM, then stop gracefully; a second signal stops at once.

        Raises `SystemExit` with one line that says what to do if it cannot listen there.
        """
        from kissapi.process.program import Program

        Program([self]).run()

    async def run(self) -> None:
        """Serve inside a running event loop until `stop()` or the task is cancelled; touches no signals.

        await server.run()
        """
        await self.begin().life

    def begin(self, **given: Any) -> Running:
        """Serve inside a running event loop, in a task of its own: `life` of what is returned.

        `given` is what `Running` takes beside the settings. Raises `RuntimeError` if it is running already.

            running = server.begin()
            assert await running.begun
        """
        running = self._new_life(**given)
        running.begin()
        return running

    def bind(self, claim: Claim | None = None) -> ListeningSockets:
        """Listen, and serve nothing yet: for a master, whose workers serve.

        Raises `OSError` that says what to do.
        """
        self._refuse_while_running()
        listening = bind(self.settings, claim)
        self.settings = listening.located(self.settings)
        return listening

    def stop(self) -> None:
        """Ask a running server to stop gracefully, from any thread. A second call stops it at once.

        If `loop()` or `run()` is still starting it, the start is given up: `on_start` is cancelled.
        """
        if self.running is not None:
            self.running.stop()

    def copy(self, **given: Any) -> Server:
        """Another server with the same settings, but for those given, and with all of its functions."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, running=None, _settings=self.settings.replace(**given))
        other._show_errors(self.settings)
        return other

    def reload_certificate(self) -> None:
        """Read `certfile` and `keyfile` again, now; new connections get what is in them, from any thread.

        It is done without being asked, too, for the first client that comes a second after they have changed.
        Raises `ValueError` for files that cannot be used, and the old certificate stays; `RuntimeError` for a
        server that was not given files.
        """
        if self.tls is None:
            raise RuntimeError("this server has no certificate: Server(certfile=…, keyfile=…)")
        self.tls.reload()

    def steps(self) -> list[Step]:
        """What begins and ends with each loop that serves: its own, then that of its routers."""
        return steps_of(self._steps, self.router)

    async def __aenter__(self) -> Server:
        """Start serving: `async with Server(port=0, router=router) as server: print(server.url)`."""
        await self._new_life().start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop: answer what is in hand, let idle clients deliver one more request, then close."""
        assert self.running is not None
        await self.running.finish()

    def _new_life(self, **given: Any) -> Running:
        self._refuse_while_running()
        self.running = Running(self.settings, partial(steps_of, self._steps, self.router), **given)
        return self.running

    def _refuse_while_running(self) -> None:
        if self.running is not None and not self.running.ended:
            raise RuntimeError("this server is running already")
