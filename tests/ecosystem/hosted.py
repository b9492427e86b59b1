"""The kissapi app that other servers run: that of tests/extras/asgi, and what tells of ends and of memory."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import kissapi
from kissapi import Event, Request, Server
from kissapi.extras.asgi import to_asgi
from tests.extras.asgi.notes_app import make_router

if os.environ.get("COLLECTOR") == "off":
    gc.disable()  # what is left of a request would be a cycle, and stays

ends: list[Any] = []
router = make_router(Path(os.environ["FOLDER"]), ends)
counts = {"arrived": 0}  # bytes, of the last upload or download
PIECE = bytes(1 << 16)
HERE = ("Exchange", "Request", "ScopedRequest", "Connection", "Writer", "BodyReader", "WebSocket", "Session")


@router.on_start
async def start(app: Any) -> None:
    app.go = Event()


@router.on_stop
async def stop() -> None:
    print("the app has stopped", flush=True)


@router.get("/ends")
async def what_has_ended(req: Request) -> Any:
    return [str(end) for end in ends]


@router.get("/ticks")
async def ticks(req: Request) -> AsyncIterator[str]:
    yield "first"
    await req.app.go.wait()
    req.app.go.clear()
    yield "second"


@router.post("/go")
async def go(req: Request) -> None:
    req.app.go.set()


@router.post("/in", stream=True, max_body=2 << 30)
async def take(req: Request) -> int:
    counts["arrived"] = 0
    async for piece in req.stream():
        counts["arrived"] += len(piece)
    return counts["arrived"]


@router.post("/late", stream=True, max_body=2 << 30)
async def take_late(req: Request) -> int:
    """It takes nothing before /go."""
    await req.app.go.wait()
    req.app.go.clear()
    return sum([len(piece) async for piece in req.stream()])


@router.get("/arrived")
async def what_has_arrived(req: Request) -> int:
    return counts["arrived"]


@router.get("/out/{size:int}")
async def give(req: Request, size: int) -> AsyncIterator[bytes]:
    counts["arrived"] = 0
    req.on_end(lambda outcome, size: ends.append(outcome))
    for _ in range(size // len(PIECE)):
        yield PIECE
        counts["arrived"] += len(PIECE)


@router.get("/forever")
async def forever(req: Request) -> AsyncIterator[str]:
    req.on_end(lambda outcome, size: ends.append(outcome))
    while True:
        yield "again "
        await kissapi.sleep(0.002)


@router.get("/left")
async def what_is_left(req: Request) -> Any:
    """Tasks, and objects of requests, this one among them."""
    kinds = [type(each).__name__ for each in gc.get_objects()]
    return {
        "tasks": len(asyncio.all_tasks()),
        "objects": {name: kinds.count(name) for name in HERE},
        "ends": len(ends),
    }


app = to_asgi(Server(router=router, access_log=False))
