"""Adopters: what becomes of an accepted socket, on each backend, and before a TLS connection begins."""

from __future__ import annotations

import socket
import ssl
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kissapi import Router
from kissapi.backends.awaitables import running_loop, sleep
from kissapi.backends.threads import Threads
from kissapi.backends.tls_handshake import TlsHandshake, over_tls
from kissapi.http.limits import Limits
from kissapi.net.certificate import TlsFromFiles
from tests.certificates import make_certificates
from tests.wire import FakeTransport, Wire

READ_SIZE = 1000


class Recorder:
    """A protocol that keeps the sizes of its reads."""

    def __init__(self) -> None:
        self.reads: list[int] = []
        self.transport: Any = None
        self.lost = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.reads.append(len(data))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
def test_no_read_is_larger_than_read_size_not_even_the_first(backend: str) -> None:
    module = import_module(f"kissapi.backends.{backend}")
    recorder = Recorder()
    asked: list[Any] = []

    def connect(peer: Any) -> Recorder:
        asked.append(peer)
        return recorder

    async def main() -> None:
        service: Any = SimpleNamespace(
            limits=Limits(read_size=READ_SIZE), connections=set(), closed=lambda guest: None
        )
        ours, client = socket.socketpair()
        with client:
            client.sendall(b"x" * 10_000)  # it is there before the transport is
            client.shutdown(socket.SHUT_WR)
            ours.setblocking(False)
            module.adopter(running_loop(), service, connect)(ours, ("192.0.2.1", 5000))
            deadline = time.monotonic() + 5
            while not recorder.lost and time.monotonic() < deadline:
                await sleep(0.001)
            if hasattr(service, "release"):
                service.release(recorder.transport)

    module.run(main(), None)
    assert asked == [("192.0.2.1", 5000)]
    assert recorder.lost
    assert sum(recorder.reads) == 10_000
    assert max(recorder.reads) == READ_SIZE


def test_the_threads_are_as_many_as_a_server_allows_by_default() -> None:
    assert Threads().limit == Limits.max_threads


# TLS


class Made:
    """A connection that notes what its transport tells it."""

    def __init__(self, events: list[Any], peer: Any = None) -> None:
        self.events = events
        self.peer = peer

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("made")
        transport.write(b"x" * 100_000)  # more than TLS encrypts at one go: it waits for room

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.events.append((name, *arguments))


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("pems"))


@pytest.fixture
def context(pems: Path) -> ssl.SSLContext:
    return TlsFromFiles(pems / "cert.pem", pems / "key.pem", None, []).context


class TlsClient:
    """A client in the middle of its handshake with the server, over a transport with `room`."""

    def __init__(self, context: ssl.SSLContext, pems: Path) -> None:
        self.service = Wire(Router()).service
        self.events: list[Any] = []
        connect: Any = partial(Made, self.events)
        self.handshake: Any = over_tls(self.service, connect, lambda: context)(("192.0.2.1", 5000))
        self.transport = FakeTransport(self.service.loop)
        self.transport.connection = self.handshake
        self.handshake.connection_made(self.transport)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        trusting = ssl.create_default_context(cafile=str(pems / "cert.pem"))
        self.tls = trusting.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def step(self) -> None:
        """The client reads what has come, and sends the next message of its handshake."""
        self.incoming.write(bytes(self.transport.sent))
        self.transport.sent.clear()
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        self.transport.connection.data_received(self.outgoing.read())


@pytest.fixture
def client(context: ssl.SSLContext, pems: Path) -> TlsClient:
    return TlsClient(context, pems)


def test_the_connection_begins_when_the_handshake_is_done(client: TlsClient) -> None:
    assert isinstance(client.transport.connection, TlsHandshake)
    assert client.handshake in client.service.connections
    client.step()
    assert client.events == []
    client.step()
    assert client.events[0] == "made"
    assert repr(client.transport.connection) == "<TlsTransport OPEN>"
    assert client.handshake not in client.service.connections


def test_back_pressure_outlasts_the_handshake(client: TlsClient) -> None:
    client.step()
    client.handshake.pause_writing()
    client.step()
    over = client.transport.connection
    waiting = over.get_write_buffer_size() - client.transport.get_write_buffer_size()
    assert waiting == 100_000, "nothing is encrypted while there is no room"
    assert client.events == ["made", ("pause_writing",)]
    over.resume_writing()
    assert over.get_write_buffer_size() == client.transport.get_write_buffer_size()
    assert client.events[-1] == ("resume_writing",)


def test_back_pressure_that_is_over_does_not(client: TlsClient) -> None:
    client.step()
    client.handshake.pause_writing()
    client.handshake.resume_writing()
    client.step()
    assert client.transport.connection.get_write_buffer_size() == 0


@pytest.mark.parametrize("end", ["noise", "the client", "abort"])
def test_after_its_end_a_handshake_is_told_nothing(client: TlsClient, end: str) -> None:
    client.step()
    if end == "noise":
        client.handshake.data_received(b"GET / HTTP/1.1\r\n\r\n")
        assert client.transport.closing
    elif end == "the client":
        assert not client.handshake.eof_received()
    else:
        client.handshake.abort("stopped")
        assert client.transport.aborted
    assert repr(client.handshake) == "<TlsHandshake ended>"
    client.step()
    assert client.events == []
    assert client.transport.connection is client.handshake
