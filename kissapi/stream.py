"""Stream: an answer that goes out as it is made.

Law: no piece is asked for before the client has taken most of those before it, and what the head promised is
kept: a body that turns out longer or shorter than its Content-Length does not pass for a whole one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.awaitables import running_loop, sleep, to_thread

if TYPE_CHECKING:
    from kissapi.connection import Connection
    from kissapi.request import Request
    from kissapi.response import Response

_END = object()


class Stream:
    """The body of one answer on its way; `await stream.send(piece)` for each piece of it.

    The body of `response` is bytes too many to be copied behind their head, or a sync or async iterator, or
    has `async def send_to(stream)`, which sends it.
    Framing is seen to here: `length` bytes if that is not None, else chunks (RFC 9112 §7.1), else the end of
    the connection.
    """

    __slots__ = (
        "_head",
        "chunked",
        "connection",
        "length",
        "on_eof",
        "on_stop",
        "request",
        "response",
        "size",
    )

    def __init__(
        self,
        connection: Connection,
        request: Request,
        response: Response,
        head: bytes,
        *,
        length: int | None = None,
        chunked: bool = False,
    ) -> None:
        self.connection = connection
        self.request = request
        self.response = response
        self.length = length
        self.chunked = chunked
        self.size = 0  # bytes of the body so far
        self.on_eof: Callable[[], object] = _nothing  # called when the client sends no more: it may have gone
        self.on_stop: Callable[[], object] = _nothing  # called when the server is to stop
        self._head = head

    async def run(self) -> None:
        """Send the head and the whole body.

        The head goes out with the first piece: what is raised before that can still be answered in full.
        A sync iterator may block, so it is asked in a worker thread. However this ends, the body is closed.
        Raises what the body raises, and `RuntimeError` if it is not as long as the head said.
        """
        body: Any = self.response.body
        try:
            if isinstance(body, bytes):
                self.send_head()
                self.count(len(body))
                self.connection.send(body)
            elif hasattr(body, "send_to"):
                await body.send_to(self)
            elif hasattr(body, "__anext__"):
                async for piece in body:
                    await self.send(piece)
            else:
                while (piece := await to_thread(next, body, _END)) is not _END:
                    await self.send(piece)
            self.count(0)
            if self.length is not None and self.size < self.length:
                raise RuntimeError(f"the body ended after {self.size} of {self.length} bytes")
            end = self._head + b"0\r\n\r\n" * self.chunked
            if end:
                self.connection.send(end)
        finally:
            self.connection.on_writable = None
            await close(body)

    async def send(self, piece: str | bytes | bytearray | memoryview) -> None:
        """Send the next piece, and wait until the client has taken most of what was sent."""
        self.put(piece)
        await self.taken()

    def put(self, piece: str | bytes | bytearray | memoryview) -> None:
        """Send the next piece, whether or not the client takes it: a small one, now and then."""
        data = piece.encode() if isinstance(piece, str) else bytes(memoryview(piece))  # no int, no list
        self.count(len(data))
        if data:
            if self.chunked:  # an empty chunk would end the body
                data = b"%x\r\n%b\r\n" % (len(data), data)
            self.connection.send(self._head + data)
            self._head = b""

    def send_head(self) -> None:
        """Send the head now, for a body that goes out by another way than `send`: see `count`."""
        if self._head:
            self.connection.send(self._head)
            self._head = b""

    def count(self, size: int) -> None:
        """Note that `size` more bytes go out. Raises `RuntimeError` if they are more than the head said."""
        self.size += size
        if self.length is not None and self.size > self.length:
            raise RuntimeError(f"the body has more than the {self.length} bytes of its Content-Length")

    async def taken(self) -> None:
        """Wait until the client has taken most of what was sent."""
        connection = self.connection
        if connection.writable:
            await sleep(0)  # a generator that never waits must not hold up the others
        else:
            connection.on_writable = running_loop().create_future()
            await connection.on_writable


async def close(body: Any) -> None:
    """Nobody takes more of `body`: its `finally` blocks run."""
    if hasattr(body, "aclose"):
        await body.aclose()
    elif hasattr(body, "close"):
        try:
            body.close()
        except ValueError:
            pass  # a generator at work in its thread: it ends with its last user


def _nothing() -> None:
    pass
