"""Client: asks the routes of an app, in a time of its own.

It composes requests and keeps cookies. The network runs the loop, only while a test waits for something.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from kissapi.extras.testing.answer import Answer
from kissapi.extras.testing.clock import make_clock
from kissapi.extras.testing.cookies import CookieJar
from kissapi.extras.testing.network import Network
from kissapi.extras.testing.redirects import MOST, is_redirect, next_request
from kissapi.extras.testing.request import choose_body, encode_body, encode_head, encode_target
from kissapi.extras.testing.transport import PEER
from kissapi.http.headers import Headers
from kissapi.routing.router import Router
from kissapi.server import BACKENDS, Server
from kissapi.server.assembly import make_service
from kissapi.server.event_loop import import_backend
from kissapi.server.life import Life

if TYPE_CHECKING:
    from kissapi.extras.testing.request import Body, Fields, Files, Options, Query
    from kissapi.extras.testing.websocket import WebSocket
    from kissapi.http.app import App
    from kissapi.http.request import Request
    from kissapi.http.service import Service

_PORT = re.compile(":[0-9]*$")


class Client:
    """A client of a router, or of a `Server` with its routes, parser and limits.

    `backend` is "asyncio" or "selectors"; by default the server's, else asyncio. `headers` are sent with
    every request. `client` is the address that handlers see, `scheme` "http" or "https"; over http, `Secure`
    cookies are not kept. `parser_class`, `request_class` and `limits` are those of `Server`. Routes are
    compiled at the first request.

    `clock` is "virtual" or "real". In virtual time nothing waits, but threads that the app has started get
    half a second of real time before the clock goes on; with the real clock a second takes a second.

    As a context manager it starts and ends the app: `on_start`, `on_stop` and `lifespan` of the server and of
    its routers.
    Raises `ValueError` for another backend, scheme or clock, `TypeError` for anything but a router or server.

        with Client(server, backend="selectors") as client:
            assert client.post("/users", json={"name": "ann"}).status == 201
    """

    def __init__(
        self,
        app: Router | Server,
        backend: str | None = None,
        *,
        parser_class: Callable[[Any], Any] | None = None,
        request_class: type[Request] | None = None,
        headers: Fields = (),
        client: tuple[str, int] = PEER,
        scheme: str = "http",
        clock: str = "virtual",
        **limits: float | None,
    ) -> None:
        if isinstance(app, Router):
            app = Server(router=app)
        elif not isinstance(app, Server):
            raise TypeError(f"a Client is made for a Router or a Server, not for {app!r}")
        self.backend = app.backend if backend is None else backend
        if self.backend not in BACKENDS:
            raise ValueError(f'backend must be "asyncio" or "selectors", not {backend!r}')
        if scheme not in ("http", "https"):
            raise ValueError(f'scheme must be "http" or "https", not {scheme!r}')
        # It is asked for its settings, and never started. Its clients come over no socket, so not over TLS.
        self.server = app.copy(
            parser_class=parser_class or app.parser_class,
            request_class=request_class or app.request_class,
            backend=self.backend,
            ssl=None,
            **limits,
        )
        self.headers = Headers(headers)
        self._scheme = scheme
        facts = {"peername": client, "sslcontext": True if scheme == "https" else None}
        self._network = Network(self.backend, make_clock(clock), partial(_make_service, self.server), facts)
        self.clock, self.loop = self._network.clock, self._network.loop
        self.cookies = CookieJar(self.loop.time, secure=scheme == "https")
        self._life: Any = None  # of the app, as a task, in a `with` block
        self._started: Any = None
        self._ends: Any = None

    def __repr__(self) -> str:
        return f"<Client backend={self.backend!r}>"

    # Requests

    def get(self, path: str, **options: Unpack[Options]) -> Answer:
        """GET, with the options of `request`."""
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Unpack[Options]) -> Answer:
        """HEAD, with the options of `request`."""
        return self.request("HEAD", path, **options)

    def options(self, path: str, **options: Unpack[Options]) -> Answer:
        """OPTIONS, with the options of `request`."""
        return self.request("OPTIONS", path, **options)

    def delete(self, path: str, **options: Unpack[Options]) -> Answer:
        """DELETE, with the options of `request`."""
        return self.request("DELETE", path, **options)

    def post(self, path: str, **options: Unpack[Options]) -> Answer:
        """POST, with the options of `request`."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Unpack[Options]) -> Answer:
        """PUT, with the options of `request`."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Unpack[Options]) -> Answer:
        """PATCH, with the options of `request`."""
        return self.request("PATCH", path, **options)

    def request(self, method: str, path: str, **options: Unpack[Options]) -> Answer:
        """The whole answer to a request; the options are those of `stream`.

        Cookies are kept. Raises `ConnectionResetError` if the answer breaks off, `TimeoutError` if it does
        not come within an hour of virtual or half a minute of real time.

            answer = client.request("PUT", "/users/7", json={"name": "ann"})
        """
        with self.stream(method, path, **options) as answer:
            answer.read()
        return answer

    def stream(
        self,
        method: str,
        path: str,
        *,
        headers: Fields = (),
        body: Body | None = None,
        json: Any = ...,
        form: Query | None = None,
        files: Files | None = None,
        query: Query | None = None,
        follow_redirects: bool = False,
    ) -> Answer:
        """An answer as soon as its head has come; its body can be read piece by piece.

        `body` is text, bytes, or an iterator of them, which is sent in chunks as the server reads; `json` or
        `form` makes the body of a value; `json=None` is the body `null`. With `files`, the form is multipart:
        `files={"image": ("a.png", data, "image/png")}`, or the data alone, or a list of either. `query` is
        added to the path. In `query` and `form` a list is several values of one name. With `follow_redirects`
        it is the answer after those, at most 20, which are its `history`. At the end of the block the client
        closes the connection. Raises what `request` raises, `ValueError` for a wrong method or path and for a
        redirect to another host, and `TypeError` for a wrong body.

            with client.stream("GET", "/ticks") as answer:
                assert next(iter(answer)) == b"tick"
        """
        target = encode_target(path, query)
        fields = Headers(self.headers)
        given = Headers(headers)
        for name in given:
            fields.pop(name, None)
        for name, value in given.lines():
            fields.add(name, value)
        fields.setdefault("host", "localhost")
        body = choose_body(body, json, form, files, fields)
        answer = self._ask(method, target, fields, body)
        while follow_redirects and is_redirect(answer):
            with answer:
                answer.read()
            history = (*answer.history, answer)
            if len(history) > MOST:
                raise ValueError(f"more than {MOST} redirects: " + " → ".join(each.path for each in history))
            method, path, fields, body = next_request(answer, self._scheme, fields, body)
            answer = self._ask(method, encode_target(path, None), fields, body)
            answer.history = history
        return answer

    def _ask(self, method: str, target: str, fields: Headers, body: Body | None) -> Answer:
        """One answer; the cookies of the client go along, and those of the answer are kept."""
        fields = Headers(fields)
        origin = _PORT.sub("", fields["host"]).lower(), target.partition("?")[0]
        cookies = self.cookies.header(*origin)
        if cookies:
            fields.setdefault("cookie", cookies)
        chunks = encode_body(method, body, fields)
        head = encode_head(method, target, fields)
        answer = Answer(self._network, method, target, head, chunks, expects="expect" in fields)
        for field in answer.headers.get_all("set-cookie"):
            self.cookies.store(field, *origin)
        return answer

    def websocket(
        self, path: str, *, headers: Fields = (), subprotocols: Iterable[str] = (), query: Query | None = None
    ) -> WebSocket:
        """A WebSocket (RFC 6455). Raises `Refused` for an answer other than 101.

        with client.websocket("/chat") as ws:
            ws.send("hello")
            assert ws.receive() == "hello to you"
        """
        from kissapi.extras.testing.websocket import WebSocket

        def ask(fields: Headers) -> Answer:
            return self.stream("GET", path, headers=fields, query=query)

        return WebSocket(self._network, path, ask, Headers(headers), subprotocols)

    def exchange(self, *chunks: bytes) -> bytes:
        """All that a client receives which sends these bytes, each of `chunks` a read, and ends its side."""
        connection = self._network.connect(room=float("inf"))
        connection.raw.send(*chunks).send_eof()
        self._network.run_until(lambda: connection.over, "exchange()")
        connection.leave()
        return connection.raw.received

    # Time, and what happens beside requests

    def wait(self, seconds: float) -> None:
        """Let time pass: what is due by then is done."""
        self._network.wait(seconds)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of `coroutine`, run in the loop of the handlers: `client.run(queue.put("news"))`."""
        return self._network.run(coroutine)

    @property
    def app(self) -> App:
        """What handlers have as `req.app`: `client.app.pool = FakePool()`."""
        return self.service.app

    @property
    def log(self) -> list[str]:
        """The lines that the server has logged, with the tracebacks of answers with status 500."""
        return self._network.log.lines

    @property
    def service(self) -> Service:
        """The service in place of the server's."""
        return self._network.service

    def close(self) -> None:
        """Close all connections, and cancel the handlers that are still at work."""
        self._network.close()

    def __enter__(self) -> Client:
        self._life = self.run(self._begin())
        self._network.run_until(lambda: self._started.done() or self._life.done(), "the start of the app")
        if self._life.done():
            self.close()
            self._life.result()  # raises why
        return self

    async def _begin(self) -> Any:
        self._started, self._ends = self.loop.create_future(), self.loop.create_future()
        return self.loop.create_task(self._live())

    async def _live(self) -> None:
        """The start and the end of the app, in one task: a lifespan may hold a task group."""
        life = Life(self.server.steps, self.service, import_backend(self.backend))
        router = self.server.settings.router
        router.count_servers(1)
        try:
            await life.start()
            self._started.set_result(None)
            await self._ends
        finally:
            router.count_servers(-1)
            error = await life.stop()
        if error is not None:
            raise error

    def __exit__(self, *_: object) -> None:
        self._network.leave()
        self._network.drain()
        self._network.loop.do(self._ends.set_result, None)
        self._network.run_until(self._life.done, "the end of the app")
        self.close()
        self._life.result()


def _make_service(server: Server, loop: Any) -> Service:
    service, _ = make_service(server.settings, loop)
    return service
