"""Response: its bytes on the wire, with the framing always the server's own."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest

from kissapi import Request, Response, Router, redirect
from tests.wire import Wire, parse_answers


def answer(result: Any, parser_class: Any, method: str = "GET") -> tuple[bytes, Wire]:
    """The bytes that answer `method`, without the Date line."""
    router = Router()

    async def handler(req: Request) -> Any:
        return result() if callable(result) else result

    router.add_route(method, "/", handler)
    wire = Wire(router, parser_class).send(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    parse_answers(wire.received, [method])
    head, end, rest = wire.received.partition(b"\r\nDate: ")
    return head + end[:2] + rest[31:], wire


EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
LONE = b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\n\r\n"

ON_THE_WIRE = [
    ("GET", "ok", b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"),
    ("HEAD", "ok", b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n"),
    ("GET", None, EMPTY),
    ("HEAD", None, EMPTY),
    ("GET", lambda: Response("x", 204), EMPTY),
    ("GET", lambda: Response("x", 304), LONE % b"304 Not Modified"),
    (
        "GET",
        lambda: Response("x", 205),
        b"HTTP/1.1 205 Reset Content\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n",
    ),
    ("GET", lambda: Response(None), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("GET", lambda: Response(None, 299), b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"),
    (
        "GET",
        lambda: redirect("/é"),
        b"HTTP/1.1 302 Found\r\nLocation: /%C3%A9\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "GET",
        lambda: Response("x", headers=[("Set-Cookie", "a=1"), ("x-y", "1"), ("Set-Cookie", "b=2")]),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Y: 1\r\n"
            b"Content-Length: 1\r\n\r\nx"
        ),
    ),
    (
        "GET",
        lambda: Response("x", headers={"Content-Length": "9", "Transfer-Encoding": "chunked", "Date": "now"}),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
    ),
]


@pytest.mark.parametrize(("method", "result", "data"), ON_THE_WIRE)
def test_the_bytes_of_an_answer(parser_class: Any, method: str, result: Any, data: bytes) -> None:
    assert answer(result, parser_class, method)[0] == data


def self_containing() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


UNSENDABLE = [
    object(),
    {1j},
    (1, 2),
    {"a": float("nan")},
    "\ud800",
    self_containing(),
    {(1, 2): 3},
    [b"bytes"],
]


@pytest.mark.parametrize("result", UNSENDABLE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_result_that_cannot_be_converted_is_a_500_and_a_traceback(
    parser_class: Any, result: Any, method: str
) -> None:
    data, wire = answer(result, parser_class, method)
    assert data.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert not wire.closed
    assert "Traceback" in "\n".join(wire.lines)


def test_a_stream_that_is_not_wanted_is_not_begun(parser_class: Any) -> None:
    def pieces() -> Iterator[str]:
        raise AssertionError
        yield

    data, _ = answer(pieces, parser_class, "HEAD")
    assert data.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n")
    assert data.endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n")


class Outcome(int, Enum):
    TEAPOT = 418


def test_a_status_goes_out_as_a_number_whatever_its_class_shows(parser_class: Any) -> None:
    for status in (Outcome.TEAPOT, 418):  # the one before is not what the next one gets
        data, wire = answer(lambda status=status: Response("", status), parser_class)
        assert data.startswith(b"HTTP/1.1 418 ")
        assert wire.lines[0].split(" → ")[1].startswith("418 ")
