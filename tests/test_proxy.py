"""Proxies: whose word is taken, what it says of the client, and what nobody can make it say.

What stands in a head is asked without a socket; the PROXY protocol, which comes before, with real ones.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Router, Server
from kissapi.forwarded import USUAL, behind, field_names
from kissapi.proxy_protocol import LINE, SIGNATURE, BadHeader, Gate, header_size, read_header
from kissapi.trust import Trusted, pack
from tests.test_tls import pems, trusting  # noqa: F401  # pems: a fixture
from tests.wire import Wire, parse_answers

Serve = Callable[..., Server]

PROXY = "10.0.0.1"
ANN = "192.0.2.7"
MALLORY = "203.0.113.66"


def router_of() -> Router:
    """It says what it knows of the client."""
    router = Router()

    @router.get("/")
    async def origin(req: Request) -> Any:
        return [req.client, req.scheme, req.headers.get("host")]

    return router


# Trust


@pytest.mark.parametrize(
    ("names", "inside", "outside"),
    [
        ("127.0.0.1", ["127.0.0.1", "::ffff:127.0.0.1"], ["127.0.0.2", "::1", "localhost", ""]),
        ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["11.0.0.0", "9.255.255.255", "::a00:1"]),
        ("192.168.4.0/23", ["192.168.5.255"], ["192.168.6.0", "192.168.3.255"]),
        ("2001:db8::/32", ["2001:DB8:0:0::1"], ["2001:db9::1", "32.1.13.184"]),
        ("fe80::1", ["fe80::1%eth0"], ["fe80::2%eth0"]),
        ("0.0.0.0/0", ["203.0.113.1", "0.0.0.0"], ["::1"]),
        ("127.0.0.1, ::1", ["127.0.0.1", "::1"], ["127.1", "0127.0.0.1", "127.0.0.1 ", "é", "1\x00"]),
    ],
)
def test_who_is_trusted(names: str, inside: list[str], outside: list[str]) -> None:
    trusted = Trusted(names)
    assert [address for address in inside if address not in trusted] == []
    assert [address for address in outside if address in trusted] == []
    assert not trusted.unix


def test_a_unix_socket_is_trusted_by_its_name_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for names in ("unix", ["127.0.0.1", " unix "]):
            assert Trusted(names).knows("", ours)
            assert not Trusted(names).knows(None, None)
        assert not Trusted("0.0.0.0/0, ::/0").knows("", ours)
        with socket.socket() as tcp:
            assert not Trusted("unix").knows(None, tcp), "one that has left has no address either"


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("localhost", r"'localhost' is no proxy to trust: write an address such as 127\.0\.0\.1"),
        ("*", r"for everybody: 0\.0\.0\.0/0 and ::/0"),
        ("", "''"),
        ([], "trusted_proxies is empty"),
        ([7], "named by a string, not by 7"),
        (True, "it is not True"),
        ("10.0.0.1/8", r"the network is 10\.0\.0\.0/8"),
        ("2001:db8::1/32", "the network is 2001:db8::/32"),
        ("10.0.0.0/33", "a number of bits, 0 to 32"),
        ("10.0.0.0/", "a number of bits, 0 to 32"),
        ("10.0.0.0/255.0.0.0", "a number of bits"),
    ],
)
def test_a_name_that_is_no_proxys_is_an_error(names: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Server(trusted_proxies=names)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"proxy_protocol": True}, "whose word is taken"),
        ({"proxy_headers": "forwarded"}, "whose word is taken"),
        (
            {"trusted_proxies": PROXY, "proxy_headers": "x-real-ip"},
            "forwarded, x-forwarded-for, .* 'x-real-ip'",
        ),
        ({"trusted_proxies": PROXY, "proxy_headers": ["Forwarded", "X-Forwarded-For"]}, "not both"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Server(**options)


def test_a_server_without_proxies_loads_nothing_of_this() -> None:
    program = """
