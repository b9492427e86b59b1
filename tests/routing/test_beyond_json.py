"""What JSON cannot say, NaN and infinity, comes in by no typed body, query or form."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any

import pytest

from kissapi import Query, Request, Router
from kissapi.extras.testing import Client
from tests.routing.test_bodies import JSON, Order, OrderModel, posted

msgspec = pytest.importorskip("msgspec")
pydantic = pytest.importorskip("pydantic")

BEYOND = [b"NaN", b"-Infinity", b"1e999", b"-1E+400", b"9" * 309 + b".0", b"9" * 220 + b"e95"]


@pytest.mark.parametrize("kind", [Order, dict, dict[str, float], OrderModel, dict[str, Any] | OrderModel])
@pytest.mark.parametrize("number", BEYOND)
@pytest.mark.parametrize("one", [b"1", b"1.0"])
def test_a_number_that_json_cannot_say_is_refused(kind: Any, number: bytes, one: bytes) -> None:
    members = b'"customer": "ann", "items": [{"price": ' + one + b"}, {"
    body = b"{" + members + b'"price": ' + number + b"}]}"
    if kind == dict[str, float]:
        body = b'{"a": ' + one + b', "b": ' + number + b"}"
    assert posted(kind, body=body, headers=JSON).status in (400, 422)


def test_a_whole_number_with_a_point_lets_no_infinity_in() -> None:
    class Pair(msgspec.Struct):
        whole: int
        other: Any

    assert posted(Pair, body=b'{"whole": 1.0, "other": 2.5}', headers=JSON).status == 200
    answer = posted(Pair, body=b'{"whole": 1.0, "other": [1e999]}', headers=JSON)
    assert answer.text == "Bad Request: the body is not JSON: the number 1e999 is too large"


@dataclass
class Offer:
    price: float = 0
    most: Decimal = Decimal(9)
    rates: list[float | None] = field(default_factory=list)


class OfferModel(pydantic.BaseModel):
    price: float = 0
    most: Decimal = Decimal(9)
    rates: list[float | None] = []  # noqa: RUF012


@pytest.mark.parametrize("kind", [Offer, OfferModel])
def test_a_number_of_a_record_is_no_nan(kind: Any) -> None:
    def handler(req: Request, offer: Any) -> str:
        return repr(offer)

    handler.__annotations__ = {"offer": Annotated[kind, Query()]}
    router = Router()
    router.get("/")(handler)
    client = Client(router)
    assert "1e+300" in client.get("/?price=1e300&most=2.5&rates=1&rates=2").text
    for number in ("nan", "inf", "-Infinity", "1e999", "9" * 400):
        answer = client.get(f"/?price=2&rates=1&rates={number}&price={number}")  # of price the first counts
        assert (answer.status, [each["parameter"] for each in answer.json["errors"]]) == (422, ["rates"])
    answer = client.get("/?price=nan&most=NaN")
    assert answer.json["errors"] == [
        {"parameter": "price", "detail": "must be a number, not 'nan'"},
        {"parameter": "most", "detail": "must be a number, not 'NaN'"},
    ]
