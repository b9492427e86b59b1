"""A chat over WebSockets, and its page. Open http://localhost:8000/?name=ann in two windows.

$ curl localhost:8000/chat
Upgrade Required: this path speaks WebSocket only
"""

from pathlib import Path

from kissapi import Request, Response, Router, Server, html
from kissapi.extras.websocket import WebSocket, broadcast

PAGE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")

router = Router()
clients: set[WebSocket] = set()


@router.get("/")
async def page(req: Request) -> Response:
    return html(PAGE)


@router.websocket("/chat")
async def chat(ws: WebSocket) -> None:
    name = ws.request.query.get("name", "somebody")
    clients.add(ws)
    broadcast(clients, f"{name} has come")
    try:
        async for text in ws:
            broadcast(clients, f"{name}: {text!s}")
    finally:
        clients.discard(ws)
        broadcast(clients, f"{name} has left")


server = Server(router=router)

if __name__ == "__main__":
    server.loop()
