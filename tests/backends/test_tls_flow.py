"""TLS: the answers are those of plain HTTP, and the transport keeps what each transport promises.

All of it is asked without a socket: see tls_wire.py.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Router
from kissapi.backends import tls_transport as tls
from kissapi.backends.tls_handshake import TlsHandshake
from kissapi.http.connection import Connection
from tests import app
from tests.backends.test_transport import Recorder
from tests.backends.tls_wire import GET, TlsWire
from tests.calls import list_calls
from tests.certificates import TLS_1_2, TLS_1_3, serving, trusting
from tests.wire import FakeTransport, Wire, parse_answers

HOST = b" HTTP/1.1\r\nHost: a\r\n"
EXCHANGES = {
    "a request": GET,
    "pipelined": GET * 3 + b"GET /users/7" + HOST + b"\r\n",
    "a body": b"POST /echo" + HOST + b"Content-Length: 3\r\n\r\nabc",
    "a chunked body": b"POST /echo" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "a handler that waits": b"GET /sleep/0.1" + HOST + b"\r\n" + GET,
    "a stream": b"GET /stream" + HOST + b"\r\n" + GET,
    "a Fail": b"GET /fail" + HOST + b"\r\n",
    "an error": b"GET /error" + HOST + b"\r\n",
    "no such path": b"GET /nope" + HOST + b"\r\n",
    "no request": b"GET / HTTP/1.1\r\nno colon\r\n\r\n" + GET,
    "the last one": b"GET /last" + HOST + b"\r\n" + GET,
}


@pytest.mark.parametrize("way", [0, 1])  # whole, and byte by byte
@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("data", EXCHANGES.values(), ids=EXCHANGES)
def test_the_answers_are_those_of_plain_http(
    pems: Path, parser_class: Any, data: bytes, version: ssl.TLSVersion, way: int
) -> None:
    plain = Wire(app.router, parser_class).send(data).wait(1)
    over_tls = TlsWire(
        app.router, parser_class, server=serving(pems), client=trusting(pems, version), way=way
    )
    over_tls.send(data).wait(1)
    answers = [parse_answers(each.received) for each in (plain, over_tls)]
    for _, fields, _ in answers[0] + answers[1]:
        del fields["date"]  # the only difference there may be
    assert answers[0] == answers[1]
    assert over_tls.closed == plain.closed == over_tls.ended
    assert over_tls.tls.version() == {TLS_1_2: "TLSv1.2", TLS_1_3: "TLSv1.3"}[version]


def test_a_request_knows_that_it_came_over_tls(wire: Callable[..., TlsWire]) -> None:
    router = Router()

    @router.get("/")
    async def tell(req: Request) -> list[Any]:
        transport = req._connection.transport  # type: ignore[union-attr]
        return [req.scheme, req.client, transport.get_extra_info("ssl_object").version()]

    assert wire(router).send(GET).received.endswith(b'["https",["127.0.0.1",50000],"TLSv1.3"]')
    assert repr(wire(router).connection) == "<TlsTransport OPEN>"


def test_pipelined_answers_are_one_write(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router)
    before = client.transport.writes
    client.send(GET * 50)
    assert client.transport.writes == before + 1
    client.send(*[GET] * 50)  # 50 records, which come in one read
    assert client.transport.writes == before + 2
    assert len(parse_answers(client.received)) == 100


def test_a_request_that_comes_with_the_last_of_the_handshake_is_answered_with_it(
    wire: Callable[..., TlsWire],
) -> None:
    client = wire(app.router, shake=False)
    for _ in range(2):
        with contextlib.suppress(ssl.SSLWantReadError):
            client.tls.do_handshake()
            client.tls.write(GET)
        writes = client.transport.writes
        client.post()
        assert client.transport.writes == writes + 1
        if client.inner.transport is None:
            client.collect()
    assert client.received.endswith(b"Hello, world!")


def test_a_large_answer_waits_as_it_is_until_the_client_takes_it(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router, room=100_000)
    size = 4 * 1024 * 1024
    client.send(b"GET /big/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
    assert not client.inner.writable
    assert len(client.transport.unsent) <= 2 * tls.PIECE  # of 4 MiB
    left = client.connection.get_write_buffer_size()  # type: ignore[attr-defined]
    assert left > size - 200_000
    client.send(GET)
    while not client.inner.writable:
        client.take(50_000)
        less = client.connection.get_write_buffer_size()  # type: ignore[attr-defined]
        assert less < left
        left = less
    client.take()
    (_, _, body), (_, _, hello) = parse_answers(client.received)
    assert len(body) == size
    assert hello == b"Hello, world!"


def test_a_large_answer_is_made_in_turns_that_others_may_come_between(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router)
    client.tls.write(b"GET /big/5000000 HTTP/1.1\r\nHost: a\r\n\r\n")
    turns = []
    with client.loop.running():
        client.loop.call_soon(client.connection.data_received, client.outgoing.read())
        while client.loop.calls:
            before = len(client.transport.sent)
            callback, arguments = client.loop.calls.popleft()
            callback(*arguments)
            assert client.inner.writable != bool(client.connection._backlog)  # type: ignore[attr-defined]
            turns.append(len(client.transport.sent) - before)
    assert max(turns) < 1.01 * tls.PIECES * tls.PIECE
    assert len([size for size in turns if size]) == 5
    assert len(parse_answers(client.received)[0][2]) == 5_000_000


def test_what_tls_itself_answers_has_a_bound(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router).send(GET)
    client.transport.room = 0
    for byte in (b"\x17", b"\x03", b"\x03"):  # the first bytes of a record
        # As if new keys had been asked for, again and again.
        client.connection._records.outgoing.write(bytes(tls.MOST // 2))  # type: ignore[attr-defined]
        assert not client.transport.closing
        Wire.send(client, byte)
    assert client.transport.aborted


def test_a_large_body_comes_whole(wire: Callable[..., TlsWire]) -> None:
    body = bytes(range(256)) * 8192
    client = wire(app.router).send(
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    for start in range(0, len(body), 100_000):
        client.send(body[start : start + 100_000])
    client.take()
    assert parse_answers(client.received)[0][2] == body


def test_a_body_that_is_refused_does_not_cost_the_client_its_answer(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router).send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
    assert parse_answers(client.received)[0][0] == 413
    assert client.ended
    assert client.transport.eof_sent
    assert not client.transport.closing  # a reset would take the answer away …
    client.send(b"x" * 100_000)
    assert client.transport.reading  # … so what it still sends is read
    client.say_goodbye()
    assert client.transport.closing


# The contract of a transport


class Bare(TlsWire):
    """TLS below a protocol that notes what it is told."""

    def _connect(self, room: float, facts: Mapping[str, Any] | None) -> tuple[Any, FakeTransport]:
        self.recorder: Any = Recorder()
        self.recorder.service = self.service
        return TlsHandshake(self.service, self.recorder, self.context), FakeTransport(self.loop, room, facts)


@pytest.fixture
def bare(pems: Path) -> Bare:
    client = Bare(Router(), server=serving(pems), client=trusting(pems))
    client.send(b"hello")
    assert client.recorder.events == ["made", b"hello"]
    client.recorder.events.clear()
    return client


@pytest.mark.parametrize("end", ["write_eof", "close"])
def test_what_is_written_keeps_its_order_and_the_end_waits_for_it(bare: Bare, end: str) -> None:
    big, changing = bytes(range(256)) * 4000, bytearray(b"last")
    events, transport = bare.recorder.events, bare.recorder.transport
    bare.transport.room = 100_000
    transport.write(b"small")
    transport.write(big)
    transport.write(changing)
    changing.clear()
    transport.write(b"")
    assert events == ["pause"]
    getattr(transport, end)()
    transport.write(b"never")
    while "resume" not in events:
        assert not bare.ended
        bare.take(50_000)
    bare.take()
    assert bare.received == b"small" + big + b"last"
    assert bare.ended
    assert events == ["pause", "resume"] + ["lost"] * (end == "close")
    assert bare.transport.eof_sent == (end == "write_eof")


def test_after_its_end_it_still_reads_until_it_is_closed(bare: Bare) -> None:
    events, transport = bare.recorder.events, bare.recorder.transport
    transport.write_eof()
    bare.send(b"still here")
    assert events == [b"still here"]
    bare.transport.room = 0
    transport.pause_reading()
    transport.close()
    assert transport.is_closing()
    transport.resume_reading()
    assert not bare.transport.reading


def test_a_small_answer_that_is_not_taken_pauses_too(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router)
    client.transport.room = 0
    client.send(GET)
    assert not client.inner.writable
    client.take()
    assert client.inner.writable


def test_abort_drops_what_was_written(bare: Bare) -> None:
    bare.transport.room = 0
    bare.recorder.transport.write(b"x" * 1_000_000)
    bare.loop.do(bare.recorder.transport.abort)
    assert bare.recorder.transport.get_write_buffer_size() == 0
    bare.take()
    assert bare.recorder.events == ["pause", "lost"]
    assert bare.received == b""
    assert not bare.ended


def test_a_connection_that_breaks_when_it_is_ended_is_lost(
    bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise OSError("not connected")

    monkeypatch.setattr(bare.transport, "write_eof", broken)
    bare.loop.do(bare.recorder.transport.write_eof)
    assert bare.recorder.events == ["lost"]


def test_a_client_that_is_sent_away_at_once_is_not_served(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router)
    handshake = TlsHandshake(
        client.service, Connection(client.service), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    )
    handshake.abort("stopped")  # asyncio has yet to say `connection_made`
    transport = FakeTransport(client.loop)
    transport.connection = handshake
    handshake.connection_made(transport)
    assert transport.aborted
    client.loop.run()
    assert handshake not in client.service.connections


def test_a_request_in_one_record_is_read_at_one_go(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router).send(GET)
    client.tls.write(GET)
    with client.loop.running():
        calls = list_calls(client.connection.data_received, client.outgoing.read())
    for name, times in [("read", 1), ("write", 1)]:
        assert calls.count(f"c _SSLSocket.{name}") == times, calls
        assert calls.count(f"c MemoryBIO.{name}") == times, calls
