"""Fixtures: every behaviour is asked of both parsers, and with real sockets of both backends."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kissapi import HttpParser, Router, Server
from kissapi.pure import PureHttpParser
from tests.browser import browser, chromium  # noqa: F401  # fixtures


def pytest_collection_finish() -> None:
    """Six thousand tests are no garbage, but each collection would look at all that they are made of."""
    gc.collect()
    gc.freeze()


PARSERS = [pytest.param(HttpParser, id="httptools"), pytest.param(PureHttpParser, id="pure")]
BACKENDS = ["asyncio", "selectors"]


@pytest.fixture(params=PARSERS)
def parser_class(request: pytest.FixtureRequest) -> Any:
    if request.param is HttpParser and HttpParser.library is PureHttpParser.library:
        pytest.skip("httptools is not installed: HttpParser is the pure parser here")
    return request.param


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def serve(backend: str) -> Iterator[Callable[..., Server]]:
    """Starts servers on free ports of 127.0.0.1, each in a thread of its own; stops them after the test.

    server = serve(router, parser_class=parser_class, idle_timeout=1)
    """
    running: list[tuple[Server, threading.Thread]] = []

    def start(router: Router, **options: Any) -> Server:
        options = {"backend": backend, "host": "127.0.0.1", "port": 0, "access_log": False, **options}
        server = Server(router=router, **options)
        thread = threading.Thread(target=server.loop, daemon=True)
        thread.start()
        deadline = time.monotonic() + 5
        while server.port == 0 and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.001)
        assert server.port, "the server did not start"
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.stop()
        server.stop()  # at once: tests that are about stopping do it themselves
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"
