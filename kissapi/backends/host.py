"""Host and Guest: what a backend and its service know of each other.

`Host` is the service of a loop. `Guest` is what the service counts as a connection: a connection, or what
stands in for it until it has begun, such as a TLS handshake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Peer = tuple[Any, ...] | None  # the client's address as a proxy tells it; None: ask the socket

# Makes the `Guest` of a client that has just been accepted, which is a protocol in asyncio's sense.
Connect = Callable[[Peer], "Guest"]


class Guest(Protocol):
    """A connection, as its service sees it."""

    @property
    def transport(self) -> Any:
        """The transport below; None before there is one."""

    def tick(self, now: float) -> None:
        """Compare the deadline with `now`, in seconds by the service's clock."""

    def drain(self) -> None:
        """The server stops: a client without an answer to come may send one more request."""

    def abort(self, why: str) -> None:
        """End at once; `why` is for the log."""


class Limits(Protocol):
    """The limits that hold before a request; see `kissapi.http.limits`."""

    @property
    def read_size(self) -> int: ...
    @property
    def handshake_timeout(self) -> float: ...
    @property
    def drain_timeout(self) -> float: ...


class Host(Protocol):
    """The service of a loop, as a backend and its transports see it."""

    connections: set[Any]  # every `Guest` that is here
    stopping: bool

    @property
    def loop(self) -> Any: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def limits(self) -> Limits: ...

    def add(self, guest: Guest) -> None:
        """`guest` has a transport: count it."""

    def remove(self, guest: Guest) -> None:
        """`guest` has ended, and there is room for another one."""
