"""BodyReader: the body of a request for a handler that reads it while it comes.

Back-pressure: reading is paused while the handler has not taken what came, so at most two reads wait in
memory. `Service.unfinished` makes the reader. `connection.take` feeds it while the handler, and then the
sender, runs. When the body is complete, the connection holds the bytes behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop
from kissapi.core import BUSY, Fail

if TYPE_CHECKING:
    from kissapi.http.connection import Connection
    from kissapi.http.request import Request

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ENOUGH = 64 * 1024  # bytes not taken yet, at which reading is paused
SMALL = 64 * 1024  # if a handler leaves no more unread, it is read and dropped, and the connection is kept


class BodyReader:
    """The body of one request, and how much of it has come."""

    __slots__ = ("_paused", "_pieces", "_taken", "_waiters", "connection", "ended", "error", "size", "total")

    def __init__(self, connection: Connection | None) -> None:
        self.connection: Any = connection  # None for a body that came whole
        self.ended = connection is None
        self.error: Exception | None = None  # why the rest will not come
        self.size = 0  # bytes that have come and not been taken
        self.total = 0  # bytes that have come
        self._paused = 0.0  # when reading was paused
        self._taken = False  # whether `stream` has been called
        self._waiters: list[Any] = []  # futures that `piece` waits for
        self._pieces: list[bytes] = []
        if connection is not None:
            self._paused = connection.service.clock()  # it may be so already, for an answer before this
            connection.take = self.feed
            connection.on_eof += (self.client_ends,)

    @classmethod
    def of_whole(cls, request: Request) -> BodyReader:
        """For a body that has come with its head."""
        reader = cls(None)
        reader.put(request.__dict__.pop("body", b""))
        return reader

    # Called by the connection

    def feed(self, data: bytes) -> None:
        """`data` has come: more of the body, perhaps its end and the next message."""
        if self.ended:
            return  # it comes behind a body that has failed
        connection = self.connection
        parser, request = connection.parser, connection.request
        request._received += len(data)
        connection.count_received(len(data))
        try:
            parser.feed_data(data)
        except Exception as error:
            self.end(error if isinstance(error, Fail) else Fail(400, "Bad Request"))
            return
        if parser.finished:
            self.put(request.__dict__.pop("body", b""))
            self.end()
            if parser.unread:
                connection.buffer(parser.unread)
            return
        self.put(parser.take_body())
        self._paused = connection.service.clock()
        if self.size >= ENOUGH:
            connection.pause_reading()
        else:
            connection.yield_turn(len(data))

    def client_ends(self) -> None:
        """The client sends no more."""
        if not self.ended:
            self.end(Fail(400, "Bad Request: the request ends before it is complete"))

    def put(self, data: bytes) -> None:
        """The next bytes of the body."""
        if data:
            self._pieces.append(data)
            self.size += len(data)
            self.total += len(data)
            self._wake()

    def end(self, error: Exception | None = None) -> None:
        """No more will come, because of `error` if there is one."""
        self.ended = True
        self.error = error
        connection = self.connection
        connection.forget(self.client_ends)
        if error is None:
            connection.take = None
        else:
            connection.close_after = True  # what is behind it is not looked at
        self._wake()

    # Called by the handler

    @property
    def done(self) -> bool:
        """Whether all of the body has come and been taken."""
        return self.ended and not self._pieces and self.error is None

    def left(self) -> float:
        """How many bytes are yet to come; infinity if none will, or if that is not known."""
        if self.ended and self.error is None:
            return 0
        parser = self.connection.parser
        if self.error is not None or parser is None or parser.expects_continue:
            return float("inf")
        return float(parser.body_left())

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises what `piece` raises, and `RuntimeError` the second time.

        What has been taken is gone.
        """
        if self._taken:
            raise RuntimeError("the body has been taken from req.stream() already: keep what you need of it")
        self._taken = True
        while data := await self.piece():
            yield data

    async def piece(self) -> bytes:
        """The next bytes, b"" after the last; if it is cancelled while it waits, nothing is lost.

        Raises the `Fail` that says why no more will come: 400, 408 or 413.
        """
        while not self._pieces:
            if self.error is not None:
                raise self.error
            if self.ended:
                return b""
            self._want()
            waiter = running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)
        data = b"".join(self._pieces)
        self._pieces.clear()
        self.size = 0
        self._want()
        return data

    async def finish(self) -> None:
        """Drop what the handler has left unread, if that is little; else the connection ends."""
        if self.left() <= SMALL:
            try:
                while await self.piece():
                    pass
            except Fail as error:  # the connection knows, and ends with the answer
                error.__traceback__ = None  # it holds this frame, which holds it: no cycle

    def _want(self) -> None:
        """The handler has room for the next piece."""
        connection = self.connection
        if self.ended or connection.parser is None:  # the client has gone
            return
        now = connection.service.clock()
        self.invite()
        if not connection.reading and not connection.pending:
            # The time that reading was paused does not count against the client.
            connection.sent_until = min(now, connection.sent_until + now - self._paused)
            connection.resume_reading()

    def invite(self) -> None:
        """Let a client that waits for a word send the body."""
        connection = self.connection
        if connection.parser is not None and connection.parser.expects_continue:
            connection.parser.expects_continue = False
            connection.sent_until = connection.service.clock()
            if connection.state is BUSY:  # else the answer has begun, and this would stand in its body
                connection.transport.write(CONTINUE)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
