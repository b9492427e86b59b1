"""Behind nginx and HAProxy themselves, with the configurations of examples/deploy, which the guide shows.

They run as whoever runs the tests, on loopback. Their listening sockets are opened here and handed down, so
that no other program can get the port in between, and a client that connects too early waits.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Router, Server, sleep
from tests.certificates import trusting
from tests.frames import TEXT, close, frame, handshake, parse
from tests.pages import DEPLOY
from tests.peer import connect, until
from tests.serving import Served, make, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sockets are handed down as Linux has it")

NGINX, HAPROXY, HAPROXY_TCP = (
    (DEPLOY / name).read_text(encoding="utf-8") for name in ("nginx.conf", "haproxy.cfg", "haproxy-tls.cfg")
)
# On this machine they run without a user, and without a system's log, of their own.
HAPROXY = HAPROXY[HAPROXY.index("defaults") :]


# The app


class App:
    """What is asked through the proxies."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.arrived = 0  # bytes of the upload in hand
        self.router = router = Router()

        @router.get("/client")
        async def who(req: Request) -> Any:
            assert req._connection is not None
            link = str(req._connection.transport.get_extra_info("peername"))
            return {"client": req.client, "scheme": req.scheme, "host": req.headers["host"], "link": link}

        @router.get("/ticks")
        async def ticks(req: Request) -> Any:
            yield "first"
            while not self.go.is_set():
                await sleep(0.005)
            yield "second"

        @router.put("/digest", stream=True, max_body=1 << 30)
        async def digest(req: Request) -> str:
            sha = hashlib.sha256()
            async for piece in req.stream():
                sha.update(piece)
                self.arrived += len(piece)
            return sha.hexdigest()

        @router.websocket("/ws")
        async def echo(ws: Any) -> None:
            async for message in ws:
                await ws.send(f"{ws.request.client[0]} says {message}")


# The proxies


def listening() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.set_inheritable(True)
    return sock


