"""3.0 in JSON is an integer, as JSON Schema has it: what the document says is taken, is taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from kissapi.routing.arguments.bodies import body_reader
from kissapi.routing.arguments.scalars import Wrong


class Asked:
    headers = {"content-type": "application/json"}  # noqa: RUF012

    def __init__(self, body: bytes) -> None:
        self.body = body


@dataclass
class Item:
    number: int
    price: float = 0.5
    day: date | None = None
    by_number: dict[int, int] | None = None


read = body_reader(Item)


@pytest.mark.parametrize(
    ("body", "item"),
    [
        (b'{"number": 3}', Item(3)),
        (b'{"number": 3.0}', Item(3)),
        (b'{"number": -1e3, "price": 2.25}', Item(-1000, 2.25)),
        (b'{"number": 3.0, "price": 2.0, "day": "2026-05-01"}', Item(3, 2.0, date(2026, 5, 1))),
        (b'{"number": 3.0, "by_number": {"7": 8.0}}', Item(3, by_number={7: 8})),
    ],
)
def test_a_whole_number(body: bytes, item: Item) -> None:
    found = read(Asked(body))
    assert found == item
    assert (type(found.number), type(found.price)) == (int, float)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"number": 3.5}', {"pointer": "#/number", "detail": "Expected `int`, got `float`"}),
        (b'{"number": 3.0, "price": "a"}', {"pointer": "#/price", "detail": "Expected `float`, got `str`"}),
        (b'{"number": 1e999}', {"pointer": "#/number", "detail": "Number out of range"}),
        (b'{"number": "3"}', {"pointer": "#/number", "detail": "Expected `int`, got `str`"}),
    ],
)
def test_any_other_is_wrong(body: bytes, error: dict[str, Any]) -> None:
    with pytest.raises(Wrong) as caught:
        read(Asked(body))
    assert caught.value.errors == [error]
