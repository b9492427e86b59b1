"""BodyWriter: sends an answer with a body that is large, or is made while it is sent.

Back-pressure: no piece is asked for before the client has taken most of those before it. The pieces of one
turn of the loop go out together, by the `Outbox`. A body that is
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
from kissapi.http.pieces import as_bytes, close

if TYPE_CHECKING:
    from kissapi.http.interfaces import Outlet
    from kissapi.http.request import Request
    from kissapi.http.response import Response


class BodyWriter:
    """Sends the body of one answer; `await writer.send(piece)` for each piece of it.

    The body of `response` is bytes too many to be copied behind their head, or a sync or async iterator, or
    has `async def send_to(writer)`, which sends it. Framing is seen to here: `length` bytes if that is not
    None, else chunks (RFC 9112 §7.1), else the end of the connection.
    """

    __slots__ = (
        "_begun",
        "_chunked",
        "_connection",
        "_on_eof",
        "_on_stop",
        "_outbox",
        "length",
        "request",
        "response",
        "size",
    )

    def __init__(self, request: Request, response: Response, length: int | None) -> None:
        self.request = request
        self.response = response
        self.length = length
        self.size = 0  # bytes of the body so far
        self._chunked = length is None and request.http_version != "1.0"
        self._begun = False  # whether the head has been sent
        self._on_eof: list[Callable[[], object]] = []
        self._on_stop: list[Callable[[], object]] = []

    async def run(self, connection: Outlet) -> Any:
        """Send the head and the whole body: a sender, see `kissapi.core.Service.encode`.

        The head goes out with the first piece: what is raised before that can still be answered in full.
        However this ends, the body is closed. Raises what the body raises, and `RuntimeError` if it is not as
        long as the head said.
        """
        self._connection: Outlet = connection
        self._outbox = Outbox(connection)
        try:
            await self._send_body(connection)
        finally:
            self._outbox.flush()  # once a piece has been sent, what fails is cut, not answered
            self.request._sent = self.size
        if connection.take is not None and self.request._reader is not None:
            await self.request._reader.finish()
        service = connection.service
        if service.answered is not None:
            service.answered.append((self.request, self.response.status, self.size, connection.received_at))
        return SENT

    async def _send_body(self, connection: Outlet) -> None:
        body: Any = self.response.body
        if isinstance(body, bytes):
            self.send_head()
            self.count(len(body))
            connection.write(body)
        elif hasattr(body, "send_to"):
            try:
                await body.send_to(self)
            finally:
                self.forget()
                await close(body)
        else:
            pieces = body if hasattr(body, "__anext__") else Pieces(body, self.request)
            try:
                async for piece in pieces:
                    if self.put(piece):
                        await self.taken()
            finally:
                await close(pieces)
        self.count(0)
        if self.length is not None and self.size < self.length:
            raise RuntimeError(f"the body ended after {self.size} of {self.length} bytes")
        end = b"" if self._begun else self._head()
        if self._chunked:
            end += b"0\r\n\r\n"
        if end:
            self._outbox.put(end)

    # Called by a body that sends itself

    async def send(self, piece: str | bytes | bytearray | memoryview) -> None:
        """Send the next piece, and wait until the client has taken most of what was sent."""
        if self.put(piece):
            await self.taken()

    def put(self, piece: str | bytes | bytearray | memoryview) -> bool:
        """Send the next piece without waiting; True if `taken` is to be awaited before the one after it.

        Not to wait then is only for small pieces that are rare.
        """
        data = piece if type(piece) is bytes else as_bytes(piece)
        self.size += (size := len(data))
        if self.length is not None:
            self.count(0)
        if not data:  # as a chunk it would end the body
            return self._outbox.full()
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (size, data)
        if not self._begun:
            data = self._head() + data
        return self._outbox.put(data)

    def send_head(self) -> None:
        """Send the head now, if it is not out: for a body whose first piece may be long in coming."""
        if not self._begun:
            self._connection.write(self._head())

    def count(self, size: int) -> None:
        """Note that `size` more bytes go out. Raises `RuntimeError` if they are more than the head said."""
        self.size += size
        if self.length is not None and self.size > self.length:
            raise RuntimeError(f"the body has more than the {self.length} bytes of its Content-Length")

    async def taken(self) -> None:
        """Wait until the client has taken most of what was sent."""
        await self._outbox.taken()

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
        self._on_eof.append(on_eof)
        self._on_stop.append(on_stop)
        self._connection.on_eof.append(on_eof)
        self._connection.on_stop.append(on_stop)

    def forget(self) -> None:
        """Call nothing any more."""
        for functions, ours in (
            (self._connection.on_eof, self._on_eof),
            (self._connection.on_stop, self._on_stop),
        ):
            for function in ours:
                if function in functions:
                    functions.remove(function)
            ours.clear()

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
