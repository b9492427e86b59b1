"""The app that is asked on kissapi's own server and over ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kissapi
from kissapi import Fail, Request, Response, Router, redirect
from kissapi.extras.files import file, static
from kissapi.extras.sse import Event, sse
from kissapi.extras.websocket import WebSocket  # noqa: TC001  # kissapi reads the annotation


@dataclass
class Note:
    title: str
    stars: int = 0


def make_router(folder: Path, ends: list[Any]) -> Router:
    """`folder` has small.txt and large.bin; `ends` gets what comes after answers."""
    router = Router()
    api = Router()

    @router.around
    async def timing(req: Request) -> AsyncIterator[Any]:
        response = yield
        response.headers["x-around"] = f"{response.status}"

    @router.on_error(ZeroDivisionError)
    async def divided(req: Request, error: Exception) -> Any:
        return {"error": "divided"}

    @router.on_start
    async def start(app: Any) -> None:
        app.name = "app"

    @router.get("/")
    async def hello(req: Request) -> str:
        return "Hello"

    @router.get("/text")
    async def text(req: Request) -> str:
        return "Grüße"

    @router.get("/bytes")
    def raw(req: Request) -> bytes:
        return b"\x00\xff"

    @router.get("/nothing")
    async def nothing(req: Request) -> None:
        return None

    @router.get("/app")
    async def app(req: Request) -> Any:
        return {"name": req.app.name, "client": req.client, "url": req.url, "scheme": req.scheme}

    @router.get("/item/{id:int}")
    async def item(req: Request, id: int, q: str = "none", tag: list[str] = []) -> Any:  # noqa: A002, B006
        return {"id": id, "q": q, "tag": tag, "next": req.url_for("item", id=id + 1)}

    @router.get("/name/{name}")
    async def name(req: Request, name: str) -> Any:
        return {"name": name, "path": req.path}

    @router.get("/rest/{rest:path}")
    async def rest(req: Request, rest: str) -> str:
        return rest

    @router.post("/note")
    async def note(req: Request, body: Note) -> Any:
        return Response({"title": body.title, "stars": body.stars}, 201, {"location": "/note/1"})

    @router.post("/json")
    async def as_json(req: Request) -> Any:
        return req.json

    @router.post("/form")
    def form(req: Request) -> Any:
        return dict(req.form)

    @router.post("/small", max_body=4)
    async def small(req: Request) -> bytes:
        return req.body

    @router.post("/large", max_body=1 << 22)
    async def large(req: Request) -> str:
        return str(len(req.body))

    @router.post("/sizes", stream=True, max_body=1 << 22)
    async def sizes(req: Request) -> Any:
        return sum([len(piece) async for piece in req.stream()])

    @router.post("/back", stream=True)
    async def back(req: Request) -> AsyncIterator[bytes]:
        async for piece in req.stream():
            yield piece.upper()

    @router.get("/numbers")
    def numbers(req: Request) -> Iterator[str]:
        yield from ("1", "2", "3")

    @router.get("/declared")
    async def declared(req: Request) -> Response:
        return Response(iter([b"ab", b"cd"]), headers={"content-length": "4"}, content_type="text/x")

    @router.get("/events")
    async def events(req: Request) -> Response:
        return sse([Event("one", id=1), {"two": 2}])

    @router.get("/cookies")
    async def cookies(req: Request) -> Response:
        response = Response(dict(req.cookies))
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @router.get("/headers")
    async def headers(req: Request) -> Any:
        return {"accept": req.headers["accept"], "missing": "x-none" in req.headers}

    @router.get("/redirect")
    async def away(req: Request) -> Response:
        return redirect("/v/ann lee")

    @router.get("/fail")
    async def fail(req: Request) -> None:
        raise Fail(409, {"why": "conflict"}, {"retry-after": "5"})

    @router.get("/bug")
    async def bug(req: Request) -> None:
        raise RuntimeError("a bug")

    @router.get("/divide")
    async def divide(req: Request) -> float:
        return 1 / 0

    @router.get("/file/{name}")
    def one_file(req: Request, name: str) -> Response:
        return file(folder / name)

    @router.get("/after")
    async def after(req: Request) -> str:
        await kissapi.sleep(0)
        req.after(ends.append, "after")
        req.on_end(lambda outcome, size: ends.append((outcome, size)))
        return "soon"

    @router.websocket("/ws", subprotocols=["chat.v1"])
    async def ws(ws: WebSocket) -> None:
        if ws.request.query.get("refuse"):
            raise Fail(403)
        await ws.send(f"hello {ws.subprotocol} {ws.request.path}")
        async for message in ws:
            if message == "bye":
                await ws.close(4001, "bye")
            await ws.send(message) if not ws.closed else None
        ends.append((ws.close_code, ws.close_reason))

    @api.before
    async def guard(req: Request) -> Response | None:
        return Response("No", 401) if "authorization" not in req.headers else None

    @api.get("/secret")
    async def secret(req: Request) -> str:
        return "secret"

    router["/api"] = api
    router.mount("/", static("/static", folder))
    return router