@contextmanager
def process(command: list[str], log: Path, sock: socket.socket, **environment: str) -> Iterator[None]:
    with log.open("wb") as output:
        running = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], **environment},
            pass_fds=[sock.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    port = sock.getsockname()[1]
    sock.close()
    try:
        yield
        assert running.poll() is None, f"it has ended:\n{log.read_text()}"
    except BaseException as error:
        error.add_note(f"{command[0]} on port {port} has said:\n{log.read_text()}")
        raise
    finally:
        running.terminate()
        try:
            running.wait(5)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def nginx(folder: Path, app: str) -> Iterator[int]:
    """nginx in front of the address `app`; gives its port."""
    path = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip("nginx is not installed (the package nginx-light)")
    sock = listening()
    port = sock.getsockname()[1]
    temporary = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    site = replaced(NGINX, ("listen 80;", f"listen 127.0.0.1:{port};"), ("unix:/run/app.sock", app))
    config = folder / "nginx.conf"
    as_we_are = "user root root;\n" * (os.geteuid() == 0)  # else root's nginx works as nobody
    config.write_text(
        f"daemon off;\nworker_processes 1;\n{as_we_are}error_log stderr;\npid {folder}/nginx.pid;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{temporary}{site}}}\n"
    )
    command = [path, "-p", str(folder), "-e", "stderr", "-c", str(config)]
    with process(command, folder / "nginx.log", sock, NGINX=f"{sock.fileno()};"):
        yield port


@contextmanager
def haproxy(folder: Path, text: str, *changes: tuple[str, str]) -> Iterator[int]:
    """HAProxy with the configuration `text`; gives its port."""
    path = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip("haproxy is not installed (the package haproxy)")
    sock = listening()
    port = sock.getsockname()[1]
    text = re.sub(r"bind :\d+", "bind fd@${SOCKET}", replaced(text, *changes))
    config = folder / f"haproxy-{port}.cfg"
    config.write_text(f"global\n    log stderr format raw local0 notice\n    nbthread 1\n{text}")
    with process([path, "-db", "-f", str(config)], folder / "haproxy.log", sock, SOCKET=str(sock.fileno())):
        yield port


def replaced(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


KINDS = ("nginx", "haproxy")


@contextmanager
def in_front(kind: str, folder: Path, app: str) -> Iterator[int]:
    if kind == "nginx":
        with nginx(folder, app) as port:
            yield port
    else:
        with haproxy(folder, HAPROXY, ("unix@/run/app.sock", app)) as port:
            yield port


class Site:
    """An app and the port of the proxy in front of it."""

    def __init__(self, app: App, port: int, server: Server) -> None:
        self.app, self.port, self.server = app, port, server

    def client(self, source: str = "127.0.0.1") -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=(source, 0))

    def who(self, *fields: tuple[str, str], source: str = "127.0.0.1") -> Any:
        client = self.client(source)
        client.request("GET", "/client", headers=dict(fields))
        answer = client.getresponse()
        body = answer.read()
        client.close()
        assert answer.status == 200, (answer.status, body)
        return json.loads(body)


@pytest.fixture(
    scope="module", params=[f"{kind}-{backend}" for kind in KINDS for backend in ("asyncio", "selectors")]
)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    app = App()
    folder = tmp_path_factory.mktemp("site")
    kind, _, backend = request.param.partition("-")
    with (
        running(make(backend, app.router, trusted_proxies="127.0.0.1")) as server,
        in_front(kind, folder, f"127.0.0.1:{server.port}") as port,
    ):
        yield Site(app, port, server)


def test_the_client_is_known(site: Site) -> None:
    told = site.who(source="127.0.0.5")
    assert told["client"] == ["127.0.0.5", 0]
    assert told["scheme"] == "http"
    assert told["host"] == f"127.0.0.1:{site.port}"


@pytest.mark.parametrize(
    ("kind", "at", "backend"), [("nginx", "unix:", "selectors"), ("haproxy", "unix@", "asyncio")]
)
def test_the_client_is_known_over_a_unix_socket(kind: str, at: str, backend: str, tmp_path: Path) -> None:
    app, path = App(), tmp_path / "s"
    server = make(backend, app.router, bind=["127.0.0.1:0", f"unix:{path}"], trusted_proxies="unix")
    with (
        running(server),
        in_front(kind, tmp_path, f"{at}{path}") as port,
    ):
        told = Site(app, port, server).who(("X-Forwarded-For", "192.0.2.66"), source="127.0.0.5")
    assert told["client"] == ["127.0.0.5", 0]


def test_what_a_client_claims_is_not_believed(site: Site) -> None:
    claims = [
        ("X-Forwarded-For", "192.0.2.66"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil"),
        ("Forwarded", "for=192.0.2.66;proto=https;host=evil"),
    ]
    told = site.who(*claims, source="127.0.0.5")
    assert told["client"] == ["127.0.0.5", 0]
    assert told["scheme"] == "http"
    assert told["host"] == f"127.0.0.1:{site.port}"


def test_the_connection_to_the_app_is_kept(site: Site) -> None:
    client = site.client()
    links = set()
    for _ in range(20):
        client.request("GET", "/client")
        links.add(json.loads(client.getresponse().read())["link"])
    client.close()
    assert len(links) <= 2  # HAProxy opens one for a client it does not know yet (http-reuse safe)


def test_an_answer_comes_as_it_is_made(site: Site) -> None:
    site.app.go.clear()
    client = site.client()
    client.request("GET", "/ticks")
    answer = client.getresponse()
    try:
        assert answer.read1(100) == b"first"
    finally:
        site.app.go.set()
    assert answer.read() == b"second"
    client.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_arrives_as_it_is_sent(site: Site, chunked: bool) -> None:
    half = os.urandom(2 << 20)
    site.app.arrived = 0
    client = site.client()
    client.putrequest("PUT", "/digest")
    client.putheader(*("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(2 * len(half))))
    client.endheaders()

    def send(data: bytes) -> None:
        client.send(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)

    send(half)
    until(lambda: site.app.arrived == len(half))  # or the proxy has kept some of it for itself
    send(half)
    if chunked:
        client.send(b"0\r\n\r\n")
    assert client.getresponse().read().decode() == hashlib.sha256(half + half).hexdigest()
    client.close()


def test_a_websocket(site: Site) -> None:
    with connect(site.port, source="127.0.0.5") as client:
        host = f"127.0.0.1:{site.port}"
        client.sendall(handshake("/ws", Host=host, Origin=f"http://{host}"))
        received = b""
        while b"\r\n\r\n" not in received:
            received += client.recv(65536)
        head, _, received = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        for number in range(3):
            client.sendall(frame(TEXT, b"%d" % number))
            while not received:
                received = client.recv(65536)
            (answer,) = parse(received)
            assert answer.payload == b"127.0.0.5 says %d" % number
            received = b""
        client.sendall(close())
        while piece := client.recv(65536):
            received += piece
        assert received[:1] == b"\x88"


# The PROXY protocol


@pytest.fixture(scope="module", params=["asyncio", "selectors", "uvloop"])
def told(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Start a server behind HAProxy in TCP mode, with a directive of its `server` line: gives the port."""
    with ExitStack() as stack:

        def start(folder: Path, directive: str, **options: Any) -> tuple[Server, int]:
            options |= {"trusted_proxies": "127.0.0.1", "proxy_protocol": True}
            server = stack.enter_context(running(make(request.param, App().router, **options)))
            text = HAPROXY.partition("frontend")[0] + HAPROXY_TCP
            app = f"127.0.0.1:{server.port}"
            changes = ("127.0.0.1:8443", app), ("check send-proxy-v2", directive)
            return server, stack.enter_context(haproxy(folder, text, *changes))

        yield start


@pytest.mark.parametrize(
    "directive", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id,crc32c"]
)
def test_haproxy_names_the_client(told: Any, directive: str, tmp_path: Path) -> None:
    server, port = told(tmp_path, directive)
    site = Site(App(), port, server)
    for _ in range(3):
        assert site.who(source="127.0.0.5")["client"][0] == "127.0.0.5"
    assert site.who(("X-Forwarded-For", "192.0.2.66"), source="127.0.0.5")["client"][0] == "127.0.0.5"


def test_haproxy_names_the_client_in_front_of_tls(told: Any, tmp_path: Path, pems: Path) -> None:
    _, port = told(tmp_path, "send-proxy-v2", certfile=pems / "cert.pem", keyfile=pems / "key.pem")
    client = http.client.HTTPSConnection(
        "localhost", port, timeout=10, context=trusting(pems), source_address=("127.0.0.5", 0)
    )
    client.request("GET", "/client")
    answer = json.loads(client.getresponse().read())
    client.close()
    assert (answer["client"][0], answer["scheme"]) == ("127.0.0.5", "https")


def test_haproxy_checks_the_health(told: Any, tmp_path: Path) -> None:
    lines: list[str] = []
    for directive in ("check inter 50ms send-proxy", "check inter 50ms send-proxy-v2"):
        server, port = told(tmp_path, directive)
        server.service.log.warning = lines.append
        deadline = time.monotonic() + 0.25
        while time.monotonic() < deadline:
            assert Site(App(), port, server).who(source="127.0.0.5")["client"][0] == "127.0.0.5"
        log = (tmp_path / "haproxy.log").read_text()
        assert "is DOWN" not in log
    assert lines == []


# A restart

APP = """
import os
from kissapi import Request, Router, Server

router = Router()

@router.get("/pid")
async def pid(req: Request):
    return str(os.getpid())

@router.post("/pid")
async def post(req: Request):
    return str(os.getpid())

Server(
    "127.0.0.1", 0, router=router, backend={backend!r}, access_log=False, trusted_proxies="127.0.0.1"
).loop()
"""


@pytest.mark.parametrize(("kind", "backend"), [("nginx", "asyncio"), ("haproxy", "selectors")])
def test_a_restart_is_not_noticed(kind: str, backend: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP.format(backend=backend))
    answers: list[tuple[int, bytes]] = []
    end = threading.Event()

    def keep_asking(method: str, port: int) -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while not end.is_set():
            client.request(method, "/pid", body=b"x" if method == "POST" else None)
            answer = client.getresponse()
            answers.append((answer.status, answer.read()))
            time.sleep(0.001)
        client.close()

    with (
        Served([sys.executable, tmp_path / "app.py"]) as served,
        in_front(kind, tmp_path, f"127.0.0.1:{served.port}") as port,
    ):
        threads = [threading.Thread(target=keep_asking, args=(each, port)) for each in ("GET", "POST", "GET")]
        for thread in threads:
            thread.start()
        try:
            for count in (1, 2):
                deadline = time.monotonic() + 10
                while len({body for _, body in answers}) < count and time.monotonic() < deadline:
                    time.sleep(0.01)
                if count == 1:
                    os.kill(served.process.pid, signal.SIGHUP)
            time.sleep(0.7)  # drain_timeout, and what the old process does at its end
        finally:
            end.set()
            for thread in threads:
                thread.join()
    assert {status for status, _ in answers} == {200}
    assert len({body for _, body in answers}) == 2
