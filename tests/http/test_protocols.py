"""Protocols that are not HTTP: greetings, streams by `encode_piece`, refusals that go on, `finished`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from kissapi import Fail, Link, Request, Response, Router, sleep
from kissapi.core import IDLE, STREAMING
from kissapi.core import Parser as CoreParser
from kissapi.extras.testing import Client
from kissapi.http.outbox import ENOUGH
from tests.peer import connect
from tests.serving import THREE, make, running
from tests.wire import Wire, split


class Line:
    """`path` a line; answers are lines, too."""

    unread = b""

    def __init__(self, request: Request) -> None:
        self.request, self.held, self.finished = request, b"", False

    def feed_data(self, data: bytes) -> None:
        line, end, rest = (self.held + data).partition(b"\n")
        self.held = line
        if not end:
            return
        if line == b"junk":
            raise Fail(400, "where am I?")
        self.request.method, self.request.path = "GET", f"/{line.decode()}"
        self.unread, self.finished = rest, True
        if line == b"wrong":
            raise Fail(400, "that is wrong")
        if line == b"bug":
            raise ZeroDivisionError

    def encode(self, response: Response) -> bytes:
        return b"%d %b\n" % (response.status, response.body)


class Pieces(Line):
    def encode_piece(self, piece: Any) -> bytes:
        return b"+%d\n" % piece

    def encode_end(self) -> bytes:
        return b".\n"


closed: list[str] = []


def app() -> Router:
    closed.clear()
    router = Router()

    @router.get("/hello")
    async def hello(req: Request) -> str:
        return "world"

    @router.get("/count")
    async def count(req: Request) -> AsyncIterator[int]:
        try:
            for number in range(3):
                yield number
                await sleep(1)
        finally:
            closed.append("count")

    @router.get("/plain")
    def plain(req: Request) -> Iterator[int]:
        yield from (7, 8)

    @router.get("/response")
    async def response(req: Request) -> Response:
        return Response(iter([1]), 202)

    @router.get("/none")
    async def none(req: Request) -> AsyncIterator[int]:
        return
        yield 1

    @router.get("/early")
    async def early(req: Request) -> AsyncIterator[int]:
        raise Fail(403, "no")
        yield 1

    @router.get("/late")
    async def late(req: Request) -> AsyncIterator[int]:
        yield 1
        raise ZeroDivisionError

    @router.get("/text")
    async def text(req: Request) -> AsyncIterator[str]:
        yield "no number"

    @router.get("/endless")
    async def endless(req: Request) -> AsyncIterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append("endless")

    return router


# Streams


def test_a_stream_goes_out_piece_by_piece_and_what_is_behind_it_waits() -> None:
    wire = Wire(app(), Pieces).send(b"hello\ncount\nhello\n")
    assert wire.received == b"200 world\n+0\n"
    assert wire.connection.state is STREAMING
    assert not wire.transport.reading
    wire.wait(1)
    assert wire.received == b"200 world\n+0\n+1\n"
    wire.wait(5)
    assert wire.received == b"200 world\n+0\n+1\n+2\n.\n200 world\n"
    assert (wire.connection.state, closed, wire.transport.reading) == (IDLE, ["count"], True)
    assert [line.partition("] ")[2].rpartition(" ")[0] for line in wire.lines] == [
        "GET /hello → 200 10B",
        "GET /count → 200 11B",
        "GET /hello → 200 10B",
    ]


@pytest.mark.parametrize("covered", [False, True])
@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("plain", b"+7\n+8\n.\n"),
        ("response", b"+1\n.\n"),
        ("none", b".\n"),
        ("early", b"403 no\n"),
        ("text", b"500 Internal Server Error\n"),
    ],
)
def test_what_streams_and_what_is_raised_before_the_first_piece(
    path: str, answer: bytes, covered: bool
) -> None:
    router, seen = app(), []
    if covered:

        @router.around
        async def see(req: Request) -> AsyncIterator[Any]:
            response = yield
            seen.append(response.status)

    wire = Wire(router, Pieces).send(f"{path}\nhello\n".encode()).wait(1)
    assert wire.received == answer + b"200 world\n"
    assert bool(seen) is covered


def test_an_error_handler_is_asked_for_what_is_raised_before_the_first_piece() -> None:
    router = app()

    @router.on_error(TypeError)
    async def sorry(req: Request, error: TypeError) -> Response:
        return Response("sorry", 422)

    assert Wire(router, Pieces).send(b"text\n").wait(1).received == b"422 sorry\n"


def test_a_stream_that_fails_in_the_middle_does_not_look_complete() -> None:
    wire = Wire(app(), Pieces).send(b"late\nhello\n").wait(1)
    assert wire.received == b"+1\n"
    assert wire.transport.aborted
    assert any("ZeroDivisionError" in line for line in wire.lines)


def test_no_piece_is_asked_for_before_the_client_takes_those_before_it() -> None:
    wire = Wire(app(), Pieces, room=30).send(b"endless\n").wait(1)
    assert len(wire.transport.unsent) <= ENOUGH
    wire.take(30)
    assert len(wire.received) == 60
    assert not closed
    wire.lose().wait(1)
    assert closed == ["endless"]


def test_a_client_that_takes_nothing_of_a_stream_is_left() -> None:
    wire = Wire(app(), Pieces, room=30, write_timeout=5).send(b"endless\n").wait(10)
    assert wire.transport.aborted
    assert closed == ["endless"]


def test_without_encode_piece_a_stream_is_refused() -> None:
    wire = Wire(app(), Line).send(b"plain\nhello\n").wait(1)
    assert wire.received == b"500 Internal Server Error\n200 world\n"
    assert any("Line has an encode() and no encode_piece()" in line for line in wire.lines)


# Refusals


@pytest.mark.parametrize("way", range(4))
def test_a_message_that_is_refused_and_complete_does_not_end_the_connection(way: int) -> None:
    wire = Wire(app(), Line).send(*split(b"hello\nwrong\nhello\nwrong\n")[way])
    assert wire.received == b"200 world\n400 that is wrong\n" * 2
    assert not wire.closed
    assert wire.send(b"hello\njunk\nhello\n").received.endswith(b"200 world\n400 where am I?\n")
    assert wire.closed


def test_what_else_it_raises_then_is_a_bug_and_the_connection_goes_on() -> None:
    wire = Wire(app(), Line).send(b"bug\nhello\n")
    assert wire.received == b"500 Internal Server Error\n200 world\n"
    assert any("ZeroDivisionError" in line for line in wire.lines)


def test_such_a_refusal_goes_through_the_hooks_of_its_route() -> None:
    router = Router()

    @router.get("/wrong")
    async def wrong(req: Request) -> str:
        raise AssertionError

    @router.on_error(400)
    async def sorry(req: Request, error: Fail) -> str:
        return f"sorry: {error.data}"

    assert Wire(router, Line).send(b"wrong\n").received == b"400 sorry: that is wrong\n"


# The greeting


class Greeting(Line):
    def greeting(self) -> bytes:
        assert self.request.client is not None
        return b"220 hello " + self.request.client[0].encode() + b"\n"


def test_the_server_speaks_first() -> None:
    wire = Wire(app(), Greeting)
    assert wire.received == b"220 hello 127.0.0.1\n"
    assert wire.connection.state is IDLE
    assert wire.send(b"hello\nhello\n").received == b"220 hello 127.0.0.1\n" + b"200 world\n" * 2


def test_a_client_that_says_nothing_after_the_greeting_is_idle() -> None:
    wire = Wire(app(), Greeting, idle_timeout=10, body_timeout=2).wait(9)
    assert not wire.closed
    assert wire.wait(3).closed
    assert wire.received == b"220 hello 127.0.0.1\n"


@pytest.mark.parametrize(
    ("greeting", "received", "said"),
    [
        (lambda self: "text", b"", "Bad.greeting must return bytes, not 'text'"),
        (lambda self: 1 // 0, b"", "ZeroDivisionError"),
    ],
)
def test_a_greeting_that_fails_is_in_the_log(
    greeting: Callable[..., Any], received: bytes, said: str
) -> None:
    wire = Wire(app(), type("Bad", (Line,), {"greeting": greeting}))
    assert (wire.received, wire.transport.aborted) == (received, True)
    assert any(said in line for line in wire.lines)
    assert any("Bad cannot welcome a client" in line for line in wire.lines)


def test_a_greeting_may_refuse() -> None:
    class Full(Line):
        def greeting(self) -> bytes:
            raise Fail(503, "too many of you")

    wire = Wire(app(), Full)
    assert wire.received == b"503 too many of you\n"
    assert wire.closed
    wire.send(b"hello\n")
    assert wire.received == b"503 too many of you\n"


@pytest.mark.parametrize("loop", THREE)
def test_over_sockets(loop: str) -> None:
    class Protocol(Pieces, Greeting):
        pass

    with running(make(loop, app(), parser_class=Protocol)) as server, connect(server.port) as client:
        assert client.recv(100) == b"220 hello 127.0.0.1\n"
        client.sendall(b"hello\nwrong\nplain\nhello\n")
        whole = b"200 world\n400 that is wrong\n+7\n+8\n.\n200 world\n"
        received = b""
        while len(received) < len(whole):
            received += client.recv(100)
        assert received == whole


# The name


@pytest.mark.parametrize(
    ("base", "early"),
    [
        *((base, early) for base in (object, CoreParser) for early in ("in the class", "in __init__")),
        (CoreParser, "never"),
    ],
)
@pytest.mark.parametrize("name", ["finished", "_finished"])
def test_finished_has_an_older_name(base: type, name: str, early: str) -> None:
    class Named(base):  # type: ignore[misc]
        if early == "in the class":
            locals()[name] = False

        def __init__(self, request: Request) -> None:
            self.request, self.unread = request, b""
            if early == "in __init__":
                setattr(self, name, False)

        def feed_data(self, data: bytes) -> None:
            line, end, self.unread = data.partition(b"\n")
            self.request.path = f"/{line.decode()}"
            setattr(self, name, bool(end))

        encode = Line.encode

    wire = Wire(app(), Named).send(b"hello\nhello\n")
    assert wire.received == b"200 world\n" * 2
    assert not wire.closed


def test_slots_will_do() -> None:
    class Slotted:
        __slots__ = ("_finished", "request", "unread")

        def __init__(self, request: Request) -> None:
            self.request, self._finished, self.unread = request, False, b""

        def feed_data(self, data: bytes) -> None:
            self.request.path = data.decode().strip()
            self._finished = True

        def encode(self, response: Response) -> bytes:
            return b"%b\n" % response.body

    wire = Wire(app(), Slotted).send(b"/hello\n")
    assert wire.received == b"world\n"


def test_link_class_is_checked_at_the_start() -> None:
    for wrong in (Link(), int, "Link"):
        parser_class = type("Wrong", (Line,), {"link_class": wrong})
        with pytest.raises(TypeError, match=r"link_class is a subclass of kissapi\.Link, not "):
            Wire(app(), parser_class)


def test_http_has_no_link() -> None:
    router = Router()

    @router.get("/")
    async def front(req: Request) -> str:
        with pytest.raises(AttributeError, match=r"req\.link needs a parser_class that names a link_class"):
            _ = req.link
        return "none"

    assert Client(router).get("/").text == "none"
    with pytest.raises(AttributeError, match=r"req\.link needs"):
        _ = Request().link
