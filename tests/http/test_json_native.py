"""Large answers by msgspec: the same text, and the same errors, as by json."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kissapi.http import json_codec
from kissapi.http.json_native import DEEP, FEW, LARGE, native_encoder

pytest.importorskip("msgspec")
ENCODE: Any = native_encoder(json_codec._dumps)


class Size(IntEnum):
    SMALL = 1


class Kind(StrEnum):
    PEAR = "pear"


class Colour(Enum):
    RED = "red"


class Name(str):
    pass


@dataclass
class Item:
    name: str


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def by_json(value: Any) -> Any:
    """What json writes, or the kind of error that it raises."""
    json_codec._of_thread.native = None
    try:
        return json_codec.to_json(value)
    except (TypeError, ValueError) as error:
        return type(error), str(error)
    finally:
        json_codec._of_thread.native = None


def by_native(value: Any) -> Any:
    json_codec._of_thread.native = ENCODE
    try:
        return json_codec.to_json(value)
    except (TypeError, ValueError) as error:
        return type(error), str(error)
    finally:
        json_codec._of_thread.native = None


CIRCLE: list[Any] = [1]
CIRCLE += [CIRCLE, CIRCLE]
WHEN = datetime(2026, 1, 2, tzinfo=UTC)
VALUES: list[Any] = [
    {}, [], "", 0, None, True, [[]], {"a": {}}, (1, (2,)), {"a": [1, 2.5, None, True, "x", -0.0, 1e15]},
    "é", "\x7f", "\u2028", "😀 and ü", "\x00\x1f\b\f\n\r\t\"\\/", {"é": "\x7f"}, "\ud800", {"\ud800": 1},
    2**63, 2**64, -(2**63), 2**200, 0.1, 123456789.123, float("nan"), [None, float("inf")], -float("inf"),
    {1: "a", -2: "b"}, {1.5: 1}, {1e16: 1}, {float("nan"): 1}, {True: 1}, {None: 1}, {b"a": 1}, {(1,): 1},
    {UUID(int=1): 1}, {WHEN: 1}, {Decimal("1.50"): 1}, {Size.SMALL: 1}, {Kind.PEAR: 1}, {Name("a"): 1},
    b"x", bytearray(b"x"), memoryview(b"x"), 1j, ..., object(), WHEN, WHEN.date(), WHEN.time(), timedelta(1),
    UUID(int=1), Decimal("1.50"), Decimal("1e400"), Size.SMALL, Kind.PEAR, Colour.RED, Name("a"),
    Item("pear"), {1}, frozenset("a"), OrderedDict(b=1, a=2), nested(DEEP), nested(DEEP + 1), nested(250),
    CIRCLE,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
@pytest.mark.parametrize(
    "place", [lambda value: value, lambda value: {"a": [None, value, 1.5]}], ids=["", "in"]
)
def test_it_writes_what_json_writes(value: Any, place: Any) -> None:
    assert by_native(place(value)) == by_json(place(value))


SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats()
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.floats(), inner),
    max_leaves=20,
)


@given(TREES)
def test_any_value(value: Any) -> None:
    ours, theirs = by_native(value), by_json(value)
    if isinstance(theirs, bytes):  # an exponent may be spelled in another way
        assert json.loads(ours) == json.loads(theirs)
    else:
        assert ours == theirs


def test_it_writes_itself_what_is_usual() -> None:
    """Or all the rest of this file would compare json with itself."""
    for value in ({"a": [1, 2.5, None, True, "é"]}, [{1: (2,)}], nested(DEEP)):
        assert ENCODE(value) == json.dumps(value, separators=(",", ":")).encode()


def test_few_items_are_for_json() -> None:
    assert ENCODE({"id": 7, "name": "x"}) is None
    assert ENCODE([1] * FEW) is None
    assert ENCODE([1] * (FEW + 1)) is not None


def test_a_number_with_an_exponent() -> None:
    assert (by_native([[1e16, 1e-7]]), by_json([[1e16, 1e-7]])) == (b"[[1e16,1e-7]]", b"[[1e+16,1e-07]]")


def test_it_is_asked_after_the_first_large_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(json_codec._of_thread, "native", None)
    monkeypatch.setattr(json_codec, "native_encoder", lambda escape: asked.append)
    for value in ("small", "x" * LARGE, "next"):
        json_codec.to_json(value)
    assert asked == ["next"]
