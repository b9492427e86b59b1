"""Chunked: the decoder of one chunked body (RFC 9112 §7.1), strict and bounded.

What a chunked body says does not depend on how it is cut on its way here, and nothing in it is read without a
bound. `body.Body` decodes every chunked body with this one. httptools gets heads only, because llhttp bounds
neither chunk extensions nor trailers, hands trailers out as if they were headers, and cannot be stopped at
the end of a message.

What RFC 9112 §7.1 lets no client send is refused: `;;`, `;=b`, `;a=`, `;a=b"c"`, all fine to llhttp. What it
has every server take is taken, though llhttp refuses it: blanks round `;` and `=` (RFC 9110 §5.6.3), and
trailers of any name, for nothing here reads a trailer (RFC 9110 §6.5.1 warns of those that frame a message).
"""

from __future__ import annotations

import re
from functools import cache

from kissapi.http.grammar import DIGITS, TEXT, TOKEN

SIZE_DIGITS = 16  # 64 bits; leading zeros count too: no client needs to send more
INFINITE = float("inf")
MAX_TRAILERS = 100  # as many fields as a head may have

# The usual line in one match; whatever it does not match is read byte by byte, by the table, which decides.
_USUAL_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
_LAST = b"\r\n0\r\n\r\n"  # behind the data of the last chunk that has any

# The grammar as a table. State: the bytes that may come in it, and the state behind each; of two rules for
# one byte the last counts. So a body is refused at the first byte that no valid body has there, at one
# look-up a byte, however it is cut. (Of half a line a regular expression says only "no match", and would have
# to read that half again when the rest of it comes.)
_SIZE_LINE, _CHUNK_END, _TRAILER = "a chunk's size line", "the end of a chunk", "a trailer"  # lines begin so
_LINE_END = "line end"
_BLANKS = b" \t"
_HEX = DIGITS + b"abcdefABCDEF"
_AFTER_SIZE = {_BLANKS: "after size", b";": "extension", b"\r": "line feed"}
_GRAMMAR = {
    _SIZE_LINE: {_HEX: "digit 1"},
    **{f"digit {n}": {_HEX: f"digit {n + 1}", **_AFTER_SIZE} for n in range(1, SIZE_DIGITS)},
    f"digit {SIZE_DIGITS}": _AFTER_SIZE,
    "after size": {_BLANKS: "after size", b";": "extension"},
    "extension": {_BLANKS: "extension", TOKEN: "name"},
    "name": {TOKEN: "name", _BLANKS: "after name", b"=": "equals", b";": "extension", b"\r": "line feed"},
    "after name": {_BLANKS: "after name", b"=": "equals", b";": "extension"},
    "equals": {_BLANKS: "equals", TOKEN: "value", b'"': "quoted"},
    "value": {TOKEN: "value", _BLANKS: "after value", b";": "extension", b"\r": "line feed"},
    "quoted": {TEXT: "quoted", b"\\": "escaped", b'"': "unquoted"},
    "escaped": {TEXT: "quoted"},
    "unquoted": {_BLANKS: "after value", b";": "extension", b"\r": "line feed"},
    "after value": {_BLANKS: "after value", b";": "extension"},
    _CHUNK_END: {b"\r": "line feed"},
    _TRAILER: {TOKEN: "trailer name", b"\r": "line feed"},
    "trailer name": {TOKEN: "trailer name", b":": "trailer value"},
    "trailer value": {TEXT: "trailer value", b"\r": "line feed"},
    "line feed": {b"\n": _LINE_END},
}


@cache
def _next(state: str) -> dict[int, str]:
    """The states behind `state`, by the byte that leads there; made when asked, for all take 60 KiB."""
    return {byte: target for some, target in _GRAMMAR[state].items() for byte in some}


class ChunkedError(ValueError):
    """The body is not one that RFC 9112 §7.1 describes, or it is over a bound."""


def whole_chunk(data: bytes, max_size: float = INFINITE) -> tuple[bytes, bytes] | None:
    r"""The body and what is behind it, if `data` begins as most small bodies come: one chunk, and the end.

    None for all else, right or wrong: a `Chunked` reads that, from the start. It reads the same of these, but
    to make it and to feed it takes four times as long.

        >>> whole_chunk(b"5\r\nhello\r\n0\r\n\r\nGET")
        (b'hello', b'GET')
    """
    line = _USUAL_LINE.match(data)
    if line is not None:
        start = line.end()
        size = int(line[1], 16)
        end = start + size
        if 0 < size <= max_size and data.startswith(_LAST, end):
            return data[start:end], data[end + len(_LAST) :]
    return None


