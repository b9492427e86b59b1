"""What the client asks in these tests; handlers put what they see into `told`."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from kissapi import Fail, Request, Response, Router, sleep
from kissapi.backends.awaitables import running_loop
from kissapi.extras.testing import Client

router = Router()
told: list[Any] = []

Make = Callable[..., Client]


@router.route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def echo(req: Request) -> Response:
    told.append((req.method, req.path, dict(req.headers), req.body, req.query_all))
    return Response(req.body, 201, {"X-One": "1"}, req.headers.get("content-type"))


@router.get("/who")
def who(req: Request) -> list[Any]:
    return [req.client, req.scheme, threading.current_thread() is threading.main_thread()]


@router.get("/sleep/{seconds:float}")
async def wait(req: Request) -> str:
    try:
        await sleep(req.params["seconds"])
    finally:
        told.append("woken")
    return "slept"


@router.get("/never")
async def never(req: Request) -> None:
    await running_loop().create_future()


@router.get("/broken")
async def broken(req: Request) -> None:
    raise KeyError("drawer")


@router.get("/count")
async def count(req: Request) -> AsyncIterator[str]:
    try:
        number = 0
        while True:
            yield f"{number}"
            number += 1
            await sleep(1)
    finally:
        told.append("closed")


@router.get("/flood")
async def flood(req: Request) -> AsyncIterator[bytes]:
    while True:
        told.append("piece")
        yield b"x" * 1024


@router.get("/half")
async def half(req: Request) -> AsyncIterator[str]:
    yield "half of it"
    raise OSError("disk")


@router.get("/slices")
def slices(req: Request) -> Iterator[str]:
    yield "bread"
    yield "butter"


@router.post("/take", stream=True)
async def take(req: Request) -> list[int]:
    sizes = []
    async for piece in req.stream():
        sizes.append(len(piece))
        await sleep(1)
    return sizes


@router.post("/refuse", stream=True)
async def refuse(req: Request) -> None:
    raise Fail(403, "no, thanks")


@router.get("/after")
async def after(req: Request) -> str:
    async def later() -> None:
        await sleep(5)
        told.append("later")

    req.after(later)
    req.after(told.append, "at once")
    return "done"


@router.get("/login")
async def login(req: Request) -> Response:
    response = Response("welcome")
    response.set_cookie("session", "abc", max_age=60)
    response.set_cookie("deep", "d", path="/cookies/deep")
    return response


@router.get("/logout")
async def logout(req: Request) -> Response:
    response = Response("bye")
    response.set_cookie("session", "", max_age=0)
    return response


@router.get("/cookies/{rest:path}")
async def cookies(req: Request) -> dict[str, str]:
    return req.cookies


@router.get("/set")
async def set_cookie(req: Request) -> Response:
    return Response("set", headers={"Set-Cookie": req.headers["x-set"]})


@router.get("/header")
@router.get("/cookies/header")
async def header(req: Request) -> str:
    return req.headers.get("cookie", "")
