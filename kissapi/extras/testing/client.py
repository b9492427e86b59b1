"""Client: asks a router, in a time of its own.

Law: the loop runs only while a test waits for something, and virtual time goes on only while nothing else is
to do.
"""

from __future__ import annotations

import io
import re
import sys
import weakref
from collections.abc import Callable, Coroutine, Iterable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from urllib.parse import quote, urlencode

from kissapi import codec
from kissapi.awaitables import running_loop
from kissapi.extras.testing.answer import Answer, Body, Line, framed
from kissapi.extras.testing.clock import Clock, make_clock
from kissapi.extras.testing.jar import Jar
from kissapi.extras.testing.loop import FakeLoop
from kissapi.extras.testing.wire import PEER
from kissapi.headers import Headers, is_token
from kissapi.limits import Limits
from kissapi.log import Log
from kissapi.router import Router
from kissapi.server import BACKENDS, Server
from kissapi.threads import copy_context

if TYPE_CHECKING:
    from kissapi.extras.testing.websocket import WebSocket
    from kissapi.request import Request
    from kissapi.service import Service

Fields = Mapping[str, str] | Iterable[tuple[str, str]]
Query = Mapping[str, Any] | Iterable[tuple[str, Any]]

_PORT = re.compile(":[0-9]*$")
_COLOUR = re.compile("\x1b\\[[0-9;]*m")


class Options(TypedDict, total=False):
    """Of every request; see `Client.stream`."""

    headers: Fields
    body: Body | None
    json: Any
    form: Query | None
    query: Query | None


