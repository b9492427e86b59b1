"""Outbox: what a sender makes in one turn goes out in one write, and its turn has an end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from kissapi import Request, Router, sleep
from kissapi.extras.testing.loop import FakeLoop
from kissapi.http.outbox import ENOUGH, TURN, Outbox
from tests.http.messages import GET
from tests.wire import Wire, parse_answers


@pytest.mark.parametrize(
    ("count", "size", "writes"), [(0, 0, 1), (1, 5, 1), (60, 1024, 1), (1000, 1024, 17), (3, 100_000, 4)]
)
def test_what_is_made_in_a_turn_goes_out_together(
    parser_class: Any, count: int, size: int, writes: int
) -> None:
    router = Router()

    @router.get("/")
    async def stream(req: Request) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * size

    wire = Wire(router, parser_class).send(GET)
    assert [body for _, _, body in parse_answers(wire.received)] == [b"x" * size * count]
    assert wire.transport.writes <= writes


def test_what_is_made_before_a_wait_does_not_wait(parser_class: Any) -> None:
    router = Router()

    @router.get("/")
    async def stream(req: Request) -> AsyncIterator[bytes]:
        for word in (b"one", b"two", b"three", b"four"):
            yield word
            if word == b"two":
                await sleep(60)

    wire = Wire(router, parser_class).send(GET)
    assert wire.received.endswith(b"6\r\nonetwo\r\n")
    wire.wait(60)
    assert wire.received.endswith(b"two\r\n9\r\nthreefour\r\n0\r\n\r\n")
    assert wire.transport.writes == 2


def test_pipelined_answers_keep_their_order(parser_class: Any) -> None:
    router = Router()

    @router.get("/")
    async def stream(req: Request) -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    wire = Wire(router, parser_class).send(GET * 3)
    assert [body for _, _, body in parse_answers(wire.received)] == [b"ab"] * 3
    assert wire.transport.writes == 3


def test_what_fails_after_its_first_piece_is_cut_though_nothing_is_written_yet(parser_class: Any) -> None:
    router = Router()

    @router.get("/")
    async def stream(req: Request) -> AsyncIterator[bytes]:
        yield b"first"
        raise ZeroDivisionError

    wire = Wire(router, parser_class).send(GET)
    assert wire.received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert wire.received.endswith(b"5\r\nfirst\r\n")
    assert wire.transport.aborted


class Client:
    """What an `Outbox` knows of a connection."""

    def __init__(self) -> None:
        self.now = 0.0
        self.loop = FakeLoop()
        self.service = SimpleNamespace(loop=self.loop, clock=lambda: self.now)
        self.writable = True
        self.gone = False
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


def test_a_sender_that_does_not_wait_has_a_turn_and_no_more() -> None:
    client: Any = Client()
    outbox = Outbox(client)
    assert not outbox.put(b"a")
    assert outbox.put(b"b" * ENOUGH)
    outbox.flush()
    assert not outbox.put(b"c")
    client.now += TURN
    assert outbox.put(b"d")
    assert outbox.full()
    client.writable = False
    outbox.flush()
    assert outbox.put(b"e")
    assert client.written == [b"a" + b"b" * ENOUGH, b"cd"]


def test_nothing_is_written_to_a_client_that_has_left() -> None:
    client: Any = Client()
    outbox = Outbox(client)
    outbox.put(b"a")
    client.gone = True
    outbox.flush()
    outbox.flush()
    assert client.written == []
