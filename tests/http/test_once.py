"""once: what a subclass may put in the place of a property, and what `super()` finds there then."""

from __future__ import annotations

from typing import Any

import pytest

from kissapi import Request
from kissapi.http.once import once

made: list[str] = []


class First:
    @once
    def name(self) -> str:
        """What it is called."""
        made.append("name")
        return "ann"


class Kept(First):
    @once
    def name(self) -> str:
        return super().name.upper()


class Asked(First):
    @property
    def name(self) -> str:  # type: ignore[override]  # it has no setter
        return super().name.upper()


@pytest.mark.parametrize("kind", [First, Kept, Asked])
def test_it_is_made_once_whatever_stands_before_it(kind: type[First]) -> None:
    made.clear()
    owner = kind()
    assert [owner.name, owner.name] == ["ann" if kind is First else "ANN"] * 2
    assert made == ["name"]
    assert First.name.__doc__ == "What it is called."


def test_what_is_set_or_deleted_counts() -> None:
    owner = First()
    owner.name = "bob"
    assert owner.name == "bob"
    del owner.name
    assert owner.name == "ann"


def test_a_request_may_have_plain_properties_over_its_own() -> None:
    class Upper(Request):
        @property
        def cookies(self) -> Any:
            return {name: value.upper() for name, value in super().cookies.items()}

    request = Upper(headers={"cookie": "a=x"})
    assert request.cookies == request.cookies == {"a": "X"}
