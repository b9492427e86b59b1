"""Framing: where a message ends, and whether the connection stays open behind it (RFC 9112 §6, §7, §9.3).

Whatever can be read in two ways is refused, for that is request smuggling: behind a proxy that reads it the
other way, the rest of a body would be the next request. So, though the grammar lets them pass, are a zero
before a Content-Length and empty members beside the word `chunked`.
"""

from __future__ import annotations

import re

from kissapi.core import Fail
from kissapi.http.body import too_large
from kissapi.http.grammar import is_token

Fields = dict[bytes, bytes | list[bytes]]

_find_fields = re.compile(
    rb"\r\n(?i:(host|connection|content-length|transfer-encoding|expect)):([^\r\n]*)"
).findall


def framing_fields(head: bytes) -> Fields:
    """The fields of a head that frame its message, and Host: by name, in a list if one comes again."""
    grouped: Fields = {}
    for name, value in _find_fields(head):
        name = name.lower()
        first = grouped.get(name)
        if first is None:
            grouped[name] = value
        elif isinstance(first, list):
            first.append(value)
        else:
            grouped[name] = [first, value]
    return grouped


class Framing:
    """What the framing fields of one head say. Raises `Fail`: 400, 413, 417 or 501.

    `size` is the length of the body in bytes, None if it is chunked. `keep_alive` is whether another request
    may follow, `expects_continue` whether the client waits for `100 Continue` before it sends the body.
    """

    __slots__ = ("expects_continue", "keep_alive", "size")

    def __init__(self, fields: Fields, version: str, max_body: int) -> None:
        options = _members(fields[b"connection"]) if b"connection" in fields else []
        self.keep_alive = b"close" not in options and (version == "1.1" or b"keep-alive" in options)
        coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
        self.size: int | None = 0
        if coding is not None:
            if version == "1.0" or length is not None:
                raise Fail(
                    400, "Bad Request: Transfer-Encoding with HTTP/1.0 or Content-Length (RFC 9112, 6.1)"
                )
            if not isinstance(coding, bytes) or coding.strip(b" \t").lower() != b"chunked":
                raise _coding_failure(coding)
            self.size = None
        elif length is not None:
            self.size = _content_length(length, max_body)
        self.expects_continue = False
        if b"expect" in fields and version == "1.1":
            expectations = _members(fields[b"expect"])
            if any(expectation != b"100-continue" for expectation in expectations):
                raise Fail(417, "Expectation Failed: the only expectation met here is 100-continue")
            self.expects_continue = bool(expectations) and self.size != 0


def _content_length(length: bytes | list[bytes], limit: int) -> int:
    digits = length.strip(b" \t") if isinstance(length, bytes) else b""
    # A zero before other digits is good grammar, but some servers read it as octal, and no client needs it.
    if not digits.isdigit() or (digits[0] == 0x30 and len(digits) > 1):
        raise Fail(400, "Bad Request: Content-Length is one decimal number (RFC 9110, section 8.6)")
    if len(digits) > 18 or int(digits) > limit:
        raise too_large(limit)
    return int(digits)


def _coding_failure(values: bytes | list[bytes]) -> Fail:
    """501 for codings that end in chunked: the body has an end, but cannot be decoded (RFC 9112 §6.1)."""
    joined = b",".join(values) if isinstance(values, list) else values
    *others, last = [part.strip(b" \t").lower() for part in joined.split(b",")]
    names = [coding.partition(b";")[0].rstrip(b" \t") for coding in others]
    if last == b"chunked" and all(name != last and is_token(name.decode("latin-1")) for name in names):
        return Fail(501, "Not Implemented: the only transfer coding here is chunked")
    return Fail(400, "Bad Request: Transfer-Encoding is a list of codings, the last of them chunked, once")


def _members(values: bytes | list[bytes]) -> list[bytes]:
    """The members of a comma-separated list, in lower case (RFC 9110 §5.6.1)."""
    joined = b",".join(values) if isinstance(values, list) else values
    return [member for part in joined.lower().split(b",") if (member := part.strip(b" \t"))]
