"""AnswerParser: reads an answer of HTTP/1.1 (RFC 9112): its head, then its body piece by piece.

The result is the same however the bytes are cut: of a chunk, one piece. Anything but HTTP is a `ValueError`.
"""

from __future__ import annotations

import re
from collections import deque

from kissapi.http.headers import Headers

_STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) (\d{3}) ([^\r\n]*)\r\n")


class AnswerParser:
    """Reads the answer to one request, whose method is `method`."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.informational: list[int] = []  # the statuses of the 1xx answers before it
        self.status = 0  # until the head has come
        self.reason = ""
        self.http_version = ""
        self.headers = Headers()
        self.pieces: deque[bytes] = deque()  # of the body, not yet removed from here
        self.ended = False
        self.rest = bytearray()  # the bytes that are not parsed yet; at the end, those after the answer
        self._read = self._read_head
        self._left: float = 0  # bytes of the body, or of the chunk, that are still to come

    def feed(self, data: bytes) -> None:
        """Parse the next bytes."""
        self.rest += data
        while not self.ended and self._read():
            pass

    def feed_eof(self) -> bool:
        """The server sends no more. Gives whether the body is complete."""
        if self._left == float("inf"):
            self.ended = True
        return self.ended

    def _read_head(self) -> bool:
        end = self.rest.find(b"\r\n\r\n")
        line = _STATUS_LINE.match(self.rest)
        if line is None and (end >= 0 or not b"HTTP/1.".startswith(self.rest[:7])):
            raise ValueError(
                f"this is no answer of HTTP/1.1, for other protocols there is exchange(): {self.rest[:80]!r}"
            )
        if end < 0 or line is None:
            return False
        version, status, reason = line.groups()
        head = bytes(self.rest[: end + 4])
        del self.rest[: end + 4]
        if status.startswith(b"1") and status != b"101":
            self.informational.append(int(status))
            return True
        self.http_version, self.reason = version.decode(), reason.decode("latin-1")
        self.headers = Headers.from_wire(head)
        self.status = int(status)
        if self.method == "HEAD" or self.status in (101, 204, 304):
            self.ended = True
        elif "chunked" in self.headers.get("transfer-encoding", "").lower():
            self._read = self._read_size
        else:
            # Without a length, up to the end of the connection.
            self._left = float(self.headers.get("content-length", "inf"))
            self._read = self._read_body
        return True

    def _read_body(self) -> bool:
        self._read_piece()
        self.ended = self._left == 0
        return False

    def _read_size(self) -> bool:
        line, end, rest = self.rest.partition(b"\r\n")
        if not end:
            return False
        self.rest = rest
        self._left = int(line.partition(b";")[0], 16)
        self._read = self._read_chunk if self._left else self._read_trailers
        return True

    def _read_chunk(self) -> bool:
        if len(self.rest) < self._left + 2:
            return False
        size = int(self._left)
        if self.rest[size : size + 2] != b"\r\n":
            raise ValueError(f"a chunk of {size} bytes is longer than that")
        self._read_piece()
        del self.rest[:2]
        self._read = self._read_size
        return True

    def _read_trailers(self) -> bool:
        line, end, rest = self.rest.partition(b"\r\n")
        if end:
            self.rest = rest
            self.ended = not line
        return bool(end)

    def _read_piece(self) -> None:
        size = int(min(self._left, len(self.rest)))
        if size:
            self.pieces.append(bytes(self.rest[:size]))
            del self.rest[:size]
            self._left -= size
