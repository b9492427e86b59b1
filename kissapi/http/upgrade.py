"""Upgrade: the 101 that gives a connection to another protocol, and the connection from then on.

That connection still counts as one, has the deadlines for writing, and takes part in the drain. All data goes
to the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kissapi.core import BUSY, SENT
from kissapi.http.connection import Connection
from kissapi.http.grammar import is_token
from kissapi.http.response import Response

if TYPE_CHECKING:
    from kissapi.http.request import Request


class Upgrade(Response):
    """101: behind its head, the connection belongs to `protocol` until it ends (RFC 9110 §7.8).

    `protocol` has the methods of asyncio's Protocol. Two more are called if it has them: `tick(now)` about
    once a second, and `stop()` when the server stops. `name` is the name of the protocol, perhaps with a
    version: "chat/2". Raises `ValueError` for any other name.
    """

    __slots__ = ("name", "protocol")

    def __init__(
        self, name: str, protocol: Any, headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None
    ) -> None:
        if not all(map(is_token, name.split("/", 1))):
            raise ValueError(f"{name!r} is no protocol: a name, or a name and a version, as in chat/2")
        super().__init__(None, headers=headers)
        self._status = 101
        self.name = name
        self.protocol = protocol

    def successor(self, connection: Any) -> Any:
        """What gets the transport of `connection`, a `Connection` in its place."""
        return Upgraded(connection, self.protocol)

    async def hand_over(self, request: Request, head: bytes, connection: Any) -> Any:
        """Send `head`, and hand the connection over: a sender, see `kissapi.core.Service.encode`."""
        connection.transport.write(head)
        connection.hand_over(self.successor(connection))
        return SENT


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
                self.yield_turn(len(data))

    def eof_received(self) -> bool:
        self.eof = True
        return bool(self.protocol.eof_received())

    def connection_lost(self, error: Exception | None) -> None:
        protocol, self.protocol = self.protocol, None  # it may refer to this connection: no cycle
        super().connection_lost(error)
        protocol.connection_lost(error)
        if self.after_calls is not None:
            self.service.flushed(self, self.service.clock())

    def tick(self, now: float) -> None:
        super().tick(now)
        if self.writable and not self.transport.is_closing() and hasattr(self.protocol, "tick"):
            self.protocol.tick(now)

    def drain(self) -> None:
        if hasattr(self.protocol, "stop"):
            self.protocol.stop()
