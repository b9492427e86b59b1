"""Fairness: one client that keeps the server busy does not make the others wait, on any loop.

The server runs in a process of its own. Each greedy client keeps sending what costs the server most, and
reads what it is answered; beside it, a good one asks again and again.
"""

from __future__ import annotations

import os
import socket
import ssl
import statistics
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import frames
from tests.certificates import make_certificates
from tests.peer import connect
from tests.programs import LOOPS, program

if TYPE_CHECKING:
    from tests.serving import Served

SECONDS = 0.15  # that a good client asks for
PATIENCE = 0.5  # seconds that it waits at most
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST %b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

APP = """
@router.get("/")
async def hello(req: Request):
    return "hello"

@router.get("/nothing")
async def nothing(req: Request):
    return None

@router.post("/whole", max_body=1 << 40)
async def whole(req: Request):
    return "taken"

@router.post("/pieces", stream=True, max_body=1 << 40)
async def pieces(req: Request):
    async for piece in req.stream():
        pass
    return "taken"

@router.websocket("/ws", max_message=1 << 20)
async def talk(ws):
    async for message in ws:
        pass

ended = []

@router.websocket("/bye", max_message=1 << 20)
async def bye(ws):
    while not ended:
        await sleep(0.01)

@router.get("/forget")
async def forget(req: Request):
    ended.clear()
    return "nothing"

@router.get("/end")
async def end(req: Request):
    ended.append(True)
    return "ended"
"""


def without_end(data: bytes) -> Iterator[bytes]:
    block = data * max(1, (1 << 18) // len(data))
    while True:
        yield block


def chunks(path: bytes) -> Iterator[bytes]:
    yield CHUNKED % path
    yield from without_end(b"1\r\na\r\n")


def blows(data: bytes) -> Iterator[bytes]:
    """Over a WebSocket."""
    yield frames.handshake("/ws")
    yield from without_end(data)


def fragments() -> Iterator[bytes]:
    yield frames.handshake("/ws")
    message = frames.frame(frames.BINARY, b"a", fin=False)
    message += frames.frame(frames.CONTINUATION, b"a", fin=False) * 100_000
    yield from without_end(message + frames.frame(frames.CONTINUATION, b"a"))


GREED: dict[str, Callable[[], Iterator[bytes]]] = {
    "pipelined": lambda: without_end(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" * 30_000),
    "one-byte chunks": lambda: chunks(b"/whole"),
    "one-byte chunks of a stream": lambda: chunks(b"/pieces"),
    "one-byte pieces of heads": lambda: iter([b"GET / HTTP/1.1\r\n", *[b"a"] * 1_000_000]),
    "pings": lambda: blows(frames.frame(frames.PING, b"")),
    "one-byte fragments": fragments,
    "small messages": lambda: blows(frames.frame(frames.BINARY, b"a")),
}


class Greedy:
    """A client that sends all that `data` gives, as fast as it is taken, and reads what it is answered."""

    def __init__(self, sock: Any, data: Iterator[bytes]) -> None:
        self.sock = sock
        self.data = data
        self.sent = 0
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.read)]

    def send(self) -> None:
        try:
            for block in self.data:
                self.sock.sendall(block)
                self.sent += len(block)
        except OSError:
            pass  # it has been refused, or this is the end

    def read(self) -> None:
        try:
            while self.sock.recv(1 << 20):
                pass
        except OSError:
            pass

    def __enter__(self) -> Greedy:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        for thread in self.threads:
            thread.join(10)
        self.sock.close()


