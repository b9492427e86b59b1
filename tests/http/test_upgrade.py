"""Upgrade: a connection that is handed over for good."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kissapi import Request, Response, Router, sleep
from kissapi.core import BUSY, CLOSED
from kissapi.http.upgrade import Upgrade, Upgraded
from tests.peer import connect, until
from tests.serving import THREE, make, running
from tests.wire import Wire, parse_answers

HEAD = b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\n"


class Shout:
    """A protocol that says everything loudly."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())

    def eof_received(self) -> bool:
        self.heard.append("eof")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.heard.append("lost")

    def tick(self, now: float) -> None:
        self.heard.append("tick")

    def stop(self) -> None:
        self.heard.append("stop")
        self.transport.write(b"bye")
        self.transport.close()


@pytest.fixture
def protocol() -> Shout:
    return Shout()


@pytest.fixture
def router(protocol: Shout) -> Router:
    router = Router()

    @router.get("/up")
    async def up(req: Request) -> Response:
        return Upgrade("shout", protocol, {"X-Loud": "yes"})

    @router.get("/")
    async def hello(req: Request) -> str:
        return "hello"

    return router


def test_what_comes_behind_the_head_is_the_protocols(
    router: Router, protocol: Shout, parser_class: Any
) -> None:
    first = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for chunks in ([first + HEAD + b"abc", b"def"], [first, HEAD[:30], HEAD[30:], b"abc", b"def"]):
        wire = Wire(router, parser_class).send(*chunks)
        answer, rest = wire.received.split(b"hello", 1)[1].split(b"\r\n\r\n", 1)
        assert rest == b"ABCDEF"
        (status, fields, _), *_ = parse_answers(answer + b"\r\n\r\n", ["HEAD"])
        assert status == 101
        assert (fields["connection"], fields["upgrade"]) == ("Upgrade", "shout")
        assert fields["x-loud"] == "yes"
        assert "content-length" not in fields
        assert isinstance(wire.connection, Upgraded)
        assert wire.connection.state is BUSY


@pytest.mark.parametrize("change", [{"status": 201}, {"body": "hello"}])
def test_what_is_no_upgrade_any_more_is_refused(
    router: Router, protocol: Shout, parser_class: Any, change: dict[str, Any]
) -> None:
    @router.around
    async def spoil(req: Request) -> AsyncIterator[Any]:
        response = yield
        for name, value in change.items():
            setattr(response, name, value)

    wire = Wire(router, parser_class).send(HEAD)
    [(status, _, _)] = parse_answers(wire.received)
    assert (status, protocol.transport) == (500, None)
    assert "leave a response of status 101 as it is" in "\n".join(wire.lines)


def test_the_protocol_is_told_all_there_is(router: Router, protocol: Shout) -> None:
    wire = Wire(router).send(HEAD)
    assert protocol.heard == []
    wire.wait(2)
    assert set(protocol.heard) == {"tick"}
    protocol.heard.clear()
    wire.send_eof()
    wire.lose()
    assert protocol.heard == ["eof", "lost"]
    assert wire.connection.state is CLOSED


def test_it_is_told_when_the_server_stops(router: Router, protocol: Shout) -> None:
    wire = Wire(router).send(HEAD)
    wire.service.stop()
    assert protocol.heard == ["stop"]
    assert wire.received.endswith(b"bye")


def test_a_client_that_takes_nothing_is_left(router: Router, protocol: Shout) -> None:
    wire = Wire(router, room=400).send(HEAD, b"x" * 1000)
    assert not wire.connection.writable
    wire.wait(100)
    assert wire.transport.aborted


def test_one_that_takes_it_again_goes_on(router: Router, protocol: Shout) -> None:
    wire = Wire(router, room=400).send(HEAD, b"x" * 1000).take()
    wire.send(b"more").wait(100)
    assert wire.received.endswith(b"MORE")
    assert set(protocol.heard) == {"tick"}


def test_it_is_in_the_log(router: Router) -> None:
    wire = Wire(router).send(HEAD)
    assert any("GET /up → 101" in line for line in wire.lines)


def test_a_large_read_is_followed_by_a_turn_of_the_others(router: Router, protocol: Shout) -> None:
    wire = Wire(router, read_size=1000).send(HEAD)
    states = []
    wire.service.loop.call_soon = lambda *call: states.append((wire.transport.reading, *call))
    wire.connection.data_received(b"x" * 2000)
    ((reading, go_on),) = states
    assert not reading
    go_on()
    assert wire.transport.reading


def test_a_protocol_that_pauses_reading_is_not_made_to_go_on(router: Router, protocol: Shout) -> None:
    class Careful(Shout):
        def data_received(self, data: bytes) -> None:
            self.transport.pause_reading()

    router = Router()

    @router.get("/up")
    async def up(req: Request) -> Response:
        return Upgrade("shout", Careful())

    wire = Wire(router, read_size=1000).send(HEAD, b"x" * 2000).wait(1)
    assert not wire.transport.reading


@pytest.mark.parametrize("loop", THREE)
def test_a_protocol_is_told_that_its_client_broke_the_connection_at_the_handshake(
    protocol: Shout, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = Router()

    @router.get("/up")
    async def up(req: Request) -> Response:
        await sleep(0.1)
        monkeypatch.setattr(protocol, "data_received", protocol.heard.append)  # says nothing
        return Upgrade("shout", protocol)

    with running(make(loop, router)) as server:
        client = connect(server.port)
        client.sendall(HEAD + b"abc")  # what is behind the head pauses reading: only a write finds the reset
        time.sleep(0.05)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        until(lambda: "lost" in protocol.heard)
        assert protocol.heard[-1:] == ["lost"]