class Chunked:
    """One chunked body. Feed it until `finished`; `unread` is then what came behind it.

    `max_line`, 4096 bytes: forty times the longest extension known to be sent (a signature of 90 bytes), and
    little enough to be held for each connection. `max_trailer`, 8192 bytes for all of them: an eighth of what
    a head may have; trailers hold checksums and timings. `max_size`, bytes of the body: a chunk that goes
    beyond it is refused when it is announced, and `declared` says so; an error behind it is not looked at.

        >>> chunked = Chunked()
        >>> chunked.feed(b"5\\r\\nhello\\r\\n0\\r\\n\\r\\nGET")
        [b'hello']
        >>> chunked.finished, chunked.unread
        (True, b'GET')
    """

    __slots__ = (
        "_left",
        "_line",
        "_max_line",
        "_max_size",
        "_max_trailer",
        "_part",
        "_room",
        "_state",
        "declared",
        "finished",
        "trailers",
        "unread",
    )

    def __init__(self, max_line: int = 4096, max_trailer: int = 8192, max_size: float = INFINITE) -> None:
        self.finished = False
        self.unread = b""
        self.trailers: list[tuple[bytes, bytes]] = []
        self.declared = 0  # so that a caller can refuse a body before it reads it
        self._max_line = max_line
        self._max_size = max_size
        self._max_trailer = max_trailer
        self._left = 0  # bytes of the chunk's data yet to come
        self._part = self._state = _SIZE_LINE  # which line is being read, and where in it
        self._line = bytearray()  # what has come of it
        self._room = max_line  # how many bytes of it may yet come

    def limit(self, max_size: float) -> None:
        """From now on `max_size` is the limit. Raises `ChunkedError` if more is announced already."""
        self._max_size = max_size
        if self.declared > max_size:
            raise ChunkedError("too many bytes in the body")

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces of the body found in `data`; none of them is kept. Not to be called once `finished`.

        Raises `ChunkedError`.
        """
        pieces: list[bytes] = []
        position, end = 0, len(data)
        while position < end and not self.finished:
            if self._left:
                piece = data[position : position + self._left]
                position += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._begin(_CHUNK_END, 2)
                pieces.append(piece)
            elif self._state == _SIZE_LINE and (
                match := _USUAL_LINE.match(data, position, position + self._room)
            ):
                position = match.end()
                size = self._open(match[1])
                stop = position + size
                if data.startswith(b"\r\n", stop):  # a whole chunk, or the end without trailers
                    self._left = 0
                    self.finished = not size
                    if size:
                        pieces.append(data[position:stop])
                    position = stop + 2
            elif self._state == _CHUNK_END and data.startswith(b"\r\n", position):
                position += 2
                self._begin(_SIZE_LINE, self._max_line)
            else:
                position = self._read_line(data, position)
        if self.finished:
            self.unread = data[position:]
        return pieces

    def _read_line(self, data: bytes, position: int) -> int:
        """Read on to the end of the line, or of `data`, and say where that is."""
        state, start = self._state, position
        stop = min(start + self._room, len(data))
        while position < stop and state != _LINE_END:
            following = _next(state).get(data[position])
            position += 1
            if following is None:
                wrong = data[position - 1 : position]
                raise ChunkedError(f"unexpected byte {wrong!r} in {self._part}")
            state = following
        self._state = state
        self._line += data[start:position]
        self._room -= position - start
        if state == _LINE_END:
            self._end_line(bytes(self._line[:-2]))
        elif position < len(data):
            raise ChunkedError(f"too many bytes in {self._part}")
        return position

    def _end_line(self, line: bytes) -> None:
        if self._part == _SIZE_LINE:
            self._open(line.partition(b";")[0].rstrip(b" \t"))
        elif self._part == _CHUNK_END:
            self._begin(_SIZE_LINE, self._max_line)
        elif line:
            if len(self.trailers) == MAX_TRAILERS:
                raise ChunkedError("too many trailers")
            name, _, value = line.partition(b":")
            self.trailers.append((name, value.strip(b" \t")))
            self._begin(_TRAILER, self._room)  # all trailers share their room
        else:
            self.finished = True

    def _open(self, digits: bytes) -> int:
        """A chunk of so many bytes begins; the last one has none, and trailers come behind it."""
        self._left = size = int(digits, 16)
        self.declared += size
        if self.declared > self._max_size:
            raise ChunkedError("too many bytes in the body")
        if not size:
            self._begin(_TRAILER, self._max_trailer)
        return size

    def _begin(self, part: str, room: int) -> None:
        """A line of this part begins, of at most `room` bytes."""
        self._part = self._state = part
        self._room = room
        self._line.clear()
