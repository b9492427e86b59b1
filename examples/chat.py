"""A chat over WebSockets, and its page. Open http://localhost:8000/?name=ann in two windows.

In one process it needs nothing more. Over several, and over several machines, messages cross by Redis:

    REDIS_URL=redis://localhost:6379 kissapi examples.chat:server --workers 2

$ curl localhost:8000/chat
Upgrade Required: this path speaks WebSocket only
"""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

from kissapi import App, Request, Response, Router, Server, html, spawn
from kissapi.extras.pubsub import PubSub, Subscription
from kissapi.extras.websocket import WebSocket, broadcast

PAGE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")

hub = PubSub(os.environ.get("REDIS_URL", "memory://"))
router = Router()
router.lifespan(hub.lifespan)


@router.lifespan
async def begin(app: App) -> AsyncGenerator[None, None]:
    app.clients = set()  # those of this process
    async with hub.subscribe("chat") as messages:
        spawn(pass_on(messages, app.clients))
        yield


async def pass_on(messages: Subscription, clients: set[WebSocket]) -> None:
    async for message in messages:
        broadcast(clients, message.text)


@router.get("/")
async def page(req: Request) -> Response:
    return html(PAGE)


@router.websocket("/chat")
async def chat(ws: WebSocket) -> None:
    name, clients = ws.request.query.get("name", "somebody"), ws.request.app.clients
    clients.add(ws)
    await hub.publish("chat", f"{name} has come")
    try:
        async for text in ws:
            await hub.publish("chat", f"{name}: {text!s}")
    finally:
        clients.discard(ws)
        await hub.publish("chat", f"{name} has left")


server = Server(router=router)

if __name__ == "__main__":
    server.loop()
