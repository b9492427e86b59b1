"""Upload: the body of a request on its way to a handler that takes it as it comes.

Law: no more of it is read than the handler has room for: what it has not taken yet is one read, or two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any

from kissapi.awaitables import running_loop

if TYPE_CHECKING:
    from kissapi.connection import Connection

ENOUGH = 64 * 1024  # bytes not taken yet, from which on no more are read
SMALL = 64 * 1024  # what a handler leaves unread is read to its end if it is not more, and dropped


class Upload:
    """What has come of one body, and what is to come."""

    __slots__ = ("_pieces", "connection", "ended", "error", "paused", "size", "waiter")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.ended = False
        self.error: Exception | None = None  # why the rest will not come
        self.size = 0  # bytes that have come and not been taken
        self.paused = 0.0  # when reading was paused, in the service's seconds
        self.waiter: Any = None  # a future that `pieces` waits for
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""
        if data:
            self._pieces.append(data)
            self.size += len(data)
            self._wake()

    def end(self, error: Exception | None = None) -> None:
        """No more will come, because of `error` if there is one."""
        self.ended = True
        self.error = error
        self._wake()

    def _wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises the `Fail` that says why it does not: 400, 408 or 413."""
        while True:
            if self._pieces:
                data = b"".join(self._pieces)
                self._pieces.clear()
                self.size = 0
                self.connection.want_body()
                yield data
            elif self.error is not None:
                raise self.error
            elif self.ended:
                return
            else:
                self.connection.want_body()
                self.waiter = running_loop().create_future()
                try:
                    await self.waiter
                finally:
                    self.waiter = None

    async def serve(self, handling: Coroutine[Any, Any, Any]) -> Any:
        """What `handling` returns; a small rest of the body that it left unread is gone then."""
        try:
            return await handling
        finally:
            if self.connection.body_left() <= SMALL:
                try:
                    async for _ in self.pieces():
                        pass
                except Exception:
                    pass  # the connection knows, and ends with the answer
