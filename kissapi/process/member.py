"""Member: what a program begins, stops and hands over: a running server, or a master with its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from kissapi.server.listening import ListeningSockets


class Member(Protocol):
    """One that has begun, and runs until its task `life` is done."""

    life: Any  # the task that serves
    begun: Any  # a future: whether it serves, once that is known

    @property
    def listening(self) -> ListeningSockets | None:
        """The sockets it accepts from, once it has any."""

    def stop(self) -> None:
        """Stop gracefully, the second time at once."""

    def stop_accepting(self) -> None:
        """Stop gracefully, and leave the sockets to processes that have them too."""
