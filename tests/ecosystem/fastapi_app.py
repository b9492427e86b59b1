"""FastAPI: its docs page, validation, dependencies, uploads, streams, WebSockets, lifespan; on both loops."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, HTTPException, UploadFile, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request  # noqa: TC002  # frameworks look at annotations

from tests.browser import CHROMIUM, DRIVER, Browser
from tests.ecosystem.site import Site, check

done: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {"pool": "open"}
    print("the pool is closed", flush=True)


app = FastAPI(title="Shop", lifespan=lifespan)
app.add_middleware(GZipMiddleware, minimum_size=1000)
app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"])


async def timing(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    response.headers["x-timing"] = "1"
    return response


app.add_middleware(BaseHTTPMiddleware, dispatch=timing)


class Item(BaseModel):
    name: str
    price: float = Field(gt=0)


async def session() -> AsyncIterator[str]:
    yield "session"
    done.append("session closed")


@app.post("/items", status_code=201)
async def create(item: Item, session: Annotated[str, Depends(session)]) -> dict[str, Any]:
    return {"name": item.name, "session": session}


@app.get("/items/{number}")
def read(number: int, request: Request, q: str | None = None) -> dict[str, Any]:
    if number > 9:
        raise HTTPException(404, "no such item")
    return {"number": number, "q": q, "pool": request.state.pool, "url": str(request.url)}


@app.post("/upload")
async def upload(file: Annotated[UploadFile, File()], note: Annotated[str, Form()]) -> dict[str, Any]:
    return {"size": len(await file.read()), "name": file.filename, "note": note}


@app.post("/count")
async def count(request: Request) -> int:
    return sum([len(piece) async for piece in request.stream()])


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number}\n"
            await asyncio.sleep(0.02)

    return StreamingResponse(pieces(), media_type="text/plain")


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(__file__, media_type="text/plain")


@app.get("/big")
async def big() -> str:
    return "x" * 100_000


@app.get("/later")
async def later(tasks: BackgroundTasks) -> str:
    async def work() -> None:
        await asyncio.sleep(0.1)
        done.append("task done")

    tasks.add_task(work)
    return "soon"


@app.get("/done")
async def what_is_done() -> list[str]:
    return done


@app.get("/bug")
async def bug() -> None:
    raise OSError("no disk")


@app.websocket("/ws")
async def talk(websocket: WebSocket, name: str = "you") -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{name}: {text}")


def main() -> str:
    for loop in ("asyncio", *(("uvloop",) if find_spec("uvloop") else ())):
        with Site("tests.ecosystem.fastapi_app:app", "--loop", loop) as site:
            visit(site)
        check("lifespan", "the pool is closed" in site.output, site.output)
        check("the error is in the log", "OSError: no disk" in site.output, site.output)
    seen = "validation, dependencies, uploads, streams, files, background tasks, WebSocket, lifespan"
    if CHROMIUM is None or DRIVER is None:
        return f"{seen}; the docs page without a browser: there is no Chromium"
    with Site("tests.ecosystem.fastapi_app:app") as site:
        see(site)
    return f"{seen}; the docs page in Chromium"


def visit(site: Site) -> None:
    page = site.ask("/docs")
    check("the docs page", page.status == 200 and "swagger-ui" in page.text, page)
    check("openapi.json", "/items/{number}" in site.ask("/openapi.json").json["paths"])
    answer = site.post_json("/items", {"name": "tea", "price": 3})
    check("valid", (answer.status, answer.json) == (201, {"name": "tea", "session": "session"}), answer)
    answer = site.post_json("/items", {"name": "tea", "price": -3})
    check("invalid", (answer.status, answer.json["detail"][0]["loc"]) == (422, ["body", "price"]), answer)
    check(
        "no JSON", site.ask("/items", body=b"{", headers={"Content-Type": "application/json"}).status == 422
    )
    check("a path that is no number", site.ask("/items/x").status == 422)
    found = site.ask("/items/7?q=%C3%A9").json
    url = f"{site.url}/items/7?q=%C3%A9"
    check("a sync handler", found == {"number": 7, "q": "é", "pool": "open", "url": url}, found)
    check("404", site.ask("/items/10").json == {"detail": "no such item"})
    check("405", site.ask("/items").status == 405)
    body = b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n'
    body += b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + bytes(3_000_000)
    fields = {"Content-Type": "multipart/form-data; boundary=x"}
    found = site.ask("/upload", body=body + b"\r\n--x--\r\n", headers=fields).json
    check("an upload", found == {"size": 3_000_000, "name": "a", "note": "hi"}, found)
    chunked = site.ask("/count", body=iter([bytes(100_000)] * 20), method="POST")
    check("a chunked body", chunked.json == 2_000_000, chunked)
    check("a stream", site.ask("/stream").text == "0\n1\n2\n")
    check("a file", b"its docs page" in site.ask("/file").body)
    answer = site.ask("/file", headers={"Range": "bytes=0-3"})
    check("a range", (answer.status, answer.body) == (206, b'"""F'), answer)
    answer = site.ask("/big", headers={"Accept-Encoding": "gzip"})
    check("gzip", answer.fields["content-encoding"] == "gzip" and len(answer.body) < 1000, answer.fields)
    check("middleware", answer.fields["x-timing"] == "1")
    answer = site.ask("/done", headers={"Origin": "https://shop.example"})
    check("CORS", answer.fields["access-control-allow-origin"] == "https://shop.example")
    start = time.monotonic()
    check("an answer before its task", site.ask("/later").json == "soon" and time.monotonic() - start < 0.1)
    time.sleep(0.3)
    found = site.ask("/done").json
    check("what comes after", {"session closed", "task done"} <= set(found), found)
    check("500", site.ask("/bug").status == 500)
    if find_spec("websockets"):
        asyncio.run(_talk(site.port))


async def _talk(port: int) -> None:
    from websockets.asyncio.client import connect

    async with connect(f"ws://127.0.0.1:{port}/ws?name=ann") as socket:
        for text in ("hello", "é" * 70_000):
            await socket.send(text)
            check("a message", await socket.recv() == f"ann: {text}")


def see(site: Site) -> None:
    """The document that the docs page loads, in a browser; Swagger's own script may be out of reach."""
    browser = Browser()
    try:
        browser.open(f"{site.url}/docs")
        browser.wait_for("return document.title == 'Shop - Swagger UI'")
        text = browser.run(
            "const headers = {'content-type': 'application/json'};"
            "return fetch('/items', {method: 'POST', body: '{}', headers})"
            ".then(answer => answer.json()).then(JSON.stringify)"
        )
        check("a form of the page is refused", json.loads(text)["detail"][0]["type"] == "missing", text)
    finally:
        browser.close()
