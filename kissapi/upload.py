"""Upload: the body of a request on its way to a handler that takes it as it comes.

Law: no more of it is read than the handler has room for: what it has not taken yet is one read, or two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any

from kissapi.awaitables import running_loop
from kissapi.fail import Fail

if TYPE_CHECKING:
    from kissapi.connection import Connection
    from kissapi.request import Request

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ENOUGH = 64 * 1024  # bytes not taken yet, from which on no more are read
SMALL = 64 * 1024  # what a handler leaves unread is read to its end if it is not more, and dropped


class Upload:
    """What has come of one body, and what is to come."""

    __slots__ = ("_paused", "_pieces", "_waiter", "connection", "ended", "error", "request", "size")

    def __init__(self, connection: Connection, request: Request) -> None:
        self.connection = connection
        self.request = request
        self.ended = False
        self.error: Exception | None = None  # why the rest will not come
        self.size = 0  # bytes that have come and not been taken
        # when reading was paused, in the service's seconds: it may be so already, for an answer before this
        self._paused = connection.service.time()
        self._waiter: Any = None  # a future that `pieces` waits for
        self._pieces: list[bytes] = []

    def take(self, data: bytes) -> None:
        """What has come on the connection: more of the body, its end, and perhaps the next message."""
        connection, parser = self.connection, self.connection.parser
        connection.fed += len(data)
        try:
            parser.feed_data(data)
        except Exception as error:
            connection.close_after = True  # what is behind it is not looked at
            self.end(error if isinstance(error, Fail) else Fail(400, "Bad Request"))
            return
        if parser._finished:
            rest, self.request.body = self.request.body, b""
            self.feed(rest)
            self.end()
            if parser.unread:
                connection.hold(parser.unread)
        else:
            self.feed(parser.take_body())
            if self.size >= ENOUGH:
                connection.pause_reading()
                self._paused = connection.service.time()
        connection.watch_client()

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

    def left(self) -> float:
        """How many bytes are yet to come; infinity if none will, or nobody knows."""
        parser = self.connection.parser
        if self.error is not None or parser is None or getattr(parser, "expects_continue", False):
            return float("inf")
        return 0 if self.ended else float(parser.body_left())

    def _want(self) -> None:
        """The handler wants the next piece."""
        connection = self.connection
        parser = connection.parser
        if parser is None:  # the client has gone
            return
        if not self.ended and getattr(parser, "expects_continue", False):
            parser.expects_continue = False
            connection.since = connection.service.time()
            connection.transport.write(CONTINUE)
            connection.watch_client()
        if not connection.reading and not connection.pending:
            connection.since += (
                connection.service.time() - self._paused
            )  # the client is not to blame for that
            connection.resume_reading()
            connection.watch_client()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises the `Fail` that says why it does not: 400, 408 or 413."""
        while True:
            if self._pieces:
                data = b"".join(self._pieces)
                self._pieces.clear()
                self.size = 0
                self._want()
                yield data
            elif self.error is not None:
                raise self.error
            elif self.ended:
                return
            else:
                self._want()
                self._waiter = running_loop().create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None

    async def serve(self, handling: Coroutine[Any, Any, Any]) -> Any:
        """What `handling` returns; a small rest of the body that it left unread is gone then."""
        try:
            return await handling
        finally:
            if self.left() <= SMALL:
                try:
                    async for _ in self.pieces():
                        pass
                except Exception:
                    pass  # the connection knows, and ends with the answer
