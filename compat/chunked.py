"""Chunked: the decoder of one chunked body (RFC 9112 §7.1), strict and bounded.

Its law: what a chunked body says does not depend on how it was cut on its way here, and nothing in it is read
without a bound. kissapi gives the parser underneath (httptools or its stand-in) heads only, and reads every
chunked body here, because llhttp bounds neither chunk extensions nor trailers, hands trailers out as if they
were headers, and cannot be stopped at the end of a message.

What RFC 9112 §7.1 lets nobody send is refused: `;;`, `;=b`, `;a=`, `;a=b"c"`, all fine to llhttp. What it has
everybody take is taken: blanks round `;` and `=` (RFC 9110 §5.6.3), and trailers of any name, for whoever
uses this to drop. llhttp takes neither the blanks nor a trailer that would frame the message (§6.5.1 of the
same): with `like_llhttp` this refuses them as well, for the stand-in of httptools.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .automaton import DIGITS, DONE, ERROR, TEXT, TOKEN, Automaton

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE_DIGITS = 16  # 64 bits; leading zeros count too: nobody needs to send more
INFINITE = float("inf")
MAX_TRAILERS = 100  # as many fields as a head may have

# The usual line in one match; whatever it does not match, the automaton reads byte by byte, and it decides.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")

_lines = Automaton()
_LF = _lines.state()
_lines.on(_LF, b"\n", DONE)


def _size_line(blanks: bytes) -> int:
    """The state in which a size line begins, with `blanks` allowed round `;` and `=` in its extensions."""
    name, equals, value, quoted, escaped, unquoted, new_name = (_lines.state() for _ in range(7))
    after_size, after_name, after_value = (_lines.state() for _ in range(3))
    _lines.on(new_name, TOKEN, name)
    _lines.on(name, TOKEN, name)
    _lines.on(equals, TOKEN, value)
    _lines.on(equals, b'"', quoted)
    _lines.on(value, TOKEN, value)
    _lines.on(quoted, TEXT, quoted)
    _lines.on(quoted, b'"', unquoted)
    _lines.on(quoted, b"\\", escaped)
    _lines.on(escaped, TEXT, quoted)
    for state in (name, after_name):
        _lines.on(state, b"=", equals)
    for state in (name, value, unquoted):
        _lines.on(state, b"\r", _LF)
    for state in (name, value, unquoted, after_size, after_name, after_value):
        _lines.on(state, b";", new_name)
    for state in (new_name, equals, after_size, after_name, after_value):
        _lines.on(state, blanks, state)
    _lines.on(name, blanks, after_name)
    for state in (value, unquoted):
        _lines.on(state, blanks, after_value)

    first = digit = _lines.state()
    for _ in range(SIZE_DIGITS):
        following = _lines.state()
        _lines.on(digit, DIGITS + b"abcdefABCDEF", following)
        _lines.on(following, b";", new_name)
        _lines.on(following, blanks, after_size)
        _lines.on(following, b"\r", _LF)
        digit = following
    return first


_SIZE, _LLHTTP_SIZE = _size_line(b" \t"), _size_line(b"")

_AFTER_DATA = _lines.state()
_lines.on(_AFTER_DATA, b"\r", _LF)

_TRAILER_NAME, _TRAILER_VALUE = _lines.state(), _lines.state()
_lines.on(_TRAILER_VALUE, TEXT, _TRAILER_VALUE)
_lines.on(_TRAILER_VALUE, b"\r", _LF)
_lines.on(_TRAILER_NAME, TOKEN, _TRAILER_NAME)
_lines.on(_TRAILER_NAME, b":", _TRAILER_VALUE)
_TRAILER = _lines.state(like=_TRAILER_NAME)
_framing = ((b"content-length:", ERROR), (b"transfer-encoding:", ERROR))
_LLHTTP_TRAILER = _lines.words(_framing, like=_TRAILER_NAME, fold=True)
for _state in (_TRAILER, _LLHTTP_TRAILER):
    _lines.on(_state, b":", ERROR)
    _lines.on(_state, b"\r", _LF)

_ROWS = _lines.rows


class ChunkedError(ValueError):
    """The body is not one that RFC 9112 §7.1 describes, or it is over a bound."""


class Chunked:
    """One chunked body. Feed it until `finished`; `unread` is then what came behind it.

    A parser with events of its own sets `on_header` and `on_complete`, and calls `read` instead of `feed`.
    """

    on_header: Callable[[], object] | None = None  # a chunk (the last one too) was announced
    on_complete: Callable[[], object] | None = None  # a chunk is over; the last one is after its trailers

    def __init__(
        self,
        max_line: int = 4096,
        max_trailer: int = 8192,
        max_size: float = INFINITE,
        like_llhttp: bool = False,
    ) -> None:
        """`max_line`: forty times the longest extension known to be sent (a signature of 90 bytes), and
        little enough to be held for each connection. `max_trailer`: an eighth of what a head may have;
        trailers hold checksums and timings. `max_size`: of the body; a chunk that goes beyond it is refused
        when it is announced, and `declared` says so. An error behind it is not looked at.
        """
        self._size, self._trailer = (_LLHTTP_SIZE, _LLHTTP_TRAILER) if like_llhttp else (_SIZE, _TRAILER)
        self.finished = False
        self.unread = b""
        self.trailers: list[tuple[bytes, bytes]] = []
        self.declared = 0  # so that a caller can refuse a body before it reads it
        self._max_line = max_line
        self._max_size = max_size
        self._max_trailer = max_trailer
        self._left = 0  # bytes of the chunk's data yet to come
        self._part = self._size  # which line is being read: _size, _AFTER_DATA or _trailer
        self._state = self._size  # where in it
        self._line = bytearray()
        self._room = max_line  # how many bytes of it may yet come; trailers share theirs

    def limit(self, max_size: float) -> None:
        """From now on `max_size` is the limit. Raises `ChunkedError` if more is announced already."""
        self._max_size = max_size
        if self.declared > max_size:
            raise ChunkedError("too many bytes in the body")

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces of the body found in `data`; none of them is kept. Not to be called once `finished`."""
        pieces: list[bytes] = []
        position = self.read(data, 0, pieces.append)
        if self.finished:
            self.unread = data[position:]
        return pieces

    def read(self, data: bytes, position: int, put: Callable[[bytes], object]) -> int:
        """Reads `data` from `position` on, puts each piece of the body; says where it stopped."""
        end = len(data)
        while position < end and not self.finished:
            if self._left:
                piece = data[position : position + self._left]
                position += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._begin(_AFTER_DATA, 2)
                put(piece)
            elif self._state == self._size and (
                match := _SIZE_LINE.match(data, position, position + self._room)
            ):
                position = match.end()
                self._open(match[1])
            elif self._state == _AFTER_DATA and data.startswith(b"\r\n", position):
                position += 2
                self._close()
            else:
                position = self._read_line(data, position)
        return position

    def _read_line(self, data: bytes, position: int) -> int:
        """Reads on to the end of the line, or of `data`; says where it stopped."""
        state, line, rows = self._state, self._line, _ROWS
        stop = position + self._room
        for byte in memoryview(data)[position:stop]:
            state = rows[state][byte]
            line.append(byte)
            position += 1
            if state <= DONE:
                break
        if state == ERROR:
            raise ChunkedError(f"unexpected byte {bytes(line[-1:])!r} in {self._where()}")
        self._room = stop - position
        if state == DONE:
            self._end_line(bytes(line[:-2]))
        elif position == stop and position < len(data):
            raise ChunkedError(f"too many bytes in {self._where()}")
        else:
            self._state = state
        return position

    def _end_line(self, line: bytes) -> None:
        if self._part == self._size:
            self._open(line.partition(b";")[0].rstrip(b" \t"))
        elif self._part == _AFTER_DATA:
            self._close()
        elif line:
            if len(self.trailers) == MAX_TRAILERS:
                raise ChunkedError("too many trailers")
            name, _, value = line.partition(b":")
            self.trailers.append((name, value.strip(b" \t")))
            self._begin(self._trailer, self._room)
        else:
            self.finished = True
            if self.on_complete:
                self.on_complete()

    def _open(self, digits: bytes) -> None:
        self._left = int(digits, 16)
        self.declared += self._left
        if self.declared > self._max_size:
            raise ChunkedError("too many bytes in the body")
        if not self._left:
            self._begin(self._trailer, self._max_trailer)
        if self.on_header:
            self.on_header()

    def _close(self) -> None:
        self._begin(self._size, self._max_line)
        if self.on_complete:
            self.on_complete()

    def _begin(self, part: int, room: int) -> None:
        self._part = self._state = part
        self._room = room
        self._line.clear()

    def _where(self) -> str:
        return {self._size: "a chunk's size line", _AFTER_DATA: "the end of a chunk"}.get(
            self._part, "a trailer"
        )
