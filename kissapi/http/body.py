"""Body: the bytes of one body as they come, to the length that its head gives, or chunk by chunk.

The parser feeds it. A body over the limit is refused when its length, or the length of a chunk, is announced.
"""

from __future__ import annotations

from kissapi.core import Fail
from kissapi.http.chunked import Chunked, ChunkedError

LARGE = 4 * 1024  # bytes of a piece that is kept as it came


def too_large(limit: int) -> Fail:
    """The answer to a body over the limit."""
    return Fail(413, f"Content Too Large: a body may have {limit} bytes")


class Body:
    """A body on its way: `size` bytes, or chunks if `size` is None; no more than `limit` bytes of either."""

    __slots__ = ("_chunked", "_limit", "_missing", "_pieces", "size")

    def __init__(self, size: int | None, limit: int) -> None:
        self._pieces: list[bytes | bytearray] = []  # what has come and not been taken
        self.size = self._missing = size
        self._limit = limit
        self._chunked = Chunked(max_size=limit) if size is None else None

    def limit(self, limit: int) -> None:
        """From now on at most `limit` bytes in all. Raises `Fail(413)` if more are announced already."""
        self._limit = limit
        if self._chunked is not None:
            try:
                self._chunked.limit(limit)
            except ChunkedError:
                raise too_large(limit) from None
        elif self.size is not None and self.size > limit:
            raise too_large(limit)

    def left(self) -> float:
        """How many bytes are yet to come; infinity if that is not known."""
        return float("inf") if self._missing is None else self._missing

    def take(self) -> bytes:
        """What has come since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    def _put(self, data: bytes) -> None:
        # Tiny pieces, each for itself, would cost forty times their size; large ones are not copied twice.
        pieces = self._pieces
        if len(data) >= LARGE:
            pieces.append(data)
        elif pieces and isinstance(pieces[-1], bytearray):
            pieces[-1] += data
        else:
            pieces.append(bytearray(data))

    def feed(self, data: bytes) -> bytes | None:
        """Take the next bytes; once the body is complete, what is behind it. Raises `Fail`: 400 or 413."""
        if self._missing is None:
            return self._feed_chunked(data)
        if len(data) < self._missing:
            self._put(data)
            self._missing -= len(data)
            return None
        self._put(data[: self._missing])
        return data[self._missing :]

    def _feed_chunked(self, data: bytes) -> bytes | None:
        decoder = self._chunked
        assert decoder is not None
        try:
            for piece in decoder.feed(data):
                self._put(piece)
        except ChunkedError as error:
            if decoder.declared > self._limit:
                raise too_large(self._limit) from None
            raise Fail(400, f"Bad Request: {error}") from None
        return decoder.unread if decoder.finished else None
