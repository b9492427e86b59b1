"""Head: the bytes of a response before its body.

Each line begins with the end of the one before it. What is the same from answer to answer is made once and
kept: the status line with the content type, the name of a field as it is sent. The encoder, which knows the
connection, gives the end of a head (`tail`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kissapi.core.fail import REASONS

if TYPE_CHECKING:
    from kissapi.http.response import Response

# The server's own fields (framing and Date): what a handler says of them is not sent, so each goes out once.
_OWN = frozenset(("connection", "content-length", "content-type", "date", "transfer-encoding"))


def status_line(status: int) -> bytes:
    """The first line of an answer, without its end."""
    return f"HTTP/1.1 {status} {REASONS.get(status, '')}".encode()


# The usual heads, up to the number that is the length of the body.
TEXT_HEAD, UTF8_HEAD, JSON_HEAD = (
    status_line(200) + f"\r\nContent-Type: {kind}\r\nContent-Length: ".encode()
    for kind in ("text/plain", "text/plain; charset=utf-8", "application/json")
)

WHOLE = 64 * 1024  # bytes; to copy a longer body behind its head costs more than a second write

NUMBERS = [b"%d" % number for number in range(1024)]  # formatting one costs as much as all the rest
BODYLESS = frozenset((204, 205, 304))  # statuses


def encode_head(
    response: Response, tail: bytes, length: int | None, chunked: bool = False, body: bytes = b""
) -> bytes:
    """The head of `response`, with `length` as Content-Length unless it is None, and `body` behind it."""
    kind, headers, fields = response._usual_type, response._headers, b""
    if headers is not None:
        text = ""
        for name, values in headers._values.items():
            start = _line_start(name)
            if start is not None:
                text += start + start.join(values)
            elif name == "content-type":
                kind = ", ".join(values)
        fields = text.encode("utf-8", "surrogateescape")
    elif response._given_type is not None:
        kind = response._given_type
    if chunked:
        framing, number = b"\r\nTransfer-Encoding: chunked", b""
    elif length is None:
        framing = number = b""
    else:
        framing, number = b"\r\nContent-Length: ", NUMBERS[length] if length < 1024 else b"%d" % length
    return b"".join((_beginning(response._status, kind), fields, framing, number, tail, body))


@lru_cache(1024)
def _line_start(name: str) -> str | None:
    return None if name in _OWN else f"\r\n{name.title()}: "


@lru_cache(256)
def _beginning(status: int, kind: str | None) -> bytes:
    """The status line, and the line of the content type."""
    if kind is None or status == 204:
        return status_line(status)
    return status_line(status) + f"\r\nContent-Type: {kind}".encode("utf-8", "surrogateescape")


def is_bodyless(request: Any, status: int) -> bool:
    """Whether no body is sent, whatever there is (RFC 9110 §6.4.1, §15.3.6)."""
    return request.method == "HEAD" or status in BODYLESS


def declared_length(response: Response) -> int | None:
    """What the Content-Length that a handler has set says of a body that streams; None without one."""
    text = response.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"Content-Length is a number of bytes, not {text!r}")
    return int(text)
