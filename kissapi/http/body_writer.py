"""BodyWriter: sends an answer with a body that is large, or is made while it is sent.

Back-pressure: no piece is asked for before the client has taken most of those before it. A body that is
longer or shorter than its Content-Length is cut, so that it does not look complete. The encoder makes the
writer. A body that sends itself (`send_to`: events, files) is given the writer, and reaches the connection
only by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.backends.pieces import Pieces
from kissapi.core import SENT
from kissapi.http.head import encode_head
from kissapi.http.outbox import Outbox
from kissapi.http.pieces import close

if TYPE_CHECKING:
    from kissapi.http.interfaces import Outlet
    from kissapi.http.request import Request
    from kissapi.http.response import Response


class BodyWriter(Outbox):
    """Sends the body of one answer; `await writer.send(piece)` for each piece of it.

    The body of `response` is bytes too many to be copied behind their head, or a sync or async iterator, or
    has `async def send_to(writer)`, which sends it. Framing is seen to here: `length` bytes if that is not
    None, else chunks (RFC 9112 §7.1), else the end of the connection. The pieces of one turn are one chunk:
    where a chunk ends says nothing to a client.
    """

    __slots__ = ("_begun", "_chunked", "_ended", "_watchers", "length", "request", "response")

    def __init__(self, connection: Outlet, request: Request, response: Response, length: int | None) -> None:
        super().__init__(connection, float("inf") if length is None else length)
        self.request = request
        self.response = response
        self.length = length
        self._chunked = length is None and request.http_version != "1.0"
        self._begun = False  # whether the head has been sent
        self._ended = False  # whether all of the body has been put
        self._watchers: tuple[Callable[[], object], ...] = ()

    async def run(self, connection: Outlet) -> Any:
        """Send the head and the whole body: a sender, see `kissapi.core.Service.encode`.

        The head goes out with the first piece: what is raised before that can still be answered in full.
        However this ends, the body is closed. Raises what the body raises, and `RuntimeError` if it is not as
        long as the head said.
        """
        body: Any = self.response.body
        try:
            try:  # in one coroutine: another is 264 bytes for each stream, and a step for each piece
                if isinstance(body, bytes):
                    self.send_head()
                    self.count(len(body))
                    connection.write(body)
                elif hasattr(body, "send_to"):
                    await body.send_to(self)
                else:
                    if not hasattr(body, "__anext__"):
                        body = Pieces(body, self.request)
                    async for piece in body:
                        if self.put(piece):
                            await self.taken()
            finally:
                self.forget()
                await close(body)
            self._end()
        finally:
            self.flush()  # once a piece has been sent, what fails is cut, not answered
            self.request._sent = self.size
        if connection.take is not None and self.request._reader is not None:
            await self.request._reader.finish()
        service = connection.service
        if service.answered is not None:
            service.answered.append((self.request, self.response.status, self.size, connection.received_at))
        return SENT

    def _end(self) -> None:
        if self.length is not None and self.size < self.length:
            raise RuntimeError(f"the body ended after {self.size} of {self.length} bytes")
        self._ended = True
        if self._chunked or not self._begun:
            self._parts.append(b"")  # so that something is written, though no piece may be left

    # Called by a body that sends itself

    async def send(self, piece: str | bytes | bytearray | memoryview) -> None:
        """Send the next piece, and wait until the client has taken most of what was sent."""
        if self.put(piece):
            await self.taken()

    def send_head(self) -> None:
        """Send the head now, if it is not out: for a body whose first piece may be long in coming."""
        if not self._begun:
            self._connection.write(self._head())

    @property
    def writable(self) -> bool:
        """Whether the client takes what it is sent."""
        return self._connection.takes

    @property
    def stopping(self) -> bool:
        """Whether the server is to stop."""
        return bool(self._connection.service.stopping)

    @property
    def eof(self) -> bool:
        """Whether the client sends no more: it may have gone."""
        return self._connection.eof

    def watch(self, on_eof: Callable[[], object], on_stop: Callable[[], object]) -> None:
        """Call `on_eof` when the client sends no more, and `on_stop` when the server is to stop."""
        self._watchers += (on_eof, on_stop)
        self._connection.on_eof += (on_eof,)
        self._connection.on_stop += (on_stop,)

    def forget(self) -> None:
        """Call nothing any more."""
        for function in self._watchers:
            self._connection.forget(function)
        self._watchers = ()

    def cancel(self) -> None:
        """End the body where it waits."""
        self._connection.task.cancel()

    def socket(self) -> Any:
        """The socket that the client is at the other end of; None if what goes there is encrypted."""
        return self._connection.plain_socket()

    @property
    def unsent(self) -> int:
        """Bytes that the transport has yet to send."""
        return self._connection.unsent_size()

    def take_over(self) -> None:
        """From here on the body writes to the socket itself, and reports what is sent by `progress`."""
        self._connection.pause_writing()

    def progress(self, size: int) -> None:
        """The socket has taken `size` bytes of the body."""
        self.count(size)
        self._connection.progress(size)

    def give_back(self) -> None:
        """The transport writes again."""
        self._connection.resume_writing()

    def framed(self, parts: list[bytes], size: int) -> list[bytes]:
        """As the next chunk, if there are chunks; the head before the first, the end behind the last."""
        if self._chunked:
            if size:
                parts.insert(0, b"%x\r\n" % size)
                parts.append(b"\r\n")
            if self._ended:
                parts.append(b"0\r\n\r\n")
        if not self._begun:
            parts.insert(0, self._head())
        return parts

    def _head(self) -> bytes:
        connection, service = self._connection, self._connection.service
        self._begun = True
        unread = connection.take is not None
        if unread or service.stopping or (self.length is None and not self._chunked):
            # More of the request may be left than will be read; or the end of the connection ends the answer
            # (RFC 9112 §6.3).
            connection.close_after = True
        if unread and self.response.status < 400:
            self.request._reader.invite()  # type: ignore[union-attr]  # there is no other time for it
        if connection.close_after:
            tail = service.tail_close
        else:
            tail = service.tail if self.request.http_version == "1.1" else service.tail_keep_alive
        if service.has_headers:
            tail = service.headers.yield_to(self.response, tail)
        return encode_head(self.response, tail, self.length, self._chunked)