import sys
from kissapi import Server
Server()
print(*{"kissapi.trust", "kissapi.forwarded", "kissapi.proxy_protocol"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (done.stdout.split("\n"), done.stderr) == (["", ""], "")


# What stands in the head

ALL_X = "x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port"


def origin(
    parser_class: Any,
    *fields: str,
    told: str = USUAL,
    trusted: str = f"{PROXY}, 10.1.0.0/16, fd00::/8",
    peer: Any = (PROXY, 4321),
    request_class: type[Request] = Request,
    secure: bool = False,
) -> Any:
    """What the app sees of a request with these fields, from the proxy."""
    request_class = behind(Trusted(trusted), field_names(told), request_class)
    wire = Wire(router_of(), parser_class, request_class)
    wire.transport.facts = {"peername": peer, "sslcontext": secure or None}
    wire.connection.peer = peer
    head = "\r\n".join(["GET / HTTP/1.1", "Host: app:8000", *fields, "", ""])
    wire.send(head.encode())
    ((status, _, body),) = parse_answers(wire.received)
    assert status == 200, wire.lines
    return json.loads(body)


@pytest.mark.parametrize(
    ("field", "client"),
    [
        (ANN, [ANN, 0]),
        (f"{ANN}:4711", [ANN, 4711]),
        ("2001:DB8::0:7", ["2001:db8::7", 0]),
        ("[2001:db8::7]", ["2001:db8::7", 0]),
        ("[2001:db8::7]:4711", ["2001:db8::7", 4711]),
        (f"::ffff:{ANN}", [ANN, 0]),
        # The rightmost that is not trusted, whatever is left of it.
        (f"{MALLORY}, {ANN}", [ANN, 0]),
        (f"{MALLORY},{ANN} ,\t10.1.2.3, fd00::1", [ANN, 0]),
        (f'"{MALLORY}, unknown, ,,{ANN}', [ANN, 0]),
        (f"{ANN},,", [ANN, 0]),
        # All are trusted: the one furthest away.
        ("10.1.0.5, 10.1.0.6", ["10.1.0.5", 0]),
        ("", [PROXY, 4321]),
        # Of a trusted proxy, but nobody's name.
        (f"{ANN}, unknown", None),
        (f"{ANN}, localhost", None),
        (f"{ANN}, [10.1.0.1], 10.1.0.2", None),
        (f"{ANN}, [::1", None),
        (f"{ANN}, [::1]x", None),
        (f"{ANN}, 1:2:3", None),
        (f"{ANN}, 010.1.0.1", None),
        (f"{ANN}:99999", [ANN, 0]),
        (f"{ANN}:", [ANN, 0]),
    ],
)
def test_x_forwarded_for(parser_class: Any, field: str, client: Any) -> None:
    assert origin(parser_class, f"X-Forwarded-For: {field}") == [client, "http", "app:8000"]


def test_several_fields_are_one_list(parser_class: Any) -> None:
    fields = [f"X-Forwarded-For: {MALLORY}", f"x-forwarded-for: {ANN}", "X-FORWARDED-FOR: 10.1.2.3"]
    assert origin(parser_class, *fields)[0] == [ANN, 0]


@pytest.mark.parametrize("peer", [(MALLORY, 1), ("::1", 1, 0, 0), None, ""])
@pytest.mark.parametrize("told", [ALL_X, "forwarded"])
def test_nobody_else_is_believed(parser_class: Any, peer: Any, told: str) -> None:
    fields = [
        f"X-Forwarded-For: {ANN}",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: a",
        "X-Forwarded-Port: 1",
        f"Forwarded: for={ANN};proto=https;host=a",
    ]
    client, scheme, host = origin(parser_class, *fields, told=told, peer=peer, trusted=f"{PROXY}, unix")
    assert client == (list(peer[:2]) if peer else None)
    assert (scheme, host) == ("http", "app:8000")


@pytest.mark.parametrize("told", ["", "x-forwarded-port"])
def test_a_field_that_no_proxy_sets_is_not_read(parser_class: Any, told: str) -> None:
    fields = [
        f"X-Forwarded-For: {ANN}",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: a",
        "Forwarded: for=1",
    ]
    assert origin(parser_class, *fields, told=told) == [[PROXY, 4321], "http", "app:8000"]


def test_without_trust_the_fields_are_as_any_other(parser_class: Any) -> None:
    wire = Wire(router_of(), parser_class)
    wire.send(f"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {ANN}\r\n\r\n".encode())
    assert json.loads(parse_answers(wire.received)[0][2]) == [["127.0.0.1", 50000], "http", "a"]


@pytest.mark.parametrize(
    ("field", "secure", "scheme"),
    [
        ("https", False, "https"),
        ("HTTPS", False, "https"),
        ("wss", False, "https"),
        ("ws", False, "http"),
        ("http", True, "http"),
        ("https, http", False, "http"),
        ("http, https", False, "https"),
        ("gopher", False, "http"),
        ("gopher", True, "https"),
        ("", True, "https"),
    ],
)
def test_x_forwarded_proto(parser_class: Any, field: str, secure: bool, scheme: str) -> None:
    assert origin(parser_class, f"X-Forwarded-Proto: {field}", secure=secure)[1] == scheme


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        (["X-Forwarded-Host: example.org"], "example.org"),
        (["X-Forwarded-Host: evil, example.org:81"], "example.org:81"),
        (["X-Forwarded-Host: a b"], "app:8000"),
        (["X-Forwarded-Host: user@example.org"], "app:8000"),
        (["X-Forwarded-Host:"], "app:8000"),
        (["X-Forwarded-Host: example.org", "X-Forwarded-Port: 8443"], "example.org:8443"),
        (["X-Forwarded-Host: [::1]:5", "X-Forwarded-Port: 8443"], "[::1]:8443"),
        (["X-Forwarded-Host: [::1]", "X-Forwarded-Port: 80"], "[::1]"),
        (["X-Forwarded-Port: 443", "X-Forwarded-Proto: https"], "app"),
        (["X-Forwarded-Port: 443"], "app:443"),
        (["X-Forwarded-Port: 70000"], "app:8000"),
        (["X-Forwarded-Port: x"], "app:8000"),
    ],
)
def test_x_forwarded_host_and_port(parser_class: Any, fields: list[str], host: str) -> None:
    assert origin(parser_class, *fields, told=ALL_X)[2] == host
    assert origin(parser_class, *fields)[2] == "app:8000", "nobody has said that the proxy sets them"


