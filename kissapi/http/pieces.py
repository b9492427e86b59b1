"""Pieces: a body that is made while it is sent, as an async iterator, and its sender for other protocols.

`Cover` draws the first piece of a stream by `Begun`. The encoder of a protocol with `encode_piece` answers a
stream by `send_pieces`; the bodies of HTTP are sent by `BodyWriter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi.backends.pieces import Pieces
from kissapi.core import SENT
from kissapi.http.outbox import Outbox, as_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kissapi.http.interfaces import Outlet


def is_stream(result: Any) -> bool:
    """Whether `result` gives its pieces one by one, sync or async."""
    return hasattr(result, "__anext__") or hasattr(result, "__next__")


def pieces_of(request: Any, body: Any) -> Any:
    """The pieces of the stream `body`; a parser with `encode_piece` has made bytes of them."""
    pieces = body if hasattr(body, "__anext__") else Pieces(body, request)
    connection = request._connection
    if connection is None or not connection.service.contract.encodes_pieces:
        return pieces
    return _encoded(connection.parser, pieces)


async def _encoded(parser: Any, pieces: Any) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield encoded_by(parser, "encode_piece", piece)
        if hasattr(parser, "encode_end"):
            yield encoded_by(parser, "encode_end")
    finally:
        await close(pieces)


def encoded_by(parser: Any, name: str, *what: Any) -> bytes:
    """What the method `name` of `parser` makes of it. Raises `TypeError` if that is not bytes."""
    data = getattr(parser, name)(*what)
    if not isinstance(data, (bytes, bytearray)):
        raise TypeError(f"{type(parser).__name__}.{name} must return bytes, not {data!r}")
    return bytes(data)


async def send_pieces(request: Any, status: int, pieces: Any, connection: Outlet) -> Any:
    """Send the pieces of `pieces_of`: a sender, see `kissapi.core.Service.encode`.

    No piece is asked for before the client has taken most of those before it. However this ends, `pieces` is
    closed.
    """
    outbox = Outbox(connection)
    try:
        async for data in pieces:
            if outbox.put(data):
                await outbox.taken()
    finally:
        outbox.flush()
        request._sent = outbox.size
        await close(pieces)
    service = connection.service
    if service.answered is not None:
        service.answered.append((request, status, outbox.size, connection.received_at))
    return SENT


class Begun:
    """A stream of which the first piece is drawn: an async iterator of it and of the rest."""

    __slots__ = ("_first", "_rest")

    def __init__(self, first: bytes, rest: Any) -> None:
        self._first = first
        self._rest = rest

    @classmethod
    async def of(cls, pieces: Any) -> Begun:
        """`pieces`, begun. Raises what they raise before their first byte; then they are closed."""
        first = b""
        try:
            async for piece in pieces:
                first = as_bytes(piece)
                if first:
                    break
        except BaseException:
            await close(pieces)
            raise
        return cls(first, pieces)

    def __aiter__(self) -> Begun:
        return self

    async def __anext__(self) -> Any:
        first, self._first = self._first, b""
        return first or await anext(self._rest)

    async def aclose(self) -> None:
        """Close the rest: its `finally` blocks run."""
        await close(self._rest)


async def close(body: Any) -> None:
    """Close `body`: its `finally` blocks run."""
    if hasattr(body, "aclose"):
        await body.aclose()
    elif hasattr(body, "close"):
        body.close()
