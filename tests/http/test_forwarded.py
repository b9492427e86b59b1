"""Forwarded: what a trusted proxy says of the client in the head, and what no client can make it say."""

from __future__ import annotations

import json
import logging
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Server
from kissapi.http.forwarded import USUAL, field_names, proxied_request_class
from kissapi.net.trusted_proxies import TrustedProxies
from tests.net.proxied import ANN, MALLORY, PROXY, line, origin_seen, origin_told, router_of
from tests.wire import Wire, parse_answers

Serve = Callable[..., Server]

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
    request_class = proxied_request_class(TrustedProxies(trusted), field_names(told), request_class)
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
def test_no_other_client_is_believed(parser_class: Any, peer: Any, told: str) -> None:
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
    trusted = TrustedProxies(f"{PROXY}, 10.1.0.0/16")
    wire = Wire(router_of(), request_class=proxied_request_class(trusted, field_names(told), Request))
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
    derived = proxied_request_class(TrustedProxies(PROXY), field_names(USUAL), Mine)
    assert issubclass(derived, Mine)
    assert repr(derived()) == "<Mine GET />"
    assert derived().client is None


def test_over_tcp(serve: Serve, parser_class: Any) -> None:
    server = serve(router_of(), parser_class=parser_class, trusted_proxies="127.0.0.1")
    fields = [f"X-Forwarded-For: {ANN}", "X-Forwarded-Proto: https"]
    assert origin_seen(server.port, *fields) == [[ANN, 0], "https", "a"]
    client, scheme, _ = origin_seen(server.port, *fields, source="127.0.0.2")
    assert (client[0], scheme) == ("127.0.0.2", "http")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
@pytest.mark.parametrize(("trusted", "client"), [("unix", [ANN, 0]), ("127.0.0.1", None)])
def test_over_a_unix_socket(serve: Serve, tmp_path: Path, trusted: str, client: Any) -> None:
    path = tmp_path / "s"
    serve(router_of(), bind=["127.0.0.1:0", f"unix:{path}"], trusted_proxies=trusted)
    head = f"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: {ANN}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as proxy:
        proxy.connect(str(path))
        assert origin_told(proxy, head.encode())[0] == client


def test_the_log_has_the_address_of_the_client(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("proxied")
    caplog.set_level(logging.INFO, "proxied")
    options = {"logger": logger, "access_log": True, "trusted_proxies": "127.0.0.1", "proxy_protocol": True}
    server = serve(router_of(), **options)
    origin_seen(server.port, first=line(ANN))
    origin_seen(server.port, f"X-Forwarded-For: {ANN}, unknown", first=line("127.0.0.1"))
    clients = [record.__dict__["client"] for record in caplog.records if hasattr(record, "client")]
    assert clients == [(ANN, 4711), None]
