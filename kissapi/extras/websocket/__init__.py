"""WebSocket (RFC 6455): messages in both directions over one connection.

    @router.websocket("/echo")
    async def echo(ws: WebSocket):
        async for message in ws:
            await ws.send(message)

A handler always gets the messages that came before the end; then its loop ends, and `send` raises `Closed`.
So `finally` blocks, and what stands after the loop, run as usual. Once the connection is lost the handler has
`shutdown_timeout` seconds to end; then it is cancelled.

It needs no package. `pip install 'kissapi[websocket]'` adds websockets, whose C code masks faster.

`Router.websocket` registers a handler by `upgrader`. `handshake.py` decides about the request, `session.py`
is the connection, `frames.py` its bytes, and `websocket.py` is what the handler sees of it.
"""

from kissapi.extras.websocket.closing import BROKEN, GOING_AWAY, NO_CODE, NORMAL, Closed
from kissapi.extras.websocket.upgrade import upgrader
from kissapi.extras.websocket.websocket import WebSocket, broadcast

__all__ = ["BROKEN", "GOING_AWAY", "NORMAL", "NO_CODE", "Closed", "WebSocket", "broadcast", "upgrader"]
