"""JSON of bodies: strict where Python is lax, so that what is read can be written again. The door to json.

A server that sends plain text never imports json: `_json` does at the first use.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from kissapi.core import Fail
from kissapi.http.json_native import LARGE, native_encoder
from kissapi.http.json_values import explain, plain


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
        return lambda value, _: (_dumps(value),)
    # `JSONEncoder.encode` makes this, and a closure for floats, for each value: a dict of two members takes
    # 1.6 µs there and 0.9 µs here (3.11.2: 1.2 and 0.6). 50 objects or 1 MB take the same.
    ascii_string = json.encoder.encode_basestring_ascii
    # The containers it is inside of, to find circles. They take 10 of the 59 µs of 50 objects; without them a
    # circle is written until the stack ends: 200 MB for one of 20 KB, and a crash where a thread has 1 MB
    # (CPython 3.13).
    within: dict[int, Any] = {}
    encoder: Callable[[Any, int], Iterable[str]] = make(
        within, plain, ascii_string, None, ":", ",", False, False, False
    )
    return encoder


class _OfThread(threading.local):
    native: Callable[[Any], bytes | None] | None = None  # once an answer was large, if there is one
    encode: Callable[[Any, int], Iterable[str]]


_of_thread = _OfThread()


def to_json(value: Any) -> bytes:
    """`value` as JSON, with no blanks and only ASCII; `plain` has what JSON has no type for.

    Raises `TypeError`, with its path, for what cannot be encoded (`result["items"][3].when: complex`);
    `ValueError` for circles, and for NaN and Infinity: Python writes them, JSON has none.
    """
    if _of_thread.native is not None:
        data = _of_thread.native(value)
        if data is not None:
            return data
    try:
        encode = _of_thread.encode
    except AttributeError:
        encode = _of_thread.encode = _make_encoder()
    try:
        data = "".join(encode(value, 0)).encode("ascii")
    except BaseException as error:
        _of_thread.encode = _make_encoder()  # the other one's guard against circles is dirty
        if isinstance(error, (TypeError, ValueError)):
            raise explain(value, _dumps, error) from None
        raise
    if len(data) > LARGE and _of_thread.native is None:
        _of_thread.native = native_encoder(_dumps)
    return data


def _dumps(value: Any) -> str:
    text: str = _json().dumps(value, allow_nan=False, default=plain, separators=(",", ":"))
    return text


# RFC 8259 §9 lets a parser limit the depth. Python's own limit is 980 levels to 10,000, by version and by how
# deep the caller is; what is read just within it is too deep for the encoder, and to echo it is a 500.
# The stand-in for json takes two frames a level, of the 1,000 that there are.
MAX_DEPTH = 256
_CONTAINERS = frozenset((dict, list))


@cache
def _decoder() -> Callable[[str], Any]:
    """What reads JSON and no more: json itself also takes NaN and Infinity, and reads 1e999 as infinity."""
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
