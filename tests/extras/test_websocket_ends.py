"""WebSocket: pings and other deadlines, and every end."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from kissapi import Fail, Router, sleep
from kissapi.core import BUSY, CLOSED
from kissapi.extras.websocket import Closed, WebSocket
from kissapi.extras.websocket.inbox import MANY
from tests.extras.websocket_client import DEFLATE, FRAMES, Client, echo_router, recording_router, slow_down
from tests.frames import BINARY, PING, PONG, TEXT, Frame, close, closing, frame, handshake, parse
from tests.wire import Wire, split


def test_a_client_that_is_silent_is_pinged_and_left_if_it_stays_so() -> None:
    client = Client(echo_router())
    client.wire.wait(19)
    assert client.frames == []
    client.wire.wait(3)
    assert client.frames == [Frame(PING, b"")]
    client.send(frame(PONG))
    client.wire.wait(19)
    assert len(client.frames) == 1
    client.wire.wait(3)
    assert len(client.frames) == 2
    client.wire.wait(19)
    assert client.wire.connection.state is BUSY
    client.wire.wait(3)
    assert closing(client.frames) == (1011, "no answer to a ping")
    client.wire.wait(4)
    assert client.wire.transport.aborted


def test_whatever_a_client_sends_shows_that_it_lives() -> None:
    client = Client(echo_router(), max_body=1 << 20)
    # A large message over a slow line has no room for a pong.
    for piece in split(frame(BINARY, b"x" * 30))[1]:
        client.send(piece).wire.wait(15)
    assert client.frames == [Frame(BINARY, b"x" * 30)]


def test_pings_can_be_left_out_and_have_other_times() -> None:
    client = Client(echo_router(ping_interval=None))
    client.wire.wait(10_000)
    assert client.frames == []
    assert client.wire.connection.state is BUSY
    client = Client(echo_router(ping_interval=3, ping_timeout=2))
    client.wire.wait(4.5)
    assert client.frames == [Frame(PING, b"")]
    client.wire.wait(3)
    assert closing(client.frames)[0] == 1011


def test_the_latency_is_that_of_the_last_answer() -> None:
    seen: list[float | None] = []
    router = Router()

    @router.websocket("/ws")
    async def measure(ws: WebSocket) -> None:
        await ws.ping()
        async for _ in ws:
            seen.append(ws.latency)  # noqa: PERF401  # now, not later

    client = Client(router).send(frame(TEXT))
    client.wire.wait(0.25)
    client.send(frame(PONG) + frame(TEXT))
    assert seen == [None, 0.25]


def test_a_handler_that_does_not_read_is_not_the_clients_fault() -> None:
    router = Router()

    @router.websocket("/ws")
    async def sleepy(ws: WebSocket) -> None:
        await sleep(500)
        async for message in ws:
            await ws.send(message)

    client = Client(router).send(*[frame(TEXT, b"x")] * (MANY + 1))
    assert not client.wire.transport.reading
    client.wire.wait(499)
    assert client.frames == []
    client.wire.wait(2)
    assert len(client.frames) == MANY + 1
    client.wire.wait(30)
    assert client.frames[-1].opcode == PING


@pytest.mark.parametrize("ping_interval", [20, None])
def test_a_client_that_breaks_off_is_missed_even_if_it_is_not_read(ping_interval: float | None) -> None:
    router = Router()
    ended: list[int | None] = []

    @router.websocket("/ws", ping_interval=ping_interval)
    async def sleepy(ws: WebSocket) -> None:
        await sleep(5)
        ended.append(ws.close_code)

    client = Client(router).send(*[frame(TEXT, b"x")] * (MANY + 1))
    client.wire.service.is_gone = lambda transport: True
    client.wire.wait(3)
    assert client.wire.connection.state is CLOSED
    client.wire.wait(3)
    assert ended == [1006]


def test_a_client_that_takes_nothing_is_left() -> None:
    ended: list[str] = []
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        try:
            while True:
                await ws.send("x" * 1000)
        except Closed:
            ended.append(f"{ws.close_code}")
            raise

    wire = Wire(router, room=300).send(handshake()).wait(29)
    assert ended == []
    wire.wait(3)
    assert wire.transport.aborted
    assert ended == ["1006"]
    assert not any("raised" in line for line in wire.lines)


def test_the_close_of_a_slow_reader_gets_its_time() -> None:
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        await ws.send("x" * 1000)

    wire = Wire(router, room=300).send(handshake()).wait(20)
    wire.take().wait(1)
    frames = parse(wire.received.partition(b"\r\n\r\n")[2])
    assert closing(frames) == (1000, "")
    assert not wire.transport.closing
    wire.send(close())
    assert wire.closed


# The end


ENDS: dict[str, tuple[Callable[[Client], object], int]] = {
    "a close": (lambda client: client.send(close(1001)), 1001),
    "half a connection": (lambda client: client.wire.send_eof(), 1006),
    "none at all": (lambda client: client.wire.lose(ConnectionResetError()), 1006),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_came_before_the_end_is_still_handed_over(end: str) -> None:
    seen: list[object] = []
    client = Client(recording_router(seen)).send(*(frame(TEXT, b"%d" % number) for number in range(5)))
    leave, code = ENDS[end]
    leave(client)
    client.wire.wait(2)
    assert seen == ["0", "1", "2", "3", "4", code, "rested", "finally"]
    client.wire.send_eof().wait(3)
    assert client.wire.connection.state is CLOSED
    assert client.wire.service.background == set()
    assert not client.wire.loop.timers or all(
        timer.callback is None for _, _, timer in client.wire.loop.timers
    )


def test_even_what_was_not_yet_looked_at() -> None:
    seen: list[object] = []
    client = Client(recording_router(seen)).send(frame(TEXT, b"x") * (3 * MANY))
    client.wire.lose().wait(7.9)
    assert seen.count("x") == 64
    client.wire.wait(8)
    assert seen.count("x") == 80, "which takes ten seconds, not more"
    assert seen[-1] == "finally"


@pytest.mark.parametrize("end", ENDS)
def test_a_handler_that_does_not_notice_is_cancelled_in_the_end(end: str) -> None:
    seen: list[object] = []
    client = Client(recording_router(seen, rest=1000))
    ENDS[end][0](client)
    client.wire.send_eof().wait(9)
    assert "finally" not in seen
    client.wire.wait(5)
    assert seen == [ENDS[end][1], "finally"]
    assert client.wire.service.background == set()
    assert not any("raised" in line for line in client.wire.lines)


def test_a_handler_that_returns_closes_with_1000_and_waits_for_the_client() -> None:
    router = Router()

    @router.websocket("/ws")
    async def brief(ws: WebSocket) -> None:
        await ws.send("hello")

    client = Client(router)
    assert closing(client.frames) == (1000, "")
    assert not client.wire.closed
    client.send(frame(TEXT, b"on its way") + frame(PING) + close(1000))
    assert client.wire.closed
    assert len(client.frames) == 2
    client = Client(router)
    client.wire.wait(5)
    assert client.wire.transport.aborted, "a client that does not close is left after a while"


def test_a_close_is_found_behind_all_that_was_sent() -> None:
    router = Router()

    @router.websocket("/ws")
    async def leave(ws: WebSocket) -> None:
        await sleep(1)
        await ws.close(4000)

    client = Client(router).send(frame(TEXT, b"x") * (9 * MANY), frame(TEXT, b"y") * MANY, close(4000))
    assert not client.wire.transport.reading
    client.wire.wait(1.5)
    assert closing(client.frames) == (4000, "")
    assert client.wire.closed


def test_what_comes_after_our_close_is_not_handed_over() -> None:
    got: list[object] = []
    router = Router()

    @router.websocket("/ws")
    async def leave(ws: WebSocket) -> None:
        got.append(await ws.receive())
        await ws.close(4000)
        await sleep(0.1)
        got.extend([message async for message in ws])
        got.append(ws.close_code)

    client = Client(router).send(frame(TEXT, b"go") + frame(TEXT, b"before"), frame(TEXT, b"after"), close())
    client.wire.wait(1)
    assert got == ["go", "before", 4000]


def test_a_handler_that_waits_for_a_message_hears_of_the_end_when_all_is_looked_at() -> None:
    got: list[object] = []
    router = Router()

    @router.websocket("/ws")
    async def leave(ws: WebSocket) -> None:
        got.append(await ws.receive())
        await ws.close(4000)
        with pytest.raises(Closed):
            await ws.receive()
        got.append("over")

    client = Client(router)
    slow_down(client.wire)
    client.send(frame(TEXT, b"go") + frame(PING) * (3 * FRAMES))
    assert got == ["go", "over"]


@pytest.mark.parametrize("error", [ValueError("a mistake"), Fail(403, "no"), SystemExit(1)], ids=repr)
def test_a_handler_that_fails_closes_with_1011_and_is_in_the_log(error: Any) -> None:
    seen: list[object] = []
    client = Client(recording_router(seen, error=error)).send(frame(TEXT, b"go"))
    assert closing(client.frames) == (1011, "")
    assert seen == ["go", "finally"]
    (line,) = [line for line in client.wire.lines if "raised" in line]
    assert "GET /ws: recording_router.<locals>.record raised" in line
    assert not any("a mistake" in str(each.payload) for each in client.frames)


def test_closed_of_another_client_is_a_mistake() -> None:
    others: list[WebSocket] = []
    router = Router()

    @router.websocket("/ws")
    async def tell(ws: WebSocket) -> None:
        others.append(ws)
        async for message in ws:
            await others[0].send(message)

    first = Client(router)
    second = Client(router, service=first.wire.service)
    first.send(close())
    second.send(frame(TEXT, b"are you there?"))
    assert closing(second.frames) == (1011, "")
    assert any("raised Closed" in line for line in first.wire.lines)


def test_a_server_that_stops_says_1001() -> None:
    seen: list[object] = []
    client = Client(recording_router(seen)).send(frame(TEXT, b"a"), frame(TEXT, b"b"))
    client.wire.service.stop()
    assert closing(client.frames) == (1001, "the server stops")
    client.wire.wait(1)
    assert seen == ["a", "b", 1001, "rested", "finally"]
    client.send(close(1001))
    assert client.wire.closed


def test_no_cycle_is_left() -> None:
    def use(end: Callable[[Client], object]) -> None:
        client = Client(echo_router(), DEFLATE)
        client.send(frame(TEXT, b"x" * 100), frame(TEXT, b"a", fin=False))
        end(client)
        client.wire.send_eof().wait(60)
        client.wire.connection.transport = None
        client.wire.connection.service = None
        client.wire.transport.connection = None

    gc.collect()
    gc.disable()
    try:
        for end in [*(end for end, _ in ENDS.values()), lambda client: client.send(frame(3))]:
            use(end)
            gc.collect()
            use(end)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            garbage = {type(thing).__name__ for thing in gc.garbage}
            gc.set_debug(0)
            gc.garbage.clear()
            assert not garbage & {"WebSocket", "Session", "Inbox", "Connection", "Request", "Task"}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
