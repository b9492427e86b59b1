"""Outbox: gathers what a sender makes in one turn of the loop, and writes it at the end of that turn.

A write is a system call: a stream of small pieces spends more on one write and one turn for each of them than
on everything else (1000 pieces of 1 KiB: 10 ms, gathered 1 ms). What was put is written in the next turn at
the latest, and at the end or the failure of the answer by `flush`. `BodyWriter` and `send_pieces` have one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kissapi.backends.awaitables import sleep

if TYPE_CHECKING:
    from kissapi.http.interfaces import Outlet

# A body that never waits gives way to the other clients after either of these.
ENOUGH = 64 * 1024  # bytes
TURN = 0.001  # seconds


class Outbox:
    """What one sender has made and not written yet.

    if outbox.put(data):
        await outbox.taken()
    """

    __slots__ = ("_clock", "_connection", "_due", "_parts", "_size", "_until")

    def __init__(self, connection: Outlet) -> None:
        self._connection = connection
        self._clock = connection.service.clock
        self._parts: list[bytes] = []
        self._size = 0  # bytes of them
        self._until = 0.0  # when the sender has had its turn
        self._due = False  # whether `_end_turn` will be called

    def put(self, data: bytes) -> bool:
        """Send `data` in this turn; True if the sender is to await `taken` before it makes more."""
        parts = self._parts
        if not parts:
            self._until = self._clock() + TURN
            if not self._due:
                self._due = True
                self._connection.service.loop.call_soon(self._end_turn)
        parts.append(data)
        self._size += len(data)
        return self.full()

    def full(self) -> bool:
        """Whether the sender has had its turn, or the client does not take what was sent."""
        return self._size >= ENOUGH or not self._connection.writable or self._clock() >= self._until

    async def taken(self) -> None:
        """Wait a turn, and until the client has taken most of what was sent."""
        if self._connection.writable:
            await sleep(0)  # what was put is written before this goes on
        await self._connection.drained()

    def flush(self) -> None:
        """Write what was put; not if the client has left."""
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            if not self._connection.gone:
                self._connection.write(data)

    def _end_turn(self) -> None:
        self._due = False
        self.flush()
