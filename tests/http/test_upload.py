"""Upload: bodies that a handler takes as it comes: order, flow, limits, ends, and what it leaves unread."""

from __future__ import annotations

from typing import Any

import pytest

from kissapi import Fail, Request, Router, sleep
from kissapi.core import BUSY, IDLE
from kissapi.http.body_reader import ENOUGH, SMALL
from tests.wire import Wire, exchange, parse_answers, split

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(path: str, *fields: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode() + body


def router_of(pieces: list[bytes]) -> Router:
    router = Router()

    @router.get("/")
    async def hello(req: Request) -> str:
        return "hello"

    @router.post("/all", stream=True, max_body=1 << 40)
    async def take_all(req: Request) -> str:
        size = 0
        async for piece in req.stream():
            pieces.append(piece)
            size += len(piece)
        return f"{size} bytes"

    @router.post("/slow", stream=True)
    async def take_slowly(req: Request) -> str:
        async for piece in req.stream():
            pieces.append(piece)
            await sleep(1)
        return f"{sum(map(len, pieces))} bytes"

    @router.post("/first", stream=True)
    async def take_first(req: Request) -> str:
        async for piece in req.stream():
            return piece.decode()
        return "nothing"

    @router.post("/none", stream=True)
    async def take_none(req: Request) -> str:
        return "no, thanks"

    @router.post("/later", stream=True)
    async def take_later(req: Request) -> str:
        await sleep(100)
        pieces.extend([piece async for piece in req.stream()])
        return "done"

    @router.post("/whole")
    async def whole(req: Request) -> bytes:
        return b"|".join([piece async for piece in req.stream()])

    @router.post("/few", max_body=4)
    async def few(req: Request) -> bytes:
        return req.body

    return router


CHUNKED = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
BODIES = [
    pytest.param(post("/all", "Content-Length: 5", body=b"abcde"), id="length"),
    pytest.param(post("/all", "Transfer-Encoding: chunked", body=CHUNKED), id="chunked"),
]


@pytest.mark.parametrize("message", BODIES)
@pytest.mark.parametrize("way", range(4))
def test_it_comes_whole_however_the_bytes_arrive(parser_class: Any, message: bytes, way: int) -> None:
    pieces: list[bytes] = []
    chunks = split(message + GET)[way]
    answers = parse_answers(exchange(router_of(pieces), *chunks, parser_class=parser_class))
    assert [body for _, _, body in answers] == [b"5 bytes", b"hello"]
    assert b"".join(pieces) == b"abcde"


def test_the_handler_starts_at_the_end_of_the_head(parser_class: Any) -> None:
    pieces: list[bytes] = []
    wire = Wire(router_of(pieces), parser_class).send(post("/all", "Content-Length: 6"))
    assert wire.connection.state is BUSY
    for piece in (b"ab", b"cd"):
        wire.send(piece)
        assert pieces[-1] == piece
    assert wire.received == b""
    wire.send(b"ef" + GET)
    assert [body for _, _, body in parse_answers(wire.received)] == [b"6 bytes", b"hello"]
    assert wire.connection.state is IDLE


def test_elsewhere_the_stream_is_one_piece(parser_class: Any) -> None:
    data = exchange(
        router_of([]), post("/whole", "Content-Length: 4", body=b"ab"), b"cd", parser_class=parser_class
    )
    assert parse_answers(data)[0][2] == b"abcd"


def test_a_slow_handler_pauses_reading_and_nothing_is_lost(parser_class: Any) -> None:
    pieces: list[bytes] = []
    wire = Wire(router_of(pieces), parser_class)
    size, count = 16 * 1024, 40
    wire.send(post("/slow", f"Content-Length: {size * count}"), *[b"x" * size] * count)
    most = 0
    for _ in range(200):
        request = wire.connection.request
        most = max(most, request._reader.size if request is not None else 0)
        wire.wait(0.5)
    assert ENOUGH <= most < ENOUGH + size
    assert parse_answers(wire.received)[0][2] == f"{size * count} bytes".encode()
    assert wire.transport.reading


def test_the_time_a_handler_takes_is_not_the_clients(parser_class: Any) -> None:
    pieces: list[bytes] = []
    wire = Wire(router_of(pieces), parser_class, body_timeout=5).send(
        post("/later", f"Content-Length: {ENOUGH + 2}")
    )
    wire.send(b"x" * ENOUGH)
    assert not wire.transport.reading
    wire.wait(101)
    assert wire.transport.reading
    wire.wait(3).send(b"yz")
    assert parse_answers(wire.received)[0][2] == b"done"


def test_a_body_that_drips_is_408(parser_class: Any) -> None:
    wire = Wire(router_of([]), parser_class, body_timeout=5).send(post("/all", "Content-Length: 9"), b"ab")
    wire.wait(7)
    assert parse_answers(wire.received)[0][0] == 408
    assert wire.closed


@pytest.mark.parametrize("path", ["/all", "/first"])
def test_a_body_that_ends_early_is_400(parser_class: Any, path: str) -> None:
    wire = Wire(router_of([]), parser_class).send(post(path, "Content-Length: 9")).send_eof().wait(60)
    assert parse_answers(wire.received)[0][0] == 400
    assert wire.closed


def test_a_body_that_is_wrong_in_the_middle_is_400(parser_class: Any) -> None:
    wire = Wire(router_of([]), parser_class)
    wire.send(post("/all", "Transfer-Encoding: chunked"), b"2\r\nab\r\n", b"zz\r\n" + GET)
    assert [status for status, _, _ in parse_answers(wire.received)] == [400]
    assert wire.closed


def test_so_does_one_that_came_while_an_answer_was_awaited(parser_class: Any) -> None:
    router = router_of([])

    @router.get("/nap")
    async def nap(req: Request) -> str:
        await sleep(1)
        return "rested"

    wire = Wire(router, parser_class, body_timeout=5)
    wire.loop.clock.now += 1e6  # a clock that began long ago, as real ones do
    wire.send(GET.replace(b"/", b"/nap", 1), post("/all", "Content-Length: 9", body=b"ab"))
    assert not wire.transport.reading
    wire.wait(9)
    assert [status for status, _, _ in parse_answers(wire.received)] == [200, 408]
    assert wire.closed


def test_a_small_rest_is_dropped_and_the_connection_goes_on(parser_class: Any) -> None:
    wire = Wire(router_of([]), parser_class).send(post("/first", "Content-Length: 9", body=b"ab"))
    wire.send(b"cdefg", b"hi" + GET)
    assert [body for _, _, body in parse_answers(wire.received)] == [b"ab", b"hello"]


@pytest.mark.parametrize("path", ["/first", "/none"])
@pytest.mark.parametrize("framing", [f"Content-Length: {SMALL + 10}", "Transfer-Encoding: chunked"])
def test_a_large_rest_ends_the_connection(parser_class: Any, path: str, framing: str) -> None:
    wire = Wire(router_of([]), parser_class).send(post(path, framing), b"2\r\nab\r\n")
    (answer,) = parse_answers(wire.received)
    assert answer[0] == 200
    assert answer[1]["connection"] == "close"
    assert wire.closed
    wire.send(GET)
    assert len(parse_answers(wire.received)) == 1


def test_100_continue_is_said_when_the_handler_wants_the_body(parser_class: Any) -> None:
    head = ("Content-Length: 2", "Expect: 100-continue")
    wire = Wire(router_of([]), parser_class).send(post("/later", *head))
    assert wire.received == b""
    wire.wait(101)
    assert wire.received == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(b"ab")
    assert [status for status, _, _ in parse_answers(wire.received)] == [100, 200]


def test_100_continue_overtakes_no_answer(parser_class: Any) -> None:
    wire = Wire(router_of([]), parser_class)
    wire.send(GET + GET + post("/all", "Content-Length: 2", "Expect: 100-continue"), b"ab")
    assert [status for status, _, _ in parse_answers(wire.received)] == [200, 200, 100, 200]


def test_100_continue_is_not_said_if_the_handler_does_not_want_it(parser_class: Any) -> None:
    wire = Wire(router_of([]), parser_class).send(post("/none", "Content-Length: 2", "Expect: 100-continue"))
    (answer,) = parse_answers(wire.received)
    assert answer[1]["connection"] == "close"


def test_the_client_that_leaves_takes_the_handler_with_it(parser_class: Any) -> None:
    ended: list[str] = []
    router = Router()

    @router.post("/", stream=True)
    async def take(req: Request) -> None:
        try:
            async for _ in req.stream():
                pass
        finally:
            ended.append("ended")

    wire = Wire(router, parser_class).send(post("/", "Content-Length: 9"), b"ab")
    wire.lose()
    assert ended == ["ended"]
    assert wire.connection.service.answered is not None


def test_the_limit_is_that_of_the_route(parser_class: Any) -> None:
    router = router_of([])
    few = [post("/few", "Content-Length: 5"), post("/few", "Content-Length: 5", body=b"abcde")]
    few += [post("/few", "Transfer-Encoding: chunked", body=b"5\r\nabcde\r\n0\r\n\r\n")]
    few += [post("/few", "Transfer-Encoding: chunked", body=b"2\r\nab\r\n") + b"3\r\n"]
    usual = [post("/whole", "Content-Length: 101"), post("/nowhere", "Content-Length: 101")]
    for message in [*few, *usual]:
        for chunks in split(message):
            wire = Wire(router, parser_class, max_body=100).send(*chunks)
            assert parse_answers(wire.received)[0][0] == 413, (message, chunks)
    enough = post("/few", "Content-Length: 4", body=b"abcd")
    assert parse_answers(exchange(router, enough, parser_class=parser_class))[0][2] == b"abcd"
    wire = Wire(router, parser_class, max_body=100).send(post("/all", "Content-Length: 200"), b"x" * 200)
    assert parse_answers(wire.received)[0][2] == b"200 bytes"


def test_a_route_may_allow_many_times_what_the_server_does(parser_class: Any) -> None:
    router = Router()

    @router.post("/", max_body=400_000)
    async def size(req: Request) -> str:
        return f"{len(req.body)} bytes"

    wire = Wire(router, parser_class, max_body=100).send(post("/", "Content-Length: 300000"))
    wire.send(*[b"x" * 50_000] * 6)
    assert parse_answers(wire.received)[0][2] == b"300000 bytes"


def test_a_hook_that_refuses_is_heard_before_the_body(parser_class: Any) -> None:
    router = router_of([])

    @router.before
    async def refuse(req: Request) -> None:
        raise Fail(401, "who are you?")

    wire = Wire(router, parser_class).send(post("/all", "Content-Length: 1000000"))
    (answer,) = parse_answers(wire.received)
    assert answer[0] == 401
    assert wire.closed


@pytest.mark.parametrize("wrong", [-1, True, "1", 1.5])
def test_a_limit_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="max_body must be a whole number, at least 0"):
        Router().post("/", max_body=wrong)(lambda req: None)
