"""Percent-encoding, queries and JSON: text that travels inside HTTP. The one door to json.

`urllib.parse` is not used: importing it costs more than the rest of kissapi, and it never says no.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from kissapi.fail import Fail

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HEX = frozenset("0123456789abcdefABCDEF")


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
    head, *escapes = text.split("%")
    parts = [head.encode()]
    for escape in escapes:
        code = escape[:2]
        if len(code) == 2 and _HEX.issuperset(code):
            parts.append(bytes((int(code, 16),)))
            parts.append(escape[2:].encode())
        else:
            parts.append(b"%" + escape.encode())
    return b"".join(parts)


def decode_segment(segment: str) -> str:
    """A captured part of the path as text; `+` is a plus. Raises `Fail(400)` if it is not UTF-8 or has a NUL."""
    if "%" not in segment:
        return segment
    try:
        text = unescape(segment).decode()
    except UnicodeDecodeError:
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
                except UnicodeDecodeError:
                    raise Fail(400, "Bad Request: the query is not UTF-8") from None
            values.setdefault(name, []).append(value)
    return values


@cache
def _json() -> Any:
    # Imported at the first use: a server of plain text never pays for it.
    try:
        import json
    except ImportError:
        from kissapi.compat import json  # type: ignore[no-redef]
    return json


def to_json(value: Any) -> bytes:
    """`value` as JSON, with json's default separators and only ASCII. Raises what `json.dumps` raises."""
    return _json().dumps(value).encode("ascii")  # type: ignore[no-any-return]


def from_json(data: bytes) -> Any:
    """The value a JSON text stands for. Raises `Fail(400)` if it is none, or nested too deep to read."""
    try:
        return _json().loads(data)
    except (ValueError, RecursionError):
        raise Fail(400, "Bad Request: the body is not JSON") from None
