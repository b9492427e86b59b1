"""to_asgi without a server: httpx's ASGITransport, with a lifespan and without, and Mangum for AWS Lambda."""

from __future__ import annotations

import asyncio
import base64
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from asgi_lifespan import LifespanManager
from mangum import Mangum

from kissapi.extras.asgi import to_asgi
from tests.ecosystem.alike import Told, compare, files
from tests.ecosystem.site import check
from tests.extras.asgi.notes_app import make_router

if TYPE_CHECKING:
    from kissapi import Request, Router

# httpx has its own spelling of these paths; Lambda tells the decoded path alone.
OF_HTTPX = ("/name/a%00b",)
OF_LAMBDA = ("/name/J%C3%BCrgen%2FA%20b", "/rest/a/b%2Fc/d", "/name/%FF")


def main() -> str:
    told = []
    with files() as folder:
        told += [f"Mangum {by_mangum(folder, lifespan)}" for lifespan in ("auto", "off")]
        told.append(f"httpx {asyncio.run(by_httpx(folder))}")
    return f"answers like those of our own server: {', '.join(told)}; streams, lifespans, what comes after"


def made(folder: Path) -> tuple[Router, list[Any]]:
    """The app, and what is told of its ends."""
    ends: list[Any] = []
    router = make_router(folder, ends)

    @router.on_stop
    async def stop() -> None:
        ends.append("stopped")

    @router.post("/up", stream=True)
    async def up(req: Request) -> Any:
        return [len(piece) async for piece in req.stream()]

    return router, ends


async def by_httpx(folder: Path) -> int:
    router, ends = made(folder)
    app = to_asgi(router)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        loop = asyncio.get_running_loop()

        async def ask(method: str, target: str, fields: Any, body: Any) -> Told:
            content = body if isinstance(body, bytes) else each(body)
            request = client.build_request(method, target, headers=fields, content=content)
            for name in ("accept", "accept-encoding", "user-agent"):
                if name not in dict(fields):
                    request.headers.pop(name, None)
            answer = await client.send(request)
            return answer.status_code, answer.headers.multi_items(), answer.content

        def ask_from_thread(*arguments: Any) -> Told:
            return asyncio.run_coroutine_threadsafe(ask(*arguments), loop).result(20)

        # In a thread: our own server has its loop here, and httpx asks in this one.
        count = await asyncio.to_thread(compare, "httpx", folder, ask_from_thread, OF_HTTPX)
        check("what comes after has come", "after" in ends, ends)
        check("no lifespan: no end", "stopped" not in ends)
        answer = await client.post("/up", content=each([b"ab", b"c"]))
        check("a body in pieces", sum(answer.json()) == 3, answer.json())
    async with (
        LifespanManager(to_asgi(router)) as living,
        httpx.AsyncClient(transport=httpx.ASGITransport(living.app), base_url="http://localhost") as client,
    ):
        check("what the start has set", (await client.get("/app")).json()["name"] == "app")
    check("the end", ends[-1] == "stopped", ends)
    return count


async def each(pieces: Any) -> Any:
    for piece in pieces:
        yield piece


def by_mangum(folder: Path, lifespan: str) -> int:
    router, ends = made(folder)
    handler = Mangum(to_asgi(router), lifespan=lifespan)  # type: ignore[arg-type]
    count = compare(f"Mangum, lifespan {lifespan}", folder, partial(invoke, handler), OF_LAMBDA)
    check("what comes after has come", "after" in ends, ends)
    check("the end", ("stopped" in ends) == (lifespan == "auto"), ends)
    return count


def invoke(handler: Any, method: str, target: str, fields: Any, body: Any) -> Told:
    """One call of a function, as an HTTP API of AWS makes it (payload format 2.0)."""
    path, _, query = target.partition("?")
    headers = {"host": "localhost"}
    for name, value in fields:
        if name != "cookie":
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    data = body if isinstance(body, bytes) else b"".join(body)
    if data:
        headers["content-length"] = str(len(data))
    http = {"method": method, "path": path, "sourceIp": "192.0.2.7", "protocol": "HTTP/1.1", "userAgent": "-"}
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "cookies": [value for name, value in fields if name == "cookie"],
        "headers": headers,
        "requestContext": {"http": http, "stage": "$default"},
        "body": base64.b64encode(data).decode(),
        "isBase64Encoded": True,
    }
    answer = handler(event, {})
    found = answer.get("body", "")
    if not found and answer["headers"].get("content-type") == "application/json":
        del answer["headers"]["content-type"]  # Mangum's own, where the app says none
    lines = [*answer["headers"].items(), *(("set-cookie", each) for each in answer.get("cookies", ()))]
    return (
        answer["statusCode"],
        lines,
        base64.b64decode(found) if answer["isBase64Encoded"] else found.encode(),
    )
