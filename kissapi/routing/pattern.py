"""Pattern: a segment of a path that has text around its parameters: `{name}.txt`, `v{major:int}.{minor:int}`.

Each parameter ends at the first place where the text behind it comes, if its type takes what is before and
the rest matches as well: `{slug}-{id:int}` of `red-shoes-42` is "red-shoes" and 42. At most `MOST` places are
tried in one segment, so no path is slow to match.

A `Segment` of such a path has the pattern twice: its `kind` is without the names of parameters, and tells
what it matches; its `text` is as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from kissapi.routing.converters import TYPES

MOST = 32
_PARAMETER = re.compile(r"\{([^{}:]+)(?::([^{}:]+))?\}")
_TYPE = re.compile(r"\{([^{}]+)\}")


def parameters(kind: str, text: str) -> list[tuple[str, str]]:
    """(type, name) of each parameter of a segment.

    >>> parameters("{str}-{int}", "{a}-{b:int}"), parameters("int", "id"), parameters("literal", "users")
    ([('str', 'a'), ('int', 'b')], [('int', 'id')], [])
    """
    if kind == "literal":
        return []
    if "{" not in kind:
        return [(kind, text)]
    return [(each or "str", name) for name, each in _PARAMETER.findall(text)]


def kind_of(text: str) -> str:
    """The kind of a segment that is written `text`: `{a}-{b:int}` is of the kind `{str}-{int}`."""
    return _PARAMETER.sub(lambda found: f"{{{found[2] or 'str'}}}", text)


def texts(kind: str) -> list[str]:
    """What stands before, between and behind the parameters: of `v{int}.{int}` that is "v", "." and ""."""
    return _TYPE.split(kind)[::2]


class Pattern:
    """The converter of a kind: `match` gives the values of its parameters in a segment, or None."""

    def __init__(self, kind: str) -> None:
        self._first, *self._behind = texts(kind)
        self._converters = [TYPES[each] for each in _TYPE.findall(kind)]

    def match(self, segment: str) -> tuple[Any, ...] | None:
        """The values, one for each parameter; None if `segment` does not match. Raises `Fail(400)`."""
        end = len(segment) - len(self._behind[-1])
        at = len(self._first)
        if at >= end or not segment.startswith(self._first) or not segment.endswith(self._behind[-1]):
            return None
        if _in_escape(segment, end):
            return None
        return self._values(segment, at, end, 0, iter(range(MOST)))

    def _values(
        self, segment: str, at: int, end: int, number: int, tries: Iterator[int]
    ) -> tuple[Any, ...] | None:
        convert: Callable[[str], Any] = self._converters[number]
        if number == len(self._converters) - 1:
            value = convert(segment[at:end])
            return None if value is None else (value,)
        text = self._behind[number]
        place = at
        while (place := segment.find(text, place + 1, end)) >= 0 and next(tries, None) is not None:
            if _in_escape(segment, place):
                continue
            value = convert(segment[at:place])
            if value is not None:
                others = self._values(segment, place + len(text), end, number + 1, tries)
                if others is not None:
                    return (value, *others)
        return None


class Converters(dict[str, Callable[[str], Any]]):
    """The converter of each kind of parameter, patterns included; of a new kind it is made when asked for."""

    def __missing__(self, kind: str) -> Callable[[str], Any]:
        return Pattern(kind).match if "{" in kind else TYPES[kind]


CONVERTERS = Converters()


def rank(kind: str) -> tuple[int, int, int]:
    """The place of a kind among others: literals, patterns (the most text first), types, what takes any."""
    if "{" in kind:
        return 1, -len("".join(texts(kind))), kind.count("{str}")
    return {"literal": 0, "str": 3}.get(kind, 2), 0, 0


def _in_escape(text: str, at: int) -> bool:
    """Whether `at` is within a percent-encoded octet, such as the 2 of %2F."""
    return "%" in text[max(at - 2, 0) : at]
