"""URI: the percent-encoding of paths, queries and references (RFC 3986).

`urllib.parse` is not used: importing it costs more than the rest of kissapi, and it refuses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from kissapi.core import Fail

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HEX = frozenset("0123456789abcdefABCDEF")
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_NOT_IN_REFERENCE = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^]!#$%&'()*+,./0-9:;=?@A-Z[_a-z~-]")
# A reference that is one already, without escapes: nearly all are.
is_plain = re.compile(r"[]!#$&'()*+,./0-9:;=?@A-Z[_a-z~-]*+").fullmatch
_NOT_IN_SEGMENT = re.compile(rb"[^!$&'()*+,.0-9:;=@A-Z_a-z~-]")
_NOT_IN_QUERY = re.compile(rb"[^.0-9A-Z_a-z~-]")


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
    data, octets = text.encode(), _octets()
    out = bytearray()
    start = 0
    # Neither split nor sub: a form of nothing but escapes would take many times its size in little pieces.
    while (at := data.find(b"%", start)) >= 0:
        out += data[start:at]
        octet = octets.get(data[at + 1 : at + 3])
        if octet is None:
            escape = _ESCAPE.search(data, at + 1)  # a form of nothing but % would take a turn for each
            start = len(data) if escape is None else escape.start()
            out += data[at:start]
        else:
            out.append(octet)
            start = at + 3
    return bytes(out + data[start:])


@cache
def _octets() -> dict[bytes, int]:
    """The octet of each two digits; made for the first escape that comes."""
    return {(high + low).encode(): int(high + low, 16) for high in _HEX for low in _HEX}


def encode_reference(text: str) -> str:
    """`text` as a URI-reference (RFC 3986 §4.1): percent-encoded, in UTF-8, what may not stand in one.

    Reserved characters and escapes stay as they are, so it can be called again. A line end becomes %0D%0A,
    and a backslash, which browsers take for a slash, %5C. A host is encoded likewise (RFC 3986 §3.2.2):
    clients make IDNA of that.

        >>> encode_reference("/v/ann lee?q=é&r=50%#top")
        '/v/ann%20lee?q=%C3%A9&r=50%25#top'
    """
    octets = text.encode("utf-8", "surrogateescape")
    return _NOT_IN_REFERENCE.sub(_escape, octets).decode("ascii")


def encode_segment(text: str) -> str:
    """`text` as one segment of a path (RFC 3986 §3.3). Raises `ValueError` for half of a surrogate pair.

    >>> encode_segment("50% of a/b")
    '50%25%20of%20a%2Fb'
    """
    return _NOT_IN_SEGMENT.sub(_escape, text.encode()).decode("ascii")


def encode_query(values: Mapping[str, Any]) -> str:
    """`values` as a query: a list is several values, None is left out, True and False are true and false.

    >>> encode_query({"q": "é&", "tag": ["a", "b"], "page": None, "all": True})
    'q=%C3%A9%26&tag=a&tag=b&all=true'
    """
    pairs = []
    for name, value in values.items():
        for each in value if isinstance(value, (list, tuple, set, frozenset)) else (value,):
            if each is not None:
                text = str(each).lower() if isinstance(each, bool) else str(each)
                pairs.append(
                    "=".join(_NOT_IN_QUERY.sub(_escape, part.encode()).decode() for part in (name, text))
                )
    return "&".join(pairs)


def _escape(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % ord(match[0])


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


def decode_query(query: str, limit: int, what: str = "query") -> dict[str, list[str]]:
    """All values of each name of a query string or urlencoded form, in order; see `pairs`.

    >>> decode_query("q=a+b&q=c&flag", 1000)
    {'q': ['a b', 'c'], 'flag': ['']}
    """
    values: dict[str, list[str]] = {}
    for name, value in pairs(query, limit, what):
        if name in values:
            values[name].append(value)
        else:
            values[name] = [value]
    return values


def pairs(query: str, limit: int, what: str = "query") -> Iterator[tuple[str, str]]:
    """The names and values of a query string or urlencoded form, in order; blank values are kept.

    Raises `Fail(400)` if there are more than `limit` parameters or one is not UTF-8.
    """
    if query.count("&") >= limit:
        raise Fail(400, f"Bad Request: more than {limit} parameters")
    escaped = "%" in query
    for pair in query.replace("+", " ").split("&"):
        if pair:
            name, _, value = pair.partition("=")
            if escaped and "%" in pair:
                try:
                    name, value = unescape(name).decode(), unescape(value).decode()
                except UnicodeError:
                    raise Fail(400, f"Bad Request: the {what} is not UTF-8") from None
            yield name, value
