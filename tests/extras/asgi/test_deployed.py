"""An ASGI app as it is deployed: what its scope says behind TLS, proxies and a Unix socket; with --reload."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kissapi.extras.asgi import from_asgi, to_asgi
from tests import peer
from tests.certificates import trusting
from tests.conformance import TOPICS
from tests.conformance.app import router as conformance
from tests.extras.asgi.app import App, answer
from tests.frames import handshake
from tests.http.test_conformance import GARBAGE, NEXT, check
from tests.net.proxied import ANN, V4, V6, binary, line
from tests.serving import Served, environment, make, running

if TYPE_CHECKING:
    from kissapi import Server

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Scopes(App):
    """It keeps the scopes, and answers or refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
            return
        self.kept.append(scope)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await answer(send, b"kept")


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def serving(loop: str, **options: Any) -> Iterator[tuple[Server, list[dict[str, Any]]]]:
    app = Scopes()
    with running(make(loop, from_asgi(app), **options)) as server:
        yield server, app.kept


def ask(sock: Any, *requests: bytes) -> None:
    for request in requests:
        assert peer.ask(sock, request).startswith((b"HTTP/1.1 200 OK", b"HTTP/1.1 403 "))


def test_tls(loop: str, pems: Path) -> None:
    with serving(loop, certfile=pems / "cert.pem", keyfile=pems / "key.pem") as (server, scopes):
        for request in (GET, handshake("/")):
            ask(peer.connect(server.port, tls=trusting(pems)), request)
    assert [scope["scheme"] for scope in scopes] == ["https", "wss"]
    for scope in scopes:
        assert scope["server"] == ("127.0.0.1", server.port)
        assert scope["client"][0] == "127.0.0.1"


def test_a_trusted_proxy_tells_client_scheme_and_host(loop: str) -> None:
    """One connection of the proxy carries the requests of many clients, and those of none."""
    head = "GET / HTTP/1.1\r\nHost: inside\r\nX-Forwarded-For: {}\r\nX-Forwarded-Proto: {}\r\n\r\n"
    with serving(loop, trusted_proxies="127.0.0.1") as (server, scopes):
        sock = peer.connect(server.port)
        ask(sock, head.format("192.0.2.7", "https").encode(), head.format("2001:db8::7", "http").encode())
        ask(sock, b"GET / HTTP/1.1\r\nHost: inside\r\n\r\n")
        ask(sock, handshake("/", "X-Forwarded-For: 192.0.2.9", "X-Forwarded-Proto: https"))
    assert [scope["client"][0] for scope in scopes] == ["192.0.2.7", "2001:db8::7", "127.0.0.1", "192.0.2.9"]
    assert [scope["scheme"] for scope in scopes] == ["https", "http", "http", "wss"]
    with serving(loop, trusted_proxies="127.0.0.1", proxy_headers="forwarded") as (server, scopes):
        forwarded = b"Forwarded: for=192.0.2.7;proto=https;host=shop.example"
        ask(peer.connect(server.port), GET.replace(b"Host: a", b"Host: a\r\n" + forwarded))
    assert (b"host", b"shop.example") in scopes[0]["headers"]
    assert scopes[0]["scheme"] == "https"


def test_what_a_client_says_of_itself_is_not_believed(loop: str) -> None:
    lies = GET.replace(b"Host: a", b"Host: a\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https")
    with serving(loop, trusted_proxies="192.0.2.1") as (server, scopes):
        ask(peer.connect(server.port), lies)
    assert (scopes[0]["client"][0], scopes[0]["scheme"]) == ("127.0.0.1", "http")


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (line(ANN), (ANN, 4711)),
        (binary(0x11, V4), (ANN, 4711)),
        (binary(0x21, V6), ("2001:db8::7", 4711)),
        (b"PROXY UNKNOWN\r\n", None),
    ],
)
def test_the_proxy_protocol_tells_the_client(loop: str, header: bytes, client: Any) -> None:
    with serving(loop, trusted_proxies="127.0.0.1", proxy_protocol=True) as (server, scopes):
        for request in (GET, handshake("/")):
            ask(peer.connect(server.port), header + request)
    assert [scope["client"] for scope in scopes] == [client, client]


def test_a_unix_socket_has_no_client(loop: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket has at most 107 bytes
        path = f"{folder}/app"
        with serving(loop, bind=f"unix:{path}") as (_, scopes):
            for request in (GET, handshake("/")):
                ask(peer.connect(path), request)
    for scope in scopes:
        assert scope["client"] is None
        assert scope["server"] == (path, None)


# Cases that are answered in another way, by design.
OTHERWISE = (
    "HTTP/1.0 gets a stream to the end of the connection.",  # that came at once, so it has a length
    "HTTP/1.0 gets no chunks.",  # the same
    "A client that ends while it waits.",  # for an app that has not asked for the body yet
)


def test_http_is_read_as_for_an_app_of_kissapi(parser_class: Any) -> None:
    """All cases of tests/conformance, request smuggling among them, through both doors: the app is ASGI's."""
    router, wrong = from_asgi(to_asgi(conformance)), []
    with running(make("asyncio", router, parser_class=parser_class)) as server:
        for topic, cases in TOPICS.items():
            for case in (case for case in cases if case.why not in OTHERWISE):
                with peer.connect(server.port) as sock:
                    sock.sendall(case.data + (b"" if case.cut else GARBAGE if case.closes else NEXT))
                    if case.cut:
                        sock.shutdown(1)
                    received = b"".join(iter(lambda: sock.recv(65536), b""))
                try:
                    check(case, received, () if case.closes else ("GET /next",))
                except AssertionError as error:
                    wrong.append(f"{topic}: {case.why} {error}")
    assert not wrong, "\n".join(wrong)


APP = "from tests.extras.asgi.app import App, answer\n\nclass Shop(App):\n"
HELLO = (
    "    async def hello(self, scope, receive, send):\n        await answer(send, b'{}')\n\napp = Shop()\n"
)


def test_a_change_of_the_app_is_served(tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    file.write_text(APP + HELLO.format("one"))
    words = [sys.executable, "-m", "kissapi", "shop:app", "--reload", "--port=0", "--host=127.0.0.1"]
    variables = {**environment(), "TMPDIR": str(tmp_path)}
    with Served(words, cwd=tmp_path, env=variables) as served:
        assert served.get("/") == b"one"
        file.write_text(APP + HELLO.format("another"))
        peer.until(lambda: served.get("/") == b"another")
        assert json.loads(served.get("/scope"))["state"] == {"pool": "open"}