def patience() -> float:
    """`PATIENCE`, and more where the processors have others to serve, too."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 1
    return PATIENCE * max(1, load / (os.cpu_count() or 1))


def waits(connect: Callable[[], Any], seconds: float = SECONDS) -> list[float]:
    """How long a good client waits for each answer, in `seconds` and five answers at least."""
    found: list[float] = []
    end = time.perf_counter() + seconds
    with connect() as sock:
        sock.settimeout(20)
        while time.perf_counter() < end or len(found) < 5:
            start = time.perf_counter()
            sock.sendall(GET)
            assert sock.recv(4096).endswith(b"hello")
            found.append(time.perf_counter() - start)
            time.sleep(0.005)
    return found


def is_fair(
    server: Served, greed: Callable[[], Any], connect: Callable[[int], socket.socket] = connect
) -> bool:
    """Whether a good client is served well beside a greedy one; on a busy machine in one of three tries."""
    for _ in range(3):
        with greed() as greedy:
            found = sorted(waits(lambda: connect(server.port)))
        was_served = greedy.sent > 10_000  # it was greedy, and was served
        if was_served and statistics.median(found) < patience() and found[-2] < 2 * patience():
            return True
    print(greedy.sent, found)
    return False


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fair")
    with program(folder, request.param, APP, shutdown_timeout=1, linger_timeout=0.2) as served:
        yield served


@pytest.mark.parametrize("greed", GREED)
def test_a_greedy_client_does_not_make_a_good_one_wait(server: Served, greed: str) -> None:
    assert is_fair(server, lambda: Greedy(connect(server.port), GREED[greed]()))


# TLS: the same, and records of one byte


class Sealed(Greedy):
    """A greedy client over TLS, each byte in a record of its own."""

    def __init__(self, sock: socket.socket, data: Iterator[bytes]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(incoming, self.outgoing)
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(self.outgoing.read())
                incoming.write(sock.recv(1 << 16))
        super().__init__(sock, self.records(data))

    def records(self, data: Iterator[bytes]) -> Iterator[bytes]:
        ready = self.outgoing.read()
        for block in data:
            for start in range(0, len(block), 20_000):
                for byte in block[start : start + 20_000]:
                    self.tls.write(bytes((byte,)))
                yield ready + self.outgoing.read()
                ready = b""


def test_records_of_one_byte_do_not_make_a_good_client_wait(loop: str, tmp_path: Path) -> None:
    pems = make_certificates(tmp_path)
    with program(tmp_path, loop, APP, certfile=str(pems / "both.pem"), shutdown_timeout=1) as server:
        assert is_fair(server, lambda: Sealed(connect(server.port), GREED["one-byte chunks"]()), over_tls)


def over_tls(port: int) -> socket.socket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return connect(port, tls=context)


# WebSocket messages that nothing takes


def bomb(size: int) -> bytes:
    """A message of so many zeros, as the clients of RFC 7692 send it: each the same."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -12)
    data = deflater.compress(bytes(size)) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return frames.frame(frames.BINARY, data.removesuffix(b"\0\0\xff\xff"), rsv=4)


def besiege(server: Served, stack: ExitStack) -> list[socket.socket]:
    """Clients that have sent as many bombs as all buffers hold, for handlers that end without taking one."""
    data = bomb(1 << 20)
    assert len(data) < 1200
    offer = (
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12; client_no_context_takeover"
    )
    clients = [stack.enter_context(connect(server.port)) for _ in range(30)]
    for client in clients:
        client.sendall(frames.handshake("/bye", offer))
        assert b"permessage-deflate" in client.recv(4096)
        client.settimeout(0.01)
        try:
            for _ in range(10):
                client.sendall(data * 300)
        except TimeoutError:
            pass
    return clients


def tell(server: Served, path: str) -> None:
    with connect(server.port) as client:
        client.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
        assert b" 200 OK" in client.recv(4096)


@pytest.mark.parametrize("leave", [False, True], ids=["they stay", "they leave"])
def test_what_no_handler_takes_is_not_inflated(server: Served, leave: bool) -> None:
    with ExitStack() as stack:
        clients = besiege(server, stack)
        tell(server, "/end")
        if leave:
            for client in clients:
                client.close()
        found = sorted(waits(lambda: connect(server.port)))
    tell(server, "/forget")
    assert statistics.median(found) < patience() / 2, found
    assert found[-1] < 2 * patience(), found


def test_a_server_stops_at_once_though_much_has_come_that_no_handler_takes(loop: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(program(tmp_path, loop, APP, shutdown_timeout=10, linger_timeout=0.2))
        besiege(server, stack)
        tell(server, "/end")
        start = time.perf_counter()
        assert server.stop() == 0
        assert time.perf_counter() - start < 3
