"""App: the routes most tests talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from kissapi import Fail, Request, Response, Router, sleep, to_thread

router = Router()


@router.get("/")
async def hello(req: Request) -> str:
    return "Hello, world!"


@router.post("/echo")
async def echo(req: Request) -> bytes:
    return req.body


@router.get("/users/{id}")
async def user(req: Request) -> dict[str, Any]:
    return {"id": req.params["id"]}


@router.get("/sleep/{seconds:float}")
async def wait(req: Request) -> str:
    await sleep(req.params["seconds"])
    return f"slept {req.params['seconds']}"


@router.get("/thread")
def blocking(req: Request) -> str:
    return "from a thread"


@router.get("/to_thread")
async def in_thread(req: Request) -> int:
    return await to_thread(sum, [1, 2, 3])


@router.get("/stream")
async def stream(req: Request) -> AsyncIterator[str]:
    for number in range(3):
        await sleep(0.001)
        yield f"{number} "


@router.get("/big/{size:int}")
async def big(req: Request) -> bytes:
    return b"x" * req.params["size"]


@router.get("/fail")
async def fail(req: Request) -> None:
    raise Fail(403, {"error": "Forbidden"}, {"X-Why": "because"})


@router.get("/error")
async def error(req: Request) -> None:
    raise ZeroDivisionError("on purpose")


@router.get("/unserialisable")
async def unserialisable(req: Request) -> object:
    return object()


@router.get("/nothing")
async def nothing(req: Request) -> None:
    return None


@router.get("/last")
async def last(req: Request) -> Response:
    return Response("bye", headers={"Connection": "close"})
