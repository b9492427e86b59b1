"""A plugin of pytest for uvicorn's own tests: `run_server` starts kissapi in place of uvicorn."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import tests.utils
from kissapi import Server
from kissapi.extras.asgi import from_asgi

SECONDS = 10  # for a test; one that hangs must not hold up the others


class Running:
    """What the tests use of `uvicorn.Server`."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def shutdown(self) -> None:
        self._server.stop()


@asynccontextmanager
async def run_server(config: Any, sockets: Any = None) -> AsyncIterator[Running]:
    def app(scope: Any, receive: Any, send: Any) -> Any:
        if scope["type"] == "lifespan" and config.lifespan == "off":
            return _refuse()
        return config.app(scope, receive, send)

    router = from_asgi(
        app,
        max_message=config.ws_max_size,
        ping_interval=config.ws_ping_interval or None,
        ping_timeout=config.ws_ping_timeout,
        compress=config.ws_per_message_deflate,
    )
    _begun.append(
        server := Server(
            "127.0.0.1",
            config.port,
            router=router,
            access_log=False,
            headers=config.headers,
            shutdown_timeout=2,
        )
    )
    async with server:
        yield Running(server)


async def _refuse() -> None:
    raise RuntimeError("this app has no lifespan")


_begun: list[Server] = []  # in the test that runs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Iterator[None]:
    def fail(number: int, frame: object) -> None:
        raise TimeoutError(f"it took more than {SECONDS} s")

    signal.signal(signal.SIGALRM, fail)
    signal.alarm(SECONDS)
    _begun.clear()
    try:
        result = yield
    finally:
        signal.alarm(0)
    if not _begun:
        pytest.skip("it starts no server")  # it is about objects of uvicorn
    return result


tests.utils.run_server = run_server
