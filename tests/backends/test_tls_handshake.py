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
from tests.backends.tls_wire import GET, STRANGERS, TlsWire
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
