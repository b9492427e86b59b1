"""A plugin of pytest for Starlette's own tests: their client asks a live server, by sockets.

SERVER, in the environment, says which: kissapi, or uvicorn to compare. Only the tests that have a client are
run. As with Starlette's own client, the app has its lifespan only in `with client:`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

SECONDS = 10  # for a test; one that hangs must not hold up the others


class Live(httpx2.HTTPTransport):
    """Sends every request to a server of `app`, whatever its host is; the server starts with the first."""

    def __init__(self, app: Any, root_path: str) -> None:
        super().__init__()
        self.app = app
        self.root_path = root_path
        self.lifespan = False
        self.port = 0
        self._end: Callable[[], None] | None = None

    def start(self) -> None:
        if self._end is None:
            begin = {"kissapi": _kissapi, "uvicorn": _uvicorn}[os.environ["SERVER"]]
            self.port, self._end = begin(self._app, self.root_path)

    def _app(self, scope: Any, receive: Any, send: Any) -> Any:
        if scope["type"] == "lifespan" and not self.lifespan:
            return _refuse()
        return self.app(scope, receive, send)

    def handle_request(self, request: Any) -> Any:
        self.start()
        url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self.port)
        # Another request: cookies go by the host of the first.
        return super().handle_request(
            httpx2.Request(request.method, url, headers=request.headers, stream=request.stream)
        )

    def close(self) -> None:
        super().close()
        if self._end is not None:
            self._end()
            self._end = None


async def _refuse() -> None:
    raise RuntimeError("this app has no lifespan")


class Client(httpx2.Client):
    """What the tests use of `starlette.testclient.TestClient`, but for what no client over sockets has."""

    def __init__(
        self,
        app: Any,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        cookies: Any = None,
        headers: dict[str, str] | None = None,
        follow_redirects: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
    ) -> None:
        self._live = Live(app, root_path)
        _open.append(self)
        fields = {"user-agent": "testclient", **(headers or {})}
        super().__init__(
            base_url=base_url, cookies=cookies, headers=fields, follow_redirects=follow_redirects,
            transport=self._live,
        )  # fmt: skip

    def __enter__(self) -> Client:
        self._live.lifespan = True
        self._live.start()
        return super().__enter__()

    def websocket_connect(self, *_: Any, **__: Any) -> Any:
        pytest.skip("httpx has no WebSocket: uvicorn's tests are about those")


_open: list[Client] = []


def _kissapi(app: Any, root_path: str) -> tuple[int, Callable[[], None]]:
    from kissapi import Router, Server
    from kissapi.extras.asgi import from_asgi

    router = Router()
    router[root_path or "/"] = from_asgi(app)
    server = Server("127.0.0.1", 0, router=router, access_log=False, loop_factory=_new_loop)
    thread = threading.Thread(target=server.loop, daemon=True)
    thread.start()
    _until(lambda: server.service is not None or not thread.is_alive())

    def end() -> None:
        server.stop()
        server.stop()
        thread.join(5)

    return server.port, end


def _new_loop() -> Any:
    import asyncio

    return asyncio.new_event_loop()


def _uvicorn(app: Any, root_path: str) -> tuple[int, Callable[[], None]]:
    import uvicorn

    config = uvicorn.Config(
        app, port=0, log_level="error", loop="asyncio", interface="asgi3", root_path=root_path
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    _until(lambda: server.started or not thread.is_alive())

    def end() -> None:
        server.should_exit = server.force_exit = True
        thread.join(5)

    return server.servers[0].sockets[0].getsockname()[1], end


def _until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not fact() and time.monotonic() < deadline:
        time.sleep(0.002)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[Any]) -> None:
    items[:] = [
        item for item in items if "test_client_factory" in item.fixturenames and "trio" not in item.name
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Iterator[None]:
    def fail(number: int, frame: object) -> None:
        raise TimeoutError(f"it took more than {SECONDS} s")

    item.funcargs["test_client_factory"] = Client  # in place of what their conftest has
    signal.signal(signal.SIGALRM, fail)
    signal.alarm(SECONDS)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        while _open:
            _open.pop().close()
