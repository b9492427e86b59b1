"""Life: what is called before the first client is served, and after the last."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from typing import Any

import pytest

from kissapi import Request, Router, Server, sleep


def make(backend: str, said: list[str]) -> Server:
    router = Router()

    @router.get("/")
    async def hello(req: Request) -> str:
        said.append("request")
        return "hello"

    return Server("127.0.0.1", 0, router=router, backend=backend, access_log=False)


def run_until(server: Server, condition: Any, seconds: float = 5) -> threading.Thread:
    thread = threading.Thread(target=server.loop, daemon=True)
    thread.start()
    deadline = time.monotonic() + seconds
    while not condition() and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    return thread


def test_in_order_and_backwards(backend: str) -> None:
    said: list[str] = []
    server = make(backend, said)

    @server.on_start
    def first() -> None:
        said.append("first")

    @server.on_start
    async def second() -> None:
        await sleep(0.01)
        said.append("second")

    @server.on_stop
    async def last() -> None:
        await sleep(0.01)
        said.append("last")

    @server.on_stop
    def broken() -> None:
        raise KeyError("stop")

    @server.on_stop
    def before() -> None:
        said.append("before")

    for _ in range(2):
        said.clear()
        thread = run_until(server, lambda: server.service)
        urllib.request.urlopen(server.url).read()
        server.stop()
        thread.join(5)
        assert said == ["first", "second", "request", "before", "last"]


def test_no_client_is_served_before_on_start_has_ended(backend: str) -> None:
    said: list[str] = []
    server = make(backend, said)

    @server.on_start
    async def connect() -> None:
        assert server.service is None
        await sleep(0.05)
        said.append("started")

    thread = run_until(server, lambda: server.service)
    assert said == ["started"]
    server.stop()
    thread.join(5)


def test_a_server_that_fails_to_start_serves_no_client_and_leaves_no_socket(backend: str) -> None:
    server = make(backend, [])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.port = free.getsockname()[1]

    @server.on_start
    def broken() -> None:
        raise KeyError("no database")

    with pytest.raises(KeyError, match="no database"):
        server.loop()
    with socket.socket() as again:
        again.bind(("127.0.0.1", server.port))
