"""WebSocket over real sockets, on both backends and uvloop, with a client that others have written."""

from __future__ import annotations

import random
import shutil
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("websockets", reason="websockets, the client of these tests, is not installed")

import asyncio

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kissapi import Fail, Request, Router, Server, sleep
from kissapi.extras.websocket import WebSocket, broadcast
from tests import peer
from tests.frames import BINARY, close, closing, frame, handshake, parse
from tests.peer import until
from tests.serving import THREE

MIB = 1 << 20
LARGEST = MIB + MIB // 2

Serve = Callable[..., Server]


@pytest.fixture(params=THREE)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class App:
    """A router with all that is tried here, and what its handlers have noted."""

    def __init__(self) -> None:
        self.router = Router()
        self.members: set[WebSocket] = set()
        self.ended: list[int | None] = []
        self.router.websocket("/echo", max_message=LARGEST)(self.echo)
        self.router.websocket("/room/{name}", origins="*")(self.room)
        self.router.websocket("/flood", compress=False)(self.flood)
        self.router.websocket("/sink", compress=False)(self.sink)

    async def echo(self, ws: WebSocket) -> None:
        try:
            async for message in ws:
                await ws.send(message)
        finally:
            self.ended.append(ws.close_code)

    async def room(self, ws: WebSocket) -> None:
        self.members.add(ws)
        try:
            async for message in ws:
                broadcast(self.members, message)
        finally:
            self.members.discard(ws)
            self.ended.append(ws.close_code)

    async def flood(self, ws: WebSocket) -> None:
        """Send until the client takes no more, and note how much that was."""
        self.ended.append(0)
        try:
            while True:
                await ws.send(b"x" * 65536)
                self.ended[-1] += 1  # type: ignore[operator]
        finally:
            self.ended.append(ws.close_code)

    async def sink(self, ws: WebSocket) -> None:
        await sleep(0.1)
        session = ws._session
        self.ended.append(len(session.inbox.messages))
        assert not session.reading
        async for message in ws:
            self.ended.append(len(message))