@pytest.mark.parametrize(
    ("field", "client", "scheme", "host"),
    [
        (f"for={ANN}", [ANN, 0], "http", "app:8000"),
        (f"For={ANN} ; proto=https;", [ANN, 0], "https", "app:8000"),
        (f"for={ANN}:4711;host=b:81", [ANN, 4711], "http", "b:81"),
        ("for=[2001:db8::7]:4711", ["2001:db8::7", 4711], "http", "app:8000"),
        (f'by=_x;FOR="{ANN}:4711";Proto="https";host="b:81"', [ANN, 4711], "https", "b:81"),
        ('for="[2001:db8::7]:4711"', ["2001:db8::7", 4711], "http", "app:8000"),
        (f'for="{ANN}:_hidden"', [ANN, 0], "http", "app:8000"),
        (f'for="\\1{ANN[1:]}"', [ANN, 0], "http", "app:8000"),
        # The element that names the client says the rest, too.
        (f"for={MALLORY};host=m, for={ANN};proto=https;host=b, for=10.1.0.2;host=c", [ANN, 0], "https", "b"),
        (f'for={ANN};host="a, b;c", for=10.1.0.2', [ANN, 0], "http", "app:8000"),
        (f"for={ANN};proto=https, ,", [ANN, 0], "https", "app:8000"),
        ("for=10.1.0.1, for=10.1.0.2;proto=https", ["10.1.0.1", 0], "http", "app:8000"),
        # What a client has sent in front cannot hide what a proxy has written behind it.
        (f'for="{MALLORY}, for={ANN};proto=https', [ANN, 0], "https", "app:8000"),
        (f'x=", for="{ANN}:1"', [ANN, 1], "http", "app:8000"),
        (f'x="\\, for="{ANN}:1"', [ANN, 1], "http", "app:8000"),
        (f'for={MALLORY};x="a, for={ANN};host="b, c"', [ANN, 0], "http", "app:8000"),
        ("," * 5000 + f"for={ANN}", [ANN, 0], "http", "app:8000"),
        # Of a trusted proxy, but nobody's name.
        (f"for={ANN}, for=unknown;proto=https", None, "https", "app:8000"),
        (f"for={ANN}, for=_hidden", None, "http", "app:8000"),
        (f"for={ANN}, proto=https", None, "https", "app:8000"),
        (f"for={ANN}, for=10.1.0.1 ;;", None, "http", "app:8000"),
        (f"for={ANN}, {ANN}", None, "http", "app:8000"),
        ('"', None, "http", "app:8000"),
        ("", [PROXY, 4321], "http", "app:8000"),
    ],
)
def test_forwarded(parser_class: Any, field: str, client: Any, scheme: str, host: str) -> None:
    fields = [f"Forwarded: {field}", f"X-Forwarded-For: {MALLORY}", "X-Forwarded-Proto: https"]
    assert origin(parser_class, *fields, told="forwarded") == [client, scheme, host]


