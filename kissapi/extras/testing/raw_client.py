"""RawClient: a client of a service that sends bytes and receives bytes, whatever the protocol.

It gives the service a real `Connection` over a `FakeTransport`. After each step it runs everything that is
due. `ClientConnection` sends HTTP by it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from kissapi.extras.testing.transport import FakeTransport
from kissapi.http.connection import Connection

if TYPE_CHECKING:
    from kissapi.http.service import Service


class RawClient:
    """One client of `service`; `room` is how many bytes it takes before `take` is called."""

    def __init__(
        self, service: Service, *, room: float = float("inf"), facts: Mapping[str, Any] | None = None
    ) -> None:
        self.service = service
        self.loop: Any = service.loop
        connection, self.transport = self._connect(room, facts)
        self.transport.connection = connection
        # What the client has sent and the server has not read; b"" is the end.
        self.backlog: deque[bytes] = deque()
        self._do(self.connection.connection_made, self.transport)

    def _connect(self, room: float, facts: Mapping[str, Any] | None) -> tuple[Connection, FakeTransport]:
        return Connection(self.service), FakeTransport(self.loop, room, facts)

    @property
    def connection(self) -> Any:
        """The connection that serves the client; after an upgrade, its successor."""
        return self.transport.connection

    @property
    def received(self) -> bytes:
        """What the client has received so far."""
        return bytes(self.transport.sent)

    @property
    def closed(self) -> bool:
        """Whether the server has ended its side, or closed the connection."""
        return self.transport.eof_sent or self.transport.closing

    def send(self, *chunks: bytes) -> Self:
        """The client sends `chunks`; each is one read, delivered when the server reads."""
        self.backlog.extend(chunks)
        self._run()
        return self

    def send_eof(self) -> Self:
        """The client sends no more."""
        self.backlog.append(b"")
        self._run()
        return self

    def lose(self, error: Exception | None = None) -> Self:
        """The connection breaks."""
        if not self.transport.lost:
            self.transport.lost = self.transport.closing = True
            self._do(self.connection.connection_lost, error)
        return self

    def take(self, size: float = float("inf")) -> Self:
        """The client takes `size` bytes more."""
        self._do(self.transport.take, size)
        return self

    def wait(self, seconds: float) -> Self:
        """Time passes."""
        self.loop.advance(seconds)
        self._run()
        return self

    def can_deliver(self) -> bool:
        """Whether the server reads, and a chunk is there for it."""
        return bool(self.backlog) and self.transport.reading and not self.transport.closing

    def _do(self, function: Callable[..., object], *arguments: Any) -> None:
        self.loop.do(function, *arguments)
        self._deliver_backlog()

    def _run(self) -> None:
        self.loop.run()
        self._deliver_backlog()

    def _deliver_backlog(self) -> None:
        while self.can_deliver():
            self.loop.do(self._deliver, self.backlog.popleft())

    def _deliver(self, chunk: bytes) -> None:
        if chunk:
            self.connection.data_received(chunk)
        elif not self.connection.eof_received():
            self.transport.close()
