"""Fail: the exception that is an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router
from tests.wire import Wire, parse_answers

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

ANSWERS: list[tuple[Fail, int, str | None, bytes]] = [
    (Fail(), 500, "text/plain", b"Internal Server Error"),
    (Fail(404), 404, "text/plain", b"Not Found"),
    (Fail(422), 422, "text/plain", b"Unprocessable Content"),
    (Fail(204), 204, None, b""),
    (Fail(205), 205, None, b""),
    (Fail(304), 304, None, b""),
    (Fail(599), 599, None, b""),  # a status without a name
    (Fail(404, headers={"X": "1"}), 404, "text/plain", b"Not Found"),
    (Fail(404, None), 404, None, b""),
    (Fail(404, ""), 404, "text/plain", b""),
    (Fail(403, "Forbidden"), 403, "text/plain", b"Forbidden"),
    (Fail(403, b"\xff"), 403, "text/plain", b"\xff"),
    (Fail(404, "né"), 404, "text/plain; charset=utf-8", b"n\xc3\xa9"),
    (Fail(400, {"error": [1]}), 400, "application/json", b'{"error":[1]}'),
    (Fail(401, None), 401, None, b""),
    (Fail(data="only data"), 500, "text/plain", b"only data"),
    (Fail(200, "an answer like any other"), 200, "text/plain", b"an answer like any other"),
]


@pytest.mark.parametrize(("fail", "status", "content_type", "body"), ANSWERS)
def test_its_data_is_converted_like_a_result(
    parser_class: Any, fail: Fail, status: int, content_type: str | None, body: bytes
) -> None:
    wire = Wire(router_that_raises(fail), parser_class).send(GET, GET)
    for found, fields, content in parse_answers(wire.received):
        assert (found, fields.get("content-type"), content) == (status, content_type, body)
    assert len(parse_answers(wire.received)) == 2  # the connection went on
    assert not any("ERROR" in line for line in wire.lines)


def router_that_raises(error: Exception) -> Router:
    router = Router()

    @router.get("/")
    async def handler(req: Request) -> None:
        raise error

    return router


def test_its_headers_are_added(parser_class: Any) -> None:
    fail = Fail(503, "Busy", headers={"Retry-After": "5"})
    ((_, fields, _),) = parse_answers(Wire(router_that_raises(fail), parser_class).send(GET).received)
    assert fields["retry-after"] == "5"


UNSENDABLE = [
    Fail(400, object()),
    Fail(400, "\ud800"),
    Fail(400, "x", {"X": "a\r\nb"}),
    Fail(400, {"a": float("nan")}),
]


@pytest.mark.parametrize("fail", UNSENDABLE)
def test_one_that_cannot_be_sent_is_a_500_and_a_traceback(parser_class: Any, fail: Fail) -> None:
    wire = Wire(router_that_raises(fail), parser_class).send(GET)
    ((status, _, body),) = parse_answers(wire.received)
    assert (status, body) == (500, b"Internal Server Error")
    assert "Traceback" in "\n".join(wire.lines)
    assert not wire.closed


@pytest.mark.parametrize("status", [0, 101, 199, 600, "403", "Forbidden", None, True])
def test_a_status_that_is_none_is_refused_where_it_is_raised(status: Any) -> None:
    with pytest.raises(ValueError, match="status must be a number from 200 to 599"):
        Fail(status, "x")


def test_a_subclass_is_an_answer_too(parser_class: Any) -> None:
    class NotFound(Fail):
        def __init__(self, what: str) -> None:
            super().__init__(404, {"missing": what})

    ((status, _, body),) = parse_answers(
        Wire(router_that_raises(NotFound("x")), parser_class).send(GET).received
    )
    assert (status, json.loads(body)) == (404, {"missing": "x"})


def test_an_after_hook_does_not_see_it(parser_class: Any) -> None:
    router = router_that_raises(Fail(403, "no"))
    router.after(lambda req, result: Response("seen"))
    ((status, _, body),) = parse_answers(Wire(router, parser_class).send(GET).received)
    assert (status, body) == (403, b"no")


def test_one_that_is_raised_again_and_again_keeps_no_frames(parser_class: Any) -> None:
    fail = Fail(404, "no")
    wire = Wire(router_that_raises(fail), parser_class).send(GET, GET, GET)
    assert len(parse_answers(wire.received)) == 3
    assert fail.__traceback__ is None


def test_it_reads_well_in_a_traceback() -> None:
    assert str(Fail(403, "Forbidden")) == "403 'Forbidden'"
