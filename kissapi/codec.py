"""Percent-encoding, queries and JSON: text that travels inside HTTP. The one door to json.

`urllib.parse` is not used: importing it costs more than the rest of kissapi, and it never says no.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from kissapi.core import Fail

# An octet that is no UTF-8, as Python has it (PEP 383), and the character of ISO-8859-1 that it stands for.
_OCTETS_OF_OLD = {0xDC00 + octet: octet for octet in range(0x80, 0x100)}

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HEX = frozenset("0123456789abcdefABCDEF")
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_NOT_IN_REFERENCE = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^]!#$%&'()*+,./0-9:;=?@A-Z[_a-z~-]")
_OCTETS = {(high + low).encode(): int(high + low, 16) for high in _HEX for low in _HEX}


def decode_fields(octets: bytes) -> str:
    """The octets of a head as text: UTF-8, and what is none by the octet as ISO-8859-1 (RFC 9110 §5.5).

    Here it is decided that whatever a client sends is text that can go on, to the client, to a file, to a
    database: not by `surrogateescape`, whose characters no encoder takes, so that each such place were a 500.
    Paths, queries and bodies that are no UTF-8 are refused; fields are not, for old clients mean them well.

        >>> decode_fields(b"caf\\xe9 caf\\xc3\\xa9")
        'café café'
    """
    text = octets.decode("utf-8", "surrogateescape")
    return text if text.isascii() else text.translate(_OCTETS_OF_OLD)


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


def encode_reference(text: str) -> str:
    """`text` as a URI-reference (RFC 3986 §4.1): percent-encoded, in UTF-8, what may not stand in one.

    Reserved characters and escapes stay as they are, so it can be called again. A line end becomes %0D%0A,
    and a backslash, which browsers take for a slash, %5C. A host is encoded likewise (RFC 3986 §3.2.2):
    clients make IDNA of that.

        >>> encode_reference("/v/ann lee?q=é&r=50%#top")
        '/v/ann%20lee?q=%C3%A9&r=50%25#top'
    """
    octets = text.encode("utf-8", "surrogateescape")
    return _NOT_IN_REFERENCE.sub(lambda match: b"%%%02X" % ord(match[0]), octets).decode("ascii")


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


# RFC 8259 §9 lets a parser limit the depth. Python's own limit is 980 levels to 10,000, by version and by how
# deep the caller is; what is read just within it is too deep for the encoder, and to echo it is a 500.
# The stand-in for json takes two frames a level, of the 1,000 that there are.
MAX_DEPTH = 256
_CONTAINERS = frozenset((dict, list))


@cache
def _decoder() -> Callable[[str], Any]:
    """What reads JSON and no more: the module also takes NaN and Infinity, and gives infinity for 1e999."""
    decode: Callable[[str], Any] = _json().JSONDecoder(parse_float=_finite, parse_constant=_refuse).decode
    return decode


def _finite(text: str) -> float:
    number = float(text)
    if number - number:  # infinity less itself is NaN
        raise Fail(400, f"Bad Request: the body is not JSON: the number {text[:20]} is too large")
    return number


def _refuse(name: str) -> Any:
    raise Fail(400, f"Bad Request: the body is not JSON: {name} is no number there")


def from_json(data: bytes) -> Any:
    """The value of a JSON text in UTF-8 (RFC 8259 §8.1), such that `to_json` can write it again.

    Raises `Fail(400)`, which says what is wrong: empty, not UTF-8, not JSON at a position (in characters,
    from 0), more than `MAX_DEPTH` levels, a number that is too large, half of a surrogate pair.
    """
    try:
        text = data.decode().removeprefix("\ufeff")
        value = _decoder()(text)
        if "\\ud" in text or "\\uD" in text:  # one half alone cannot be sent on as text (RFC 7493 §2.1)
            _json().dumps(value, ensure_ascii=False).encode()
        if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(value):
            raise RecursionError
        return value
    except RecursionError:
        why = f": it is nested too deep, {MAX_DEPTH} levels are the most"
    except UnicodeDecodeError:
        why = ": it is not UTF-8"
    except UnicodeEncodeError:
        why = ": it has half of a surrogate pair"
    except ValueError as error:
        if not text or text.isspace():
            why = ": it is empty"
        elif hasattr(error, "pos"):
            why = f" at position {error.pos}"
        else:  # more digits than sys.set_int_max_str_digits allows
            why = ": it has a number that is too large"
    raise Fail(400, f"Bad Request: the body is not JSON{why}")


def _is_deep(value: Any) -> bool:
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
        if not level:
            return False
    return True
