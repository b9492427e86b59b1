"""ASGI: the same answers by a raw app, Starlette, FastAPI and Falcon, for uvicorn, granian and hypercorn.

Each function makes one app and imports what only that one needs: the cold start of the others stays theirs.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

HELLO = b"Hello, world!"
PIECE = b"x" * 1024


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """No framework: the least that the protocol allows, and a path looked at by hand."""
    if scope["type"] == "websocket":
        await echo(receive, send)
        return
    assert scope["type"] == "http"
    path, kind, body = scope["path"], b"text/plain", HELLO
    if path == "/json":
        kind, body = b"application/json", json.dumps({"message": "Hello, world!"}).encode()
    elif path.startswith("/users/"):
        body = path[7:].encode()
    elif path == "/echo":
        body = await read(receive)
    elif path == "/length":
        body = b"%d" % len(await read(receive))
    elif path == "/sum":
        query = dict(parse_qsl(scope["query_string"].decode()))
        number = int(query["a"]) + int(query["b"])
        body = b"%d" % (number + int(await read(receive)) if scope["method"] == "POST" else number)
    elif path == "/sleep":
        await asyncio.sleep(0.01)
    elif path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    fields = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def read(receive: Any) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


async def echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        kind = "bytes" if message.get("text") is None else "text"
        await send({"type": "websocket.send", kind: message[kind]})


def starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    async def hello(request: Any) -> Response:
        return PlainTextResponse("Hello, world!")

    def blocking(request: Any) -> Response:
        return PlainTextResponse("Hello, world!")

    return Starlette(routes=[Route("/", hello), Route("/blocking", blocking)])


def fastapi() -> Any:
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse

    app = FastAPI()

    @app.get("/", response_class=PlainTextResponse)
    async def hello() -> str:
        return "Hello, world!"

    return app


def falcon() -> Any:
    import falcon.asgi

    class Hello:
        async def on_get(self, req: Any, resp: Any) -> None:
            resp.content_type = "text/plain"
            resp.text = "Hello, world!"

    app = falcon.asgi.App()
    app.add_route("/", Hello())
    return app
