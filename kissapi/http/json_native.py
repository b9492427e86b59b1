"""Native JSON: large answers by msgspec, where that is installed, with the same text as by json.

msgspec is fast, and lax where json is strict: NaN becomes null, bytes become Base64, a datetime gets a Z. So
it may write only what both write alike: values of JSON's own types, `DEEP` levels of them, finite numbers.
To make sure of that takes as long as to write them: 50 objects are 17 µs in all, with json 59. A value with
anything else in it is left to json, which writes it or says what is wrong. The one difference left is how a
number with an exponent is spelled: 1e16, where json has 1e+16. `json_codec` asks for this after the first
answer of `LARGE` bytes: to import msgspec takes as long as hundreds of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

LARGE = 2048  # bytes
DEEP = 8
FEW = 8  # so many items with nothing inside json writes as fast as it takes to look at them twice
_NESTED = frozenset((dict, list, tuple))
_MOST = 1.7976931348623157e308  # the largest float: neither NaN nor infinity is between it and its negative
_NOT_ASCII = re.compile(r"[^\x00-\x7e]+")


@cache
def native_encoder(escape: Callable[[str], str]) -> Callable[[Any], bytes | None] | None:
    """A function from a value to its JSON, None if that is for json to write; without msgspec, None.

    `escape` makes a JSON string in ASCII of a text.
    """
    try:
        from msgspec import Meta, convert, defstruct, json
    except ImportError:
        return None
    alike: Any = None | bool | int | Annotated[float, Meta(ge=-_MOST, le=_MOST)] | str
    scalars = alike
    for _ in range(DEEP):
        alike = scalars | list[alike] | dict[str | int, alike]
    # msgspec keeps what it works out about a type in a Struct.
    holder = defstruct("Alike", [("value", alike)])

    def escape_part(found: re.Match[str]) -> str:
        return escape(found[0])[1:-1]

    def to_json(value: Any) -> bytes | None:
        if type(value) in _NESTED and len(value) <= FEW and _is_flat(value):
            return None
        try:
            convert({"value": value}, holder)  # a copy of it, or an error
            data: bytes = json.encode(value)
        except Exception:
            return None
        if data.isascii() and b"\x7f" not in data:
            return data
        return _NOT_ASCII.sub(escape_part, data.decode()).encode("ascii")

    return to_json


def _is_flat(value: Any) -> bool:
    return _NESTED.isdisjoint(map(type, value.values() if type(value) is dict else value))
