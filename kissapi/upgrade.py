"""Upgraded: a connection that belongs to another protocol, to its end.

It is counted, has the deadlines for writing and the drain of every connection. All data goes to the protocol.
`Upgrade` makes it and hands the transport over.
"""

from __future__ import annotations

from typing import Any

from kissapi.connection import Connection
from kissapi.core import BUSY


class Upgraded(Connection):
    """Takes the transport of `connection` over for `protocol`."""

    __slots__ = ("protocol",)

    def __init__(self, connection: Connection, protocol: Any) -> None:
        super().__init__(connection.service, connection.peer)
        self.request = connection.request
        self.protocol = protocol

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.become(BUSY)
        self.protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self.state is BUSY:
            self.protocol.data_received(data)
            if self.transport.is_reading():  # else the protocol has paused it, and resumes it itself
                self.share_turn(len(data))

    def eof_received(self) -> bool:
        self.eof = True
        return bool(self.protocol.eof_received())

    def connection_lost(self, error: Exception | None) -> None:
        protocol, self.protocol = self.protocol, None  # it may refer to this connection: no cycle
        super().connection_lost(error)
        protocol.connection_lost(error)
        if self.afters is not None:
            self.service.flushed(self, self.service.clock())

    def tick(self, now: float) -> None:
        super().tick(now)
        if self.writable and not self.transport.is_closing() and hasattr(self.protocol, "tick"):
            self.protocol.tick(now)

    def drain(self) -> None:
        if hasattr(self.protocol, "stop"):
            self.protocol.stop()
