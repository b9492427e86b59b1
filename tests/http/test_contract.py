"""The contract: what parsers of one's own have of it, inherited or not, and made by whatever is callable."""

from __future__ import annotations

from typing import Any

import pytest

from kissapi import Request, Router, core
from tests.wire import Wire


class Lines:
    """One line is the path of a GET."""

    def __init__(self, request: Any) -> None:
        self.request = request
        self.held = b""
        self._finished = False

    def feed_data(self, data: bytes) -> None:
        self.held += data
        line, end, self.unread = self.held.partition(b"\n")
        if end:
            self.request.path = f"/{line.decode()}"
            self._finished = True


class Inherits(Lines, core.Parser):
    """With the rest of the contract."""


class Shouts(Lines):
    """Another class, which starts over by itself."""

    def feed_data(self, data: bytes) -> None:
        super().feed_data(data.lower())

    def reset(self, request: Any) -> None:
        Lines.__init__(self, request)


router = Router()


@router.get("/a")
async def a(req: Request) -> str:
    return "a"


@pytest.mark.parametrize("parser_class", [Lines, Inherits, Shouts])
def test_a_parser_has_the_rest_of_the_contract(parser_class: Any) -> None:
    wire = Wire(router, parser_class).send(b"a\n", b"a\na\n")
    assert wire.received.count(b"200 OK") == 3
    assert type(wire.connection.parser).__name__ == parser_class.__name__


@pytest.mark.parametrize("parser_class", [Lines, Inherits])
def test_without_a_word_of_its_own_the_rule_is_that_of_http(parser_class: Any) -> None:
    class Last(parser_class):  # type: ignore[misc]
        def feed_data(self, data: bytes) -> None:
            super().feed_data(data)
            self.request.headers = {"connection": "close"}

    wire = Wire(router, Last).send(b"a\na\n")
    assert wire.received.count(b"200 OK") == 1
    assert wire.closed


def test_a_function_may_make_parsers_of_several_classes() -> None:
    kinds = [Lines, Shouts, Lines, Shouts, Lines]

    def make(request: Any) -> Any:
        return kinds.pop()(request)

    wires = [Wire(router, make, service=None)]
    service = wires[0].service
    kinds[:] = [Shouts, Lines]
    for data in (b"a\n", b"A\n"):
        wire = Wire(router, service=service).send(data)
        assert b"200 OK" in wire.received
