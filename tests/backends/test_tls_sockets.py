"""TLS over real sockets, on asyncio, uvloop and selectors, and in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kissapi import Router, Server
from tests import app
from tests.backends.ends import UP, ends
from tests.backends.tls_wire import GET, LAST, STRANGERS
from tests.certificates import TLS_1_2, TLS_1_3, Pair, trusting
from tests.peer import connect, read_all, until
from tests.places import ROOT
from tests.serving import THREE, Served
from tests.small_python import HOME
from tests.wire import parse_answers

Serve = Callable[..., Server]


@pytest.fixture(params=THREE)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def https(serve: Serve, backend: str, pems: Path) -> Serve:
    """Starts servers as `serve` does, over TLS."""

    def start(router: Router, **options: Any) -> Server:
        files = {} if "ssl" in options else {"certfile": pems / "cert.pem", "keyfile": pems / "key.pem"}
        return serve(router, **{**files, **options})

    return start


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


def resumed(port: int, trust: ssl.SSLContext, times: int) -> list[bool | None]:
    """Whether each of so many clients, one after the other, has resumed the session of the one before it."""
    found = []
    session = None
    for _ in range(times):
        with connect(port) as plain:
            client = trust.wrap_socket(plain, server_hostname="localhost", session=session)
            client.sendall(LAST)
            begin = client.recv(1)  # with it comes the ticket, in TLS 1.3
            found.append(client.session_reused)
            session = client.session
            assert (begin + read_all(client)).endswith(b"Hello, world!")
    return found


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
def test_a_session_is_resumed(https: Serve, pems: Path, version: ssl.TLSVersion) -> None:
    assert resumed(https(app.router).port, trusting(pems, version), 3) == [False, True, True]


def test_a_session_is_resumed_by_every_worker(pems: Path) -> None:
    with served("selectors", pems, options="workers=2") as server:
        assert resumed(server.port, trusting(pems), 9) == [False] + [True] * 8


def test_curl_takes_it(https: Serve, pems: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    server = https(app.router)
    urls = [f"https://localhost:{server.port}/{path}" for path in ("", "users/7", "stream")]
    command = ["curl", "-sS", "-v", "--noproxy", "*", "--cacert", pems / "cert.pem", "-4", *urls]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert done.stdout == 'Hello, world!{"id":"7"}0 1 2 '
    assert done.stderr.count("Re-using existing connection") == 2
    assert "http/1.1" in done.stderr.split("ALPN")[-1]


def test_pipelined_answers_keep_their_order(https: Serve, pems: Path) -> None:
    server = https(app.router)
    client = connect(server.port, tls=trusting(pems))
    client.sendall(b"GET /sleep/0.05 HTTP/1.1\r\nHost: a\r\n\r\n" + GET + LAST)
    bodies = [body for _, _, body in parse_answers(read_all(client))]  # … and no SSLEOFError: a clean end
    assert bodies == [b"slept 0.05", b"Hello, world!", b"Hello, world!"]


def test_an_upgraded_connection_talks_both_ways_at_length(https: Serve, pems: Path) -> None:
    router, seen = ends()
    client = connect(https(router).port, tls=trusting(pems))
    client.sendall(UP)
    assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
    for size in (1, 1000, 16384, 16385, 100_000, 300_000):
        client.sendall(b"a" * size)
        got = b""
        while len(got) < size:
            got += client.recv(size)
        assert got == b"A" * size
    assert seen == []


def test_a_slow_handshake_holds_up_no_other_client_and_is_ended(https: Serve, pems: Path) -> None:
    server = https(app.router, handshake_timeout=0.3)
    slow = [connect(server.port) for _ in range(20)]
    for sock in slow:
        sock.sendall(b"\x16\x03\x01")
    client = connect(server.port, tls=trusting(pems))
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


def test_a_new_certificate_is_for_new_connections(https: Serve, pems: Path, tmp_path: Path) -> None:
    pair = Pair(pems, tmp_path)
    server = https(app.router, certfile=pair.certfile, keyfile=pair.keyfile)
    old = connect(server.port, tls=trusting(pems, certfile="old.pem"))
    pair.install("cert.pem", "key.pem")
    server.reload_certificate()
    new = connect(server.port, tls=trusting(pems))
    for client in (old, new):
        client.sendall(GET)
        assert client.recv(1000).endswith(b"Hello, world!")
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server.port, tls=trusting(pems, certfile="old.pem"))


def test_files_are_looked_at_when_a_client_comes(
    https: Serve, pems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kissapi.net.certificate.LOOK", 0.0)
    pair = Pair(pems, tmp_path)
    server = https(app.router, certfile=pair.certfile, keyfile=pair.keyfile)
    connect(server.port, tls=trusting(pems, certfile="old.pem"))
    pair.install("cert.pem", "key.pem")
    connect(server.port, tls=trusting(pems))


def test_a_context_with_client_certificates(https: Serve, pems: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pems / "old.pem"))
    context.load_cert_chain(pems / "cert.pem", pems / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = https(app.router, ssl=context)
    known = trusting(pems)
    known.load_cert_chain(pems / "old.pem", pems / "old_key.pem")
    client = connect(server.port, tls=known)
    client.sendall(LAST)
    assert read_all(client).endswith(b"Hello, world!")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(server.port, tls=trusting(pems)).recv(1)


SERVE = """
import sys
from kissapi import Server
from tests.app import router

backend, certfile, keyfile = sys.argv[1:]
options = {"backend": backend}
if backend == "uvloop":
    import uvloop
    options = {"loop_factory": uvloop.new_event_loop}
server = Server("127.0.0.1", 0, router=router, certfile=certfile, keyfile=keyfile, **options, OPTIONS)
server.loop()
"""


@contextlib.contextmanager
def served(
    backend: str, pems: Path, *python: str | Path, env: dict[str, str] | None = None, options: str = ""
) -> Iterator[Served]:
    program = pems / "serve.py"
    program.write_text(SERVE.replace("OPTIONS", options))
    command = [*(python or (sys.executable, "-W", "error")), program, backend]
    with Served([*command, pems / "cert.pem", pems / "key.pem"], env=env) as process:
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
                connect(server.port, tls=trusting(pems, version, certfile="old.pem"))
        leaves = connect(server.port, tls=trusting(pems))
        leaves.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        leaves.close()
        idle = connect(server.port, tls=trusting(pems))
        busy = connect(server.port, tls=trusting(pems))
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
        client = connect(server.port, tls=trusting(pems))
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


def test_a_context_without_a_certificate_is_told_of(serve: Serve, said: Any) -> None:
    serve(app.router, backend="selectors", ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), logger=said).stop()
    until(lambda: "[WARNING] no client can connect: ssl= has no certificate" in said.told())
