"""The PROXY protocol: headers in front of a connection, read in pieces and over real sockets."""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kissapi.net.proxy_gate import Gate
from kissapi.net.proxy_protocol import LINE, BadHeader, header_size, read_header
from kissapi.net.trusted_proxies import TrustedProxies, pack
from tests.certificates import trusting
from tests.net.proxied import ANN, MALLORY, PROXY, V4, V6, binary, line, origin_seen, origin_told, router_of
from tests.peer import connect, until
from tests.serving import THREE, make, running
from tests.wire import Wire

if TYPE_CHECKING:
    from kissapi import Server

TLVS = b"\x04\x00\x03abc\x20\x00\x05\x01\x00\x00\x00\x00"

HEADERS = [
    pytest.param(line(ANN), (ANN, 4711), id="v1-tcp4"),
    pytest.param(line("2001:DB8::0:7", "TCP6", "::1"), ("2001:db8::7", 4711), id="v1-tcp6"),
    pytest.param(line(f"::ffff:{ANN}", "TCP6", "::1"), (ANN, 4711), id="v1-mapped"),
    pytest.param(b"PROXY UNKNOWN\r\n", (), id="v1-unknown"),
    pytest.param(b"PROXY UNKNOWN " + b"f" * (LINE - 16) + b"\r\n", (), id="v1-unknown-longest"),
    pytest.param(binary(0x11, V4), (ANN, 4711), id="v2-ipv4"),
    pytest.param(binary(0x12, V4), (ANN, 4711), id="v2-ipv4-datagram"),
    pytest.param(binary(0x21, V6), ("2001:db8::7", 4711), id="v2-ipv6"),
    pytest.param(binary(0x21, V6, TLVS), ("2001:db8::7", 4711), id="v2-ipv6-tlvs"),
    pytest.param(
        binary(0x11, V4, b"\x30" + struct.pack("!H", 65_000) + b"x" * 65_000), (ANN, 4711), id="v2-long"
    ),
    pytest.param(binary(0x31, b"/run/client".ljust(216, b"\0")), (), id="v2-unix"),
    pytest.param(binary(0x00), (), id="v2-unspecified"),
    pytest.param(binary(0x00, TLVS), (), id="v2-unspecified-tlvs"),
    pytest.param(binary(0x10, V4), (), id="v2-unspecified-transport"),
    pytest.param(binary(0x00, command=0), None, id="v2-local"),
    pytest.param(binary(0x11, V4, TLVS, command=0), None, id="v2-local-with-addresses"),
    pytest.param(binary(0xFF, command=0), None, id="v2-local-of-any-family"),
]

