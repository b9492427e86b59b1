"""Fixtures: every behaviour is asked of both parsers, and with real sockets of both backends."""

from __future__ import annotations

import gc
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from kissapi import HttpParser, Router, Server
from kissapi.http.pure import PureHttpParser
from kissapi.log import Log
from tests.browser import browser, chromium  # noqa: F401  # fixtures
from tests.certificates import pems  # noqa: F401  # a fixture
from tests.peer import close_all
from tests.redis_server import redis_server  # noqa: F401  # a fixture
from tests.serving import make, running


def pytest_collection_finish() -> None:
    """Six thousand tests are no garbage, but each collection would look at all that they are made of."""
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown() -> None:
    """First the clients go, then the servers that fixtures have started."""
    close_all()


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
    with ExitStack() as stack:

        def start(router: Router, **options: Any) -> Server:
            loop = options.pop("backend", backend)
            return stack.enter_context(running(make(loop, router, **options)))

        yield start


@pytest.fixture
def said() -> Any:
    """A log for `serve(…, logger=said)`; `said.told()` is all that it has written, and may be asked again.

    `capfd` may not: what is written between its reading and its emptying is lost.
    """
    stream = io.StringIO()

    class Said(Log):
        told = stream.getvalue

        def __init__(self) -> None:
            super().__init__(stream)

    return Said
