"""The parser contract: what a user's class must have, and what it may have; HttpParser keeps it too."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from examples.custom_proto import MyParser
from kissapi import Fail, HttpParser, Request, Response, Router
from kissapi.core import Parser
from kissapi.http.limits import Limits
from tests.wire import Wire, exchange, parse_answers

hello = Router()


@hello.get("/hello")
async def world(req: Request) -> str:
    return "world"


@hello.get("/me")
async def me(req: Request) -> str:
    return type(req).__name__


def test_a_parser_of_three_names_is_enough() -> None:
    wire = Wire(hello, MyParser).send(b"GET /he", b"llo\r\n\r\n")
    assert parse_answers(wire.received)[0][2] == b"world"
    assert not wire.closed
    assert "GET /hello → 200 5B" in wire.lines[0]
    wire.send(b"GET /nope\r\n\r\n").send(b"POST /hello\r\n\r\n")
    assert [status for status, _, _ in parse_answers(wire.received)] == [200, 404, 405]


def test_what_a_parser_raises_is_400_and_the_end() -> None:
    wire = Wire(hello, MyParser).send(b"nonsense\r\n\r\n")
    assert [(status, body) for status, _, body in parse_answers(wire.received)] == [(400, b"Bad Request")]
    assert wire.closed
    assert "MyParser cannot read a message: ValueError" in wire.lines[0]


def test_a_request_subclass_goes_with_a_parser() -> None:
    class MyRequest(Request):
        pass

    [(_, _, body)] = parse_answers(Wire(hello, MyParser, MyRequest).send(b"GET /me\r\n\r\n").received)
    assert body == b"MyRequest"


def test_a_function_may_make_parsers() -> None:
    def make(request: Request) -> MyParser:
        return MyParser(request)

    [(_, _, body)] = parse_answers(Wire(hello, make).send(b"GET /hello\r\n\r\n").received)
    assert body == b"world"


class LineParser:
    """`CALL path` a line; answers are lines too."""

    unread = b""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.finished = False
        self._line = b""

    def feed_data(self, data: bytes) -> None:
        line, end, self.unread = (self._line + data).partition(b"\n")
        if not end:
            self._line = line
            return
        if line == b"teapot":
            raise Fail(418, "no coffee")
        self.request.method, self.request.path = "GET", line.decode()
        self.finished = True

    def feed_eof(self) -> None:
        if self._line:
            self.feed_data(b"\n")

    def encode(self, response: Response) -> bytes:
        assert isinstance(response.body, bytes)
        return b"%d %b\n" % (response.status, response.body)


def test_encode_and_unread_make_a_protocol_of_ones_own() -> None:
    assert (
        exchange(hello, b"/hello\n/nope\n/hel", b"lo\n", parser_class=LineParser)
        == b"200 world\n404 Not Found\n200 world\n"
    )


def test_feed_eof_may_complete_a_message() -> None:
    assert exchange(hello, b"/hello\n/hello", parser_class=LineParser) == b"200 world\n200 world\n"


def test_a_fail_of_a_parser_is_answered_with_its_status_and_ends() -> None:
    wire = Wire(hello, LineParser).send(b"/hello\nteapot\n/hello\n")
    assert wire.received == b"200 world\n418 no coffee\n"
    assert wire.closed


def test_a_parser_that_cannot_encode_ends_the_connection() -> None:
    class Broken(LineParser):
        def encode(self, response: Response) -> Any:
            return {"/hello": "no bytes"}[self.request.path]

    for path, error in (("/hello", "Broken.encode must return bytes, not 'no bytes'"), ("/nope", "KeyError")):
        wire = Wire(hello, Broken).send(f"{path}\n/hello\n".encode())
        assert wire.received == b""
        assert wire.closed
        assert any(error in line for line in wire.lines)
        assert [line.partition("→ ")[2].rpartition(" ")[0] for line in wire.lines if "→" in line] == [
            "500 0B"
        ]


def test_encode_result_gets_what_a_handler_returned_and_encode_all_else() -> None:
    class Typed(LineParser):
        def encode_result(self, result: object) -> bytes:
            return b"%b %b\n" % (type(result).__name__.encode(), {1: b"one"}[result])  # type: ignore[index]

    router = Router()
    results = {"/one": 1, "/two": 2, "/true": True, "/response": Response("x"), "/fail": Fail(402, "pay")}

    @router.get("/{name}")
    async def result(req: Request) -> object:
        if isinstance(results[req.path], Fail):
            raise results[req.path]  # type: ignore[misc]
        return results[req.path]

    @router.on_error(402)
    async def pay(req: Request, error: Fail) -> Fail:
        return error

    wire = Wire(router, Typed).send(b"".join(b"%b\n" % path.encode() for path in [*results, "/a/b"]))
    assert wire.received.split(b"\n") == [
        b"int one", b"500 Internal Server Error", b"bool one", b"200 x", b"402 pay", b"404 Not Found", b"",
    ]  # fmt: skip
    assert [line.partition("→ ")[2].rpartition(" ")[0] for line in wire.lines if "→" in line] == [
        "200 8B", "500 26B", "200 9B", "200 6B", "402 8B", "404 14B",
    ]  # fmt: skip
    assert any("KeyError: 2" in line for line in wire.lines)
    assert not wire.closed


def test_encode_result_must_return_bytes_and_counts_only_beside_encode() -> None:
    class Wrong(LineParser):
        def encode_result(self, result: object) -> object:
            return result

    wire = Wire(hello, Wrong).send(b"/hello\n")
    assert wire.received == b"500 Internal Server Error\n"
    assert any("Wrong.encode_result must return bytes, not 'world'" in line for line in wire.lines)

    class Alone(MyParser):
        encode_result = Wrong.encode_result

    assert parse_answers(Wire(hello, Alone).send(b"GET /hello\r\n\r\n").received)[0][2] == b"world"


def test_should_keep_alive_is_the_parsers_word() -> None:
    class Once(LineParser):
        def should_keep_alive(self) -> bool:
            return False

    wire = Wire(hello, Once).send(b"/hello\n/hello\n")
    assert wire.received == b"200 world\n"
    assert wire.closed


def test_what_a_parser_raises_anywhere_ends_only_its_connection() -> None:
    class Unsure(LineParser):
        def should_keep_alive(self) -> bool:
            raise ZeroDivisionError

    class Unmade(LineParser):
        def __init__(self, request: Request) -> None:
            if request._connection is not None:
                raise ZeroDivisionError
            super().__init__(request)

    for parser_class in (Unsure, Unmade):
        wire = Wire(hello, parser_class).send(b"/hello\n/hello\n")
        assert wire.closed
        assert any("ZeroDivisionError" in line for line in wire.lines)


def test_a_class_that_is_no_parser_is_refused_at_the_start() -> None:
    with pytest.raises(TypeError, match="it has no finished"):
        Wire(hello, lambda request: object())


def test_without_a_word_of_the_parser_the_rule_is_that_of_http() -> None:
    class Closing(MyParser):
        def feed_data(self, data: bytes) -> None:
            super().feed_data(data)
            self.request.headers = {"connection": "x, Close"}

    assert Wire(hello, Closing).send(b"GET /hello\r\n\r\n").closed


def test_limits_and_deadlines_hold_for_every_parser() -> None:
    wire = Wire(hello, MyParser, max_head=100, max_body=100).send(b"x" * 150)
    assert not wire.closed
    assert b"413" in wire.send(b"x" * 100).received
    wire = Wire(hello, MyParser, body_timeout=10).send(b"GET /he").wait(9)
    assert not wire.closed
    assert b"408" in wire.wait(3).received


def test_a_parser_gets_the_limits_of_the_server() -> None:
    seen = []

    class Curious(LineParser):
        limits: Any = None

        def feed_data(self, data: bytes) -> None:
            seen.append(self.limits.max_body)
            super().feed_data(data)

    Wire(hello, Curious, max_body=77).send(b"/hello\n")
    assert seen == [77]


# HttpParser by itself

WHOLE = b"POST /a%7eb?x=1&x=2 HTTP/1.1\r\nHost: a\r\nX-Y: 1\r\nx-y: 2\r\nContent-Length: 3\r\n\r\nabcNEXT"


def test_http_parser_keeps_the_contract(parser_class: Any) -> None:
    request = Request()
    parser = parser_class(request)
    parser.feed_data(WHOLE)
    assert parser.finished
    assert parser.unread == b"NEXT"
    assert parser.should_keep_alive()
    assert (request.method, request.path, request.query_string) == ("POST", "/a~b", "x=1&x=2")
    assert request.headers == {"host": "a", "x-y": "1, 2", "content-length": "3"}
    assert (request.body, request.http_version) == (b"abc", "1.1")


def test_http_parser_says_where_it_is(parser_class: Any) -> None:
    parser = parser_class(Request())
    parser.feed_data(WHOLE[:20])
    assert (parser.in_body, parser.finished) == (False, False)
    parser.feed_data(WHOLE[20:-5])
    assert (parser.in_body, parser.finished) == (True, False)
    parser.feed_data(b"bc")
    assert (parser.in_body, parser.finished) == (False, True)


def test_http_parser_starts_over(parser_class: Any) -> None:
    parser = parser_class(Request())
    for _ in range(3):
        parser.feed_data(WHOLE)
        request = Request()
        parser.reset(request)
        parser.feed_data(b"GET /next HTTP/1.1\r\nHost: b\r\n\r\n")
        assert parser.finished
        assert request.path == "/next"
        assert request.body == b""
        assert request.headers == {"host": "b"}
        parser.reset(Request())


def test_a_request_is_never_changed_by_the_one_after_it(parser_class: Any) -> None:
    first, second = Request(), Request()
    parser = parser_class(first)
    parser.feed_data(b"GET /1 HTTP/1.1\r\nHost: one\r\nCookie: a=1\r\n\r\n")
    parser.reset(second)
    parser.feed_data(b"GET /2 HTTP/1.1\r\nHost: two\r\n\r\n")
    assert first.headers == {"host": "one", "cookie": "a=1"}
    assert second.headers == {"host": "two"}


@pytest.mark.parametrize("size", [1, 1000, 64 * 1024])
def test_feeding_byte_by_byte_is_linear(parser_class: Any, size: int) -> None:
    """Counted in calls, for time is noise: each byte costs about as many however long the head is."""
    import sys

    data = (
        b"GET /"
        + b"x" * min(size, 8000)
        + b" HTTP/1.1\r\nHost: a\r\nX: "
        + b"y" * max(size - 8100, 1)
        + b"\r\n\r\n"
    )
    parser = parser_class(Request())
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        for index in range(len(data)):
            parser.feed_data(data[index : index + 1])
    finally:
        sys.setprofile(None)
    assert parser.finished
    assert calls < 20 * len(data) + 100


def test_a_body_of_tiny_pieces_costs_no_more_than_its_size(parser_class: Any) -> None:
    import tracemalloc

    parser = parser_class(request := Request())
    parser.limits = Limits(max_body=1 << 20)
    parser.feed_data(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
    tracemalloc.start()
    for _ in range(99_999):
        parser.feed_data(bytearray(b"xy"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 600_000
    parser.feed_data(b"xy")
    assert len(request.body) == 200_000


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(
    "message",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ],
)
def test_a_parser_keeps_nothing_of_a_complete_request(
    parser_class: Any, message: bytes, in_pieces: bool
) -> None:
    parser = parser_class(request := Request())
    if in_pieces:
        parser.feed_data(message[:5])
        message = message[5:]
    parser.feed_data(message)
    assert parser.finished
    left = weakref.ref(request)
    del request
    assert left() is None


def test_the_real_parser_is_used_where_it_is_installed() -> None:
    pytest.importorskip("httptools")
    assert HttpParser.library.__name__ == "httptools"


@pytest.mark.parametrize("base", [object, Parser])
def test_one_that_does_not_tell_of_its_head_is_asked_where_it_leads_when_it_is_complete(base: Any) -> None:
    class Limited(LineParser, base):  # type: ignore[misc,valid-type]
        def limit_body(self, most: int) -> None:
            raise AssertionError

    router = Router()

    @router.get("/")
    async def front(req: Request) -> str:
        return "the wrong one"

    @router.get("/hello", max_body=7)
    async def world(req: Request) -> str:
        return "world"

    assert exchange(router, b"/he", b"llo\n", parser_class=Limited) == b"200 world\n"
