"""Case: bytes that a client sends, what has to come of them, where that is written, and why.

A case is data. What is sent is all there, but for what the short hands below add, which is always valid.
"""

from __future__ import annotations

from typing import NamedTuple

END = b"\r\n\r\n"
LAST = (400, 408, 413, 414, 417, 431, 501, 505)  # the answers after which nothing more is read


class Case(NamedTuple):
    """`answers` in order: a number is a status, a text is the body of a 200 (see `tests.conformance.app`).

    `closes`: the server ends the connection then. `cut`: the client ends it after these bytes; all answers
    but the last are due before it does. `fields` are those that the last answer must have.
    """

    rfc: str
    why: str
    data: bytes
    answers: tuple[int | str, ...]
    closes: bool
    cut: bool
    fields: dict[str, str | None]


def case(
    rfc: str,
    why: str,
    data: bytes,
    *answers: int | str,
    closes: bool | None = None,
    cut: bool = False,
    fields: dict[str, str | None] | None = None,
) -> Case:
    last = answers[-1] if answers else None
    if closes is None:
        closes = cut or last in LAST or last in [f"HEAD {status}" for status in LAST]
    return Case(rfc, why, data, answers, closes, cut, fields or {})


def line(text: bytes) -> bytes:
    """A request of this request line."""
    return text + b"\r\nHost: a" + END


def target(text: bytes) -> bytes:
    """A GET of this target."""
    return line(b"GET " + text + b" HTTP/1.1")


def version(text: bytes) -> bytes:
    """A GET of this version."""
    return line(b"GET / " + text)


def host(*values: bytes) -> bytes:
    """A GET whose Host fields these are."""
    return b"GET / HTTP/1.1\r\n" + b"".join(b"Host: " + value + b"\r\n" for value in values) + b"\r\n"


def fields(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> bytes:
    """A request with these field lines behind a Host."""
    return b"\r\n".join((start, b"Host: a", *lines, b"", b""))


def post(*lines: bytes, body: bytes = b"hello") -> bytes:
    """A POST with these field lines and this body, and nothing said of its length."""
    return fields(*lines, start=b"POST / HTTP/1.1") + body


def length(value: bytes) -> bytes:
    """A POST of five bytes with this Content-Length."""
    return post(b"Content-Length:" + value)


def coding(value: bytes) -> bytes:
    """A POST of one chunk with this Transfer-Encoding."""
    return post(b"Transfer-Encoding:" + value, body=b"5\r\nhello\r\n0" + END)


def chunks(body: bytes) -> bytes:
    """A POST of this chunked body."""
    return post(b"Transfer-Encoding: chunked", body=body)
