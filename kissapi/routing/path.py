"""Path: the pattern a route is registered under, as segments.

A segment is a literal or one parameter: `/users/{id}`, `{id:int}`, `{id:float}`, `{id:uuid}`, `{rest:path}`.
Nothing here is a regular expression, so a literal needs no escaping and no path can be slow to match.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kissapi.core import Fail
from kissapi.http import uri

_PATH_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@%/")


def _to_int(text: str) -> int | None:
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit()):
        return None  # int() would also take "+1", "1_000" and the digits of every script
    try:
        return int(text)
    except ValueError:  # more digits than sys.set_int_max_str_digits allows
        return None


def _to_float(text: str) -> float | None:
    if not set("0123456789.-").issuperset(text):
        return None  # float() would also take "nan", "inf", "1e9" and "1_0"
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) != float("inf") else None  # 400 digits are more than a float can say


def _to_uuid(text: str) -> Any:
    try:
        from uuid import UUID
    except ImportError:
        from kissapi.compat.uuid import UUID  # type: ignore[assignment]
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text.lower() else None  # UUID() would also take braces, and dashes anywhere


def _to_str(text: str) -> str | None:
    return uri.decode_segment(text) if text else None


# What turns a segment, or the rest of a path, into a value; None says that it does not match.
TYPES: dict[str, Callable[[str], Any]] = {
    "str": _to_str,
    "int": _to_int,
    "float": _to_float,
    "uuid": _to_uuid,
    "path": uri.decode_segment,
}


class Segment(NamedTuple):
    """`kind` is "literal" or a key of `TYPES`; `text` the literal or the parameter's name."""

    kind: str
    text: str


def parse(path: str) -> tuple[Segment, ...]:
    """The segments of a registered path. Raises `TypeError` or `ValueError` that says how to write it.

    >>> parse("/users/{id:int}")
    (Segment(kind='literal', text='users'), Segment(kind='int', text='id'))
    """
    if not isinstance(path, str):
        raise TypeError(
            f'a path is a string such as "/users/{{id}}", not {path!r}; write @router.get("/path")'
        )
    if not path.startswith("/"):
        raise ValueError(f'a path starts with "/": "/{path}", not {path!r}')
    if "?" in path or "#" in path:
        raise ValueError(f"a path has no query and no fragment: {path!r}; a handler reads req.query")
    parts = path[1:].split("/")
    segments = [_segment(part, path) for part in parts]
    if any(segment.kind == "path" for segment in segments[:-1]):
        raise ValueError(f"a {{name:path}} parameter takes the rest, so it comes last: {path!r}")
    check_names(segments, path)
    return tuple(segments)


def check_names(segments: list[Segment] | tuple[Segment, ...], path: str) -> None:
    """Raise `ValueError` if two parameters of `path` have one name."""
    names = [segment.text for segment in segments if segment.kind != "literal"]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"parameter {name!r} is in {path!r} twice: give each a name of its own")


def _segment(part: str, path: str) -> Segment:
    if part[:1] in ("<", ":") or part in ("*", "**"):
        raise ValueError(
            f"a parameter is written {{name}}, or {{name:path}} for the rest: {part!r} in {path!r}"
        )
    if "{" not in part and "}" not in part:
        try:
            return Segment("literal", canonical_literal(part))
        except Fail:
            raise ValueError(f"in a path a % has two hexadecimal digits, or is %25: {path!r}") from None
    name, colon, kind = part[1:-1].partition(":")
    if part[0] != "{" or part[-1] != "}" or not name.isidentifier():
        raise ValueError(
            f"a parameter is a whole segment, {{name}} or {{name:type}}: {part!r} in {path!r} is not"
        )
    if colon and kind not in TYPES:
        raise ValueError(f"unknown type {kind!r} in {path!r}: use {', '.join(TYPES)}")
    return Segment(kind or "str", name)


def canonical_literal(text: str) -> str:
    """A literal in the spelling in which it arrives: `café` and `caf%c3%a9` are both `caf%C3%A9`."""
    escaped = "".join(
        char if char in _PATH_SAFE else "".join(f"%{octet:02X}" for octet in char.encode()) for char in text
    )
    return uri.canonical(escaped)


def spell(segments: tuple[Segment, ...]) -> str:
    """The path that `segments` came from, for people: `/users/{id:int}`."""
    words = []
    for kind, text in segments:
        words.append(text if kind == "literal" else f"{{{text}}}" if kind == "str" else f"{{{text}:{kind}}}")
    return "/" + "/".join(words)
