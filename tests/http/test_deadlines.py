"""Deadlines, limits and back-pressure of a connection, by a clock that stands still until it is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi.core import CLOSED, CLOSING
from tests.app import router
from tests.http.messages import CHUNKED, GET, POST, get, statuses
from tests.wire import Wire, exchange, parse_answers, split

if TYPE_CHECKING:
    from kissapi import Request

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
        finished = False

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
