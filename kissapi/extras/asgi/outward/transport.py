"""Transport: what a connection over ASGI has in place of a socket: it takes messages, and gives them on.

It has the methods of asyncio's transports. What would be bytes are messages, which wait in `out` for the
`Exchange`, a subclass, to send them. Back-pressure is as of a socket: while much waits, senders wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from kissapi.http.connection import Connection

if TYPE_CHECKING:
    from kissapi.extras.asgi.outward.request import Scope
    from kissapi.http.service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Fields = list[tuple[bytes, bytes]]
Send = Callable[[Message], Awaitable[None]]

# By the type of the scope: the messages of an answer. That to a handshake refuses it.
TYPES = {
    "http": ("http.response.start", "http.response.body"),
    "websocket": ("websocket.http.response.start", "websocket.http.response.body"),
}
ENOUGH = 64 * 1024  # bytes that wait to be sent, at which a sender has to wait


class Transport:
    """The transport of one connection, and the messages that answer its scope."""

    # Class attributes are the defaults, as of a request: making one sets few of them.
    ended = False  # nothing goes out behind `out`
    due = False  # `Service.flushed` is to be called once `out` is sent
    frames: Any = None  # `websocket.Frames`, once a WebSocket is accepted
    tasks: tuple[Any, ...] = ()  # they go on after the answer, and `run` waits for them
    _task: Any = None  # that `run` is in
    _sending = False  # whether that waits for the server
    _unsent = 0  # bytes in `out`, and in what is being sent
    _started = False  # an answer has begun, and pieces of its body may follow
    _aborted = False
    _listener: Any = None  # the task that takes messages
    _reading = True
    _readable: Any = None  # a future of the listener, while reading is paused
    _waiter: Any = None  # a future of `run`, while there is nothing to send

    def __init__(self, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        self.service = service
        self.scope = scope
        self.out: list[Message] = []  # messages that are yet to be sent
        self._receive = receive
        self._send = send
        self._types = TYPES[scope["type"]]
        peer = scope.get("client")
        self.protocol: Any = Connection(service, () if peer is None else tuple(peer))
        self.protocol.transport = self

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def lose(self) -> None:
        """The client has left."""
        self.ended = True
        self.out.clear()
        self._wake()

    # What goes out; `kissapi.extras.asgi.outward.answer` makes it

    def put(self, message: Message, size: int = 0) -> None:
        """Send `message`, which has `size` bytes of a body, without waiting."""
        if self.ended:
            return
        self.out.append(message)
        self._unsent += size
        self._wake()
        if self._unsent >= ENOUGH and self.protocol.writable:
            self.protocol.pause_writing()

    def start(self, status: int, fields: Fields) -> None:
        """The head of an answer; its body comes by `write`, and `close` ends it."""
        self._started = True
        self.put({"type": self._types[0], "status": status, "headers": fields})

    def answer(self, status: int, fields: Fields, body: bytes) -> None:
        """A whole answer."""
        # Not by `put`: this is on the hot path, and nothing waits for it.
        start, end = self._types
        self.out += ({"type": start, "status": status, "headers": fields}, {"type": end, "body": body})
        self._unsent += len(body)

    def send_path(self, status: int, fields: Fields, path: str) -> None:
        """A whole answer, with the file at `path` as its body."""
        self.put({"type": self._types[0], "status": status, "headers": fields})
        self.put({"type": "http.response.pathsend", "path": path})

    # The transport of the connection: the methods of asyncio's

    def write(self, data: bytes) -> None:
        if self.frames is not None:
            self.frames.write(data)
        elif data:
            self.put({"type": self._types[1], "body": data, "more_body": True}, len(data))

    def close(self) -> None:
        if self._started and not self.ended:
            self.put({"type": self._types[1], "body": b"", "more_body": False})
        self.ended = True
        self._wake()

    def abort(self) -> None:
        self._aborted = True
        self.lose()
        if self._sending:
            self._task.cancel()

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.ended

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self._unsent

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        if self._readable is not None and not self._readable.done():
            self._readable.set_result(None)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        scope = self.scope
        if name == "sslcontext":
            return True if scope.get("scheme") in ("https", "wss") else None
        address = scope.get({"peername": "client", "sockname": "server"}.get(name, ""))
        return default if address is None else tuple(address)
