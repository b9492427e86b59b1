"""Wire: one client's end of a connection: bytes in, bytes out, over a transport that is no socket.

Law: what a real transport may do is done here, at once: it takes as much as there is room for, and reads as
long as it is asked to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from kissapi.connection import Connection

if TYPE_CHECKING:
    from kissapi.service import Service

PEER = ("127.0.0.1", 50000)


class FakeTransport:
    """Takes what is written; `room` bytes of it at once, the rest when the client reads."""

    def __init__(self, loop: Any, room: float = float("inf"), facts: Mapping[str, Any] | None = None) -> None:
        self.loop = loop
        self.connection: Any = None
        self.sent = bytearray()  # what the client has got, and not taken out of here
        self.unsent = bytearray()
        self.room = room
        self.facts = {"peername": PEER} if facts is None else facts
        self.reading = True
        self.closing = False  # close() or abort() was called
        self.aborted = False
        self.eof_sent = False
        self.lost = False

    def write(self, data: bytes) -> None:
        if self.closing:
            return
        self.unsent += data
        self._send()
        if self.unsent:
            self.connection.pause_writing()

    def set_protocol(self, protocol: Any) -> None:
        """From now on `protocol` is told, in place of the connection."""
        self.connection = protocol

    def _send(self) -> None:
        size = int(min(self.room, len(self.unsent)))
        self.sent += self.unsent[:size]
        del self.unsent[:size]
        self.room -= size

    def take(self, size: float = float("inf")) -> None:
        """The client reads `size` bytes more."""
        was_full = bool(self.unsent)
        self.room += size
        self._send()
        if was_full and not self.unsent and not self.lost:
            self.connection.resume_writing()
        self._end_if_done()

    def write_eof(self) -> None:
        self.eof_sent = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.closing = True
        self._end_if_done()

    def abort(self) -> None:
        self.closing = self.aborted = True
        self.unsent.clear()
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self.closing and not self.unsent and not self.lost:
            self.lost = True
            self.loop.call_soon(self.connection.connection_lost, None)

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.facts.get(name, default)


class Wire:
    """One client of a service: what it sends, and what it gets."""

    def __init__(
        self, service: Service, *, room: float = float("inf"), facts: Mapping[str, Any] | None = None
    ) -> None:
        self.service = service
        self.loop: Any = service.loop
        connection, self.transport = self._meet(room, facts)
        self.transport.connection = connection
        # What the client has sent and the server not yet read; b"" is the end.
        self.backlog: deque[bytes] = deque()
        self._do(self.connection.connection_made, self.transport)

    def _meet(self, room: float, facts: Mapping[str, Any] | None) -> tuple[Connection, FakeTransport]:
        return Connection(self.service), FakeTransport(self.loop, room, facts)

    @property
    def connection(self) -> Any:
        """What serves the client: the connection, or what it has been handed over to."""
        return self.transport.connection

    @property
    def received(self) -> bytes:
        """What the client has been sent so far."""
        return bytes(self.transport.sent)

    @property
    def closed(self) -> bool:
        """Whether the server has said its last: our side is shut, or the connection closed."""
        return self.transport.eof_sent or self.transport.closing

    def send(self, *chunks: bytes) -> Self:
        """The client sends `chunks`; each is one read, delivered when the server reads."""
        self.backlog.extend(chunks)
        self._do(_nothing)
        return self

    def send_eof(self) -> Self:
        """The client sends no more."""
        self.backlog.append(b"")
        self._do(_nothing)
        return self

    def lose(self, error: Exception | None = None) -> Self:
        """The connection breaks."""
        if not self.transport.lost:
            self.transport.lost = self.transport.closing = True
            self._do(self.connection.connection_lost, error)
        return self

    def take(self, size: float = float("inf")) -> Self:
        """The client reads."""
        self._do(self.transport.take, size)
        return self

    def wait(self, seconds: float) -> Self:
        """Time passes."""
        self.loop.advance(seconds)
        self._do(_nothing)
        return self

    def _do(self, function: Callable[..., object], *arguments: Any) -> None:
        self.loop.do(function, *arguments)
        while self.can_deliver():
            self.loop.do(self._deliver, self.backlog.popleft())

    def can_deliver(self) -> bool:
        """Whether the server reads, and there is something for it."""
        return bool(self.backlog) and self.transport.reading and not self.transport.closing

    def _deliver(self, chunk: bytes) -> None:
        if chunk:
            self.connection.data_received(chunk)
        elif not self.connection.eof_received():
            self.transport.close()


def _nothing() -> None:
    pass