@pytest.mark.parametrize(
    "piece", [",", '",', "for=10.1.0.1,", 'x="', "a=b;", "\\", '"\\",', " ", " ;", "a", "="]
)
def test_a_long_field_takes_no_long_time(parser_class: Any, piece: str) -> None:
    field = piece * (60_000 // len(piece))
    started = time.process_time()
    for start in ("", "for=10.1.0.1", 'for="'):
        origin(parser_class, f"Forwarded: {start}{field}x", told="forwarded")
    assert time.process_time() - started < 1, "the square of its length would take minutes"


@pytest.mark.parametrize(
    ("told", "name", "words"),
    [
        (USUAL, "X-Forwarded-For", [ANN, f"{ANN}:4711", f"{ANN}, 10.1.0.1"]),
        ("forwarded", "Forwarded", [f"for={ANN}", f'for="{ANN}:1";host="a, b\\"c"', f"proto=x; for={ANN}:1"]),
    ],
)
def test_nothing_in_front_hides_what_the_proxy_adds(told: str, name: str, words: list[str]) -> None:
    dice = random.Random(7)
    pieces = [*'",;=\\ \t[]:', ANN, MALLORY, "for=", "10.1.0.1", "host", "unknown", 'for="', '\\"', "x=y"]
    trusted = Trusted(f"{PROXY}, 10.1.0.0/16")
    wire = Wire(router_of(), request_class=behind(trusted, field_names(told), Request))
    wire.connection.peer = (PROXY, 1)
    for _ in range(500):
        claim = "".join(dice.choices(pieces, k=dice.randrange(12)))
        wire.send(f"GET / HTTP/1.1\r\nHost: a\r\n{name}: {claim}, {dice.choice(words)}\r\n\r\n".encode())
        ((_, _, body),) = parse_answers(wire.received)
        wire.transport.sent.clear()
        assert json.loads(body)[0][0] == ANN, claim


def test_a_class_of_requests_stays_what_it_is(parser_class: Any) -> None:
    class Mine(Request):
        @property
        def client(self) -> tuple[str, int] | None:
            told = super().client
            return (told[0].upper(), 1) if told else None

    assert origin(parser_class, "X-Forwarded-For: 2001:db8::7", request_class=Mine)[0] == ["2001:DB8::7", 1]
    derived = behind(Trusted(PROXY), field_names(USUAL), Mine)
    assert issubclass(derived, Mine)
    assert repr(derived()) == "<Mine GET />"
    assert derived().client is None


# Over real sockets


def ask(port: int, *fields: str, first: bytes = b"", source: str = "127.0.0.1") -> Any:
    """What the app sees of a request of ours, with `first` in front of it; None if we were not served."""
    head = "\r\n".join(["GET / HTTP/1.1", "Host: a", "Connection: close", *fields, "", ""])
    with socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0)) as client:
        return talk(client, first + head.encode())


def talk(client: socket.socket, data: bytes) -> Any:
    answer = b""
    try:
        client.sendall(data)
        while piece := client.recv(65536):
            answer += piece
    except ConnectionError:  # what we have sent was not read
        assert not answer
    return json.loads(answer.partition(b"\r\n\r\n")[2]) if answer else None


def test_over_tcp(serve: Serve, parser_class: Any) -> None:
    server = serve(router_of(), parser_class=parser_class, trusted_proxies="127.0.0.1")
    fields = [f"X-Forwarded-For: {ANN}", "X-Forwarded-Proto: https"]
    assert ask(server.port, *fields) == [[ANN, 0], "https", "a"]
    client, scheme, _ = ask(server.port, *fields, source="127.0.0.2")
    assert (client[0], scheme) == ("127.0.0.2", "http")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
@pytest.mark.parametrize(("trusted", "client"), [("unix", [ANN, 0]), ("127.0.0.1", None)])
def test_over_a_unix_socket(serve: Serve, tmp_path: Path, trusted: str, client: Any) -> None:
    path = tmp_path / "s"
    serve(router_of(), bind=["127.0.0.1:0", f"unix:{path}"], trusted_proxies=trusted)
    head = f"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: {ANN}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as proxy:
        proxy.connect(str(path))
        assert talk(proxy, head.encode())[0] == client


