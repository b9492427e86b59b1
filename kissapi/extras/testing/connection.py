"""ClientConnection: one connection of the client: it sends a request as the server reads it.

Nothing is sent before the server reads, and nothing is read before the test asks for it. The network pushes
all its connections while a test waits for one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kissapi.extras.testing.raw_client import RawClient

if TYPE_CHECKING:
    from kissapi.http.service import Service


class ClientConnection:
    """A `RawClient`, and what is still to be sent by it. `on_leave` is called when the client leaves."""

    def __init__(
        self, service: Service, facts: Mapping[str, Any], room: float, on_leave: Callable[[Any], object]
    ) -> None:
        self.raw = RawClient(service, room=room, facts=facts)
        self.chunks: Iterator[bytes] | None = None  # the rest of the body
        self.feed: Callable[[bytes], None] | None = None  # gets what comes, if the test does not read it
        self.left = False
        self._on_leave = on_leave

    @property
    def over(self) -> bool:
        """Whether the server has ended its side, and all of it has arrived."""
        return self.raw.closed and not self.raw.transport.unsent

    @property
    def has_data(self) -> bool:
        """Whether something has come."""
        return bool(self.raw.transport.sent)

    def read(self) -> bytes:
        """What has come; that makes room for more."""
        data = self.raw.received
        self.raw.transport.sent.clear()
        if data:
            self.raw.take(len(data))
        return data

    def send(self, data: bytes) -> None:
        """Send `data`, unless the connection is closed."""
        if not self.raw.transport.closing:
            self.raw.send(data)

    def push(self) -> None:
        """Send what the server reads, and pass on what has come."""
        while self.can_push():
            if self.feed is not None and self.has_data:
                self.feed(self.read())
            elif self.raw.can_deliver():
                self.raw.send()
            else:
                chunks, self.chunks = self.chunks, None  # the app's generator may use the client itself
                chunk = next(chunks or iter(()), None)
                if chunk is not None:
                    self.chunks = chunks
                    self.raw.send(chunk)

    def can_push(self) -> bool:
        """Whether `push` has anything to do."""
        if self.has_data:
            return self.feed is not None  # else the test reads first: the answer may refuse the rest
        if self.raw.can_deliver():
            return True
        return self.chunks is not None and self.raw.transport.reading and not self.raw.closed

    def leave(self) -> None:
        """Close the connection."""
        if not self.left:
            self.left = True
            self._on_leave(self)
            self.raw.lose()