def run(clients: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await clients()

    asyncio.run(limited())


def messages(dice: random.Random, count: int) -> Iterator[str | bytes]:
    for _ in range(count):
        size = int(2 ** dice.uniform(0, 11)) - 1
        if dice.random() < 0.5:
            yield "".join(dice.choices("ab é€\U0001f600\n", k=size))
        else:
            yield dice.randbytes(size)


def test_thousands_of_messages_of_all_sizes(serve: Serve) -> None:
    app = App()
    server = serve(app.router)

    async def talk(seed: int) -> None:
        dice = random.Random(seed)
        compression = "deflate" if seed % 2 else None
        async with connect(
            f"ws://127.0.0.1:{server.port}/echo", compression=compression, max_size=None
        ) as ws:
            told = list(messages(dice, 120))
            for size in (0, 125, 126, 65535, 65536, MIB) if seed < 2 else ():
                told.append(dice.randbytes(size))
                told.append("é" * (size // 2))

            async def tell() -> None:
                for message in told:
                    if dice.random() < 0.3 and len(message) > 2:
                        at = sorted(dice.choices(range(len(message)), k=2))
                        await ws.send([message[: at[0]], message[at[0] : at[1]], message[at[1] :]])
                    else:
                        await ws.send(message)
                    if dice.random() < 0.1:
                        await (await ws.ping(dice.randbytes(8)))

            telling = asyncio.create_task(tell())
            for message in told:
                assert await ws.recv() == message
            await telling
            if seed % 3 == 0:
                await ws.close(4000 + seed)
            elif seed % 3 == 1:
                ws.transport.abort()

    async def clients() -> None:
        await asyncio.gather(*(talk(seed) for seed in range(12)))

    run(clients)
    until(lambda: len(app.ended) == 12)
    codes = sorted(code or 0 for code in app.ended)
    assert codes == [1000] * 4 + [1006] * 4 + [4000, 4003, 4006, 4009]
    until(lambda: not server.service or not server.service.connections)


@pytest.mark.parametrize("loops", [1, 2])
def test_a_room_full_of_clients_that_come_and_go(serve: Serve, loops: int) -> None:
    app = App()
    server = serve(app.router, loops=loops)
    heard: list[int] = []

    async def member(seed: int) -> None:
        dice = random.Random(seed)
        async with connect(f"ws://127.0.0.1:{server.port}/room/red", max_queue=None) as ws:
            count = 0
            await ws.send(f"{seed} has come")
            while f"{seed} has come" != await ws.recv():
                count += 1
            for _ in range(10):
                await ws.send(f"{seed}: " + "x" * dice.randrange(300))
                await ws.recv()
                count += 1
            heard.append(count)
            if dice.random() < 0.5:
                ws.transport.abort()

    async def clients() -> None:
        await asyncio.gather(*(member(seed) for seed in range(20)))

    run(clients)
    assert len(heard) == 20
    until(lambda: not app.members)
    assert len(app.ended) == 20


def test_a_client_that_is_refused_is_told_in_http(serve: Serve) -> None:
    app = App()

    @app.router.before
    async def who(req: Request) -> None:
        if req.query.get("token") == "wrong":
            raise Fail(401, "who are you?")

    server = serve(app.router)

    async def refused(path: str, **options: Any) -> int:
        with pytest.raises(InvalidStatus) as error:
            await connect(f"ws://127.0.0.1:{server.port}{path}", **options)
        return int(error.value.response.status_code)

    async def clients() -> None:
        assert await refused("/nowhere") == 404
        assert await refused("/echo?token=wrong") == 401
        assert await refused("/echo", origin="http://elsewhere") == 403
        async with connect(f"ws://127.0.0.1:{server.port}/room/a", origin="http://elsewhere"):
            pass

    run(clients)


def test_a_client_that_does_not_read_holds_up_send_and_nothing_else(serve: Serve) -> None:
    app = App()
    server = serve(app.router, write_timeout=0.1)
    with peer.connect(server.port) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(handshake("/flood"))
        until(lambda: app.ended)

        async def clients() -> None:
            async with connect(f"ws://127.0.0.1:{server.port}/echo") as ws:
                await ws.send("meanwhile")
                assert await ws.recv() == "meanwhile"

        run(clients)
        until(lambda: 1006 in app.ended)
    assert app.ended[0] is not None
    assert 0 < app.ended[0] < 200, "what the kernel takes, and a little more: not gigabytes"


def test_a_handler_that_does_not_read_holds_up_the_client(serve: Serve) -> None:
    app = App()
    server = serve(app.router)
    with peer.connect(server.port) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.sendall(handshake("/sink"))
        data = frame(BINARY, bytes(65536))
        for _ in range(80):
            client.sendall(data)
        client.sendall(close())
        until(lambda: len(app.ended) == 81)
        assert app.ended[0] == 1, "of five megabytes one message was taken before anybody wanted it"
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert closing(parse(received.partition(b"\r\n\r\n")[2])) == (1000, "")


def test_a_server_that_stops_says_so_and_waits(serve: Serve) -> None:
    router = Router()
    ended: list[str] = []

    @router.websocket("/ws")
    async def listen(ws: WebSocket) -> None:
        try:
            async for _ in ws:
                pass
        finally:
            await sleep(0.1)
            ended.append(f"{ws.close_code}")

    server = serve(router, linger_timeout=0.1)
    with peer.connect(server.port) as silent:
        silent.sendall(handshake())
        assert silent.recv(1000).startswith(b"HTTP/1.1 101")

        async def clients() -> None:
            async with connect(f"ws://127.0.0.1:{server.port}/ws") as ws:
                server.stop()
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert (ws.close_code, ws.close_reason) == (1001, "the server stops")

        run(clients)
        assert closing(parse(silent.recv(1000))) == (1001, "the server stops")
        until(lambda: server.service is None)
    assert ended == ["1001", "1001"]


def test_a_handler_that_goes_on_for_ever_is_cancelled_when_the_server_stops(serve: Serve) -> None:
    router = Router()
    ended: list[str] = []

    @router.websocket("/ws")
    async def forever(ws: WebSocket) -> None:
        try:
            await sleep(1000)
        finally:
            ended.append("finally")

    server = serve(router, shutdown_timeout=0.1, linger_timeout=0.1)
    with peer.connect(server.port) as client:
        client.sendall(handshake())
        client.recv(1000)
        server.stop()
        until(lambda: server.service is None)
    assert ended == ["finally"]


def test_over_tls(serve: Serve, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the certificate of this test")
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    make = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=localhost"
    make += f" -addext subjectAltName=DNS:localhost -keyout {key} -out {cert}"
    subprocess.run(make.split(), check=True, capture_output=True)
    app = App()
    server = serve(app.router, certfile=cert, keyfile=key)
    trusting = ssl.create_default_context(cafile=cert)

    async def clients() -> None:
        url = f"wss://localhost:{server.port}"
        async with connect(f"{url}/echo", ssl=trusting, origin=f"https://localhost:{server.port}") as ws:
            for message in ("é" * 100_000, b"x" * 300_000):
                await ws.send(message)
                assert await ws.recv() == message
            await ws.send(b"x" * (LARGEST + 1))
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1009

    run(clients)
    until(lambda: app.ended == [1009])


@pytest.mark.parametrize("compression", ["deflate", None])
def test_each_code_that_a_client_may_close_with_is_known(serve: Serve, compression: Any) -> None:
    app = App()
    server = serve(app.router)
    codes = [1000, 1012, 1013, 1014, 3000, 4999]

    async def clients() -> None:
        for code in codes:
            async with connect(f"ws://127.0.0.1:{server.port}/echo", compression=compression) as ws:
                await ws.send("here")
                assert await ws.recv() == "here"
                await ws.close(code, "why")
                assert (ws.close_code, ws.close_reason) == (code, "why")

    run(clients)
    until(lambda: app.ended == codes)


def test_broadcast_from_a_thread_and_send_from_another_loop(serve: Serve) -> None:
    app = App()

    @app.router.post("/news")
    def tell(req: Request) -> int:  # in a worker thread
        broadcast(app.members, req.body)
        return len(app.members)

    server = serve(app.router)

    async def clients() -> None:
        async with connect(f"ws://127.0.0.1:{server.port}/room/x") as ws:
            await ws.send("here")
            assert await ws.recv() == "here"
            (member,) = app.members
            with pytest.raises(RuntimeError, match=r"another event loop: use broadcast"):
                await member.send("wrong")
            with peer.connect(server.port) as client:
                client.sendall(b"POST /news HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nnews")
                assert await ws.recv() == b"news"
            await member.close(4000)
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 4000

    run(clients)
    until(lambda: app.ended == [4000])
