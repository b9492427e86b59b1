"""What a running server is given by the room of processes, which it does not import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Clients(Protocol):
    """What has the connections: the service of one loop, or several loop threads."""

    def count(self) -> int:
        """How many connections there are."""

    async def shut_down(self, forced: Callable[[], bool]) -> None:
        """Drain, and return when all have ended, or soon after `forced()` is true."""


class Slot(Protocol):
    """A worker's place among the counts of all workers; see `kissapi.process.accept_balance`."""

    PAUSE: float  # seconds

    def may_accept(self, count: int) -> bool:
        """Whether a worker that has `count` clients may accept the next now; if not, then in `PAUSE`."""

    def record(self, count: int) -> None:
        """This worker has `count` clients now."""

    def vacate(self) -> None:
        """This worker accepts no more clients."""
