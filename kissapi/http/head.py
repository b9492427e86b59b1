"""Head: the bytes of a response before its body.

What is the same from answer to answer is made once and kept: the status line with the content type, the name
of a field as it is sent. The encoder, which knows the connection, gives the end of a head (`tail`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kissapi.core.fail import REASONS

if TYPE_CHECKING:
    from kissapi.http.response import Response

# The server's own fields (framing and Date): what a handler says of them is not sent, so each goes out once.
_OWN = frozenset(("connection", "content-length", "content-type", "date", "transfer-encoding"))

STATUS_LINES = {
    status: f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\n".encode() for status in range(100, 600)
}

# The usual heads, up to the number that is the length of the body.
TEXT_HEAD, UTF8_HEAD, JSON_HEAD = (
    STATUS_LINES[200] + f"Content-Type: {kind}\r\nContent-Length: ".encode()
    for kind in ("text/plain", "text/plain; charset=utf-8", "application/json")
)

WHOLE = 64 * 1024  # bytes; to copy a longer body behind its head costs more than a second write

NUMBERS = [b"%d" % number for number in range(1024)]  # formatting one costs as much as all the rest
BODYLESS = frozenset((204, 205, 304))  # statuses


def encode_head(
    response: Response, tail: bytes, length: int | None, chunked: bool = False, body: bytes = b""
) -> bytes:
    """The head of `response`, with `length` as Content-Length unless it is None, and `body` behind it."""
    if chunked:
        framing = b"Transfer-Encoding: chunked"
    elif length is not None:
        framing = b"Content-Length: %d" % length
    else:
        framing, tail = b"", tail[2:]  # no line goes before its line end
    headers = response._headers
    if headers is None:
        return b"".join((_beginning(response._status, response.content_type), framing, tail, body))
    kind = response._usual_type
    text = ""
    for name, values in headers.by_name():
        start = _line_start(name)
        if start is not None:
            for value in values:
                text = f"{text}{start}{value}\r\n"
        elif name == "content-type":
            kind = ", ".join(values)
    fields = text.encode("utf-8", "surrogateescape")
    return b"".join((_beginning(response._status, kind), fields, framing, tail, body))


@lru_cache(1024)
def _line_start(name: str) -> str | None:
    return None if name in _OWN else f"{name.title()}: "


@lru_cache(256)
def _beginning(status: int, kind: str | None) -> bytes:
    """The status line, and the line of the content type."""
    if kind is None or status == 204:
        return STATUS_LINES[status]
    return STATUS_LINES[status] + f"Content-Type: {kind}\r\n".encode("utf-8", "surrogateescape")


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
