"""Percent-encoding, queries and JSON: text that travels inside HTTP. The one door to json.

`urllib.parse` is not used: importing it costs more than the rest of kissapi, and it never says no.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from kissapi.fail import Fail

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HEX = frozenset("0123456789abcdefABCDEF")
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_OCTETS = {(high + low).encode(): int(high + low, 16) for high in _HEX for low in _HEX}


def canonical(path: str) -> str:
    """The one spelling of a path: unreserved characters decoded, escapes in upper case (RFC 3986 §6.2.2).

    Raises `Fail(400)` for a `%` that is not followed by two hexadecimal digits.

        >>> canonical("/%7euser/a%2fb")
        '/~user/a%2Fb'
    """
    if "%" not in path:
        return path
    head, *escapes = path.split("%")
    parts = [head]
    for escape in escapes:
        code = escape[:2]
        if len(code) < 2 or not _HEX.issuperset(code):
            raise Fail(400, "Bad Request: the path has a % without two hexadecimal digits")
        octet = int(code, 16)
        parts.append(chr(octet) if octet in _UNRESERVED else "%" + code.upper())
        parts.append(escape[2:])
    return "".join(parts)


def unescape(text: str) -> bytes:
    """The octets behind percent-encoded text; a `%` that escapes nothing stays as it is."""
    data = text.encode()
    out = bytearray()
    start = 0
    # Neither split nor sub: a form of nothing but escapes would take many times its size in little pieces.
    while (at := data.find(b"%", start)) >= 0:
        out += data[start:at]
        octet = _OCTETS.get(data[at + 1 : at + 3])
        if octet is None:
            escape = _ESCAPE.search(data, at + 1)  # a form of nothing but % would take a turn for each
            start = len(data) if escape is None else escape.start()
            out += data[at:start]
        else:
            out.append(octet)
            start = at + 3
    return bytes(out + data[start:])


def decode_segment(segment: str) -> str:
    """A captured part of the path as text; `+` is a plus. Raises `Fail(400)` for bad UTF-8 and for NUL."""
    if "%" not in segment:
        return segment
    try:
        text = unescape(segment).decode()
    except UnicodeError:
        raise Fail(400, "Bad Request: the path is not UTF-8") from None
    if "\0" in text:
        raise Fail(400, "Bad Request: the path contains NUL")
    return text


def decode_query(query: str, limit: int) -> dict[str, list[str]]:
    """All values of each name of a query string or urlencoded form, in order; blank values are kept.

    Raises `Fail(400)` if there are more than `limit` parameters or one is not UTF-8.

        >>> decode_query("q=a+b&q=c&flag", 1000)
        {'q': ['a b', 'c'], 'flag': ['']}
    """
    if query.count("&") >= limit:
        raise Fail(400, f"Bad Request: more than {limit} parameters")
    values: dict[str, list[str]] = {}
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.replace("+", " ").partition("=")
            if "%" in pair:
                try:
                    name, value = unescape(name).decode(), unescape(value).decode()
                except UnicodeError:
                    raise Fail(400, "Bad Request: the query is not UTF-8") from None
            values.setdefault(name, []).append(value)
    return values


@cache
def _json() -> Any:
    """The module; imported at the first use: a server of plain text never pays for it."""
    try:
        import json
    except ImportError:
        from kissapi.compat import json  # type: ignore[no-redef]
    return json


def _make_encoder() -> Callable[[Any, int], Iterable[str]]:
    """What gives the JSON of a value in pieces."""
    json = _json()
    make = getattr(getattr(json, "encoder", None), "c_make_encoder", None)
    if make is None:
        return lambda value, _: (json.dumps(value, allow_nan=False),)
    # What `json.dumps` makes anew for each value, with a closure for floats besides.
    ascii_string, default = json.encoder.encode_basestring_ascii, json.JSONEncoder().default
    within: dict[int, Any] = {}  # the containers it is inside of, to find circles
    encoder: Callable[[Any, int], Iterable[str]] = make(
        within, default, ascii_string, None, ": ", ", ", False, False, False
    )
    return encoder


_of_thread = threading.local()


def to_json(value: Any) -> bytes:
    """`value` as JSON, with json's default separators and only ASCII.

    Raises what `json.dumps` raises, and `ValueError` for NaN and Infinity: Python writes them, JSON has none.
    """
    try:
        encode = _of_thread.encode
    except AttributeError:
        encode = _of_thread.encode = _make_encoder()
    try:
        return "".join(encode(value, 0)).encode("ascii")
    except BaseException:
        _of_thread.encode = _make_encoder()  # the other one believes that it is still inside of something
        raise


def from_json(data: bytes) -> Any:
    """The value of a JSON text in UTF-8 (RFC 8259 §8.1). Raises `Fail(400)` if it is none, or too deep."""
    try:
        text = data.decode().removeprefix("\ufeff")
        value = _json().loads(text)
        if "NaN" in text or "Infinity" in text:
            to_json(value)  # raises if they stand for numbers: Python reads those, JSON has none
        return value
    except (ValueError, RecursionError):
        raise Fail(400, "Bad Request: the body is not JSON") from None
