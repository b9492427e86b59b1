"""TLS: the same answers as without it, certificates that come and go, and silence for strangers.

Most of it is asked without a socket: a client's TLS in memory, over the fake transport of tests/wire.py.
"""

from __future__ import annotations

import contextlib
import gc
import http.client
import io
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import pytest

from kissapi import HttpParser, Request, Response, Router, Server, sleep
from kissapi.backends import tls
from kissapi.backends.tls import TlsTransport
from kissapi.connection import Connection
from kissapi.limits import Limits
from kissapi.log import Log
from kissapi.response import Upgrade
from kissapi.tls import TlsFromFiles
from tests import app
from tests.calls import list_calls
from tests.certificates import make_certificates
from tests.served import Served
from tests.small_python import HOME
from tests.test_transport import Recorder
from tests.wire import FakeTransport, Wire, parse_answers, split

ROOT = Path(__file__).parent.parent
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

Serve = Callable[..., Server]


# Certificates


@pytest.fixture(scope="session")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make_certificates` fills."""
    return make_certificates(tmp_path_factory.mktemp("pems"))


@cache
def serving(folder: Path) -> ssl.SSLContext:
    return TlsFromFiles(folder / "cert.pem", folder / "key.pem", None, ["http/1.1"]).context


def trusting(
    folder: Path, version: ssl.TLSVersion = TLS_1_3, certfile: str = "cert.pem", alpn: tuple[str, ...] = ()
) -> ssl.SSLContext:
    """A client's context."""
    context = ssl.create_default_context(cafile=str(folder / certfile))
    context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


# TLS without a socket


class TlsWire(Wire):
    """A client that talks TLS: `send` takes what it says, `received` is what it was told."""

    def __init__(
        self,
        router: Router,
        parser_class: Callable[[Any], Any] = HttpParser,
        *,
        server: ssl.SSLContext,
        client: ssl.SSLContext,
        way: int = 0,
        shake: bool = True,
        **options: Any,
    ) -> None:
        self.context = server
        self.way = way  # how the bytes arrive: see `split`
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.plain = b""
        self.ended = False  # the server has said that no more will come
        super().__init__(router, parser_class, **options)
        if shake:
            self.shake_hands()

    def _meet(self, room: float, facts: Mapping[str, Any] | None) -> tuple[Any, FakeTransport]:
        return TlsTransport(Connection(self.service), self.context), FakeTransport(self.loop, room, facts)

    def shake_hands(self) -> Self:
        for _ in range(4):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.post()
                self.collect()
            else:
                break
        self.post()
        return self

    def send(self, *chunks: bytes) -> Self:
        for chunk in chunks:
            self.tls.write(chunk)
        return self.post()

    def say_goodbye(self) -> Self:
        """The client ends its side as TLS wants it."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.post()

    def post(self) -> Self:
        """What the client's TLS has made goes over the wire."""
        data = self.outgoing.read()
        return super().send(*split(data)[self.way]) if data else self

    def collect(self) -> None:
        """The client takes what has arrived."""
        self.incoming.write(bytes(self.transport.sent))
        self.transport.sent.clear()

    @property
    def received(self) -> bytes:
        self.collect()
        try:
            while data := self.tls.read(1 << 20):
                self.plain += data
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return self.plain

    @property
    def inner(self) -> Connection:
        """The connection above TLS."""
        connection = self.connection._connection  # type: ignore[attr-defined]
        assert isinstance(connection, Connection)
        return connection


@pytest.fixture
def wire(pems: Path) -> Callable[..., TlsWire]:
    return partial(TlsWire, server=serving(pems), client=trusting(pems))


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

    assert wire(router).send(GET).received.endswith(b'["https", ["127.0.0.1", 50000], "TLSv1.3"]')
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
    client = wire(app.router)
    client.transport.room = 0
    for byte in (b"\x17", b"\x03", b"\x03"):  # the first bytes of a record
        # As if new keys had been asked for, again and again.
        client.connection._outgoing.write(bytes(tls.MOST // 2))  # type: ignore[attr-defined]
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

    def _meet(self, room: float, facts: Mapping[str, Any] | None) -> tuple[Any, FakeTransport]:
        self.recorder: Any = Recorder()
        self.recorder.service = self.service
        return TlsTransport(self.recorder, self.context), FakeTransport(self.loop, room, facts)


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


def test_who_is_sent_away_at_once_is_not_served(wire: Callable[..., TlsWire]) -> None:
    service = wire(app.router).service
    transport = TlsTransport(Connection(service), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    transport.abort("stopped")  # asyncio has yet to say `connection_made`
    assert transport.is_closing()


def test_a_request_in_one_record_is_read_at_one_go(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router).send(GET)
    client.tls.write(GET)
    with client.loop.running():
        calls = list_calls(client.connection.data_received, client.outgoing.read())
    for name, times in [("read", 1), ("write", 1)]:
        assert calls.count(f"c _SSLSocket.{name}") == times, calls
        assert calls.count(f"c MemoryBIO.{name}") == times, calls


# The ends


def ends() -> tuple[Router, list[str]]:
    """A router that notes the ends of what it does."""
    router, seen = Router(), []

    @router.get("/wait")
    async def wait(req: Request) -> str:
        try:
            await sleep(1)
        except BaseException:
            seen.append("cancelled")
            raise
        return "waited"

    @router.get("/pieces/{good}")
    async def pieces(req: Request) -> AsyncIterator[str]:
        yield "piece "
        await sleep(1)
        if req.params["good"] != "yes":
            raise ZeroDivisionError("on purpose")
        yield "whole"

    @router.get("/up")
    async def up(req: Request) -> Response:
        return Upgrade("shout", Shout(seen))

    return router, seen


class Shout:
    """A protocol that says everything loudly."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())

    def eof_received(self) -> bool:
        self.seen.append("eof")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.seen.append("lost" if error is None else type(error).__name__)

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def tick(self, now: float) -> None: ...

    def stop(self) -> None:
        self.transport.write(b"BYE")
        self.transport.close()


WAIT = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
UP = b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\n"


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("closes_socket", [False, True])
def test_who_ends_in_the_words_of_tls_still_gets_the_answer(
    pems: Path, version: ssl.TLSVersion, closes_socket: bool
) -> None:
    router, seen = ends()
    client = TlsWire(router, server=serving(pems), client=trusting(pems, version)).send(WAIT).say_goodbye()
    if closes_socket:
        client.send_eof()
    assert not client.closed
    client.wait(2)
    assert parse_answers(client.received)[0][2] == b"waited"
    assert client.ended
    assert client.transport.closing
    assert seen == []


def test_who_just_closes_has_left(wire: Callable[..., TlsWire]) -> None:
    router, seen = ends()
    client = wire(router).send(WAIT).send_eof()
    assert client.transport.closing
    assert seen == ["cancelled"]
    assert "GET /wait → client left after" in client.lines[-1]
    assert not client.service.connections


def test_who_closes_between_requests_leaves_no_line(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router).send(GET)
    lines = client.lines
    client.send_eof()
    assert client.transport.closing
    assert client.lines == lines
    assert repr(client.connection) == "<TlsTransport CLOSED>"


def test_what_is_left_of_an_answer_is_dropped_for_who_just_closed(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router)
    client.transport.room = 0
    client.send(b"GET /big/1000000 HTTP/1.1\r\nHost: a\r\n\r\n").send_eof()
    assert client.connection.get_write_buffer_size() == len(client.transport.unsent)  # type: ignore[attr-defined]
    client.take()
    assert client.received.startswith(b"HTTP/1.1 200 ")
    assert not client.ended
    assert client.transport.lost


class UntilTheEnd:
    """A protocol whose messages end with the connection."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._finished = False

    def feed_data(self, data: bytes) -> None:
        self.request.body += data

    def feed_eof(self) -> None:
        self.request.method = "SAY"
        self._finished = True


def test_a_message_that_may_have_been_cut_is_not_taken_for_a_whole_one(wire: Callable[..., TlsWire]) -> None:
    router = Router()
    heard: list[bytes] = []

    @router.route("/", methods=["SAY"])
    async def hear(req: Request) -> None:
        heard.append(req.body)

    wire(router, UntilTheEnd).send(b"pay 1", b"00 euros").send_eof()
    assert heard == []
    client = wire(router, UntilTheEnd).send(b"pay 1", b"00 euros").say_goodbye()
    assert heard == [b"pay 100 euros"]
    assert client.received.startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("good", ["yes", "no"])
def test_half_an_answer_does_not_pass_for_a_whole_one(wire: Callable[..., TlsWire], good: str) -> None:
    router, _ = ends()
    client = wire(router).send(b"GET /pieces/%b HTTP/1.0\r\n\r\n" % good.encode()).wait(2)
    assert b"\r\n\r\npiece " in client.received
    assert client.received.endswith(b"whole") == client.ended == (good == "yes")
    assert client.transport.aborted == (good == "no")


def test_the_rest_of_a_stream_is_not_promised_to_who_just_closed(wire: Callable[..., TlsWire]) -> None:
    router, _ = ends()
    client = wire(router)
    client.transport.room = 0
    client.send(b"GET /pieces/yes HTTP/1.0\r\n\r\n").send_eof().wait(2).take()
    assert client.received.endswith(b"piece ")
    assert not client.ended
    assert len(client.lines) == 1


@pytest.mark.parametrize(("end", "told"), [("say_goodbye", ["eof", "lost"]), ("send_eof", None)])
def test_an_upgrade_gets_what_comes_and_learns_how_it_ended(
    wire: Callable[..., TlsWire], end: str, told: list[str] | None
) -> None:
    router, seen = ends()
    client = wire(router).send(UP + b"abc", b"def", b"ghi")
    assert client.received.endswith(b"\r\n\r\nABCDEFGHI")
    getattr(client, end)()
    assert seen == (told or ["ConnectionAbortedError"])


def test_an_upgrade_is_ended_when_the_server_stops(wire: Callable[..., TlsWire]) -> None:
    router, seen = ends()
    client = wire(router).send(UP)
    client.service.stop()
    assert client.received.endswith(b"BYE")
    assert client.ended


def test_an_idle_connection_is_ended_in_the_words_of_tls(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router).send(GET).wait(20)
    assert client.received.endswith(b"Hello, world!")
    assert client.ended
    assert client.transport.closing


def test_a_client_that_takes_nothing_is_left(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router, room=5000).send(b"GET /big/1000000 HTTP/1.1\r\nHost: a\r\n\r\n").wait(100)
    assert client.transport.aborted
    assert not client.service.connections


def test_what_follows_the_end_is_dropped(wire: Callable[..., TlsWire]) -> None:
    router, _ = ends()
    client = wire(router).send(WAIT).say_goodbye()
    Wire.send(client, *[b"x" * 1000] * 100)
    assert client.connection._incoming.pending == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
def test_a_record_that_was_tampered_with_ends_it_with_an_alert(pems: Path, version: ssl.TLSVersion) -> None:
    client = TlsWire(app.router, server=serving(pems), client=trusting(pems, version))
    client.received  # noqa: B018  # tickets
    client.tls.write(GET)
    good = client.outgoing.read()
    client.tls.write(GET)
    bad = bytearray(client.outgoing.read())
    bad[-1] ^= 1
    Wire.send(client, good + bytes(bad))
    with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
        client.received  # noqa: B018
    assert client.plain == b""  # nothing may follow the alert
    assert client.transport.closing
    assert not client.service.connections
    assert client.lines == []


# The handshake


def test_it_has_a_deadline(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router, shake=False)
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    hello = client.outgoing.read()
    Wire.send(client, hello[:50])
    client.wait(Limits.handshake_timeout - 1)
    Wire.send(client, hello[50:60])
    assert not client.closed
    assert client.service.connections
    client.wait(3)
    assert client.transport.aborted
    assert not client.service.connections
    assert client.lines == []


def test_it_counts_as_a_connection_and_once(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router, shake=False)
    assert [repr(each) for each in client.service.connections] == ["<TlsTransport HANDSHAKE>"]
    client.shake_hands()
    assert [repr(each) for each in client.service.connections] == ["<Connection IDLE>"]
    client.lose()
    assert not client.service.connections


def test_whoever_is_in_it_when_the_server_stops_may_still_ask(wire: Callable[..., TlsWire]) -> None:
    quick = wire(app.router, shake=False)
    slow = wire(app.router, shake=False, service=quick.service)
    quick.service.stop()
    quick.shake_hands().send(GET)
    assert quick.received.endswith(b"Hello, world!")
    assert quick.ended
    slow.wait(1)
    assert slow.transport.aborted


STRANGERS = {
    "plain HTTP": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "plain HTTP through a proxy": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SSLv2": b"\x80\x2e\x01\x00\x02" + bytes(43),
    "noise": bytes(range(256)),
    "an empty record": b"\x16\x03\x01\x00\x00",
    "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(1000),
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "nothing": b"",
    "a beginning": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize("data", STRANGERS.values(), ids=STRANGERS)
def test_strangers_are_left_without_a_word(
    wire: Callable[..., TlsWire], data: bytes, way: int, capfd: pytest.CaptureFixture[str]
) -> None:
    client = wire(app.router, shake=False)
    Wire.send(client, *split(data)[way] if data else ())
    client.send_eof().wait(1)
    assert client.transport.closing
    assert not client.service.connections
    assert client.lines == []
    assert capfd.readouterr() == ("", "")


def test_a_client_that_does_not_trust_the_certificate_makes_no_noise(
    pems: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    client = TlsWire(app.router, server=serving(pems), client=trusting(pems, certfile="old.pem"), shake=False)
    with pytest.raises(ssl.SSLCertVerificationError):
        client.shake_hands()
    client.post().send_eof().wait(1)
    assert client.transport.closing
    assert client.lines == []
    assert capfd.readouterr() == ("", "")


def test_a_client_of_another_age_is_told_why(pems: Path) -> None:
    context = TlsFromFiles(pems / "cert.pem", pems / "key.pem", None, []).context
    assert context.minimum_version == TLS_1_2
    context.minimum_version = TLS_1_3
    client = TlsWire(app.router, server=context, client=trusting(pems, TLS_1_2), shake=False)
    with pytest.raises(ssl.SSLError, match=r"(?i)alert.protocol.version"):
        client.shake_hands()
    assert client.transport.closing


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), (["h2"], None)]
)
def test_alpn_is_http_1_1(pems: Path, offered: list[str], chosen: str | None) -> None:
    client = TlsWire(app.router, server=serving(pems), client=trusting(pems, alpn=tuple(offered)))
    assert client.tls.selected_alpn_protocol() == chosen
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" if chosen is None else GET)
    assert parse_answers(client.received)[0][0] == (200 if chosen else 505)


def test_a_connection_leaves_no_cycle(wire: Callable[..., TlsWire]) -> None:
    def use(*says: bytes, end: str, shake: bool = True) -> None:
        client = wire(app.router, shake=shake)
        Wire.send(client, b"noise\r\n") if not shake else client.send(*says)
        client.wait(1)
        getattr(client, end)()
        client.wait(20)
        # The wire itself is a cycle of ours: transport and connection know each other.
        client.connection.below = None
        client.transport.connection = None

    def use_all() -> None:
        for end in ("say_goodbye", "send_eof", "lose"):
            use(GET, b"GET /sleep/0.1 HTTP/1.1\r\nHost: a\r\n\r\n", GET, end=end)
            use(b"GET /big/300000 HTTP/1.1\r\nHost: a\r\n\r\n", end=end)
        use(end="send_eof", shake=False)

    use_all()
    gc.collect()
    gc.disable()
    try:
        use_all()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        garbage = [type(thing).__name__ for thing in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not garbage


# Files


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"certfile": "no.pem", "keyfile": "key.pem"}, r"certfile: there is no file '/.*no\.pem'"),
        ({"certfile": "cert.pem", "keyfile": "no.pem"}, r"keyfile: there is no file '/.*no\.pem'"),
        ({"certfile": "cert.pem", "keyfile": "."}, "keyfile: cannot read '.*': Is a directory"),
        ({"certfile": "cert.pem"}, r"'.*cert\.pem' has no private key in it: .* keyfile="),
        ({"certfile": "cert.pem", "keyfile": "text.pem"}, r"'.*text\.pem' has no private key in it: .*PEM"),
        ({"certfile": "text.pem", "keyfile": "key.pem"}, r"certfile '.*text\.pem' has no certificate in PEM"),
        ({"certfile": "cert.pem", "keyfile": "old_key.pem"}, r"old_key.pem' is not that of .*first"),
        ({"certfile": "cert.pem", "keyfile": "encrypted.pem"}, r"encrypted.pem' is encrypted: .*_password="),
        (
            {"certfile": "cert.pem", "keyfile": "encrypted.pem", "keyfile_password": "wrong"},
            r"keyfile_password does not open the key in '.*encrypted\.pem'",
        ),
        ({"certfile": "broken.pem", "keyfile": "key.pem"}, r"broken\.pem' .*cannot be used"),
        ({"keyfile": "key.pem"}, "certfile= is its certificate"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_says_what_to_do(
    pems: Path, arguments: dict[str, str], words: str
) -> None:
    (pems / "broken.pem").write_bytes((pems / "cert.pem").read_bytes()[:200])
    paths = {name: value if "password" in name else str(pems / value) for name, value in arguments.items()}
    with pytest.raises(ValueError, match=words) as caught:
        Server(**paths)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("password", ["secret", b"secret", lambda: "secret"])
def test_an_encrypted_key_is_opened(pems: Path, password: Any) -> None:
    server = Server(certfile=pems / "cert.pem", keyfile=pems / "encrypted.pem", keyfile_password=password)
    assert server.url == "https://0.0.0.0:8000"


def test_certificate_and_key_may_be_one_file(pems: Path) -> None:
    assert Server(certfile=str(pems / "both.pem")).tls is not None


def test_a_context_is_taken_as_it_is(pems: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = Server(ssl=context)
    assert server.tls is not None
    assert server.tls.context is context
    assert server.tls.lacks_certificate()
    context.load_cert_chain(pems / "cert.pem", pems / "key.pem")
    assert not server.tls.lacks_certificate()
    context.verify_mode = ssl.CERT_REQUIRED  # of a client that has none: another matter
    assert not server.tls.lacks_certificate()
    context.maximum_version = TLS_1_2
    context.set_ciphers("ECDHE-ECDSA-ARIA128-GCM-SHA256")  # one that clients usually do not offer
    assert not server.tls.lacks_certificate()


def test_a_context_that_gives_way_to_others_needs_no_certificate() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda *_: pytest.fail("asked for nobody")
    tls = Server(ssl=context).tls
    assert tls is not None
    assert not tls.lacks_certificate()


def test_what_does_not_go_together_is_refused(pems: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for arguments in ({"certfile": "cert.pem"}, {"keyfile": "key.pem"}, {"keyfile_password": "secret"}):
        with pytest.raises(ValueError, match="not both"):
            Server(ssl=context, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"for clients: .*PROTOCOL_TLS_SERVER"):
        Server(ssl=ssl.create_default_context())
    with pytest.raises(TypeError, match=r"must be an ssl\.SSLContext, not True; for files: .*certfile"):
        Server(ssl=True)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"no certificate: Server\(certfile="):
        Server().reload_certificate()
    with pytest.raises(RuntimeError, match=r"context\.load_cert_chain"):
        Server(ssl=context).reload_certificate()


def test_the_url_of_another_protocol() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert Server("localhost", 70, parser_class=UntilTheEnd, ssl=context).url == "tls://localhost:70"


class Pair:
    """A certificate and its key in a folder of their own, watched by `tls`."""

    def __init__(self, pems: Path, folder: Path) -> None:
        self.pems = pems
        self.certfile, self.keyfile = folder / "cert.pem", folder / "key.pem"
        self.install("old.pem", "old_key.pem")
        self.tls = TlsFromFiles(self.certfile, self.keyfile, None, [])
        self.now = 1000.0
        self.log = io.StringIO()

    def install(self, certfile: str | None = None, keyfile: str | None = None) -> None:
        for ours, theirs in ((self.certfile, certfile), (self.keyfile, keyfile)):
            if theirs is not None:
                new = ours.with_suffix(".new")
                shutil.copyfile(self.pems / theirs, new)
                new.rename(ours)

    def look(self, later: float = 2) -> ssl.SSLContext:
        """What a client gets that comes `later` seconds after the last one."""
        self.now += later
        log = Log(self.log)
        self.tls.look(self.now, log)
        log.finish()
        return self.tls.context

    @property
    def lines(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.log.getvalue().splitlines()]


@pytest.fixture
def certificate(pems: Path, tmp_path: Path) -> Pair:
    return Pair(pems, tmp_path)


def test_files_that_change_are_taken(certificate: Pair) -> None:
    first = certificate.tls.context
    assert certificate.look() is first
    certificate.install("cert.pem", "key.pem")
    second = certificate.look()
    assert second is not first
    assert certificate.look() is second
    assert certificate.lines == [f"[INFO] a new certificate is in use: {certificate.certfile}"]


def test_a_broken_pair_keeps_the_old_one_and_warns_once(certificate: Pair) -> None:
    first = certificate.tls.context
    certificate.install("cert.pem")
    for _ in range(3):
        assert certificate.look() is first
    (line,) = certificate.lines
    assert line.startswith("[WARNING] the old certificate stays in use: the key in ")
    certificate.keyfile.unlink()
    assert certificate.look() is first
    assert "there is no file" in certificate.lines[1]
    certificate.install(keyfile="key.pem")
    assert certificate.look() is not first
    assert len(certificate.lines) == 3


def test_the_files_are_looked_at_once_a_second_at_most(
    certificate: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []
    certificate.look()

    def stat(file: Any, stat: Any = os.stat) -> os.stat_result:
        looks.append(file)
        return stat(file)  # type: ignore[no-any-return]

    monkeypatch.setattr(os, "stat", stat)
    for _ in range(30):
        certificate.look(later=0.1)
    monkeypatch.undo()
    assert len(looks) in (2 * 2, 2 * 3)


def test_a_reload_that_is_asked_for_is_at_once_and_says_what_is_wrong(pems: Path, tmp_path: Path) -> None:
    pair = Pair(pems, tmp_path)
    server = Server(certfile=pair.certfile, keyfile=pair.keyfile)
    assert server.tls is not None
    first = server.tls.context
    server.reload_certificate()
    second = server.tls.context
    assert second is not first
    pair.install("cert.pem")
    with pytest.raises(ValueError, match="is not that of the certificate"):
        server.reload_certificate()
    assert server.tls.context is second


# Sockets: asyncio, uvloop, selectors


@pytest.fixture(params=["asyncio", "uvloop", "selectors"])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "uvloop" and find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    return str(request.param)


def options_of(backend: str) -> dict[str, Any]:
    if backend != "uvloop":
        return {"backend": backend}
    import uvloop

    return {"backend": "asyncio", "loop_factory": uvloop.new_event_loop}


@pytest.fixture
def https(serve: Serve, backend: str, pems: Path) -> Serve:
    """Starts servers as `serve` does, over TLS."""

    def start(router: Router, **options: Any) -> Server:
        files = {} if "ssl" in options else {"certfile": pems / "cert.pem", "keyfile": pems / "key.pem"}
        return serve(router, **{**options_of(backend), **files, **options})

    return start


sockets: list[socket.socket] = []


@pytest.fixture(autouse=True)
def close_sockets() -> Iterator[None]:
    yield
    while sockets:
        sockets.pop().close()


def connect(port: int) -> socket.socket:
    sockets.append(sock := socket.create_connection(("127.0.0.1", port), timeout=10))
    return sock


def connect_tls(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    sockets.append(sock := context.wrap_socket(connect(port), server_hostname="localhost"))
    return sock


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(1 << 20), b""))


def test_a_client_keeps_its_connection_and_gets_it_all(https: Serve, pems: Path) -> None:
    server = https(app.router)
    assert server.url == f"https://127.0.0.1:{server.port}"
    client = http.client.HTTPSConnection("localhost", server.port, timeout=10, context=trusting(pems))
    body = bytes(range(256)) * 20_000
    try:
        client.connect()
        used = client.sock
        for method, path, sends, gets in [
            ("GET", "/", None, b"Hello, world!"),
            ("POST", "/echo", body, body),
            ("GET", "/thread", None, b"from a thread"),
            ("GET", "/big/10000000", None, b"x" * 10_000_000),
            ("GET", "/stream", None, b"0 1 2 "),
            ("GET", "/sleep/0.01", None, b"slept 0.01"),
        ]:
            client.request(method, path, sends)
            assert client.getresponse().read() == gets, path
            assert client.sock is used
    finally:
        client.close()


def test_curl_takes_it(https: Serve, pems: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    server = https(app.router)
    urls = [f"https://localhost:{server.port}/{path}" for path in ("", "users/7", "stream")]
    command = ["curl", "-sS", "-v", "--noproxy", "*", "--cacert", pems / "cert.pem", "-4", *urls]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert done.stdout == 'Hello, world!{"id": "7"}0 1 2 '
    assert done.stderr.count("Re-using existing connection") == 2
    assert "http/1.1" in done.stderr.split("ALPN")[-1]


def test_pipelined_answers_keep_their_order(https: Serve, pems: Path) -> None:
    server = https(app.router)
    client = connect_tls(server.port, trusting(pems))
    client.sendall(b"GET /sleep/0.05 HTTP/1.1\r\nHost: a\r\n\r\n" + GET + LAST)
    bodies = [body for _, _, body in parse_answers(read_all(client))]  # … and no SSLEOFError: a clean end
    assert bodies == [b"slept 0.05", b"Hello, world!", b"Hello, world!"]


def test_an_upgraded_connection_talks_both_ways_at_length(https: Serve, pems: Path) -> None:
    router, seen = ends()
    client = connect_tls(https(router).port, trusting(pems))
    client.sendall(UP)
    assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
    for size in (1, 1000, 16384, 16385, 100_000, 300_000):
        client.sendall(b"a" * size)
        got = b""
        while len(got) < size:
            got += client.recv(size)
        assert got == b"A" * size
    assert seen == []


def test_who_is_slow_in_the_handshake_holds_up_nobody_and_is_left_in_the_end(
    https: Serve, pems: Path
) -> None:
    server = https(app.router, handshake_timeout=0.3)
    slow = [connect(server.port) for _ in range(20)]
    for sock in slow:
        sock.sendall(b"\x16\x03\x01")
    client = connect_tls(server.port, trusting(pems))
    client.sendall(LAST)
    assert read_all(client).endswith(b"Hello, world!")
    for sock in slow:
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""


def test_handshakes_count_among_the_connections(https: Serve, pems: Path) -> None:
    server = https(app.router, max_connections=2)
    idle = [connect(server.port) for _ in range(2)]
    until(lambda: server.service is not None and len(server.service.connections) == 2)
    waiting = connect(server.port)
    hello = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        trusting(pems).wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    waiting.sendall(hello.read())
    waiting.settimeout(0.1)
    with pytest.raises(TimeoutError):
        waiting.recv(1)
    idle[0].close()
    waiting.settimeout(5)
    assert waiting.recv(1) == b"\x16"


def until(fact: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 5
    while not fact():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.002)


def test_a_new_certificate_is_for_new_connections(https: Serve, pems: Path, tmp_path: Path) -> None:
    pair = Pair(pems, tmp_path)
    server = https(app.router, certfile=pair.certfile, keyfile=pair.keyfile)
    old = connect_tls(server.port, trusting(pems, certfile="old.pem"))
    pair.install("cert.pem", "key.pem")
    server.reload_certificate()
    new = connect_tls(server.port, trusting(pems))
    for client in (old, new):
        client.sendall(GET)
        assert client.recv(1000).endswith(b"Hello, world!")
    with pytest.raises(ssl.SSLCertVerificationError):
        connect_tls(server.port, trusting(pems, certfile="old.pem"))


def test_files_are_looked_at_when_a_client_comes(
    https: Serve, pems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kissapi.tls.LOOK", 0.0)
    pair = Pair(pems, tmp_path)
    server = https(app.router, certfile=pair.certfile, keyfile=pair.keyfile)
    connect_tls(server.port, trusting(pems, certfile="old.pem"))
    pair.install("cert.pem", "key.pem")
    connect_tls(server.port, trusting(pems))


def test_a_context_with_client_certificates(https: Serve, pems: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pems / "old.pem"))
    context.load_cert_chain(pems / "cert.pem", pems / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = https(app.router, ssl=context)
    known = trusting(pems)
    known.load_cert_chain(pems / "old.pem", pems / "old_key.pem")
    client = connect_tls(server.port, known)
    client.sendall(LAST)
    assert read_all(client).endswith(b"Hello, world!")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect_tls(server.port, trusting(pems)).recv(1)


SERVE = """
import sys
from kissapi import Server
from tests.app import router

backend, certfile, keyfile = sys.argv[1:]
options = {"backend": backend}
if backend == "uvloop":
    import uvloop
    options = {"loop_factory": uvloop.new_event_loop}
server = Server("127.0.0.1", 0, router=router, certfile=certfile, keyfile=keyfile, **options)
server.loop()
"""


@contextlib.contextmanager
def served(
    backend: str, pems: Path, *python: str | Path, env: dict[str, str] | None = None
) -> Iterator[Served]:
    program = pems / "serve.py"
    program.write_text(SERVE)
    command = [*(python or (sys.executable, "-W", "error")), program, backend]
    environment = env if env is not None else {**os.environ, "PYTHONPATH": str(ROOT)}
    with Served([*command, pems / "cert.pem", pems / "key.pem"], env=environment) as process:
        yield process


def test_a_server_says_nothing_of_strangers_and_ends_well(backend: str, pems: Path) -> None:
    with served(backend, pems) as server:
        for data in STRANGERS.values():
            with connect(server.port) as sock:
                sock.sendall(data)
            with connect(server.port) as sock:  # a reset
                sock.sendall(data)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for version in (TLS_1_2, TLS_1_3):
            with pytest.raises(ssl.SSLCertVerificationError):
                connect_tls(server.port, trusting(pems, version, certfile="old.pem"))
        leaves = connect_tls(server.port, trusting(pems))
        leaves.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        leaves.close()
        idle = connect_tls(server.port, trusting(pems))
        busy = connect_tls(server.port, trusting(pems))
        busy.sendall(b"GET /sleep/0.3 HTTP/1.1\r\nHost: a\r\n\r\n")
        os.kill(server.process.pid, signal.SIGTERM)
        (answer,) = parse_answers(read_all(busy))
        busy.close()  # or the server would wait for it
        assert answer[2] == b"slept 0.3"
        assert idle.recv(1) == b""
        idle.close()
        server.process.wait(10)
    first, *rest = server.output.splitlines()
    assert first.endswith(f"Serving on https://127.0.0.1:{server.port}")
    assert len(rest) == 1, server.output
    assert "GET /sleep/0.3 → 200 9B" in rest[0]


@pytest.mark.parametrize("name", ["debian", "blocked"])
def test_it_works_on_a_small_python(name: str, pems: Path) -> None:
    python: list[str | Path] = [sys.executable, "-S", "-P", ROOT / "tests/blocker.py"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    if name == "debian":
        unpacked = HOME / "debian"
        if not (unpacked / "version").exists():
            pytest.skip(
                "python3.11-minimal has not been fetched (make minimal does it): the blocker stands in"
            )
        python = [unpacked / "usr/bin/python3.11", "-S", "-P"]
        libraries = {str(file.parent) for file in unpacked.glob("**/*.so.*")}
        env["LD_LIBRARY_PATH"] = ":".join(sorted(libraries))
    with served("selectors", pems, *python, env=env) as server:
        client = connect_tls(server.port, trusting(pems))
        client.sendall(b"GET /big/1000000 HTTP/1.1\r\nHost: a\r\n\r\n" + LAST)
        assert [len(body) for _, _, body in parse_answers(read_all(client))] == [1_000_000, 13]
        client.close()  # or the server would wait for it


def test_ssl_is_imported_only_where_it_is_used() -> None:
    program = """
import sys
from kissapi import Server
from kissapi.backends.selectors import run
async def main():
    async with Server("127.0.0.1", 0, backend="selectors"):
        print("ssl" in sys.modules)
run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=20
    )
    assert done.stdout.splitlines()[1] == "False", done.stderr


def test_a_context_without_a_certificate_is_told_of(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    serve(app.router, backend="selectors", ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)).stop()
    said = ""

    def is_told() -> bool:
        nonlocal said
        said += capfd.readouterr().out  # what is read is gone, and the line may come in two pieces
        return "[WARNING] no client can connect: ssl= has no certificate" in said

    until(is_told)
