"""WebSocket: flow both ways, turns of the loop, and what may be sent."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kissapi import Router, sleep
from kissapi.extras.websocket import Closed, WebSocket, broadcast
from kissapi.extras.websocket.inbox import ENOUGH, MANY
from tests.extras.websocket_client import FRAMES, Client, echo_router, recording_router, slow_down
from tests.frames import BINARY, CLOSE, PING, PONG, TEXT, Frame, close, closing, frame, handshake, parse
from tests.wire import Wire


def test_a_slow_handler_pauses_reading_and_gets_it_all() -> None:
    got: list[str | bytes] = []
    router = Router()

    @router.websocket("/ws")
    async def listen(ws: WebSocket) -> None:
        async for message in ws:
            got.append(message)
            await sleep(0.01)

    client = Client(router)
    messages = [b"%d" % number for number in range(20 * MANY)]
    chunk = 5 * MANY
    client.send(
        *(
            b"".join(frame(TEXT, m) for m in messages[at : at + chunk])
            for at in range(0, len(messages), chunk)
        )
    )
    session = client.wire.connection
    assert not client.wire.transport.reading
    most = 0
    for _ in range(2000):
        most = max(most, len(session.inbox.messages))
        client.wire.wait(0.01)
    assert most <= MANY
    assert got == [message.decode() for message in messages]
    assert client.wire.transport.reading


def test_what_comes_with_the_handshake_pauses_reading_too() -> None:
    wire = Wire(recording_router([])).send(handshake() + frame(TEXT, b"x") * (2 * MANY), close())
    assert not wire.transport.reading
    wire.wait(20)
    assert closing(parse(wire.received.partition(b"\r\n\r\n")[2])) == (1000, "")


def test_large_messages_count_by_their_size() -> None:
    router = Router()

    @router.websocket("/ws")
    async def listen(ws: WebSocket) -> None:
        await sleep(5)
        async for message in ws:
            await ws.send(f"{len(message)}")

    client = Client(router)
    client.send(*[frame(BINARY, b"x" * ENOUGH)] * 5)
    assert not client.wire.transport.reading
    assert len(client.wire.connection.inbox.messages) == 1
    client.wire.wait(6)
    assert client.frames == [Frame(TEXT, b"%d" % ENOUGH)] * 5


def test_a_message_that_fills_the_inbox_does_not_pause_reading_by_itself() -> None:
    """To pause and to resume are system calls; and the next message is refused no room by this one."""
    client = Client(echo_router())
    pauses: list[str] = []
    client.wire.transport.pause_reading = lambda: pauses.append("paused")  # type: ignore[method-assign]
    for _ in range(10):
        client.send(frame(BINARY, b"x" * ENOUGH))
    assert client.frames == [Frame(BINARY, b"x" * ENOUGH)] * 10
    assert pauses == []


def test_fragments_that_come_in_one_read_do_not_hold_up_the_others() -> None:
    client = Client(echo_router())
    slow_down(client.wire)
    before = client.wire.transport.writes
    some = frame(0, b"x", fin=False) * FRAMES + frame(PING)
    client.send(frame(TEXT, fin=False) + some * 5 + frame(0))
    assert client.frames == [Frame(PONG, b"")] * 5 + [Frame(TEXT, b"x" * 5 * FRAMES)]
    assert client.wire.transport.writes - before == 6, "each of them is in a turn of its own"


def test_a_client_that_does_not_read_pauses_send() -> None:
    sent: list[int] = []
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        for number in range(10):
            await ws.send(b"x" * 1000)
            sent.append(number)

    wire = Wire(router, room=200).send(handshake())
    assert sent == [0]
    wire.take(1000).take(1000)
    assert 1 <= len(sent) < 4
    wire.take()
    assert len(sent) == 10
    frames = parse(wire.received.partition(b"\r\n\r\n")[2])
    assert len(frames) == 11
    assert closing(frames) == (1000, "")


def test_many_tasks_may_send_and_their_frames_stay_whole() -> None:
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        async def say(number: int) -> None:
            for part in range(5):
                await ws.send(f"{number} {part} " + "x" * 300)

        loop = ws._session.service.loop
        tasks = [loop.create_task(say(number)) for number in range(20)]
        tasks[7].cancel()
        for task in tasks[:7] + tasks[8:]:
            await task

    wire = Wire(router, room=200).send(handshake())
    for _ in range(1000):
        wire.take(97)
    frames = parse(wire.received.partition(b"\r\n\r\n")[2])
    lines = [each.payload.split()[:2] for each in frames[:-1]]
    for number in range(20):
        parts = [int(part) for who, part in lines if int(who) == number]
        assert parts == list(range(5)) or (number == 7 and parts == list(range(len(parts))))
    assert closing(frames) == (1000, "")


def test_of_pongs_that_are_not_taken_one_is_owed() -> None:
    wire = Wire(echo_router(), room=200).send(handshake())
    slow_down(wire)
    wire.send(b"".join(frame(PING, b"%d" % number) for number in range(5000)))
    wire.take()
    pongs = parse(wire.received.partition(b"\r\n\r\n")[2])
    assert {each.opcode for each in pongs} == {PONG}
    assert 2 < len(pongs) < FRAMES + 3, "those of the turn in which there was room, and the last"
    assert pongs[-1].payload == b"4999"
    assert wire.transport.reading


def test_a_read_full_of_frames_does_not_hold_up_the_others() -> None:
    answered: list[int] = []
    router = Router()

    @router.websocket("/ws")
    async def look(ws: WebSocket) -> None:
        async for _ in ws:
            answered.append(len(client.frames))  # noqa: PERF401  # now, not later

    client = Client(router)
    slow_down(client.wire)
    client.send(frame(TEXT) + frame(PING) * 3000)
    assert len(answered) == 1
    assert FRAMES - 3 < answered[0] < FRAMES + 3
    assert len(client.frames) == 3000
    turns = math.ceil(3001 / FRAMES)
    assert turns < client.wire.transport.writes < turns + 3, "the answers of a turn are one write"


def test_a_handler_that_only_sends_lets_others_have_a_turn() -> None:
    order: list[str] = []
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        ws._session.service.loop.call_soon(order.append, "another")
        for _ in range(100):
            await ws.send("x")
        order.append("sent")

    Client(router)
    assert order == ["another", "sent"]


def test_a_message_at_a_time_and_one_reader() -> None:
    got: list[object] = []
    router = Router()

    @router.websocket("/ws")
    async def ask(ws: WebSocket) -> None:
        other = ws._session.service.loop.create_task(ws.receive())
        await sleep(0)
        try:
            await ws.receive()
        except RuntimeError as error:
            got.append(str(error))
        got.append(await other)
        got.append(await ws.receive())
        try:
            await ws.receive()
        except Closed as error:
            got.append(str(error))
        assert ws.closed

    client = Client(router).send(frame(TEXT, b"one"), frame(BINARY, b"two"), close(4000, b"bye"))
    assert client.wire.service.background == set()
    assert "two tasks wait" in str(got[0])
    assert got[1:] == ["one", b"two", "the WebSocket has ended: 4000 bye"]


# What may be sent


def test_what_can_be_sent() -> None:
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        await ws.send("text")
        for message in (b"1", bytearray(b"2"), memoryview(b"3")):
            await ws.send(message)
        await ws.ping(b"p")
        wrong: Any
        for wrong in ({"a": 1}, None, 5):
            with pytest.raises(TypeError, match="a message is str or bytes, not"):
                await ws.send(wrong)
        with pytest.raises(UnicodeEncodeError):
            await ws.send("\ud800")
        with pytest.raises(ValueError, match="125 bytes, not 126"):
            await ws.ping(b"x" * 126)
        for wrong in (1004, 1005, 1006, 1010, 1015, 2999, 5000, 0):
            with pytest.raises(ValueError, match="a server closes with"):
                await ws.close(wrong)
        with pytest.raises(ValueError, match="123 bytes, not 124"):
            await ws.close(4000, "é" * 62)
        assert not ws.closed
        await ws.close(4000, "é" * 61)
        await ws.close(4001)
        assert (ws.close_code, ws.close_reason) == (4000, "é" * 61)
        assert repr(ws) == "<WebSocket /ws closed: 4000>"
        for call in (ws.send("x"), ws.ping(), ws.receive()):
            with pytest.raises(Closed, match="has ended: 4000"):
                await call

    client = Client(router)
    assert [(each.opcode, each.payload) for each in client.frames[:-1]] == [
        (TEXT, b"text"),
        (BINARY, b"1"),
        (BINARY, b"2"),
        (BINARY, b"3"),
        (PING, b"p"),
    ]
    assert closing(client.frames) == (4000, "é" * 61)
    assert not any("raised" in line for line in client.wire.lines)


def test_broadcast() -> None:
    members: set[WebSocket] = set()
    router = Router()

    @router.websocket("/ws", max_message=1000)
    async def join(ws: WebSocket) -> None:
        members.add(ws)
        try:
            async for message in ws:
                broadcast(members, message)
        finally:
            members.discard(ws)

    first = Client(router)
    service = first.wire.service
    second, third = (Client(router, service=service) for _ in range(2))
    slow = Wire(router, service=service, room=180).send(handshake())
    third.wire.connection.close(1000)  # it has ended, and its handler has yet to notice
    assert len(members) == 4
    for number in range(4):
        first.send(frame(TEXT, b"%d" % number + b"x" * 500))
    for client in (first, second):
        assert [each.payload[:1] for each in client.frames] == [b"0", b"1", b"2", b"3"]
    assert [each.opcode for each in third.frames] == [CLOSE]
    assert slow.transport.aborted
    slow.wait(0)
    third.send(close())
    assert len(members) == 2
    with pytest.raises(TypeError, match="a message is"):
        broadcast([], 5)  # type: ignore[arg-type]
