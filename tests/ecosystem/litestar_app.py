"""Litestar: routes, validation, a stream, a WebSocket, hooks of start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from litestar import Litestar, get, post, websocket
from litestar.connection import WebSocket  # noqa: TC002  # frameworks look at annotations
from litestar.datastructures import State  # noqa: TC002
from litestar.response import Stream

from tests.ecosystem.site import Site, check


@dataclass
class Item:
    name: str
    price: int


@get("/items/{number:int}")
async def read(number: int, state: State) -> dict[str, Any]:
    return {"number": number, "pool": state.pool}


@post("/items")
async def create(data: Item) -> Item:
    return data


@get("/sync", sync_to_thread=True)
def blocking() -> str:
    return "from a thread"


@get("/stream")
async def stream() -> Stream:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number}\n"

    return Stream(pieces())


@websocket("/ws")
async def talk(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.send_json({"heard": await socket.receive_json()})
    await socket.close()


def opened(app: Litestar) -> None:
    app.state.pool = "open"


def closed(app: Litestar) -> None:
    print("the pool is closed", flush=True)


app = Litestar([read, create, blocking, stream, talk], on_startup=[opened], on_shutdown=[closed])


def main() -> str:
    with Site("tests.ecosystem.litestar_app:app") as site:
        check("a route", site.ask("/items/7").json == {"number": 7, "pool": "open"})
        answer = site.post_json("/items", {"name": "tea", "price": 3})
        check("valid", (answer.status, answer.json) == (201, {"name": "tea", "price": 3}), answer)
        check("invalid", site.post_json("/items", {"name": "tea"}).status == 400)
        check("a thread", site.ask("/sync").text == "from a thread")
        check("a stream", site.ask("/stream").text == "0\n1\n2\n")
        check("its document", site.ask("/schema/openapi.json").status == 200)
        check("404", site.ask("/none").status == 404)
        asyncio.run(_talk(site.port))
    check("its end", "the pool is closed" in site.output, site.output)
    return "routes, validation, threads, a stream, WebSocket, start and stop"


async def _talk(port: int) -> None:
    from websockets.asyncio.client import connect

    async with connect(f"ws://127.0.0.1:{port}/ws") as socket:
        await socket.send("[1]")
        found = await socket.recv()
        check("a message", found.replace(" ", "") == '{"heard":[1]}', found)
