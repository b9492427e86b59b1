"""Two protocols on the core, and nothing else of kissapi: one of lines, and as much of HTTP/1.1 as fits here.

This file and `loops.py` are copied beside a copy of kissapi/core/ by `test_alone.py`, and run there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import Any, NamedTuple

from kissapi.core import SENT, Connection, Dispatch, Fail, Parser, Request, Service


class Segment(NamedTuple):
    """As `Dispatch` wants it."""

    kind: str
    text: str


class Route:
    """As `Dispatch` wants it: `/add/{a:int}` has a literal and a parameter."""

    def __init__(self, method: str, path: str, handler: Callable[..., Any], **hooks: Any) -> None:
        self.method = method
        self.path = path
        self.handler = handler
        self.segments = [_segment(part) for part in path[1:].split("/")]
        self.before = hooks.get("before", [])
        self.after = hooks.get("after", [])
        self.errors = hooks.get("errors", [])


def _segment(part: str) -> Segment:
    if not part.startswith("{"):
        return Segment("literal", part)
    name, _, kind = part[1:-1].partition(":")
    return Segment(kind or "str", name)


class Table(Dispatch):
    """Routes with numbers in their paths."""

    converters = {  # noqa: RUF012  # as the base has it
        "str": lambda text: text or None,
        "int": lambda text: int(text) if text.isdigit() else None,
        "path": str,
    }


def convert(result: Any) -> tuple[int, Any]:
    """Status and body of a result; the body is bytes, or an async generator of them."""
    status = 200
    if isinstance(result, Fail):
        status, result = result.status, result.data
    is_body = isinstance(result, bytes) or hasattr(result, "__anext__")
    return status, result if is_body else str(result).encode()


# Lines: "add 1 2" is GET /add/1/2


class LineParser(Parser):
    """One line is one request."""

    def __init__(self, request: Any) -> None:
        self.request = request
        self.held = b""

    def feed_data(self, data: bytes) -> None:
        self.held += data
        line, end, self.unread = self.held.partition(b"\n")
        if len(line) > 100:
            raise Fail(413, "a line may have 100 bytes")
        if end:
            self.request.path = "/" + line.decode().replace(" ", "/")
            self.finished = True


def encode_line(connection: Connection, request: Request, result: Any) -> Any:
    """`200 body`, one line."""
    return b"%d %b\n" % convert(result)


# HTTP/1.1: Content-Length, keep-alive, chunked answers


class HttpParser(Parser):
    """A head and a body of known length."""

    def __init__(self, request: Any) -> None:
        self.reset(request)

    def reset(self, request: Any) -> HttpParser:
        self.request = request
        self.held = b""
        self.size = -1
        self.finished = False
        self.keeps = True
        return self

    def feed_data(self, data: bytes) -> None:
        self.held += data
        if self.size < 0:
            head, blank, rest = self.held.partition(b"\r\n\r\n")
            if not blank:
                return
            line, *fields = head.decode("latin-1").split("\r\n")
            self.request.method, self.request.path, version = line.split(" ")
            named = dict(field.lower().split(": ", 1) for field in fields)
            if "host" not in named or version != "HTTP/1.1":
                raise Fail(400, "HTTP/1.1 with a Host is all there is")
            self.keeps = named.get("connection") != "close"
            self.size = int(named.get("content-length", "0"))
            self.held = rest
        if len(self.held) >= self.size:
            self.request.body = self.held[: self.size]
            self.unread = self.held[self.size :]
            self.finished = True

    def should_keep_alive(self) -> bool:
        return self.keeps


def encode_http(connection: Connection, request: Request, result: Any) -> Any:
    """A head and a body; an async generator goes out in chunks, by a sender."""
    status, body = convert(result)
    if hasattr(body, "__anext__"):

        async def send(connection: Connection) -> Any:
            head = b"HTTP/1.1 %d -\r\nTransfer-Encoding: chunked\r\n\r\n" % status
            async for piece in body:
                connection.write(head + b"%x\r\n%b\r\n" % (len(piece), piece))
                head = b""
                await connection.drained()
            connection.write(head + b"0\r\n\r\n")
            return SENT

        return send
    last = b"Connection: close\r\n" * connection.close_after
    return b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n%b\r\n%b" % (
        status,
        len(body),
        last,
        body,
    )


class Seen(Service):
    """A service that notes what its seams are told."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.told: list[str] = []

    def add(self, connection: Any) -> None:
        super().add(connection)
        self.told.append("opened")

    def remove(self, connection: Any) -> None:
        super().remove(connection)
        self.told.append("closed")

    def report(self, request: Request, error: BaseException) -> None:
        self.told.append(f"report {type(error).__name__}")

    def unanswered(self, connection: Any, request: Request, task: Any) -> None:
        self.told.append(f"unanswered {request.path}")

    def cut(self, connection: Any, request: Request, error: BaseException) -> None:
        super().cut(connection, request, error)
        self.told.append(f"cut {request.path}")


def routes(sleep: Callable[[float], Any]) -> Iterable[Route]:
    """The app."""

    async def hello(request: Request) -> str:
        return "hello"

    async def add(request: Request) -> int:
        return int(request.params["a"] + request.params["b"])

    async def wait(request: Request) -> str:
        await sleep(0.02)
        return "waited"

    async def echo(request: Request) -> bytes:
        return request.body

    async def fail(request: Request) -> None:
        raise Fail(403, "no")

    async def wrong(request: Request) -> None:
        raise KeyError("x")

    async def pieces(request: Request) -> Any:
        async def each() -> Any:
            for number in range(3):
                await sleep(0.005)
                yield b"%d" % number

        return each()

    async def breaks(request: Request) -> Any:
        async def each() -> Any:
            yield b"a"
            raise ValueError("in the middle")

        return each()

    def before(request: Request) -> None:
        request.path += "?"

    async def after(request: Request, result: str) -> str:
        return f"{result} {request.path}"

    async def sorry(request: Request, error: Exception) -> str:
        return f"sorry: {type(error).__name__}"

    yield Route("GET", "/hello", hello)
    yield Route("GET", "/add/{a:int}/{b:int}", add)
    yield Route("GET", "/add/{name}", hello)
    yield Route("GET", "/wait", wait)
    yield Route("POST", "/echo", echo)
    yield Route("GET", "/fail", fail)
    yield Route("GET", "/wrong", wrong)
    yield Route("GET", "/pieces", pieces)
    yield Route("GET", "/breaks", breaks)
    yield Route("GET", "/hooked", hello, before=[before], after=[after])
    yield Route("GET", "/sorry", wrong, errors=[{KeyError: sorry}])


def service(protocol: str, loop: Any, spawn: Any, sleep: Any) -> Seen:
    """What serves the app by one of the two protocols."""
    made = Seen(
        Table(routes(sleep)).handle,
        {"lines": LineParser, "http": HttpParser}[protocol],
        loop=loop,
        spawn=spawn,
        clock=time.perf_counter,
        context=copy_context(),
    )
    made.encode = {"lines": encode_line, "http": encode_http}[protocol]  # type: ignore[method-assign,assignment]
    return made