def test_the_log_says_who_it_was(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("proxied")
    caplog.set_level(logging.INFO, "proxied")
    options = {"logger": logger, "access_log": True, "trusted_proxies": "127.0.0.1", "proxy_protocol": True}
    server = serve(router_of(), **options)
    ask(server.port, first=line(ANN))
    ask(server.port, f"X-Forwarded-For: {ANN}, unknown", first=line("127.0.0.1"))
    clients = [record.__dict__["client"] for record in caplog.records if hasattr(record, "client")]
    assert clients == [(ANN, 4711), None]


# The PROXY protocol


def line(address: str, kind: str = "TCP4", target: str = "10.0.0.1") -> bytes:
    return f"PROXY {kind} {address} {target} 4711 443\r\n".encode()


def binary(
    family: int, addresses: bytes = b"", tail: bytes = b"", command: int = 1, version: int = 2
) -> bytes:
    block = addresses + tail
    return SIGNATURE + bytes([version << 4 | command, family]) + struct.pack("!H", len(block)) + block


V4 = socket.inet_aton(ANN) + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4711, 443)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + struct.pack("!HH", 4711, 443)
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
    client, scheme, _ = ask(serve_once.port, first=header)
    assert scheme == "http"
    if peer is None:  # the proxy itself
        assert client[0] == "127.0.0.1"
    else:
        assert client == (list(peer) or None)


@pytest.mark.parametrize(("header", "says"), WRONG)
def test_a_wrong_header_is_not_served(serve_once: Server, header: bytes, says: str) -> None:
    assert ask(serve_once.port, first=header) is None