WRONG = [
    pytest.param(b"GET / HTTP/1.1\r\n", "no PROXY header in front", id="http"),
    pytest.param(b"\x16\x03\x01\x02\x00", "no PROXY header in front", id="tls"),
    pytest.param(b"PROXIES", "no PROXY header in front", id="v1-nearly"),
    pytest.param(b"proxy TCP4", "no PROXY header in front", id="v1-lower"),
    pytest.param(b"PROXY UNKNOWN" + b" " * 100, "of more than 107 bytes", id="v1-long"),
    pytest.param(b"PROXY TCP4 " + b"1" * 105 + b"\r\n", "of more than 107 bytes", id="v1-one-more"),
    pytest.param(b"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", "breaks the rules", id="v1-family"),
    pytest.param(b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "breaks the rules", id="v1-short"),
    pytest.param(b"PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n", "breaks the rules", id="v1-blanks"),
    pytest.param(b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", "breaks the rules", id="v1-tail"),
    pytest.param(b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\nGET /\r\n", "breaks the rules", id="v1-lf"),
    pytest.param(b"PROXY UNKNOWN\rx\r\n", "breaks the rules", id="v1-cr"),
    pytest.param(b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "breaks the rules", id="v1-zero"),
    pytest.param(b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", "a port above 65535", id="v1-port"),
    pytest.param(b"PROXY TCP4 ::1 2.2.2.2 1 2\r\n", "TCP4 with the address '::1'", id="v1-mixed"),
    pytest.param(b"PROXY TCP6 ::1 2.2.2.2 1 2\r\n", "TCP6 with the address '2.2.2.2'", id="v1-mixed-target"),
    pytest.param(b"PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n", "with the address '1.1.1'", id="v1-address"),
    pytest.param(b"PROXY TCP4 \xff 2.2.2.2 1 2\r\n", "with the address 'ÿ'", id="v1-bytes"),
    pytest.param(binary(0x11, V4, version=1), "version 1 of the PROXY protocol", id="v2-version"),
    pytest.param(binary(0x11, V4, command=2), "PROXY command 2", id="v2-command"),
    pytest.param(binary(0x41, V4), "address family 4 and transport 1", id="v2-family"),
    pytest.param(binary(0x13, V4), "address family 1 and transport 3", id="v2-transport"),
    pytest.param(binary(0x11, V4[:-1]), "with 11 of 12 bytes of addresses", id="v2-short"),
    pytest.param(binary(0x21, V4), "with 12 of 36 bytes of addresses", id="v2-short-ipv6"),
    pytest.param(b"\r\n\r\n\0\r\nQUIX", "no PROXY header in front", id="v2-signature"),
]


def read_by(data: bytes, way: int) -> Any:
    """What is read of `data` when it comes `way` bytes at a time."""
    for end in range(way, len(data) + way, way):
        if size := header_size(data[:end]):
            assert size <= len(data)
            if size <= end:
                return read_header(data[:size])
    raise AssertionError("it has no end")


@pytest.mark.parametrize(("header", "peer"), HEADERS)
@pytest.mark.parametrize("way", [1, 3, 1 << 20])
def test_a_header_is_read(header: bytes, peer: Any, way: int) -> None:
    assert read_by(header[:1000], way) == peer if len(header) < 1000 else read_header(header) == peer
    assert header_size(header + b"GET / HTTP/1.1\r\n") == len(header)


@pytest.mark.parametrize(("header", "says"), WRONG)
@pytest.mark.parametrize("way", [1, 3, 1 << 20])
def test_a_wrong_header_is_refused_as_soon_as_it_can_be(header: bytes, says: str, way: int) -> None:
    with pytest.raises(BadHeader, match=says):
        read_by(header, way)


OPTIONS: dict[str, Any] = {"trusted_proxies": "127.0.0.1, 10.0.0.0/8, unix", "proxy_protocol": True}


@pytest.mark.parametrize(("header", "peer"), HEADERS)
def test_the_client_is_the_one_that_the_proxy_names(serve_once: Server, header: bytes, peer: Any) -> None:
    client, scheme, _ = origin_seen(serve_once.port, first=header)
    assert scheme == "http"
    if peer is None:  # the proxy itself
        assert client[0] == "127.0.0.1"
    else:
        assert client == (list(peer) or None)


@pytest.mark.parametrize(("header", "says"), WRONG)
def test_a_wrong_header_is_not_served(serve_once: Server, header: bytes, says: str) -> None:
    assert origin_seen(serve_once.port, first=header) is None


@pytest.mark.parametrize("header", [line(ANN), binary(0x21, V6, TLVS)])
def test_a_header_may_come_in_pieces(serve_once: Server, header: bytes) -> None:
    with connect(serve_once.port) as proxy:
        proxy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for index in range(len(header)):
            proxy.send(header[index : index + 1])
        answer = origin_told(proxy, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer[0][1] == 4711


def test_fields_are_taken_where_the_protocol_names_a_trusted_proxy(serve_once: Server) -> None:
    fields = f"X-Forwarded-For: {ANN}"
    assert origin_seen(serve_once.port, fields, first=line(MALLORY))[0] == [MALLORY, 4711]
    assert origin_seen(serve_once.port, fields, first=line(PROXY))[0] == [ANN, 0]
    for header in (b"PROXY UNKNOWN\r\n", binary(0), binary(0x31, bytes(216))):
        assert origin_seen(serve_once.port, fields, first=header)[0] is None


@pytest.fixture(scope="module", params=THREE)
def serve_once(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server for all tests of this module that only ask it."""
    with running(make(request.param, router_of(), **OPTIONS)) as server:
        yield server


@pytest.fixture(params=THREE)
def start(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Serves for a block what is asked for: `with start(loops=2) as server`."""
    return lambda **options: running(make(request.param, router_of(), **OPTIONS, **options))


def test_a_line_a_minute_tells_of_all(tmp_path: Path) -> None:
    wire = Wire(router_of())
    gate = Gate(
        wire.service, wire.service.limits, lambda *_: None, TrustedProxies(PROXY), wire.service.log.warning
    )
    for seconds in (1, 1, 1, 60, 120):
        ours, theirs = socket.socketpair()
        with theirs:
            gate.admit(ours)
            assert theirs.recv(1) == b""
        wire.wait(seconds)
    lines = [line.partition("] ")[2] for line in wire.lines]
    said = "refused a connection from a Unix socket: it is not among the trusted_proxies"
    assert lines == [said, f"{said} (3 more since the last such line)"]


def test_any_bytes_are_a_header_or_none() -> None:
    dice = random.Random(7)
    headers = [parameter.values[0] for parameter in HEADERS]
    for _ in range(5000):
        data = bytearray(dice.choice(headers)[:400])
        for _ in range(dice.randrange(4)):
            data[dice.randrange(len(data))] = dice.choice(b"\0\r\n 1:.\x11\x21\xff")
        try:
            size = header_size(data)
            peer = read_header(bytes(data[:size])) if 0 < size <= len(data) else None
        except BadHeader:
            continue
        assert not peer or (pack(str(peer[0])) and 0 <= peer[1] <= 65535)


class Lines(logging.Handler):
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []
        self.logger = logging.getLogger("refusals")
        self.logger.handlers.clear()
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self.warnings.append(record.getMessage())


def test_strangers_are_refused_before_they_say_a_word(start: Callable[..., Any]) -> None:
    lines = Lines()
    with start(logger=lines.logger) as server:
        with connect(server.port, source="127.0.0.2") as stranger:
            assert stranger.recv(1) == b""
        for _ in range(3):
            assert origin_seen(server.port, first=line(ANN), source="127.0.0.2") is None
        assert origin_seen(server.port, first=line(ANN))[0] == [ANN, 4711]
    assert lines.warnings == ["refused a connection from 127.0.0.2: it is not among the trusted_proxies"]


def test_a_connection_without_a_header_is_refused_with_a_line(start: Callable[..., Any]) -> None:
    lines = Lines()
    with start(logger=lines.logger) as server:
        for _ in range(3):
            assert origin_seen(server.port) is None
    (warning,) = lines.warnings
    assert "127.0.0.1: it has sent no PROXY header in front; a proxy sends it if it is told to" in warning


def test_a_client_that_leaves_before_is_not_logged(start: Callable[..., Any]) -> None:
    lines = Lines()
    with start(logger=lines.logger) as server:
        for data in (b"", b"PROXY TCP4 1"):
            for reset in (False, True):
                with connect(server.port) as proxy:
                    proxy.sendall(data)
                    if reset:
                        proxy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        service = server.service
        assert service
        until(lambda: service.count() == 0)
    assert lines.warnings == []


def test_a_header_that_does_not_come_in_time(start: Callable[..., Any]) -> None:
    lines = Lines()
    with (
        start(logger=lines.logger, handshake_timeout=0.1) as server,
        connect(server.port) as slow,
        connect(server.port) as quick,
    ):
        slow.sendall(b"PROXY TCP4")
        quick.sendall(line(ANN))
        assert not slow.recv(1)
        assert origin_told(quick, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")[0] == [ANN, 4711]
    assert lines.warnings == [
        "refused a connection from 127.0.0.1: it has sent no whole PROXY header in 0.1 s"
    ]


def test_a_connection_that_waits_for_its_header_counts(start: Callable[..., Any]) -> None:
    with start(max_connections=1) as server:
        with connect(server.port) as first:
            first.sendall(line(ANN)[:9])
            while not server.service or server.service.count() != 1:
                time.sleep(0.001)
            second = connect(server.port)
            second.sendall(line(ANN) + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            second.settimeout(0.1)
            with pytest.raises(TimeoutError):
                second.recv(1)
        with second:
            second.settimeout(5)
            assert second.recv(12) == b"HTTP/1.1 200"


def test_a_stop_does_not_wait_for_headers(start: Callable[..., Any]) -> None:
    started = time.monotonic()
    lines = Lines()
    options = {"drain_timeout": 0.1, "logger": lines.logger}
    with start(**options) as server, connect(server.port) as proxy:
        proxy.sendall(b"PROXY")
        while not server.service or server.service.count() != 1:
            time.sleep(0.001)
        server.stop()
        assert proxy.recv(1) == b""
    assert time.monotonic() - started < 5, "it has waited for handshake_timeout"
    assert lines.warnings == []


def test_before_tls(start: Callable[..., Any], pems: Path) -> None:
    with start(certfile=pems / "cert.pem", keyfile=pems / "key.pem") as server:
        for header in (line(ANN), binary(0x11, V4, TLVS)):
            plain = connect(server.port)
            plain.sendall(header)
            with trusting(pems).wrap_socket(plain, server_hostname="localhost") as client:
                answer = origin_told(client, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert answer == [[ANN, 4711], "https", "a"]
        plain = connect(server.port)
        with plain, pytest.raises((ssl.SSLError, ConnectionError)):
            trusting(pems).wrap_socket(plain, server_hostname="localhost")


def test_with_several_loops(start: Callable[..., Any]) -> None:
    with start(loops=2) as server:
        clients = [connect(server.port) for _ in range(4)]
        for number, client in enumerate(clients):
            client.sendall(line(f"192.0.2.{number}"))
        for number, client in enumerate(clients):
            with client:
                answer = origin_told(client, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert answer[0] == [f"192.0.2.{number}", 4711]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_over_a_unix_socket_with_a_header(start: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "s"
    with start(bind=["127.0.0.1:0", f"unix:{path}"]), socket.socket(socket.AF_UNIX) as proxy:
        proxy.connect(os.fspath(path))
        answer = origin_told(proxy, line(ANN) + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert answer[0] == [ANN, 4711]


def test_keep_alive_goes_on_with_the_same_client(serve_once: Server) -> None:
    client = http.client.HTTPConnection("127.0.0.1", serve_once.port, timeout=5)
    client.connect()
    client.sock.sendall(line(ANN))
    for _ in range(3):
        client.request("GET", "/")
        assert json.loads(client.getresponse().read())[0] == [ANN, 4711]
    client.close()
