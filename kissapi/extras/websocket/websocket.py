"""WebSocket: one client, as its handler sees it; and `broadcast`, which sends to many.

The session below does the work; here arguments are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop
from kissapi.extras.websocket.closing import NORMAL, check_close
from kissapi.extras.websocket.deflate import SMALL
from kissapi.extras.websocket.frames import Message, frame, payload_of

if TYPE_CHECKING:
    from kissapi.extras.websocket.session import Session
    from kissapi.http.request import Request

MAX_PING = 125  # bytes in a ping (RFC 6455 §5.5)


class WebSocket:
    """One client of a WebSocket route.

    `request` is the one that opened it: path, params, headers, cookies, and the `state` that before hooks
    have filled. `subprotocol` is the one that both sides have agreed on, or None.
    """

    __slots__ = ("_session", "request", "subprotocol")

    def __init__(self, request: Request, subprotocol: str | None, session: Session) -> None:
        self.request = request
        self.subprotocol = subprotocol
        self._session = session

    def __repr__(self) -> str:
        return f"<WebSocket {self.request.path} {f'closed: {self.close_code}' if self.closed else 'open'}>"

    @property
    def closed(self) -> bool:
        """Whether the WebSocket has ended: nothing more can be sent."""
        return self._session.close_code is not None

    @property
    def close_code(self) -> int | None:
        """The code of the side that has ended it; None while it is open.

        1000: all is done; 1001: the browser leaves the page, or the server stops; 1005: the client gave no
        code; 1006: the connection broke; 4000 to 4999: codes of the app. The rest is in RFC 6455 §7.4.
        """
        return self._session.close_code

    @property
    def close_reason(self) -> str:
        """The text beside the code; usually empty."""
        return self._session.close_reason

    @property
    def latency(self) -> float | None:
        """Seconds from the last answered ping to its answer; None before there was one."""
        return self._session.heartbeat.latency

    def __aiter__(self) -> WebSocket:
        return self

    # `receive` and `send` give the coroutine of the session: one of their own would cost each message more.

    def __anext__(self) -> Coroutine[Any, Any, str | bytes]:
        return self._session.receive(StopAsyncIteration)

    def receive(self) -> Coroutine[Any, Any, str | bytes]:
        """The next message: a `str` if it was sent as text, else `bytes`.

        Raises `Closed` after the last one; `async for message in ws` ends there instead. Raises
        `RuntimeError` if another task waits for a message already.
        """
        return self._session.receive()

    def send(self, message: Message) -> Coroutine[Any, Any, None]:
        """Send a message: a `str` as text, bytes as binary.

        It waits while the client has yet to take what was sent before. Several tasks may send at a time.
        Raises `Closed` if the WebSocket has ended, `TypeError` for another type of message, `RuntimeError`
        in another event loop than its own: from there, use `broadcast`.

            await ws.send(json.dumps({"price": 7}))
        """
        return self._session.send(*payload_of(message))

    async def ping(self, payload: bytes = b"") -> None:
        """Send a ping of at most 125 bytes; its answer sets `latency`.

        The pings that detect a lost client are sent without being asked for: see `ping_interval`. Raises
        `Closed` if the WebSocket has ended, `ValueError` for a payload that is too long.
        """
        if len(payload) > MAX_PING:
            raise ValueError(f"a ping may carry {MAX_PING} bytes, not {len(payload)} (RFC 6455 §5.5)")
        await self._session.ping(bytes(payload))

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """End the WebSocket, with a code (4000 to 4999 are the app's) and at most 123 bytes of reason.

        It does not wait for the client: the connection closes when the client has answered, or after
        `linger_timeout`. On one that has ended it does nothing. Raises `ValueError` for a code that a server
        may not send, and for a longer reason.
        """
        check_close(code, reason)
        loop = self._session.service.loop
        if loop is _loop_here():
            self._session.close(code, reason)
        else:
            _call_in(loop, self._session.close, code, reason)


def broadcast(sockets: Iterable[WebSocket], message: Message) -> None:
    """Send a message to many clients without waiting: a slow client delays no other.

    The frame is made once, and compressed once. Clients that have left are skipped. A client under
    back-pressure with more than `max_message` bytes still to take is cut off: the alternatives are memory
    without bound, and gaps between its messages. It may be called in any thread. Raises `TypeError` for what
    is no message.

        broadcast(clients, f"{name} has come")
    """
    opcode, payload = payload_of(message)
    plain = frame(opcode, payload)
    deflated: dict[int, bytes] = {}  # by the size of the window
    here = _loop_here()
    # A set that another loop changes meanwhile cannot be iterated over, but it can be copied.
    for ws in sockets.copy() if isinstance(sockets, set) else tuple(sockets):
        session = ws._session
        deflate = session.deflate
        data = plain
        if deflate is not None and len(payload) >= SMALL:
            bits = deflate.server_bits
            if bits not in deflated:
                deflated[bits] = frame(opcode, deflate.compress_alone(payload), deflated=True)
            data = deflated[bits]
        if session.service.loop is here:
            session.send_now(data, data is not plain)
        else:
            _call_in(session.service.loop, session.send_now, data, data is not plain)


def _loop_here() -> Any:
    try:
        return running_loop()
    except RuntimeError:
        return None  # a worker thread


def _call_in(loop: Any, function: Callable[..., None], *arguments: Any) -> None:
    """Call `function` in the next turn of `loop`, which runs in another thread."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        pass  # that loop is closed, and all its clients have left
