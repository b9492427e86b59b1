"""Converters: the types of parameters: how the text of one becomes a value, and a value becomes text.

    Router.converter("date", date.fromisoformat, date.isoformat)  # then "/days/{day:date}"

A converter is for the whole process, not for one router: the paths of mounted routers meet in one table,
where a type has to mean one thing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kissapi.http import uri
from kissapi.http.words import name_of


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
_BUILT_IN = tuple(TYPES)
_OWN: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {}


def add_converter(name: str, parse: Callable[[str], Any], format: Callable[[Any], str]) -> None:  # noqa: A002
    """Make `name` a type of parameters; see `Router.converter`."""
    if not isinstance(name, str) or not name.isidentifier() or name in _BUILT_IN or name == "literal":
        raise ValueError(
            f"a converter has a name of its own, such as slug, not {name!r}; there are {', '.join(_BUILT_IN)}"
        )
    if not callable(parse) or not callable(format):
        raise TypeError(f"a converter is two functions, parse and format, not {parse!r} and {format!r}")
    if name in _OWN and name_of(_OWN[name][0]) != name_of(parse):
        raise ValueError(f"the converter {name!r} is there already: {name_of(_OWN[name][0])}")
    _OWN[name] = parse, format

    def convert(text: str) -> Any:
        if not text:
            return None  # a parameter is never empty
        try:
            return parse(uri.decode_segment(text))
        except (ValueError, ArithmeticError):  # the latter is Decimal's
            return None

    TYPES[name] = convert


def to_text(kind: str, value: Any) -> str:
    """The text of a `value` of the type `kind`, not percent-encoded. Raises what a converter's format does.

    >>> to_text("float", 1e20)
    '100000000000000000000'
    """
    if kind in _OWN:
        return _OWN[kind][1](value)
    if kind == "float" and isinstance(value, float):
        return format(value, ".17g") if "e" not in repr(value) else f"{value:f}".rstrip("0").rstrip(".")
    return str(value)
