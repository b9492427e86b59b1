"""Outbox: gathers what a sender makes in one turn of the loop, and writes it at the end of that turn.

A write is a system call: a stream of small pieces spends more on one write and one turn for each of them than
on everything else (1000 pieces of 1 KiB: 10 ms, gathered 1 ms). What was put is written in the next turn at
the latest, and at the end or the failure of the answer by `flush`. `BodyWriter` is one; `send_pieces` has
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import sleep

if TYPE_CHECKING:
    from kissapi.http.interfaces import Outlet

# A body that never waits gives way to the other clients after either of these.
ENOUGH = 64 * 1024  # bytes
TURN = 0.001  # seconds


class Outbox:
    """What one sender has made and not written yet.

    if outbox.put(piece):
        await outbox.taken()
    """

    __slots__ = ("_clock", "_connection", "_due", "_parts", "_until", "_unwritten", "limit", "size")

    def __init__(self, connection: Outlet, limit: float = float("inf")) -> None:
        self.size = 0  # bytes of all pieces so far
        self.limit = limit  # the most that they may have
        self._connection = connection
        self._clock = connection.service.clock
        self._parts: list[bytes] = []  # the pieces of this turn
        self._unwritten = 0  # bytes of them
        self._until = 0.0  # when the sender has had its turn
        self._due = False  # whether `_end_turn` will be called

    def put(self, piece: str | bytes | bytearray | memoryview) -> bool:
        """Send the next piece in this turn; True if `taken` is to be awaited before the one after it.

        Not to wait then is only for small pieces that are rare. Raises `RuntimeError` if the pieces have more
        bytes than `limit`.
        """
        data = piece if type(piece) is bytes else as_bytes(piece)
        size = len(data)
        if not size:
            return self.full()
        self.size += size
        if self.size > self.limit:
            self.count(0)
        if not self._parts:
            self._until = self._clock() + TURN
            if not self._due:
                self._due = True
                self._connection.service.loop.call_soon(self._end_turn)
        self._parts.append(data)
        self._unwritten += size
        # As `full`: a call of it would be a fifth of all that a small piece costs.
        return self._unwritten >= ENOUGH or not self._connection.writable or self._clock() >= self._until

    def count(self, size: int) -> None:
        """Note that `size` more bytes go out. Raises `RuntimeError` if they are more than `limit` in all."""
        self.size += size
        if self.size > self.limit:
            raise RuntimeError(f"the body has more than the {self.limit} bytes of its Content-Length")

    def full(self) -> bool:
        """Whether the sender has had its turn, or the client does not take what was sent."""
        return self._unwritten >= ENOUGH or not self._connection.writable or self._clock() >= self._until

    async def taken(self) -> None:
        """Wait a turn, and until the client has taken most of what was sent."""
        if self._connection.writable:
            await sleep(0)  # what was put is written before this goes on
        await self._connection.drained()

    def flush(self) -> None:
        """Write what was put; not if the client has left."""
        if self._parts:
            parts, size = self._parts, self._unwritten
            self._parts = []
            self._unwritten = 0
            if not self._connection.gone:
                self._connection.write(b"".join(self.framed(parts, size)))

    def framed(self, parts: list[bytes], size: int) -> list[bytes]:
        """The pieces of a turn, `size` bytes, with what the protocol has round them."""
        return parts

    def _end_turn(self) -> None:
        self._due = False
        self.flush()


def as_bytes(piece: Any) -> bytes:
    """The bytes of a piece; text is UTF-8. Raises `TypeError` for what has none: a number, a list."""
    return piece.encode() if isinstance(piece, str) else bytes(memoryview(piece))
