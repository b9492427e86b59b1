"""The state machine, byte by byte: order, keep-alive, deadlines, limits, back-pressure, ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router, sleep
from kissapi.core import BUSY, CLOSED, CLOSING, IDLE, STREAMING
from tests.app import router
from tests.wire import Wire, exchange, parse_answers, split

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = b"GET /sleep/1.5 HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
CHUNKED = (
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nT: 1\r\n\r\n"
)


def get(path: str, *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: a", *fields, "", ""]).encode()


def statuses(data: bytes, *methods: str) -> list[int]:
    return [status for status, _, _ in parse_answers(data, methods)]


# Order


@pytest.mark.parametrize("chunks", split(GET + POST + CHUNKED + get("/nope") + GET))
def test_answers_come_in_order_however_the_bytes_arrive(parser_class: Any, chunks: list[bytes]) -> None:
    answers = parse_answers(exchange(router, *chunks, parser_class=parser_class))
    assert [(status, body) for status, _, body in answers] == [
        (200, b"Hello, world!"),
        (200, b"abcde"),
        (200, b"abcde"),
        (404, b"Not Found"),
        (200, b"Hello, world!"),
    ]


def test_a_pipelined_batch_waits_for_its_slow_first_request(parser_class: Any) -> None:
    wire = Wire(router, parser_class).send(SLOW + GET + get("/sleep/0.5") + GET)
    assert wire.received == b""
    assert wire.connection.state is BUSY
    assert not wire.transport.reading
    wire.wait(3)
    bodies = [body for _, _, body in parse_answers(wire.received)]
    assert bodies == [b"slept 1.5", b"Hello, world!", b"slept 0.5", b"Hello, world!"]
    assert wire.connection.state is IDLE
    assert wire.transport.reading


def test_one_read_gives_at_most_one_write() -> None:
    wire = Wire(router).send(GET * 16)
    assert len(parse_answers(wire.received)) == 16
    assert wire.transport.writes == 1


def test_a_bad_request_is_answered_in_its_turn_and_nothing_after_it(parser_class: Any) -> None:
    wire = Wire(router, parser_class).send(SLOW + b"BAD\r\n\r\n" + GET).wait(3)
    assert statuses(wire.received) == [200, 400]
    assert wire.closed
    wire.send(GET)
    assert statuses(wire.received) == [200, 400]


# Keep-alive (RFC 9112 §9.3)

KEEP_ALIVE = [
    (get("/"), True, None),
    (get("/", "Connection: keep-alive"), True, None),
    (get("/", "Connection: close"), False, "close"),
    (get("/", "Connection: CLOSE"), False, "close"),
    (get("/", "Connection: x, Close ,y"), False, "close"),
    (get("/", "Connection: x", "Connection: close"), False, "close"),
    (get("/", version="1.0"), False, "close"),
    (get("/", "Connection: Keep-Alive", version="1.0"), True, "keep-alive"),
    (get("/", "Connection: keep-alive, close", version="1.0"), False, "close"),
    (get("/last"), False, "close"),
]


@pytest.mark.parametrize(("request_bytes", "stays", "field"), KEEP_ALIVE)
def test_connections_stay_open_when_both_sides_want_it(
    parser_class: Any, request_bytes: bytes, stays: bool, field: str | None
) -> None:
    wire = Wire(router, parser_class).send(request_bytes + GET)
    answers = parse_answers(wire.received)
    assert answers[0][1].get("connection") == field
    assert len(answers) == (2 if stays else 1)
    assert wire.closed is not stays


# What carries no body (RFC 9110 §6.4.1)


def test_head_gives_the_fields_of_get_and_no_body(parser_class: Any) -> None:
    wire = Wire(router, parser_class).send(get("/", method="HEAD") + get("/stream", method="HEAD") + GET)
    answers = parse_answers(wire.received, ["HEAD", "HEAD"])
    assert answers[0][1]["content-length"] == "13"
    assert answers[1][1]["transfer-encoding"] == "chunked"
    assert answers[2][2] == b"Hello, world!"


def test_an_error_for_head_has_no_body(parser_class: Any) -> None:
    assert statuses(
        exchange(router, get("/nope", method="HEAD") + GET, parser_class=parser_class), "HEAD"
    ) == [404, 200]
    assert exchange(router, b"HEAD / HTTP/1.1\r\n\r\n", parser_class=parser_class).endswith(b"\r\n\r\n")


def test_204_has_neither_body_nor_length(parser_class: Any) -> None:
    [(status, fields, _), (again, _, _)] = parse_answers(
        exchange(router, get("/nothing") + GET, parser_class=parser_class)
    )
    assert (status, again) == (204, 200)
    assert "content-length" not in fields
    assert "content-type" not in fields


# Expect (RFC 9110 §10.1.1)


def test_100_continue_is_said_when_the_body_is_wanted(parser_class: Any) -> None:
    head, body = POST.split(b"abcde")[0].replace(b"\r\n\r\n", b"\r\nExpect: 100-Continue\r\n\r\n"), b"abcde"
    wire = Wire(router, parser_class).send(head)
    assert wire.received == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert statuses(wire.send(body).received) == [100, 200]
    # A client that does not wait is not told to go on.
    assert statuses(Wire(router, parser_class).send(head + body).received) == [200]
    # Its turn comes after that of the requests before it.
    wire = Wire(router, parser_class).send(SLOW + head)
    assert wire.received == b""
    assert statuses(wire.wait(2).received) == [200, 100]


def test_other_expectations_are_refused(parser_class: Any) -> None:
    assert statuses(exchange(router, get("/", "Expect: a miracle"), parser_class=parser_class)) == [417]
    assert statuses(
        exchange(router, get("/", "Expect: a miracle", version="1.0"), parser_class=parser_class)
    ) == [200]


def test_100_continue_is_not_said_for_a_body_that_will_be_refused(parser_class: Any) -> None:
    request = b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n"
    assert statuses(Wire(router, parser_class, max_body=10).send(request).received) == [413]


# Upgrade and CONNECT


def test_an_upgrade_nobody_speaks_is_ignored_and_its_body_read(parser_class: Any) -> None:
    upgrade = POST.replace(
        b"Host: a\r\n", b"Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    )
    for chunks in split(upgrade + GET):
        assert statuses(exchange(router, *chunks, parser_class=parser_class)) == [200, 200]


def test_connect_and_trace_are_not_implemented(parser_class: Any) -> None:
    for line in (b"CONNECT a:443 HTTP/1.1", b"TRACE / HTTP/1.1", b"CONNECT / HTTP/1.1", b"BREW / HTTP/1.1"):
        assert statuses(exchange(router, line + b"\r\nHost: a\r\n\r\n", parser_class=parser_class)) == [501]


# Deadlines


def test_an_idle_connection_is_closed_without_a_word() -> None:
    wire = Wire(router, idle_timeout=15).wait(14)
    assert not wire.closed
    wire.wait(3)
    assert wire.closed
    assert wire.received == b""
    wire = Wire(router, idle_timeout=15).wait(10).send(GET).wait(10)
    assert not wire.closed
    assert wire.wait(7).closed


def test_a_slow_head_gets_408_at_its_deadline_however_it_drips(parser_class: Any) -> None:
    wire = Wire(router, parser_class, head_timeout=10)
    for index in range(9):
        wire.send(GET[index : index + 1]).wait(1)
    assert wire.received == b""
    wire.wait(2.5)
    assert statuses(wire.received) == [408]
    assert wire.closed


def test_a_blank_line_after_a_body_does_not_start_the_clock_of_the_next_head(parser_class: Any) -> None:
    post = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\n"
    wire = Wire(router, parser_class, head_timeout=10, idle_timeout=15).send(post).wait(12)
    wire.send(GET[:10]).wait(5)
    wire.send(GET[10:])
    assert statuses(wire.received) == [200, 200]


def test_a_parser_that_has_failed_is_asked_nothing_more() -> None:
    class Failing:
        _finished = False

        def __init__(self, request: Request) -> None:
            pass

        def feed_data(self, data: bytes) -> None:
            raise ValueError("not mine")

        def should_keep_alive(self) -> bool:
            return self.keep  # type: ignore[attr-defined, no-any-return]

    wire = Wire(router, Failing).send(b"bad\n")
    assert statuses(wire.received) == [400]
    assert not any("ERROR" in line for line in wire.lines)


def test_a_slow_body_gets_408_and_one_that_keeps_its_rate_does_not(parser_class: Any) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
    wire = Wire(router, parser_class, body_timeout=60, body_rate=1000).send(head).wait(59).send(b"x")
    assert wire.received == b""
    assert statuses(wire.wait(3).received) == [408]
    wire = Wire(router, parser_class, body_timeout=60, body_rate=1000).send(head)
    for _ in range(100):
        wire.send(b"x" * 1000).wait(1)
    assert statuses(wire.received) == [200]


def test_a_handler_has_no_deadline() -> None:
    assert statuses(Wire(router).send(get("/sleep/1000.0")).wait(1001).received) == [200]


def test_the_last_words_are_followed_by_reading_on_and_the_end() -> None:
    wire = Wire(router, linger_timeout=2).send(b"BAD\r\n\r\n")
    assert wire.connection.state is CLOSING
    assert wire.transport.eof_sent
    assert not wire.transport.closing
    wire.send(b"more, which nobody will look at" * 100)
    wire.wait(4)
    assert wire.transport.aborted
    assert wire.connection.state is CLOSED
    wire = Wire(router).send(b"BAD\r\n\r\n").send_eof()
    assert wire.transport.closing
    assert not wire.transport.aborted


# Limits


def test_a_long_request_line_is_414(parser_class: Any) -> None:
    assert statuses(exchange(router, get("/" + "x" * 100), parser_class=parser_class, max_line=117)) == [404]
    for chunks in split(get("/" + "x" * 100)):
        assert statuses(exchange(router, *chunks, parser_class=parser_class, max_line=109)) == [414]


def test_a_large_head_is_431(parser_class: Any) -> None:
    request = get("/", "X: " + "y" * 100)
    assert statuses(exchange(router, request, parser_class=parser_class, max_head=len(request))) == [200]
    for chunks in split(request):
        assert statuses(exchange(router, *chunks, parser_class=parser_class, max_head=len(request) - 1)) == [
            431
        ]


def test_many_fields_are_431(parser_class: Any) -> None:
    fields = [f"X-{number}: y" for number in range(98)]
    assert statuses(exchange(router, get("/", *fields, "Y: 1"), parser_class=parser_class)) == [200]
    assert statuses(exchange(router, get("/", *fields, "Y: 1", "Y: 2"), parser_class=parser_class)) == [431]


def test_a_body_over_the_limit_is_413_before_it_is_read(parser_class: Any) -> None:
    wire = Wire(router, parser_class, max_body=4).send(POST.removesuffix(b"abcde"))
    assert statuses(wire.received) == [413]
    assert wire.closed
    chunked = CHUNKED.split(b"2\r\n")[0]
    assert statuses(Wire(router, parser_class, max_body=4).send(chunked + b"5\r\n").received) == [413]
    assert statuses(Wire(router, parser_class, max_body=4).send(chunked + b"3\r\nabc\r\n2\r\n").received) == [
        413
    ]
    assert statuses(exchange(router, POST, parser_class=parser_class, max_body=5)) == [200]


# The client's end


def test_a_client_that_has_said_all_still_gets_its_answers(parser_class: Any) -> None:
    wire = Wire(router, parser_class).send(SLOW + GET).send_eof().wait(2)
    assert statuses(wire.received) == [200, 200]
    assert wire.transport.closing
    assert not wire.transport.aborted


def test_an_end_between_requests_is_just_the_end() -> None:
    wire = Wire(router).send(GET).send_eof()
    assert statuses(wire.received) == [200]
    assert wire.transport.closing
    assert Wire(router).send_eof().received == b""


@pytest.mark.parametrize("cut", range(1, len(POST)))
def test_half_a_request_is_never_taken_for_a_whole_one(parser_class: Any, cut: int) -> None:
    assert statuses(exchange(router, POST[:cut], parser_class=parser_class)) == [400]


@pytest.mark.parametrize("cut", range(1, len(CHUNKED), 3))
def test_half_a_chunked_request_is_never_taken_for_a_whole_one(parser_class: Any, cut: int) -> None:
    assert statuses(exchange(router, CHUNKED[:cut], parser_class=parser_class)) == [400]


def test_a_handler_whose_client_is_gone_is_cancelled() -> None:
    ended = []
    own = Router()

    @own.get("/")
    async def wait(req: Request) -> None:
        try:
            await sleep(100)
        finally:
            ended.append("finally")

    wire = Wire(own).send(GET)
    wire.lose()
    assert ended == ["finally"]
    assert wire.connection.state is CLOSED
    assert not wire.service.connections
    assert "client left" in wire.lines[-1]


def test_an_empty_line_behind_a_request_begins_no_other(parser_class: Any) -> None:
    wire = Wire(router, parser_class, head_timeout=10, idle_timeout=15).send(GET + b"\r\n").wait(14)
    assert not wire.closed
    assert statuses(wire.send(b"\r\n" + GET).received) == [200, 200]
    assert statuses(wire.send(b"\r\n").send_eof().received) == [200, 200]
    assert wire.transport.closing
    bounded = Wire(router, parser_class).send(b"\r\n", b"\r\n", b"\r\n")
    assert statuses(bounded.received) == [400]


def test_a_client_that_breaks_off_is_noticed_while_nothing_is_read() -> None:
    wire = Wire(router).send(get("/sleep/60.0") + GET)
    assert not wire.transport.reading
    wire.service.is_gone = lambda transport: True
    wire.wait(3)
    assert wire.transport.aborted
    assert wire.connection.state is CLOSED
    assert "client left" in wire.lines[-1]


# Back-pressure


def test_a_client_that_does_not_read_is_not_served_more() -> None:
    wire = Wire(router, room=1000)
    batch = get("/big/10000") * 20
    for _ in range(5):
        wire.send(batch)
    assert len(wire.transport.unsent) < 100_000
    assert not wire.transport.reading
    assert len(wire.connection.pending) <= len(batch)
    wire.take()
    assert len(parse_answers(wire.received)) == 100
    assert wire.transport.reading


def test_a_client_that_takes_nothing_is_cut_off() -> None:
    wire = Wire(router, room=10, write_timeout=30, write_rate=10).send(get("/big/100000"))
    wire.wait(29)
    assert not wire.transport.closing
    wire.take(1000).wait(29)
    assert not wire.transport.closing  # slow is not stalled
    wire.wait(33)
    assert wire.transport.aborted


def test_a_stalled_client_is_cut_off_after_the_last_answer_too() -> None:
    wire = Wire(router, room=10, write_timeout=30, write_rate=1).send(get("/big/100000", "Connection: close"))
    wire.wait(25).take(30)
    wire.wait(25)
    assert not wire.transport.aborted
    wire.wait(40)
    assert wire.transport.aborted


# Streams


def test_a_generator_streams_in_chunks_or_until_the_end(parser_class: Any) -> None:
    wire = Wire(router, parser_class).send(get("/stream") + GET)
    assert wire.connection.state is BUSY  # until the first piece is there
    assert wire.wait(0.0015).connection.state is STREAMING
    answers = parse_answers(wire.wait(1).received)
    assert [body for _, _, body in answers] == [b"0 1 2 ", b"Hello, world!"]
    wire = (
        Wire(router, parser_class).send(get("/stream", "Connection: keep-alive", version="1.0") + GET).wait(1)
    )
    [(_, fields, body)] = parse_answers(wire.received)
    assert body == b"0 1 2 "
    assert fields["connection"] == "close"
    assert "transfer-encoding" not in fields
    assert wire.closed


def test_a_stream_that_fails_is_cut_never_a_second_head() -> None:
    own = Router()

    @own.get("/")
    async def broken(req: Request) -> Any:
        yield "some"
        raise ZeroDivisionError

    wire = Wire(own).send(GET).wait(1)
    assert wire.transport.aborted
    assert wire.received.count(b"HTTP/1.1") == 1
    assert not wire.received.endswith(b"0\r\n\r\n")
    assert any("ZeroDivisionError" in line for line in wire.lines)


def test_what_a_generator_raises_before_its_first_piece_is_answered_in_full(parser_class: Any) -> None:
    own = Router()

    @own.get("/")
    async def refuses(req: Request) -> Any:
        await sleep(1)
        raise Fail(403, "no")
        yield ""

    wire = Wire(own, parser_class).send(GET + GET).wait(3)
    assert statuses(wire.received) == [403, 403]
    assert not wire.closed


def test_head_of_a_stream_is_framed_as_its_version_allows() -> None:
    closed = []

    class Pieces:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> str:
            raise StopIteration

        def close(self) -> None:
            closed.append(1)

    own = Router()

    @own.get("/{status:int}")
    async def stream(req: Request) -> Response:
        return Response(Pieces(), req.params["status"])

    for version, status, field in (("1.1", 200, "chunked"), ("1.0", 200, None), ("1.1", 204, None)):
        data = exchange(own, get(f"/{status}", method="HEAD", version=version))
        [(_, fields, _)] = parse_answers(data, ["HEAD"])
        assert fields.get("transfer-encoding") == field
    assert len(closed) == 3


def test_100_continue_is_not_said_where_nobody_wants_the_body(parser_class: Any) -> None:
    head = b"POST /nope HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    assert statuses(Wire(router, parser_class).send(head).received) == [404]


def test_a_head_keeps_its_deadline_while_the_client_does_not_read() -> None:
    wire = Wire(router, room=10, head_timeout=10, write_timeout=30).send(get("/big/100000") + GET[:10])
    wire.wait(5).take().wait(6)
    assert statuses(wire.received) == [200]
    wire.wait(6)
    assert statuses(wire.received) == [200, 408]


def test_one_broken_connection_does_not_stop_the_clock() -> None:
    wire = Wire(router, idle_timeout=15)
    other = Wire(router, service=wire.service)
    has_input, wire.service.has_input = wire.service.has_input, lambda transport: bool(1 / 0)
    wire.wait(20)
    assert wire.transport.aborted
    assert other.transport.aborted
    wire.service.has_input = has_input
    assert Wire(router, service=wire.service).wait(20).closed


def test_a_stream_waits_for_its_reader_and_ends_with_it() -> None:
    made, ended = [], []
    own = Router()

    @own.get("/")
    async def endless(req: Request) -> Any:
        try:
            while True:
                made.append(1)
                yield "x" * 1000
        finally:
            ended.append(1)

    wire = Wire(own, room=5000).send(GET)
    assert len(made) < 10
    wire.take(20_000)
    assert 10 < len(made) < 40
    wire.lose()
    assert ended == [1]


# Failures


def test_what_a_handler_raises_is_answered_and_the_connection_goes_on(parser_class: Any) -> None:
    wire = Wire(router, parser_class).send(get("/error") + get("/unserialisable") + get("/fail") + GET)
    answers = parse_answers(wire.received)
    assert [(status, body) for status, _, body in answers] == [
        (500, b"Internal Server Error"),
        (500, b"Internal Server Error"),
        (403, b'{"error": "Forbidden"}'),
        (200, b"Hello, world!"),
    ]
    assert answers[2][1]["x-why"] == "because"
    log = "\n".join(wire.lines)
    assert "ZeroDivisionError: on purpose" in log
    assert "on purpose" not in wire.received.decode()


# Stopping


def test_after_stop_every_answer_is_the_last() -> None:
    wire = Wire(router, drain_timeout=0.5).send(GET)
    busy = Wire(router, service=wire.service).send(SLOW + GET)
    wire.service.stop()
    wire.send(GET + GET)
    answers = parse_answers(wire.received)
    assert [fields.get("connection") for _, fields, _ in answers] == [None, "close"]
    assert wire.closed
    busy.wait(2)
    assert [fields.get("connection") for _, fields, _ in parse_answers(busy.received)] == ["close"]
    assert busy.closed


def test_after_stop_an_idle_client_may_deliver_one_more_request() -> None:
    wire = Wire(router, drain_timeout=0.5).send(GET)
    wire.service.stop()
    wire.wait(0.4)
    assert not wire.closed
    wire.wait(0.2)
    assert wire.closed


def test_the_state_prints() -> None:
    wire = Wire(router)
    assert repr(wire.connection) == "<Connection IDLE>"
    assert repr(wire.send(get("/sleep/1.0", "Connection: close")).connection) == "<Connection BUSY>"
    assert repr(wire.wait(2).connection) == "<Connection CLOSING close_after>"


# Streams with a length


def sized(length: str, *pieces: str) -> Router:
    router = Router()

    @router.get("/")
    async def handler(req: Request) -> Response:
        async def body() -> AsyncIterator[str]:
            for piece in pieces:
                yield piece

        return Response(body(), headers={"Content-Length": length})

    return router


def ask(router: Router, *fields: str, **options: str) -> Wire:
    return Wire(router).send(get("/", *fields, **options)).wait(5)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_stream_with_a_length_is_not_chunked(version: str) -> None:
    field = ("Connection: keep-alive",) if version == "1.0" else ()
    wire = ask(sized("4", "ab", "cd"), *field, version=version)
    ((status, fields, body),) = parse_answers(wire.received)
    assert (status, fields["content-length"], body) == (200, "4", b"abcd")
    assert wire.connection.state is IDLE


def test_head_has_the_length_of_the_stream() -> None:
    ((status, fields, _),) = parse_answers(ask(sized("4", "ab"), method="HEAD").received, ["HEAD"])
    assert (status, fields["content-length"]) == (200, "4")
    assert "transfer-encoding" not in fields


@pytest.mark.parametrize("pieces", [("ab",), ("ab", "cde")])
def test_a_stream_that_breaks_its_word_is_cut(pieces: tuple[str, ...]) -> None:
    wire = ask(sized("4", *pieces))
    assert wire.received.endswith(b"\r\n\r\nab")
    assert wire.transport.aborted
    assert any("RuntimeError" in line for line in wire.lines)


@pytest.mark.parametrize("router", [sized("4"), sized("1", "ab"), sized("x", "ab"), sized("-1")])
def test_a_stream_that_breaks_its_word_at_once_is_a_500(router: Router) -> None:
    assert statuses(ask(router).received) == [500]


def test_a_handler_of_head_may_know_the_length() -> None:
    router = Router()

    @router.head("/")
    async def handler(req: Request) -> Response:
        return Response(None, headers={"Content-Length": "123"})

    ((status, fields, _),) = parse_answers(ask(router, method="HEAD").received, ["HEAD"])
    assert (status, fields["content-length"]) == (200, "123")