@pytest.mark.parametrize("header", [line(ANN), binary(0x21, V6, TLVS)])
def test_a_header_may_come_in_pieces(serve_once: Server, header: bytes) -> None:
    with socket.create_connection(("127.0.0.1", serve_once.port), timeout=5) as proxy:
        proxy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for index in range(len(header)):
            proxy.send(header[index : index + 1])
        answer = talk(proxy, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer[0][1] == 4711


def test_headers_are_taken_from_those_whom_the_protocol_names(serve_once: Server) -> None:
    fields = f"X-Forwarded-For: {ANN}"
    assert ask(serve_once.port, fields, first=line(MALLORY))[0] == [MALLORY, 4711]
    assert ask(serve_once.port, fields, first=line(PROXY))[0] == [ANN, 0]
    for header in (b"PROXY UNKNOWN\r\n", binary(0), binary(0x31, bytes(216))):
        assert ask(serve_once.port, fields, first=header)[0] is None


@pytest.fixture(scope="module", params=["asyncio", "selectors", "uvloop"])
def serve_once(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server for all tests of this module that only ask it."""
    with running(request.param, **OPTIONS) as server:
        yield server


@contextmanager
def running(kind: str, **options: Any) -> Iterator[Server]:
    """A server in a thread of its own, on asyncio, selectors or uvloop."""
    options = {"host": "127.0.0.1", "port": 0, "access_log": False, "backend": kind, **options}
    if kind == "uvloop":
        if find_spec("uvloop") is None:
            pytest.skip("uvloop is not installed")
        import uvloop

        options |= {"backend": "asyncio", "loop_factory": uvloop.new_event_loop}
    server = Server(**{"router": router_of(), **options})
    began = threading.Event()
    server.on_start(began.set)
    thread = threading.Thread(target=server.loop, daemon=True)
    thread.start()
    assert began.wait(5)
    while server.service is None:  # the listeners come right behind
        time.sleep(0.001)
    try:
        yield server
    finally:
        server.stop()
        server.stop()
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"


@pytest.fixture(params=["asyncio", "selectors", "uvloop"])
def start(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return partial(running, request.param, **OPTIONS)


def test_a_line_a_minute_tells_of_all(tmp_path: Path) -> None:
    wire = Wire(router_of())
    gate = Gate(None, wire.service, lambda sock, peer: None, Trusted(PROXY))
    for seconds in (1, 1, 1, 60, 120):
        ours, theirs = socket.socketpair()
        with theirs:
            gate.enter(ours)
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
        with socket.create_connection(("127.0.0.1", server.port), 5, ("127.0.0.2", 0)) as stranger:
            assert stranger.recv(1) == b""
        for _ in range(3):
            assert ask(server.port, first=line(ANN), source="127.0.0.2") is None
        assert ask(server.port, first=line(ANN))[0] == [ANN, 4711]
    assert lines.warnings == ["refused a connection from 127.0.0.2: it is not among the trusted_proxies"]


def test_a_connection_without_a_header_is_refused_with_a_line(start: Callable[..., Any]) -> None:
    lines = Lines()
    with start(logger=lines.logger) as server:
        for _ in range(3):
            assert ask(server.port) is None
    (warning,) = lines.warnings
    assert "127.0.0.1: it has sent no PROXY header in front; a proxy sends it if it is told to" in warning


def test_who_leaves_before_is_no_news(start: Callable[..., Any]) -> None:
    lines = Lines()
    with start(logger=lines.logger) as server:
        for data in (b"", b"PROXY TCP4 1"):
            for reset in (False, True):
                with socket.create_connection(("127.0.0.1", server.port), timeout=5) as proxy:
                    proxy.sendall(data)
                    if reset:
                        proxy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        deadline = time.monotonic() + 5
        while server.service and server.service.count() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert server.service
        assert server.service.count() == 0
    assert lines.warnings == []


def test_a_header_that_does_not_come_in_time(start: Callable[..., Any]) -> None:
    lines = Lines()
    with (
        start(logger=lines.logger, handshake_timeout=0.1) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as slow,
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as quick,
    ):
        slow.sendall(b"PROXY TCP4")
        quick.sendall(line(ANN))
        assert not slow.recv(1)
        assert talk(quick, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")[0] == [ANN, 4711]
    assert lines.warnings == [
        "refused a connection from 127.0.0.1: it has sent no whole PROXY header in 0.1 s"
    ]


def test_who_waits_counts(start: Callable[..., Any]) -> None:
    with start(max_connections=1) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as first:
            first.sendall(line(ANN)[:9])
            while not server.service or server.service.count() != 1:
                time.sleep(0.001)
            second = socket.create_connection(("127.0.0.1", server.port), timeout=5)
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
    with start(**options) as server, socket.create_connection(("127.0.0.1", server.port), 5) as proxy:
        proxy.sendall(b"PROXY")
        while not server.service or server.service.count() != 1:
            time.sleep(0.001)
        server.stop()
        assert proxy.recv(1) == b""
    assert time.monotonic() - started < 5, "it has waited for handshake_timeout"
    assert lines.warnings == []


def test_before_tls(start: Callable[..., Any], pems: Path) -> None:  # noqa: F811
    with start(certfile=pems / "cert.pem", keyfile=pems / "key.pem") as server:
        for header in (line(ANN), binary(0x11, V4, TLVS)):
            plain = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            plain.sendall(header)
            with trusting(pems).wrap_socket(plain, server_hostname="localhost") as client:
                answer = talk(client, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert answer == [[ANN, 4711], "https", "a"]
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        with plain, pytest.raises((ssl.SSLError, ConnectionError)):
            trusting(pems).wrap_socket(plain, server_hostname="localhost")


def test_with_several_loops(start: Callable[..., Any]) -> None:
    with start(loops=2) as server:
        clients = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(4)]
        for number, client in enumerate(clients):
            client.sendall(line(f"192.0.2.{number}"))
        for number, client in enumerate(clients):
            with client:
                answer = talk(client, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert answer[0] == [f"192.0.2.{number}", 4711]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_over_a_unix_socket_with_a_header(start: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "s"
    with start(bind=["127.0.0.1:0", f"unix:{path}"]), socket.socket(socket.AF_UNIX) as proxy:
        proxy.connect(os.fspath(path))
        answer = talk(proxy, line(ANN) + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert answer[0] == [ANN, 4711]


def test_keep_alive_goes_on_with_the_same_client(serve_once: Server) -> None:
    client = http.client.HTTPConnection("127.0.0.1", serve_once.port, timeout=5)
    client.connect()
    client.sock.sendall(line(ANN))
    for _ in range(3):
        client.request("GET", "/")
        assert json.loads(client.getresponse().read())[0] == [ANN, 4711]
    client.close()
