"""The messages of a WebSocket: frames for the `Session` that its handler knows, messages for the server.

So inbox, back-pressure, `broadcast`, limits, closing and drain are those of kissapi's own server. Pings and
compression are the business of the server below: `ws.ping()` sends nothing, and `ws.latency` stays None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi.core import SENT
from kissapi.extras.websocket.closing import BROKEN, NO_CODE
from kissapi.extras.websocket.frames import Close, FrameReader, close_frame, frame, payload_of
from kissapi.extras.websocket.heartbeat import Heartbeat

if TYPE_CHECKING:
    from kissapi.extras.asgi.outward.transport import Fields, Message, Transport
    from kissapi.http.upgrade import Upgrade

_KEY = bytes(4)  # a client masks its frames; this mask changes nothing
_MOST = 1 << 62  # bytes of a message of our own


async def accept(response: Upgrade, fields: Fields, connection: Any) -> Any:
    """Accept the handshake: a sender, see `kissapi.core.Service.encode`."""
    exchange: Transport = connection.transport
    response.agreed = response.agreed._replace(deflate=None)  # type: ignore[attr-defined]
    session = response.successor(connection)
    session.heartbeat = Heartbeat(None, 0, 0)
    exchange.frames = Frames(exchange, session)
    exchange.put(
        {
            "type": "websocket.accept",
            "subprotocol": response.headers.get("sec-websocket-protocol"),
            "headers": [field for field in fields if not field[0].startswith(b"sec-websocket-")],
        }
    )
    connection.hand_over(session)
    return SENT


class Frames:
    """What stands between the session of one WebSocket, which has frames, and the messages of ASGI."""

    __slots__ = ("_exchange", "_gone", "_reader", "_session")

    def __init__(self, exchange: Transport, session: Any) -> None:
        self._exchange = exchange
        self._session = session
        self._gone = False  # the client has closed: nothing is sent any more
        self._reader = FrameReader(_MOST, masked=False)

    def take(self, message: Message) -> None:
        """A message of the server, for the session."""
        if message["type"] == "websocket.receive":
            text = message.get("text")
            self._session.data_received(
                frame(*payload_of(message["bytes"] if text is None else text), key=_KEY)
            )
            return
        self._gone = True
        code = message.get("code") or NO_CODE
        if code == BROKEN:
            self._exchange.lose()
        else:
            self._session.data_received(close_frame(code, message.get("reason") or "", _KEY))

    def write(self, data: bytes) -> None:
        """Frames of the session, for the server."""
        exchange, reader = self._exchange, self._reader
        reader.feed(data)
        while (item := reader.read()) is not None:
            if self._gone:
                continue
            if isinstance(item, str):
                exchange.put({"type": "websocket.send", "text": item}, len(item))
            elif isinstance(item, bytes):
                exchange.put({"type": "websocket.send", "bytes": item}, len(item))
            elif isinstance(item, Close):
                exchange.put({"type": "websocket.close", "code": item.code, "reason": item.reason})
                exchange.close()
                return
