"""Drain: at stop an idle client may send one more request, for as long as `drain_timeout`."""

from __future__ import annotations

from typing import Any

import pytest

from kissapi import Router
from tests.wire import Wire, parse_answers

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "before", [[], [GET], [b"\r\n"], [GET, b"\r\n"]], ids=["new", "kept", "blank", "both"]
)
def test_a_client_that_waits_may_send_one_more_request(parser_class: Any, before: list[bytes]) -> None:
    router = Router()

    @router.get("/")
    async def hello(req: object) -> str:
        return "hello"

    wire = Wire(router, parser_class, drain_timeout=0.5).send(*before).wait(3)
    wire.loop.do(wire.service.stop)
    wire.wait(0.3).send(GET)
    *_, (status, fields, _) = parse_answers(wire.received)
    assert (status, fields["connection"]) == (200, "close")
    assert len(parse_answers(wire.received)) == before.count(GET) + 1

    wire = Wire(router, parser_class, drain_timeout=0.5).send(*before).wait(3)
    wire.loop.do(wire.service.stop)
    assert wire.wait(1).closed
