"""Fields: the head of an ASGI app's answer, as far as the app says it, checked and in bytes.

The server's own fields (framing, Date, Connection) are not sent as the app has them: each goes out once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kissapi.http.grammar import TOKEN
from kissapi.http.head import status_line

_CONTROL = frozenset((*range(0x20), 0x7F)) - {0x09}
# Each control character becomes a line end, to be counted. (To delete them has a table made for each call.)
_LINE_ENDS = bytes(0x0A if octet in _CONTROL else octet for octet in range(256))
_OWN = frozenset((b"connection", b"content-length", b"date", b"transfer-encoding"))
_MOST = 1000  # names of fields that are remembered: some apps make them of what clients send
# The start of a field, from the end of the line before to its value, by its name; b"" for the server's own.
_starts: dict[bytes, bytes] = {}
_BEGINNINGS = {status: status_line(status) for status in range(200, 600)}


def encode_fields(status: int, fields: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, int | None, bool]:
    """Status line and fields, up to the end of the last line; the length of the body, if they say it; whether
    the connection is to end.

    Raises `ValueError` for what may not travel in HTTP: no value can split an answer (RFC 9110 §5.5).
    """
    try:
        head, ends_of_lines = _BEGINNINGS[status], 0
    except KeyError:
        raise ValueError(f"the status of an answer is a number from 200 to 599, not {status!r}") from None
    length, ends = None, False
    for name, value in fields:
        try:
            start = _starts[name]
        except KeyError:
            start = _start_of(name)
        if start:
            head = b"".join((head, start, value))  # three `+` took four times as long
            ends_of_lines += 2
            continue
        name = name.lower()
        if name == b"content-length":
            if not value.isdigit() or (length is not None and length != int(value)):
                raise ValueError(f"Content-Length is one number of bytes, not {value!r}")
            length = int(value)
        elif name == b"connection":
            ends = ends or b"close" in (option.strip() for option in value.lower().split(b","))
    # Once over all: a look at each value took 0.4 µs longer for four fields.
    if head.translate(_LINE_ENDS).count(b"\n") != ends_of_lines:
        raise _wrong(head)
    return head, length, ends


def encode_hints(links: Iterable[bytes]) -> bytes:
    """A 103 with the Link fields (RFC 8297). Raises `ValueError` as `encode_fields` does."""
    lines = [b"\r\nLink: %b" % link for link in links]
    head = status_line(103) + b"".join(lines)
    if head.translate(_LINE_ENDS).count(b"\n") != 2 * len(lines):
        raise _wrong(head)
    return head + b"\r\n\r\n"


def _wrong(head: bytes) -> ValueError:
    return ValueError(f"a field may not contain control characters such as line ends: {head!r}")


def as_text(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """The fields as `Response` takes them."""
    return [(name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in fields]


def _start_of(name: Any) -> bytes:
    if not isinstance(name, bytes):
        raise TypeError(f"the names and values of fields are bytes, not {name!r}")
    if not name or name.translate(None, TOKEN):
        raise ValueError(f"{name!r} is no name of a field (RFC 9110 §5.1)")
    start = b"" if name.lower() in _OWN else b"\r\n%b: " % name.title()
    if len(_starts) < _MOST:
        _starts[name] = start
    return start
