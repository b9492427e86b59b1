"""The state machine, byte by byte: order, keep-alive, bodies, failures, the ends of both sides."""

from __future__ import annotations

from typing import Any

import pytest

from kissapi import Request, Router, sleep
from kissapi.core import BUSY, CLOSED, IDLE
from tests.app import router
from tests.http.messages import CHUNKED, GET, POST, SLOW, get, statuses
from tests.wire import Wire, exchange, parse_answers, split

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


def test_an_upgrade_to_an_unknown_protocol_is_ignored_and_its_body_read(parser_class: Any) -> None:
    upgrade = POST.replace(
        b"Host: a\r\n", b"Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    )
    for chunks in split(upgrade + GET):
        assert statuses(exchange(router, *chunks, parser_class=parser_class)) == [200, 200]


def test_connect_and_trace_are_not_implemented(parser_class: Any) -> None:
    for line in (b"CONNECT a:443 HTTP/1.1", b"TRACE / HTTP/1.1", b"CONNECT / HTTP/1.1", b"BREW / HTTP/1.1"):
        assert statuses(exchange(router, line + b"\r\nHost: a\r\n\r\n", parser_class=parser_class)) == [501]


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


def test_100_continue_is_not_said_where_no_handler_takes_the_body(parser_class: Any) -> None:
    head = b"POST /nope HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    assert statuses(Wire(router, parser_class).send(head).received) == [404]


# Failures


def test_what_a_handler_raises_is_answered_and_the_connection_goes_on(parser_class: Any) -> None:
    wire = Wire(router, parser_class).send(get("/error") + get("/unserialisable") + get("/fail") + GET)
    answers = parse_answers(wire.received)
    assert [(status, body) for status, _, body in answers] == [
        (500, b"Internal Server Error"),
        (500, b"Internal Server Error"),
        (403, b'{"error":"Forbidden"}'),
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
