"""What a running server is given by the room of processes, which it does not import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Clients(Protocol):
    """What has the connections: the service of one loop, or several loop threads."""

    def count(self) -> int:
        """How many connections there are."""

    async def shut_down(self, forced: Callable[[], bool]) -> None:
        """Drain, and return when all have ended, or soon after `forced()` is true."""


class Lives(Protocol):
    """The app, in the loop or the loops that serve it: a `Life`, or loop threads with one each."""

    async def start(self) -> None:
        """Start it. Raises what keeps it from that; then `stop` is due, too."""

    async def stop(self) -> BaseException | None:
        """End it. Gives the first error that is to end more than a function, if there was one."""


class Loops(Clients, Lives, Protocol):
    """Several loop threads."""

    def adopt(self, sock: Any, /) -> None:
        """Give a client to one of them."""


class Slot(Protocol):
    """A worker's place among the counts of all workers; see `kissapi.process.accept_balance`."""

    PAUSE: float  # seconds

    def may_accept(self, count: int) -> bool:
        """Whether a worker that has `count` clients may accept the next now; if not, then in `PAUSE`."""

    def record(self, count: int) -> None:
        """This worker has `count` clients now."""

    def vacate(self) -> None:
        """This worker accepts no more clients."""
