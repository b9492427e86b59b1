"""The app under torture: `python -m tests.torture.app BACKEND "name=value, …"`, the arguments of `Server`.

`files` lowers the limit of descriptors, `send_buffer` that of what the kernel takes off our hands; with
`gc=False` cycles are left, for `/cycles` to count.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from kissapi import Request, Response, Router, Server, sleep
from kissapi.http import uri
from kissapi.http.limits import Limits
from kissapi.net import sockets

router = Router()
hooked = Router()
router["/hooked"] = hooked
counts = {"patient": 0, "cancelled": 0, "opened": 0, "closed": 0}


@router.get("/")
async def hello(req: Request) -> str:
    return "Hello, world!"


@router.get("/last")
async def last(req: Request) -> Response:
    return Response("bye", headers={"Connection": "close"})


@router.get("/pid")
async def pid(req: Request) -> str:
    return str(os.getpid())


@router.get("/counts")
async def what_was_counted(req: Request) -> dict[str, int]:
    return counts


@router.get("/cycles")
async def cycles(req: Request) -> int:
    return gc.collect()


@router.get("/big/{size:int}")
async def big(req: Request) -> bytes:
    return b"x" * req.params["size"]


@router.get("/stream")
async def stream(req: Request) -> AsyncIterator[bytes]:
    counts["opened"] += 1
    try:
        for _ in range(10_000):
            yield b"y" * 8192
    finally:
        counts["closed"] += 1


@router.get("/patient")
async def patient(req: Request) -> str:
    counts["patient"] += 1
    try:
        await sleep(60)
    finally:
        await sleep(0)
        counts["cancelled"] += 1
    return "never"


@router.post("/size")
async def size(req: Request) -> int:
    return len(req.body)


# What a client may send to be decoded


@router.get("/query")
async def query(req: Request) -> int:
    return len(req.query)


@router.post("/form")
async def form(req: Request) -> int:
    return len(uri.decode_query(req.text, Limits.max_query))


@router.post("/json")
async def json(req: Request) -> str:
    return type(req.json).__name__


@router.post("/cookies")
async def cookies(req: Request) -> int:
    return len(req.cookies)


# Handlers nobody should write


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")

    __repr__ = __str__


RAISED: dict[str, Any] = {
    "error": ZeroDivisionError,
    "unprintable": Unprintable,
    "exit": SystemExit,
    "interrupt": KeyboardInterrupt,
    "generator": GeneratorExit,
    "cancelled": asyncio.CancelledError,
    "stop": StopIteration,
    "memory": MemoryError,
    "base": BaseException,
    "group": lambda: BaseExceptionGroup("two", [ValueError("one"), SystemExit(2)]),
}


@router.get("/raise/{kind}")
async def raise_at_once(req: Request) -> None:
    raise RAISED[req.params["kind"]]


@router.get("/raise/{kind}/later")
async def raise_later(req: Request) -> None:
    await sleep(0.001)
    raise RAISED[req.params["kind"]]


@router.get("/raise/{kind}/thread")
def raise_in_a_thread(req: Request) -> None:
    raise RAISED[req.params["kind"]]


@router.get("/recursion")
async def recursion(req: Request) -> Any:
    return await recursion(req)


@router.get("/suicide")
async def suicide(req: Request) -> str:
    req._connection.task.cancel() if req._connection and req._connection.task else None
    await sleep(0.001)
    if req._connection and req._connection.task:
        req._connection.task.cancel()
    await sleep(0.001)
    return "survived"


def loop_of_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


RESULTS: dict[str, Any] = {
    "object": object,
    "set": lambda: {1j},
    "nan": lambda: float("nan"),
    "loop": loop_of_itself,
    "surrogate": lambda: "\ud800",
    "keys": lambda: {(1, 2): 3},
    "class": lambda: Response,
    "header": lambda: Response("x", headers={"a": "b\r\nc: d"}),
}


@router.get("/returns/{kind}")
async def unserialisable(req: Request) -> Any:
    return RESULTS[req.params["kind"]]()


@hooked.after
def broken_hook(req: Request, result: Any) -> None:
    raise RAISED[req.params["kind"]]


@hooked.get("/{kind}")
async def before_the_hook(req: Request) -> str:
    return "fine so far"


@router.get("/midway/sync/{kind}")
def fails_midway(req: Request) -> Iterator[str]:
    yield "half "
    raise RAISED[req.params["kind"]]


@router.get("/midway/async/{kind}")
async def fails_midway_too(req: Request) -> AsyncIterator[Any]:
    yield "half "
    await sleep(0.001)
    if req.params["kind"] == "piece":
        yield 5
    raise RAISED[req.params["kind"]]


def main(backend: str, given: str = "") -> None:
    options: dict[str, Any] = {"access_log": False, "port": 0, **eval(f"dict({given})")}
    if not options.pop("gc", True):
        gc.disable()
    if files := options.pop("files", None):
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if size := options.pop("send_buffer", None):
        bind = sockets.bind

        def bind_small(*where: Any) -> list[socket.socket]:
            listening = bind(*where)
            for sock in listening:  # what it accepts has the same
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            return listening

        sockets.bind = bind_small
    if backend == "uvloop":
        import uvloop

        options["loop_factory"] = uvloop.new_event_loop
        backend = "asyncio"
    Server("127.0.0.1", router=router, backend=backend, **options).loop()


if __name__ == "__main__":
    main(*sys.argv[1:])
