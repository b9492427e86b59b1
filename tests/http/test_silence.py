"""Silence: a client that sends or takes next to nothing is not waited for, however fast it was before.

With the fake clock, for all ways of a body; with real sockets for what only they have: sendfile, TLS.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Response, Router, Server, sleep
from kissapi.extras.files import file
from tests import frames
from tests.certificates import make_certificates
from tests.wire import Wire, parse_answers

MIB = 1 << 20
GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"
LIMITS: dict[str, Any] = {"body_timeout": 60, "body_rate": 1024, "max_body": 16 * MIB, "idle_timeout": 1000}
WAYS = ["/whole", "/pieces", "/slow"]
router = Router()
afterwards: list[str] = []


@router.post("/whole")
async def whole(req: Request) -> str:
    return str(len(req.body))


@router.post("/pieces", stream=True)
async def pieces(req: Request) -> str:
    return str(sum([len(piece) async for piece in req.stream()]))


@router.post("/slow", stream=True)
async def slow(req: Request) -> str:
    size = 0
    async for piece in req.stream():
        size += len(piece)
        await sleep(0.001 * (len(piece) > 1))
    return str(size)


@router.post("/rests", stream=True)
async def rests(req: Request) -> str:
    size = 0
    async for piece in req.stream():
        size += len(piece)
        await sleep(500)
    return str(size)


@router.get("/bytes")
async def large(req: Request) -> bytes:
    return b"x" * 4 * MIB


@router.get("/afterwards")
async def large_and_more(req: Request) -> bytes:
    req.after(afterwards.append, req.path)
    return b"x" * 4 * MIB


@router.get("/stream")
async def stream(req: Request) -> AsyncIterator[bytes]:
    for _ in range(64):
        yield b"x" * 65_536


@pytest.fixture(params=["length", "chunked"])
def opened(request: pytest.FixtureRequest) -> Callable[[str], bytes]:
    """The head of a POST, and what makes the start of its body of 16 MiB what follows."""
    if request.param == "length":
        return lambda path: f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {16 * MIB}\r\n\r\n".encode()
    fields = "Transfer-Encoding: chunked"
    return lambda path: f"POST {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{16 * MIB:x}\r\n".encode()


def fast(head: bytes, size: int, parser_class: Any, each: int = 65_536, **limits: Any) -> Wire:
    """A client that has sent `size` bytes of a body at once."""
    wire = Wire(router, parser_class, **LIMITS | limits).send(head)
    for start in range(0, size, each):
        wire.send(b"x" * min(each, size - start)).wait(0.002)
    return wire


def statuses(wire: Wire) -> list[int]:
    return [status for status, _, _ in parse_answers(wire.received)]


# What comes


@pytest.mark.parametrize("each", [65_536, 256_000])
@pytest.mark.parametrize("path", WAYS)
def test_a_body_that_came_fast_earns_no_hours_of_silence(
    path: str, each: int, opened: Callable[[str], bytes], parser_class: Any
) -> None:
    wire = fast(opened(path), 15 * MIB, parser_class, each).wait(58)
    assert wire.received == b""
    assert statuses(wire.wait(5)) == [408]


@pytest.mark.parametrize("path", WAYS)
def test_nor_does_it_earn_hours_of_one_byte_a_second(
    path: str, opened: Callable[[str], bytes], parser_class: Any
) -> None:
    wire = fast(opened(path), 15 * MIB, parser_class)
    for second in range(70):
        assert (wire.received == b"") == (second < 62) or second > 58, second
        wire.send(b"x").wait(1)
    assert statuses(wire) == [408]


@pytest.mark.parametrize("path", WAYS)
def test_a_body_that_keeps_the_rate_may_take_for_ever(
    path: str, opened: Callable[[str], bytes], parser_class: Any
) -> None:
    wire = fast(opened(path), 0, parser_class)
    for _ in range(20):  # half a minute of nothing, each time made up for
        wire.wait(50).send(b"x" * 51_300)
    assert wire.received == b""
    assert statuses(wire.wait(65)) == [408]


def test_the_time_that_a_handler_takes_is_not_the_clients(
    opened: Callable[[str], bytes], parser_class: Any
) -> None:
    wire = fast(opened("/rests"), 256 * 1024, parser_class)
    for _ in range(199):  # half an hour for four pieces
        wire.wait(10)
    assert wire.received == b""
    assert statuses(wire.wait(80)) == [408]


# What is taken


def taking(path: str, parser_class: Any, **limits: Any) -> Wire:
    limits = {"write_timeout": 30, "write_rate": 1024, **limits}
    return Wire(router, parser_class, room=0, **limits).send(GET % path.encode())


@pytest.mark.parametrize("path", ["/bytes", "/stream"])
@pytest.mark.parametrize("before", [0, 200_000, 3 * MIB])
def test_a_client_that_takes_one_byte_a_second_is_cut_off(path: str, before: int, parser_class: Any) -> None:
    wire = taking(path, parser_class)
    for _ in range(20):
        wire.take(before // 20).wait(0.001)
    for second in range(34):
        assert not wire.transport.aborted or second > 28
        wire.take(1).wait(1)
    assert wire.transport.aborted


@pytest.mark.parametrize("path", ["/bytes", "/stream"])
def test_one_that_keeps_the_rate_is_not(path: str, parser_class: Any) -> None:
    wire = taking(path, parser_class)
    for _ in range(4 * MIB // 25_000 + 2):
        wire.wait(24).take(25_000)
    (answer,) = parse_answers(wire.received)
    assert answer[2] == b"x" * 4 * MIB


def test_a_client_of_the_last_answer_has_to_keep_it_too(parser_class: Any) -> None:
    wire = Wire(router, parser_class, room=0, write_timeout=30, write_rate=1024)
    wire.send(b"GET /bytes HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    for _ in range(34):
        wire.take(1).wait(1)
    assert wire.transport.aborted


def websocket() -> Wire:
    router = Router()

    @router.websocket("/ws", ping_interval=None)
    async def push(ws: Any) -> None:
        while True:
            await ws.send(b"x" * 1000)

    limits = {"write_timeout": 30, "write_rate": 1024}
    return Wire(router, room=0, **limits).send(frames.handshake())


def test_a_websocket_that_takes_one_byte_a_second_is_cut_off() -> None:
    wire = websocket()
    wire.take(500_000)
    for second in range(34):
        assert not wire.transport.aborted or second > 28
        wire.take(1).wait(1)
    assert wire.transport.aborted


def test_a_websocket_that_keeps_the_rate_is_not() -> None:
    wire = websocket()
    for _ in range(100):
        wire.wait(24).take(25_000)
    assert not wire.transport.aborted
    wire.lose()


def test_a_websocket_that_takes_as_much_as_is_pushed_is_not_either() -> None:
    from kissapi.extras.websocket import broadcast

    router, clients = Router(), []

    @router.websocket("/ws", ping_interval=None)
    async def listen(ws: Any) -> None:
        clients.append(ws)
        async for _ in ws:
            pass

    wire = Wire(router, room=0, write_timeout=30, write_rate=1024).send(frames.handshake())
    broadcast(clients, b"x" * 100_000)
    for _ in range(200):  # its backlog stays as it is
        broadcast(clients, b"x" * 2000)
        wire.take(2004).wait(1)
    assert not wire.transport.aborted
    wire.lose()


@pytest.mark.parametrize("path", ["/bytes", "/afterwards"])
def test_an_answer_that_is_out_is_logged_though_its_client_leaves_that_moment(path: str) -> None:
    wire = Wire(router)
    write = wire.transport.write

    def write_and_lose(data: bytes) -> None:
        write(data)
        if len(data) == 4 * MIB:
            wire.lose()

    wire.transport.write = write_and_lose  # type: ignore[method-assign]
    afterwards.clear()
    wire.send(GET % path.encode()).wait(1)
    assert [f"GET {path} → 200" in line for line in wire.lines] == [True]
    assert afterwards == [path] * (path == "/afterwards")


# Real sockets: sendfile, and TLS

SIZE = 12 * MIB
QUICK: dict[str, Any] = {"write_timeout": 0.5, "write_rate": 100_000}


@pytest.fixture(params=["asyncio", "selectors", "uvloop"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["file", "file over TLS", "bytes", "bytes over TLS"])
def client(request: pytest.FixtureRequest, backend: str, serve: Callable[..., Server], tmp_path: Path) -> Any:
    """A client that has asked for 24 MiB, and takes little of it at once."""
    (tmp_path / "large").write_bytes(b"x" * SIZE)
    router, limits, what = Router(), dict(QUICK), request.param.split()

    @router.get("/file")
    async def sent_by_the_kernel(req: Request) -> Response:
        return file(tmp_path / "large")

    @router.get("/bytes")
    async def sent_by_us(req: Request) -> bytes:
        return b"x" * SIZE

    if backend == "uvloop":
        uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
        limits |= {"backend": "asyncio", "loop_factory": uvloop.new_event_loop}
    if "TLS" in what:
        limits["certfile"] = make_certificates(tmp_path) / "both.pem"
    server = serve(router, **limits)
    with ExitStack() as stack:
        sock: Any = stack.enter_context(socket.socket())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", server.port))
        if "TLS" in what:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            sock = stack.enter_context(context.wrap_socket(sock))
        sock.sendall(GET % f"/{what[0]}".encode())
        yield sock, server


def test_a_download_that_trickles_ends(client: tuple[Any, Server]) -> None:
    sock, server = client
    start = time.monotonic()
    sock.recv(1)
    while server.service is not None and server.service.count():
        assert time.monotonic() < start + 6
        sock.recv(1000)  # fewer than 50,000 bytes a second
        time.sleep(0.02)
    assert time.monotonic() > start + QUICK["write_timeout"]


def test_one_at_a_good_rate_comes_whole(client: tuple[Any, Server]) -> None:
    sock, _ = client
    start = time.monotonic()
    size = 0
    while size < SIZE:
        data = sock.recv(65_536)
        assert data, size
        size += len(data)
        time.sleep(max(0.0, start + size / 10_000_000 - time.monotonic()))  # 10 MB a second
    assert time.monotonic() > start + 2 * QUICK["write_timeout"]
