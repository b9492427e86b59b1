"""A server on each of the three loops, in a thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kissapi import Router, Server

THREE = ["asyncio", "selectors", "uvloop"]


def options_of(loop: str) -> dict[str, Any]:
    """What makes a `Server` run on `loop`; the test is skipped where that is not installed."""
    if loop != "uvloop":
        return {"backend": loop}
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    return {"backend": "asyncio", "loop_factory": uvloop.new_event_loop}


def make(loop: str, router: Router, **options: Any) -> Server:
    """A server that is not running yet: for `on_start`."""
    return Server("127.0.0.1", 0, router=router, access_log=False, **{**options_of(loop), **options})


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """`server` at work, until the end of the block."""
    thread = threading.Thread(target=server.loop, daemon=True)
    thread.start()
    deadline = time.monotonic() + 5
    while server.port == 0 and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert server.port, "the server did not start"
    try:
        yield server
    finally:
        server.stop()
        server.stop()  # at once
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"
