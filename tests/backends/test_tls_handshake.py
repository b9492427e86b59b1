"""TLS: the handshake: its deadline, what is agreed on, and silence for what is no TLS at all."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from kissapi.http.limits import Limits
from kissapi.net.certificate import TlsFromFiles
from tests import app
from tests.backends.tls_wire import GET, LAST, STRANGERS, TlsWire
from tests.certificates import TLS_1_2, TLS_1_3, serving, trusting
from tests.wire import Wire, parse_answers, split


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
    assert [repr(each) for each in client.service.connections] == ["<TlsHandshake>"]
    client.shake_hands()
    assert [repr(each) for each in client.service.connections] == ["<Connection IDLE>"]
    client.lose()
    assert not client.service.connections


def test_a_client_in_it_when_the_server_stops_may_still_ask(wire: Callable[..., TlsWire]) -> None:
    quick = wire(app.router, shake=False)
    slow = wire(app.router, shake=False, service=quick.service)
    quick.service.stop()
    quick.shake_hands().send(GET)
    assert quick.received.endswith(b"Hello, world!")
    assert quick.ended
    slow.wait(1)
    assert slow.transport.aborted


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


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
def test_a_session_is_resumed(pems: Path, version: ssl.TLSVersion) -> None:
    trust = trusting(pems, version)
    client = TlsWire(app.router, server=serving(pems), client=trust).send(GET)
    assert client.received.endswith(b"Hello, world!")
    assert not client.tls.session_reused
    for _ in range(2):  # in TLS 1.3 a ticket is for one connection, which gives the next one
        session = client.tls.session
        client = TlsWire(app.router, server=serving(pems), client=trust, shake=False)
        client.tls.session = session
        assert client.shake_hands().send(LAST).received.endswith(b"Hello, world!")
        assert client.tls.session_reused


def test_a_session_of_another_server_is_no_failure(pems: Path) -> None:
    trust = trusting(pems)
    first = TlsWire(app.router, server=serving(pems), client=trust).send(GET)
    assert first.received
    other = TlsFromFiles(pems / "cert.pem", pems / "key.pem", None, ["http/1.1"]).context
    client = TlsWire(app.router, server=other, client=trust, shake=False)
    client.tls.session = first.tls.session
    assert client.shake_hands().send(GET).received.endswith(b"Hello, world!")
    assert not client.tls.session_reused


def test_tickets_wait_for_the_first_answer(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router)
    client.collect()
    writes = client.transport.writes
    client.send(b"GET /sleep/0.1 HTTP/1.1\r\nHost: a\r\n")  # half a request is not answered
    client.send(b"\r\n")
    assert client.transport.writes == writes
    client.wait(1)
    assert client.transport.writes == writes + 1
    assert client.received.endswith(b"slept 0.1")
    assert client.tls.session is not None
    assert client.tls.session.has_ticket


def test_a_client_that_asks_nothing_gets_its_tickets_at_the_end(wire: Callable[..., TlsWire]) -> None:
    client = wire(app.router).wait(20)
    assert client.received == b""
    assert client.ended
    assert client.tls.session is not None
    assert client.tls.session.has_ticket


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
def test_the_last_answer_and_the_end_of_tls_are_one_write(pems: Path, version: ssl.TLSVersion) -> None:
    client = TlsWire(app.router, server=serving(pems), client=trusting(pems, version))
    writes = client.transport.writes
    client.send(LAST)
    assert client.transport.writes == writes + 1
    assert client.transport.eof_sent
    assert client.received.endswith(b"Hello, world!")
    assert client.ended


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