class Client:
    """A client of a router, or of a `Server`, whose routes, parser and limits are used then.

    `backend` is "asyncio" or "selectors"; by default that of the server, else asyncio. `headers` go along
    with every request. `client` is the address handlers see, `scheme` "http" or "https"; over http no cookie
    that is `Secure` is kept. `parser_class`, `request_class` and `limits` are those of `Server`. Routes are
    compiled at the first request.

    `clock` is "virtual" or "real". In virtual time nothing waits, but threads of the app's own get half a
    second of real time before the clock goes on; in real time they are waited for as a server does.

    As a context manager it calls what `server.on_start` and `server.on_stop` have registered.
    Raises `ValueError` for another backend, scheme or clock, `TypeError` for what is no router and no server.

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
        self.server = copy(app)  # with changes; it is asked for its settings, and never started
        self.server.parser_class = parser_class or app.parser_class
        self.server.request_class = request_class or app.request_class
        self.server.limits = Limits(**{**vars(app.limits), **limits})
        self.server.backend, self.server.tls = self.backend, None
        self.headers = Headers(headers)
        self.clock = make_clock(clock)
        self.loop, self._spawn = _make_loop(self.backend, self.clock)
        self._closer = weakref.finalize(self, self.loop.close)
        self.cookies = Jar(self.loop.time, secure=scheme == "https")
        self._facts = {"peername": client, "sslcontext": True if scheme == "https" else None}
        self._book = io.StringIO()
        self._service: Service | None = None
        self._lines: list[Line] = []

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

        Redirects are not followed: `client.get(answer.headers["location"])`. Cookies are kept. Raises
        `ConnectionResetError` if the answer breaks off, `TimeoutError` if it does not come in an hour of
        virtual or half a minute of real time.
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
        query: Query | None = None,
    ) -> Answer:
        """An answer as soon as its head is there; the pieces of its body are taken one by one.

        The body of the request is text, bytes or pieces of them, which go out in chunks, as the server reads;
        `json` or `form` is one that is made of a value; `json=None` is the body `null`. `query` is put behind
        the path. In `query` and `form` a list is several values of one name. Leave the block, and the client
        leaves.

            with client.stream("GET", "/ticks") as answer:
                assert next(iter(answer)) == b"tick"
        """
        if not is_token(method):
            raise ValueError(f'{method!r} is no method: "GET", "POST", …')
        if not path.startswith("/") and path != "*":
            raise ValueError(f'a path starts with a slash, not as {path!r} does: client.get("/users")')
        # A fragment stays with the client (RFC 9110 §7.1): the path may come from a Location field.
        target = quote(path.partition("#")[0], safe="%/:?[]@!$&'()*+,;=~")
        if query is not None:
            target += ("&" if "?" in target else "?") + _encode(query)
        fields = Headers(self.headers)
        given = Headers(headers)
        for name in given:
            fields.pop(name, None)
        for name, value in given.lines():
            fields.add(name, value)
        fields.setdefault("host", "localhost")
        origin = _PORT.sub("", fields["host"]).lower(), target.partition("?")[0]
        cookies = self.cookies.header(*origin)
        if cookies:
            fields.setdefault("cookie", cookies)
        if sum((body is not None, json is not ..., form is not None)) > 1:
            raise TypeError("a request has one body: body, json or form")
        if json is not ...:
            fields.setdefault("content-type", "application/json")
            body = codec.to_json(json)
        elif form is not None:
            fields.setdefault("content-type", "application/x-www-form-urlencoded")
            body = _encode(form)
        chunks = framed(method, body, fields)
        lines = [f"{method} {target} HTTP/1.1", *(f"{name.title()}: {text}" for name, text in fields.lines())]
        head = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
        answer = Answer(self, method, path, head, chunks, waits="expect" in fields)
        for field in answer.headers.get_all("set-cookie"):
            self.cookies.take(field, *origin)
        return answer

    def websocket(
        self, path: str, *, headers: Fields = (), subprotocols: Iterable[str] = (), query: Query | None = None
    ) -> WebSocket:
        """A WebSocket (RFC 6455); needs the package wsproto. Raises `Refused` for an answer other than 101.

        with client.websocket("/chat") as ws:
            ws.send("hello")
            assert ws.receive() == "hello to you"
        """
        from kissapi.extras.testing.websocket import WebSocket

        return WebSocket(self, path, headers, subprotocols, query)

    def exchange(self, *chunks: bytes) -> bytes:
        """All that a client gets who sends these bytes, each of `chunks` a read, and then ends its side."""
        line = Line(self, room=float("inf"))
        line.wire.send(*chunks).send_eof()
        self._until(lambda: line.over, "exchange()")
        line.leave()
        return line.wire.received

    # Time, and what happens beside requests

    def wait(self, seconds: float) -> None:
        """Let time pass: what is due by then is done."""
        self._check_outside()
        end = self.loop.now + seconds
        while True:
            self._push()
            self.loop.run_until(self._can_push, end)
            if not self._can_push():
                return

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What `coroutine` returns, run in the loop of the handlers: `client.run(queue.put("news"))`."""
        tasks: list[Any] = []
        self._check_outside()
        self.loop.do(lambda: tasks.append(self._spawn(coroutine)))
        self._until(tasks[0].done, f"run({coroutine!r})")
        return tasks[0].result()

    @property
    def log(self) -> list[str]:
        """The lines that the server has logged, tracebacks of what was answered with 500 among them."""
        self.service.log.flush()
        return _COLOUR.sub("", self._book.getvalue()).splitlines()

    @property
    def service(self) -> Service:
        """What stands for the server in here."""
        if self._service is None:
            service, _ = self.server._make_service(self.loop)
            service.spawn, service.clock = self._spawn, self.loop.time
            service.log, service.answered = Book(self._book), []
            self._service = service
        return self._service

    def close(self) -> None:
        """Leave: handlers still at work are cancelled."""
        if self._closer.alive:
            self._leave()
            for task in tuple(self.service.background):
                task.cancel()
            self.wait(0)
            self._closer()

    def __enter__(self) -> Client:
        self.run(self._begin())
        return self

    async def _begin(self) -> None:
        for function in self.server._on_start:
            await _call(function)
        self.service.context = copy_context()  # what they have set, all requests see

    def __exit__(self, *_: object) -> None:
        self._leave()
        service = self.service
        self.loop.run_until(lambda: not service.background, self.loop.now + service.limits.shutdown_timeout)
        for function in reversed(self.server._on_stop):
            try:
                self.run(_call(function))
            except Exception as error:
                service.log.error(f"on_stop: {function!r} failed", error)
        self.close()

    def _leave(self) -> None:
        for line in tuple(self._lines):
            line.leave()

    def _until(self, done: Callable[[], bool], what: str, seconds: float | None = None) -> None:
        """Run until `done()`. Raises `TimeoutError` if that takes longer than `seconds`."""
        self._check_outside()
        patience = self.clock.patience if seconds is None else seconds
        end = self.loop.now + patience
        while True:
            self._push()
            if done():
                return
            if self.loop.now >= end:
                raise TimeoutError(
                    f"{what}: nothing has come of it in {patience:g} s of the clock of the client: does the "
                    f"handler wait for something that never comes?{self.clock.hint}"
                )
            self.loop.run_until(lambda: done() or self._can_push(), end)

    def _push(self) -> None:
        for line in tuple(self._lines):
            line.push()

    def _can_push(self) -> bool:
        return any(line.can_push() for line in self._lines)

    def _check_outside(self) -> None:
        try:
            running_loop()
        except RuntimeError:
            return
        raise RuntimeError("a Client runs a loop of its own, and one runs here: use it in a plain def")


class Book(Log):
    """The log of a server that is not there. Errors go to standard error, too: a failed test shows them."""

    def _line(self, level: str, text: str) -> None:
        super()._line(level, text)
        if level == "ERROR":
            print(text, file=sys.stderr)


def _encode(pairs: Query) -> str:
    """Names and values as a form and a query have them; a list is several values of one name."""
    pairs = list(pairs.items() if isinstance(pairs, Mapping) else pairs)
    for name, value in pairs:
        if value is None:
            raise TypeError(f'{name!r} is None, which no query and no form can say: leave it out, or send ""')
    return urlencode(pairs, doseq=True)


async def _call(function: Callable[[], Any]) -> None:
    outcome = function()
    if hasattr(outcome, "__await__"):
        await outcome


def _make_loop(backend: str, clock: Clock) -> tuple[Any, Callable[[Coroutine[Any, Any, Any]], Any]]:
    """A loop in a time of its own, and what makes a task in it."""
    if backend == "selectors":
        loop = FakeLoop(clock)
        return loop, loop.create_task
    from kissapi.backends.asyncio import spawner
    from kissapi.extras.testing.asyncio import FakeAsyncioLoop

    asyncio_loop = FakeAsyncioLoop(clock)
    return asyncio_loop, spawner(asyncio_loop)
