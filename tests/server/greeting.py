"""Greeting: an app of one route, a client that asks it, and the app of most tests in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from kissapi import Request, Router, Server
from tests.peer import ask, connect
from tests.serving import Served

SLEEP = b"GET /sleep/%s HTTP/1.1\r\nHost: a\r\n\r\n"

Serve = Callable[..., Server]

router = Router()


@router.get("/")
async def hello(req: Request) -> str:
    return "Hello, world!"


def greeting(port: int, host: str = "127.0.0.1") -> bytes:
    """What a new client gets that asks once."""
    with connect(port, host) as sock:
        return ask(sock)


async def greeting_in_loop(port: int) -> bytes:
    """The same beside a server in this very loop."""
    return await asyncio.to_thread(greeting, port)


def embedded(**options: Any) -> Server:
    return Server("127.0.0.1", 0, router=router, access_log=False, **options)


SERVE = """
import resource, sys
from kissapi import Server
from tests.app import router
options = eval(f"dict({sys.argv[2]})")
if "files" in options:
    resource.setrlimit(resource.RLIMIT_NOFILE, (options.pop("files"),) * 2)
Server(**{"host": "127.0.0.1", "port": 0, "router": router, "backend": sys.argv[1], **options}).loop()
"""


@contextlib.contextmanager
def served(backend: str, **options: Any) -> Iterator[Served]:
    """A server in a process of its own, which must end with exit code 0."""
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    with Served([sys.executable, "-c", SERVE, backend, given]) as server:
        yield server
