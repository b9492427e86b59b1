"""TLS: a connection ends with an alert, without one, in the middle of an answer, or by a wrong record."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from kissapi import Request, Router
from tests import app
from tests.backends.ends import UP, WAIT, UntilTheEnd, ends
from tests.backends.tls_wire import GET, TlsWire
from tests.certificates import TLS_1_2, TLS_1_3, serving, trusting
from tests.wire import Wire, parse_answers


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("closes_socket", [False, True])
def test_a_client_that_ends_with_close_notify_still_gets_the_answer(
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


def test_a_client_that_closes_without_close_notify_has_left(wire: Callable[..., TlsWire]) -> None:
    router, seen = ends()
    client = wire(router).send(WAIT).send_eof()
    assert client.transport.closing
    assert seen == ["cancelled"]
    assert "GET /wait → client left after" in client.lines[-1]
    assert not client.service.connections


def test_a_client_that_closes_between_requests_leaves_no_line(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router).send(GET)
    lines = client.lines
    client.send_eof()
    assert client.transport.closing
    assert client.lines == lines
    assert repr(client.connection) == "<TlsTransport CLOSED>"


def test_the_rest_of_an_answer_is_dropped_when_the_client_just_closes(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router)
    client.transport.room = 0
    client.send(b"GET /big/1000000 HTTP/1.1\r\nHost: a\r\n\r\n").send_eof()
    assert client.connection.get_write_buffer_size() == len(client.transport.unsent)  # type: ignore[attr-defined]
    client.take()
    assert client.received.startswith(b"HTTP/1.1 200 ")
    assert not client.ended
    assert client.transport.lost


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


def test_the_rest_of_a_stream_is_dropped_when_the_client_just_closes(wire: Callable[..., TlsWire]) -> None:
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
    assert client.connection._records._incoming.pending == 0  # type: ignore[attr-defined]


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
