"""FakeTransport: a transport that is no socket: it passes bytes between a client and what serves it.

It does at once whatever a real transport may do: it takes as many bytes as there is room for, and reads while
it is not paused. The loop calls `connection_lost` in its next turn, as a real one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PEER = ("127.0.0.1", 50000)


class FakeTransport:
    """Takes what is written: `room` bytes of it at once, the rest when the client takes more.

    `facts` are what `get_extra_info` tells.
    """

    def __init__(self, loop: Any, room: float = float("inf"), facts: Mapping[str, Any] | None = None) -> None:
        self.loop = loop
        self.connection: Any = None
        self.sent = bytearray()  # what the client has received, and has not removed from here
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
        """From now on call `protocol` in place of the connection."""
        self.connection = protocol

    def _send(self) -> None:
        size = int(min(self.room, len(self.unsent)))
        self.sent += self.unsent[:size]
        del self.unsent[:size]
        self.room -= size

    def take(self, size: float = float("inf")) -> None:
        """The client takes `size` bytes more."""
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
