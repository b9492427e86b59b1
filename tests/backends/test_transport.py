"""The contract of a transport, asked of ours on both loops: a `Connection` must not feel which it is."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Coroutine
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from kissapi import sleep
from kissapi.backends.awaitables import running_loop
from kissapi.backends.client_socket import has_input
from kissapi.backends.client_socket import reset as cut
from kissapi.backends.transport import HIGH_WATER, LOW_WATER
from kissapi.http.limits import Limits

READ_SIZE = Limits.read_size
BIG = 16 * 1024 * 1024  # more than the two buffers of a socket pair hold


class Recorder:
    """A protocol that notes what it is told."""

    def __init__(self, keep_open: bool = True) -> None:
        self.events: list[Any] = []
        self.transport: Any = None
        self.keep_open = keep_open
        self.on_data: Callable[[bytes], object] = lambda data: None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.events.append(data)
        self.on_data(data)

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.keep_open

    def ends(self) -> list[str]:
        """The ends it was told of."""
        return [
            event for event in self.events if isinstance(event, str) and event.endswith(("lost", "Error"))
        ]

    def connection_lost(self, error: Exception | None) -> None:
        self.events.append("lost" if error is None else type(error).__name__)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")


Scenario = Callable[[Recorder, socket.socket], Coroutine[Any, Any, None]]


def play(backend: str, scenario: Scenario, keep_open: bool = True) -> None:
    """Run `scenario(protocol, client)` over a pair of sockets, one of them with a transport of `backend`."""

    async def main() -> None:
        ours, client = pair()
        recorder = Recorder(keep_open)
        adopt(backend, ours, recorder)
        assert recorder.events == ["made"]
        recorder.events.clear()
        try:
            await scenario(recorder, client)
        finally:
            client.close()
            if not recorder.ends():
                recorder.transport.abort()
            await turn_until(recorder.ends)
        await sleep(0.001)
        assert recorder.ends() == recorder.events[-1:], "the end comes once, and nothing after it"

    import_module(f"kissapi.backends.{backend}").run(main(), None)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection over loopback, the first non-blocking."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    ours.setblocking(False)
    client.settimeout(5)
    return ours, client


def adopt(backend: str, sock: socket.socket, protocol: Any) -> None:
    service: Any = SimpleNamespace(limits=Limits)
    module = import_module(f"kissapi.backends.{backend}")
    module.adopter(running_loop(), service, lambda peer: protocol)(sock)


async def turn_until(fact: Callable[[], Any]) -> None:
    for _ in range(2000):
        if fact():
            return
        await sleep(0.001)
    raise AssertionError("it did not come to that")


async def read_in_turns(client: socket.socket) -> bytes:
    """What the client gets until the end, with turns of the loop in between."""
    client.setblocking(False)
    got = bytearray()
    while True:
        try:
            data = client.recv(1 << 20)
        except BlockingIOError:
            await sleep(0.0005)
            continue
        if not data:
            return bytes(got)
        got += data


def test_what_is_sent_is_received_and_the_other_way(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        client.sendall(b"ping")
        await turn_until(lambda: protocol.events == [b"ping"])
        protocol.transport.write(b"po")
        protocol.transport.write(b"ng")
        await sleep(0.002)
        assert client.recv(10) == b"pong"

    play(backend, scenario)


def test_a_big_write_goes_out_in_parts_and_whole(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        data = bytes(range(256)) * (BIG // 256)
        protocol.transport.write(data)
        protocol.transport.write(b"tail")
        assert protocol.transport.get_write_buffer_size() > HIGH_WATER
        protocol.transport.close()
        assert await read_in_turns(client) == data + b"tail"

    play(backend, scenario)


def test_writing_is_paused_above_the_high_mark_and_resumed_below_the_low_one_once_each(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        protocol.transport.write(b"x" * BIG)
        protocol.transport.write(b"x" * BIG)
        assert protocol.events == ["pause"]
        client.setblocking(False)
        left = 2 * BIG
        while left:
            try:
                left -= len(client.recv(1 << 16))
            except BlockingIOError:
                await sleep(0)
            if "resume" in protocol.events:
                assert protocol.transport.get_write_buffer_size() <= LOW_WATER
            else:
                assert protocol.transport.get_write_buffer_size() > LOW_WATER
        assert protocol.events == ["pause", "resume"]
        assert protocol.transport.get_write_buffer_size() == 0

    play(backend, scenario)


def test_a_small_write_never_pauses(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        for _ in range(100):
            protocol.transport.write(b"x" * 100)
        assert protocol.events == []

    play(backend, scenario)


def test_nothing_is_read_while_reading_is_paused(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        protocol.transport.pause_reading()
        client.sendall(b"later")
        await sleep(0.01)
        assert protocol.events == []
        assert has_input(protocol.transport)
        protocol.transport.resume_reading()
        await turn_until(lambda: protocol.events == [b"later"])
        assert not has_input(protocol.transport)

    play(backend, scenario)


def test_reading_paused_by_what_was_read_stays_paused(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        protocol.on_data = lambda data: protocol.transport.pause_reading()
        client.sendall(b"x" * (READ_SIZE + 1))
        await turn_until(lambda: protocol.events)
        await sleep(0.01)
        assert len(protocol.events) == 1

    play(backend, scenario)


def test_writing_goes_on_while_reading_is_paused(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        protocol.transport.pause_reading()
        protocol.transport.write(b"x" * BIG)
        protocol.transport.close()
        assert len(await read_in_turns(client)) == BIG

    play(backend, scenario)


def test_write_eof_comes_after_what_was_written_and_reading_goes_on(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        assert protocol.transport.can_write_eof()
        protocol.transport.write(b"x" * BIG)
        protocol.transport.write_eof()
        assert len(await read_in_turns(client)) == BIG
        client.sendall(b"still here")
        await turn_until(lambda: b"still here" in protocol.events)

    play(backend, scenario)


def test_write_eof_with_nothing_to_send_is_at_once(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        protocol.transport.write_eof()
        assert client.recv(1) == b""

    play(backend, scenario)


def test_close_sends_what_was_written(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        protocol.transport.write(b"x" * BIG)
        protocol.transport.close()
        assert protocol.transport.is_closing()
        protocol.transport.close()
        assert len(await read_in_turns(client)) == BIG
        await turn_until(lambda: protocol.events == ["pause", "resume", "lost"])

    play(backend, scenario)


def test_what_comes_after_close_is_not_read(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        protocol.transport.write(b"x" * BIG)
        protocol.transport.close()
        client.sendall(b"too late")
        await sleep(0.005)
        assert protocol.events == ["pause"]

    play(backend, scenario)


def test_close_after_write_eof_waits_for_what_was_written(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        protocol.transport.write(b"x" * BIG)
        protocol.transport.write_eof()
        protocol.transport.close()
        assert len(await read_in_turns(client)) == BIG

    play(backend, scenario)


def test_abort_drops_what_was_written(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        protocol.transport.write(b"x" * BIG)
        protocol.transport.abort()
        protocol.transport.abort()
        assert protocol.transport.get_write_buffer_size() == 0
        protocol.transport.write(b"into the void")
        await turn_until(lambda: protocol.events == ["pause", "lost"])
        assert len(await read_in_turns(client)) < BIG

    play(backend, scenario)


def test_connection_lost_never_comes_inside_the_call_that_ends_it(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        def end(data: bytes) -> None:
            protocol.transport.close()
            protocol.transport.abort()
            assert protocol.events == [b"bye"]

        protocol.on_data = end
        client.sendall(b"bye")
        await turn_until(lambda: protocol.events == [b"bye", "lost"])

    play(backend, scenario)


def test_after_the_end_of_input_answers_still_go_out(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        await turn_until(lambda: "eof" in protocol.events)
        await sleep(0.005)  # it is told once, and does not come again
        assert protocol.events == [b"question", "eof"]
        protocol.transport.write(b"answer")
        protocol.transport.close()
        assert await read_in_turns(client) == b"answer"

    play(backend, scenario)


def test_the_end_of_input_closes_unless_the_protocol_keeps_it_open(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        client.shutdown(socket.SHUT_WR)
        assert await read_in_turns(client) == b""
        await turn_until(lambda: protocol.events == ["eof", "lost"])

    play(backend, scenario, keep_open=False)


def test_a_reset_is_told_with_its_error(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        reset(client)
        await turn_until(lambda: protocol.events == ["ConnectionResetError"])
        protocol.transport.write(b"nobody there")
        protocol.transport.write_eof()
        protocol.transport.resume_reading()
        assert protocol.transport.is_closing()

    play(backend, scenario)


def test_writing_to_a_client_that_has_gone_is_told_later_not_raised(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        protocol.transport.pause_reading()
        reset(client)
        for _ in range(3):
            protocol.transport.write(b"x" * 1000)
        assert protocol.events == []
        await turn_until(lambda: protocol.events)

    play(backend, scenario)


def test_reset_ends_it_so_that_the_client_cannot_take_it_for_the_end(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        protocol.transport.write(b"half")
        cut(protocol.transport)
        with pytest.raises(ConnectionResetError):
            await read_in_turns(client)

    play(backend, scenario)


def test_it_tells_where_the_client_is(backend: str) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        transport = protocol.transport
        assert transport.get_extra_info("peername") == client.getsockname()
        assert transport.get_extra_info("sockname") == client.getpeername()
        assert transport.get_extra_info("socket").fileno() >= 0
        assert transport.get_extra_info("sslcontext") is None
        assert transport.get_extra_info("nonsense", "default") == "default"
        transport.abort()
        await turn_until(lambda: protocol.events)

    play(backend, scenario)


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
def test_a_descriptor_used_again_within_a_batch_gets_no_event_of_its_predecessor(backend: str) -> None:
    """Two sockets are readable in one turn: the first one served closes the other and takes its number.

    uvloop closes a socket a turn after it was aborted, and so cannot fall into this trap.
    """

    async def main() -> None:
        (first, first_client), (second, second_client), (third, third_client) = pair(), pair(), pair()
        protocols = {first.fileno(): Recorder(), second.fileno(): Recorder()}
        for sock in (first, second):
            adopt(backend, sock, protocols[sock.fileno()])
        newcomer = Recorder()

        def take_over(number: int) -> None:
            protocols[number].transport.abort()
            sock = socket.socket(fileno=os.dup2(third.fileno(), number))
            third.close()
            adopt(backend, sock, newcomer)

        one, other = protocols
        protocols[one].on_data = lambda data: take_over(other)
        protocols[other].on_data = lambda data: take_over(one)
        first_client.sendall(b"now")
        second_client.sendall(b"now")
        await turn_until(lambda: newcomer.events)
        await sleep(0.005)
        assert sorted(len(protocol.events) for protocol in protocols.values()) == [2, 2]
        assert {protocol.events[1] for protocol in protocols.values()} == {b"now", "lost"}
        assert newcomer.events == ["made"]
        third_client.sendall(b"mine")
        await turn_until(lambda: newcomer.events == ["made", b"mine"])
        for recorder in (*protocols.values(), newcomer):
            recorder.transport.abort()
        for client in (first_client, second_client, third_client):
            client.close()
        await sleep(0)

    module = import_module(f"kissapi.backends.{backend}")
    module.run(main(), None)


def reset(client: socket.socket) -> None:
    """Close `client` with a RST."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_what_the_connection_raises_ends_it_and_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario(protocol: Recorder, client: socket.socket) -> None:
        ours, other_client = pair()
        other = Recorder()
        adopt("selectors", ours, other)

        def fail(data: bytes) -> None:
            raise LookupError("a mistake of ours")

        protocol.on_data = fail
        client.sendall(b"x")
        await turn_until(lambda: "lost" in protocol.events)
        other_client.sendall(b"y")
        await turn_until(lambda: other.events == ["made", b"y"])
        other.transport.abort()
        other_client.close()
        await sleep(0)

    play("selectors", scenario)
    assert "a mistake of ours" in capfd.readouterr().err
