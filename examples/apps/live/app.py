"""A page that lives: chat rooms, a ticker, an upload with its progress, a list by htmx.

    python -m kissapi examples.apps.live.app:router

All of it is in memory, and so of one process and one loop.
"""

from collections import defaultdict
from collections.abc import AsyncIterator
from html import escape
from pathlib import Path
from tempfile import TemporaryFile

from kissapi import App, Fail, Queue, Request, Response, Router, html, sleep, spawn, to_thread
from kissapi.extras.sse import Event, sse
from kissapi.extras.websocket import WebSocket, broadcast

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")

router = Router()
rooms: dict[str, set[WebSocket]] = defaultdict(set)
listeners: set[Queue[Event]] = set()


def publish(event: Event) -> None:
    for queue in listeners:
        if not queue.full():  # a client that does not read misses events, and costs no memory
            queue.put_nowait(event)


@router.on_start
async def start(app: App) -> None:
    spawn(tick())


async def tick() -> None:
    number = 0
    while True:
        await sleep(1)
        number += 1
        publish(Event({"n": number}, event="tick"))


@router.get("/")
async def page(req: Request) -> Response:
    return html(PAGE)


@router.get("/fragment")
async def fragment(req: Request) -> Response:
    return html(f"<b>{len(listeners)} listen, {sum(map(len, rooms.values()))} chat</b>")


@router.post("/todo")
async def todo(req: Request) -> Response:
    if "hx-request" not in req.headers:
        raise Fail(400, "htmx only")
    text = req.form["text"]
    publish(Event(text, event="todo"))
    return Response(f"<li>{escape(text)}</li>", 200, {"HX-Trigger": "added"}, "text/html")


@router.websocket("/rooms/{room}")
async def chat(ws: WebSocket) -> None:
    name, room = ws.request.query.get("name", "?"), ws.request.params["room"]
    members = rooms[room]
    members.add(ws)
    broadcast(members, f"+{name}")
    try:
        async for text in ws:
            broadcast(members, f"{name}: {text!s}")
    finally:
        members.discard(ws)
        broadcast(members, f"-{name}")
        if not members:
            del rooms[room]  # a client may think of any number of rooms


@router.get("/events")
async def events(req: Request) -> Response:
    async def each() -> AsyncIterator[Event]:
        queue: Queue[Event] = Queue(100)
        listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            listeners.discard(queue)

    return sse(each(), heartbeat=15)


@router.put("/files/{name}", stream=True, max_body=1 << 30)
async def upload(req: Request) -> dict[str, int]:
    done, total = 0, req.headers.get("content-length", 0, int)
    with TemporaryFile() as file:
        async for piece in req.stream():
            await to_thread(file.write, piece)
            done += len(piece)
            publish(Event({"name": req.params["name"], "done": done, "total": total}, event="progress"))
    return {"size": done}
