"""Messages: requests that several tests of connections send."""

from __future__ import annotations

from tests.wire import parse_answers

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = b"GET /sleep/1.5 HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
CHUNKED = (
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nT: 1\r\n\r\n"
)


def get(path: str, *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: a", *fields, "", ""]).encode()


def statuses(data: bytes, *methods: str) -> list[int]:
    return [status for status, _, _ in parse_answers(data, methods)]
