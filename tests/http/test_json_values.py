"""JSON of more than JSON's types, and the path of what has none."""

from __future__ import annotations

import json
import uuid
from collections import namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from functools import partial
from typing import Any, ClassVar

import pytest

from kissapi import Request, Response, Router
from kissapi.compat import uuid as own_uuid
from kissapi.extras.testing import Client
from kissapi.http.json_codec import to_json
from tests.wire import fetch

KEY = "12345678-1234-5678-1234-567812345678"
Point = namedtuple("Point", "x y")


class Colour(Enum):
    RED = "red"
    WHEN = date(2026, 1, 2)


class Size(IntEnum):
    SMALL = 1


class Kind(StrEnum):
    PEAR = "pear"


@dataclass
class Item:
    name: str
    price: Decimal = Decimal("1.50")
    when: Any = None
    tags: frozenset[str] = frozenset(["a"])
    known: ClassVar[int] = 3
    hidden: list[Item] = field(default_factory=list, repr=False)


@dataclass(slots=True, frozen=True)
class Slotted:
    a: int
    b: Item | None = None


VALUES = [
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
    (datetime(2026, 1, 2, 3, 4, 5, 6), "2026-01-02T03:04:05.000006"),
    (date(2026, 1, 2), "2026-01-02"),
    (time(3, 4), "03:04:00"),
    (uuid.UUID(KEY), KEY),
    (own_uuid.UUID(KEY), KEY),
    (Decimal("1.50"), "1.50"),
    (Colour.RED, "red"),
    (Colour.WHEN, "2026-01-02"),
    (Size.SMALL, 1),
    (Kind.PEAR, "pear"),
    ({3}, [3]),
    (frozenset(), []),
    (Point(1, date(2026, 1, 2)), [1, "2026-01-02"]),
    ((1, 2), [1, 2]),
    (Slotted(1), {"a": 1, "b": None}),
    (
        Item("pear", hidden=[Item("seed", when=date(2026, 1, 2))]),
        {
            "name": "pear",
            "price": "1.50",
            "when": None,
            "tags": ["a"],
            "hidden": [{"name": "seed", "price": "1.50", "when": "2026-01-02", "tags": ["a"], "hidden": []}],
        },
    ),
]


@pytest.mark.parametrize(("value", "plain"), VALUES)
def test_it_is_json(value: Any, plain: Any) -> None:
    assert json.loads(to_json({"inside": [value]})) == {"inside": [plain]}


def test_a_handler_returns_it() -> None:
    for value, plain in VALUES:
        if type(value) in (tuple, Kind):  # a tuple is refused, and a StrEnum is text
            continue
        router = Router()

        async def show(req: Request, value: Any) -> Any:
            return value

        router.get("/")(partial(show, value=value))
        status, fields, body = fetch(router, "/")
        assert (status, fields["content-type"], json.loads(body)) == (200, "application/json", plain)


def test_structs_of_msgspec() -> None:
    msgspec = pytest.importorskip("msgspec")

    class Order(msgspec.Struct, rename="camel", omit_defaults=True):  # type: ignore[misc,name-defined]
        order_id: uuid.UUID
        at: datetime
        item: Item
        note: str = ""

    order = Order(uuid.UUID(KEY), datetime(2026, 1, 2, tzinfo=UTC), Item("pear"))
    assert json.loads(to_json([order])) == [
        {
            "orderId": KEY,
            "at": "2026-01-02T00:00:00Z",
            "item": {"name": "pear", "price": "1.50", "when": None, "tags": ["a"], "hidden": []},
        }
    ]
    order.item = {"x": 1j}
    with pytest.raises(TypeError, match=r'result\[0\].item\["x"\]: complex is not JSON serializable'):
        to_json([order])


def test_models_of_pydantic_and_of_its_shape() -> None:
    class Model:
        model_fields: ClassVar[dict[str, Any]] = {"a": int}

        def __init__(self, a: Any) -> None:
            self.a = a

        def model_dump(self, *, mode: str, by_alias: bool) -> dict[str, Any]:
            assert (mode, by_alias) == ("json", True)  # as pydantic's own JSON Schema of what is answered
            return {"a": self.a}

    assert to_json([Model(1)]) == b'[{"a":1}]'
    with pytest.raises(TypeError, match=r"result\[0\]\.a: complex"):
        to_json([Model(1j)])
    pydantic = pytest.importorskip("pydantic")
    made = pydantic.create_model("Real", at=(datetime, pydantic.Field(alias="madeAt")), tags=(set[str], ...))
    assert json.loads(to_json(made(madeAt="2026-01-02T00:00:00Z", tags=["x"]))) == {
        "madeAt": "2026-01-02T00:00:00Z",
        "tags": ["x"],
    }


async def coroutine() -> None: ...


BAD = [
    ({"items": [1, 2, 3, Item("x", when=1j)]}, TypeError, 'result["items"][3].when: complex is not JSON'),
    (object(), TypeError, "result: object is not JSON"),
    ([{"a": b"x"}], TypeError, 'result[0]["a"]: bytes is not JSON'),
    ({"a": {(1, 2): 3}}, TypeError, 'result["a"], a key: tuple is not JSON'),
    ({uuid.UUID(KEY): 1}, TypeError, "result, a key: UUID is not JSON"),
    ({"a": {1: float("nan")}}, ValueError, 'result["a"][1]: Out of range'),
    ([1, {2j}], TypeError, "result[1][0]: complex is not JSON"),
    ([Item], TypeError, "result[0]: type is not JSON"),
    ({'a\n"b': 1j}, TypeError, "result['a\\n\"b']: complex"),
    ({"x" * 1000: 1j}, TypeError, f'result["{"x" * 59}…]: complex'),
]


@pytest.mark.parametrize(("value", "error", "says"), BAD)
def test_what_cannot_be_encoded_is_named_by_its_path(value: Any, error: type[Exception], says: str) -> None:
    for encode in (to_json, Response):
        with pytest.raises(error) as caught:
            encode(value)
        assert says in str(caught.value)
    assert to_json([1]) == b"[1]"  # its guard against circles is clean again


def test_a_missing_await_is_named() -> None:
    task = coroutine()
    with pytest.raises(TypeError, match=r'result\["a"\]: coroutine .*; is an await missing\?'):
        Response({"a": task})
    task.close()


def test_a_circle_of_records_ends() -> None:
    item = Item("x")
    item.hidden.append(item)
    with pytest.raises((ValueError, RecursionError)):
        to_json({"a": item})
    item.hidden = []
    assert to_json([item, item])


def test_a_tuple_is_refused_and_what_is_meant_is_shown() -> None:
    router = Router()

    @router.get("/tuple")
    async def flask(req: Request) -> Any:
        return {"error": "x"}, 404

    @router.get("/named")
    async def named(req: Request) -> Any:
        return Point(1, 2)

    @router.get("/inside")
    async def inside(req: Request) -> Any:
        return {"at": (1, 2), "more": Response((1, 2)).body.decode()}  # type: ignore[union-attr]

    client = Client(router)
    assert client.get("/tuple").status == 500
    assert "TypeError: a handler returned a tuple: return Response(…, 404)" in "\n".join(client.log)
    assert client.get("/named").json == [1, 2]
    assert client.get("/inside").json == {"at": [1, 2], "more": "[1,2]"}
