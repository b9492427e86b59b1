"""json: `loads` and `dumps` (RFC 8259, with NaN and Infinity as Python adds them), where json is missing.

The values, the text, and the place of an error are those of the standard library. Of the hooks that it has
for subclasses, `JSONDecoder` has parse_float and parse_constant. The others (cls, object_hook …) are left
out, so that asking for one is a TypeError. Nesting is recursion: what is nested deeper than Python allows is
a RecursionError, never a crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .decoder import JSONDecodeError, JSONDecoder
from .encoder import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JSONDecodeError", "JSONDecoder", "dumps", "loads"]


def loads(s: str | bytes | bytearray) -> Any:
    if isinstance(s, (bytes, bytearray)):
        text = s.decode(_encoding(s), "surrogatepass")
    elif not isinstance(s, str):
        raise TypeError(f"the JSON object must be str, bytes or bytearray, not {type(s).__name__}")
    elif s.startswith("\ufeff"):
        raise JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", s, 0)
    else:
        text = s
    return JSONDecoder().decode(text)


def _encoding(data: bytes | bytearray) -> str:
    """By the byte order mark, or else by where the zeros are: JSON begins with an ASCII character."""
    if data.startswith((b"\x00\x00\xfe\xff", b"\xff\xfe\x00\x00")):
        return "utf-32"
    if data.startswith((b"\xfe\xff", b"\xff\xfe")):
        return "utf-16"
    if data.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if len(data) >= 4:
        if not data[0]:
            return "utf-16-be" if data[1] else "utf-32-be"
        if not data[1]:
            return "utf-16-le" if data[2] or data[3] else "utf-32-le"
    elif len(data) == 2:
        if not data[0]:
            return "utf-16-be"
        if not data[1]:
            return "utf-16-le"
    return "utf-8"


def dumps(
    obj: Any,
    *,
    default: Callable[[Any], Any] | None = None,
    separators: tuple[str, str] | None = None,
    ensure_ascii: bool = True,
    indent: int | str | None = None,
    sort_keys: bool = False,
    allow_nan: bool = True,
) -> str:
    writer = Writer(default, ensure_ascii, sort_keys, allow_nan)
    if separators is not None:
        writer.comma, writer.colon = separators
    elif indent is not None:
        writer.comma = ","
    if indent is not None:
        writer.indent = indent if isinstance(indent, str) else " " * indent
    writer.write(obj, "\n")
    return "".join(writer.pieces)
