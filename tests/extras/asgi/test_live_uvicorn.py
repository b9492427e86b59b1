"""to_asgi under uvicorn: a real server, over sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import kissapi
from kissapi import Request
from kissapi.extras.asgi import to_asgi
from tests.extras.asgi.notes_app import make_router

uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")
connect = pytest.importorskip("websockets.sync.client", reason="websockets is not installed").connect


@contextmanager
def served(app: Any, **options: Any) -> Iterator[str]:
    """`app` under uvicorn in a thread, until the end of the block; gives its host and port."""
    up = threading.Event()

    async def told(scope: Any, receive: Any, send: Any) -> None:
        async def tell(message: Any) -> None:
            await send(message)
            if message["type"].startswith("lifespan.startup"):
                asyncio.get_running_loop().call_soon(check)

        await app(scope, receive, tell if scope["type"] == "lifespan" else send)

    def check() -> None:  # uvicorn listens a few turns after the start
        if server.started:
            up.set()
        else:
            asyncio.get_running_loop().call_later(0.001, check)

    config = uvicorn.Config(told, port=0, log_config=None, ws="websockets-sansio", lifespan="on", **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert up.wait(10)
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def ends() -> list[Any]:
    return []


@pytest.fixture(scope="module")
def place(ends: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("files")
    (folder / "large.bin").write_bytes(b"0123456789" * 30_000)
    router = make_router(folder, ends)

    @router.get("/forever")
    async def forever(req: Request) -> AsyncIterator[str]:
        req.on_end(lambda outcome, size: ends.append(outcome))
        while True:
            yield "again " * 1000
            await kissapi.sleep(0)

    @router.get("/half")
    async def half(req: Request) -> AsyncIterator[str]:
        yield "half"
        await kissapi.sleep(0)
        raise RuntimeError("a bug")

    @router.on_stop
    async def stop() -> None:
        ends.append("stopped")

    with served(to_asgi(router)) as where:
        ends.clear()
        yield where
    assert ends[-1] == "stopped"


def test_requests(place: str) -> None:
    with httpx.Client(base_url=f"http://{place}") as client:
        answer = client.get("/item/7?q=a%20b&tag=x")
        assert answer.json() == {"id": 7, "q": "a b", "tag": ["x"], "next": "/item/8"}
        assert client.get("/name/a%2Fb").json() == {"name": "a/b", "path": "/name/a%2Fb"}
        assert client.head("/").headers["content-length"] == "5"
        assert client.options("/").headers["allow"] == "GET, HEAD, OPTIONS"
        assert client.get("/numbers").text == "123"
        assert client.get("/events").text == 'id: 1\ndata: one\n\ndata: {"two":2}\n\n'
        assert client.get("/file/large.bin").content == b"0123456789" * 30_000
        assert client.post("/small", content=b"12345").status_code == 413
        assert client.post("/large", content=b"x" * 3_000_000).text == "3000000"
        assert client.post("/back", content=iter([b"ab", b"cd"])).text == "ABCD"
        assert client.get("/app").json()["client"][0] == "127.0.0.1"


def test_a_client_that_leaves_a_stream(place: str, ends: list[Any]) -> None:
    with httpx.Client(base_url=f"http://{place}") as client:
        with client.stream("GET", "/forever") as answer:
            next(answer.iter_bytes())
        for _ in range(1000):
            if "client left" in ends:
                break
            client.get("/")  # the time of one request passes
    assert "client left" in ends


def test_half_an_answer_is_no_answer(place: str) -> None:
    with httpx.Client(base_url=f"http://{place}") as client, pytest.raises(httpx.RemoteProtocolError):
        client.get("/half")


def test_a_websocket(place: str, ends: list[Any]) -> None:
    with connect(f"ws://{place}/ws", subprotocols=["chat.v1"]) as ws:
        assert ws.recv() == "hello chat.v1 /ws"
        ws.send("one")
        assert ws.recv() == "one"
        ws.send(b"\x00")
        assert ws.recv() == b"\x00"
        ws.send("bye")
        with pytest.raises(Exception, match="4001"):
            ws.recv()
    with pytest.raises(Exception, match="404"):
        connect(f"ws://{place}/none")


def test_an_app_that_is_mounted(tmp_path: Path) -> None:
    inner = to_asgi(make_router(tmp_path, []))

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await inner({**scope, "root_path": "/below"} if scope["type"] == "http" else scope, receive, send)

    with served(outer) as place:
        assert httpx.get(f"http://{place}/below/item/1").json()["next"] == "/below/item/2"
