"""The frames of examples/binary.py, through its own client, and byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from examples.binary import LONGEST, MOST, FrameParser, ask, queue, router
from kissapi import Request, Router, Server
from kissapi.core import IDLE
from tests.peer import connect
from tests.wire import Wire, split

PUT, TAKE = 1, 2
ANYTHING = bytes(range(256))


def frame(code: int, payload: bytes = b"") -> bytes:
    return (len(payload) + 1).to_bytes(4, "big") + bytes([code]) + payload


@pytest.fixture(autouse=True)
def _empty_queue() -> None:
    queue.clear()


def wire_to(router: Router = router, **limits: Any) -> Wire:
    return Wire(router, FrameParser, **limits)


CALLS = [
    (frame(PUT, ANYTHING), frame(0)),
    (frame(PUT), frame(0)),
    (frame(PUT, b"x" * (LONGEST - 1)), frame(0)),
    (frame(TAKE), frame(0, ANYTHING)),
    (frame(TAKE, b"whatever"), frame(0)),
    (frame(9), frame(4, b"Not Found")),
    (frame(TAKE), frame(0, b"x" * (LONGEST - 1))),
    (frame(TAKE), frame(4, b"the queue is empty")),
]


@pytest.mark.parametrize("way", range(4))
def test_a_session(way: int) -> None:
    wire = wire_to().send(*split(b"".join(sent for sent, _ in CALLS))[way])
    assert wire.received == b"".join(answer for _, answer in CALLS)
    assert wire.connection.state is IDLE
    assert wire.send_eof().closed


@pytest.mark.parametrize("size", [0, LONGEST + 1, 2**32 - 1])
@pytest.mark.parametrize("way", range(4))
def test_a_frame_of_another_size_is_refused_by_its_length(size: int, way: int) -> None:
    wire = wire_to().send(*split(frame(PUT, b"a") + size.to_bytes(4, "big"))[way])
    assert wire.send(frame(TAKE)).send_eof().closed
    why = b"a frame has 1 to %d bytes after its length, not %d" % (LONGEST, size)
    assert wire.received == frame(0) + frame(4, why)
    assert list(queue) == [b"a"]


@pytest.mark.parametrize("size", range(1, 8))
def test_half_a_frame_is_told_at_the_end(size: int) -> None:
    wire = wire_to().send(frame(PUT, b"abc")[:size]).send_eof()
    assert wire.received == frame(4, b"Bad Request: the request ends before it is complete")
    assert wire.closed
    assert not queue


def test_half_a_frame_is_not_awaited_for_ever() -> None:
    assert wire_to(body_timeout=5).send(frame(PUT, b"abc")[:6]).wait(10).received == frame(
        4, b"Request Timeout"
    )


def test_a_full_queue_takes_no_more() -> None:
    queue.extend([b""] * (MOST - 1))
    wire = wire_to().send(frame(PUT, b"a"), frame(PUT, b"b"))
    assert wire.received == frame(0) + frame(5, b"the queue is full")
    assert len(queue) == MOST


def test_a_mistake_of_the_handler_is_code_5_and_the_connection_goes_on() -> None:
    root = Router()

    @root.route("/put", ["CALL"])
    async def put(request: Request) -> bytes:
        return request.body[7:8] or bytes(1 // len(request.body))

    wire = wire_to(root).send(frame(PUT), frame(PUT, b"abcdefgh"))
    assert wire.received == frame(5, b"Internal Server Error") + frame(0, b"h")
    assert "ZeroDivisionError" in wire.lines[0]
    assert "CALL /put → 200 6B" in wire.lines[-1]


def test_the_client(serve: Callable[..., Server]) -> None:
    server = serve(router, parser_class=FrameParser)
    with connect(server.port) as client, client.makefile("rwb") as stream:
        assert ask(stream, PUT, ANYTHING) == b""
        assert ask(stream, PUT, b"second") == b""
        assert ask(stream, TAKE) == ANYTHING
        with pytest.raises(ValueError, match=r"^Not Found$"):
            ask(stream, 77)
        assert ask(stream, TAKE) == b"second"
        with pytest.raises(ValueError, match=r"^the queue is empty$"):
            ask(stream, TAKE)
        with pytest.raises(ValueError, match=r"^a frame has 1 to"):
            ask(stream, PUT, b"x" * LONGEST)
        assert stream.read() == b""  # that was the end
