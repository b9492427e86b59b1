"""No regular expression of kissapi has what a supported CPython matches wrongly; that of heads is linear."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import kissapi
from kissapi.http.usual_head import usual_head

ONE_BYTE = {_constants.IN, _constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY}


def patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Every pattern that a module keeps, or a method of it such as `usual_head`."""
    for found in pkgutil.walk_packages(kissapi.__path__, "kissapi."):
        if found.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(found.name)).items():
            each = value if isinstance(value, re.Pattern) else getattr(value, "__self__", None)
            if isinstance(each, re.Pattern):
                yield f"{found.name}.{name}", each


def groups_kept(tree: Any) -> Iterator[Any]:
    """The atomic groups in `tree`, and what else than one class of bytes is repeated possessively."""
    for operation, argument in tree:
        if operation is _constants.ATOMIC_GROUP:
            yield argument
        elif operation is _constants.POSSESSIVE_REPEAT:
            repeated = argument[2]
            if len(repeated) != 1 or repeated[0][0] not in ONE_BYTE:
                yield repeated
        parts = argument if isinstance(argument, (tuple, list)) else (argument,)
        for part in parts:
            for each in part if isinstance(part, list) else (part,):
                if isinstance(each, _parser.SubPattern):
                    yield from groups_kept(each)


def test_possessive_repeats_are_of_one_class_of_bytes() -> None:
    """CPython 3.11.0 to 3.11.4 match those of groups wrongly: kissapi/http/usual_head.py says more."""
    found = dict(patterns())
    assert {
        "kissapi.http.usual_head.usual_head",
        "kissapi.http.framing._find_fields",
        "kissapi.compat.httptools._FIELDS",
    } <= {*found}
    for name, pattern in found.items():
        assert not list(groups_kept(_parser.parse(pattern.pattern, pattern.flags))), name


@pytest.mark.parametrize("pattern", [r"(?:ab)*+", r"(?:(a)b)?+", r"(?>a)", r"x(?=(?:ab)++)", r"a|(?:b(?>c))"])
def test_those_of_groups_are_found(pattern: str) -> None:
    assert list(groups_kept(_parser.parse(pattern)))


FIELD = b"\r\na:"
LINE = b"GET / HTTP/1.1"


@pytest.mark.parametrize(
    "pieces",
    [
        (LINE + b"\r\nHost: a", FIELD, b""),
        (LINE, FIELD, b""),
        (LINE, FIELD, b"\r\nHost: a", FIELD, b"\r\nContent-Length: 1", FIELD, b""),
        (LINE + b"\r\nHost: a", FIELD, b"\r\nConnection: close", FIELD, b""),
        (LINE + b"\r\nHost: a", FIELD, b"\r\nContent-Length: 1", FIELD, b"\r\nHost: a\r\n\r\n"),
        (LINE + b"\r\nHost: a\r\nX:", b" ", b""),
        (b"GET /", b"a", b"?", b"a", b""),
        (b"", b"A", b""),
    ],
)
def test_a_head_that_does_not_match_takes_linear_time(pieces: tuple[bytes, ...]) -> None:
    def seconds(times: int) -> float:
        data = b"".join(piece * times if index % 2 else piece for index, piece in enumerate(pieces))
        best = 9.0
        for _ in range(5):
            start = time.thread_time()
            assert usual_head(data) is None
            best = min(best, time.thread_time() - start)
        return best

    assert seconds(16_000) < 12 * seconds(4000) + 0.0005  # linear: 4; quadratic: 16, and seconds of it
