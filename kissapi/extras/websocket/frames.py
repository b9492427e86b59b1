"""Frames: the bytes of WebSocket, made and read (RFC 6455 §5), without I/O.

`frame` makes a frame. A `FrameReader` is fed with what comes, and gives messages and control frames. The
session of the server uses both, and so does the WebSocket of the test client.

Of an incomplete message one buffer is kept, of at most `max_message` bytes: a million fragments are not a
million objects. What breaks a rule is refused as soon as it can be seen: a length before its payload, text at
the first byte that is no UTF-8. `masking.py` has the masks.
"""

from __future__ import annotations

from codecs import utf_8_decode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from kissapi.extras.websocket.closing import (
    NO_CODE,
    NORMAL,
    TOO_BIG,
    WRONG_DATA,
    WRONG_FRAME,
    Violation,
    read_close,
)
from kissapi.extras.websocket.masking import apply_mask

if TYPE_CHECKING:
    from kissapi.extras.websocket.deflate import Deflate

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA  # the opcodes; that of a continuation is 0
_OPCODE = 0x0F
_CONTROL = 0x8  # this bit of an opcode says that the frame is no part of a message
_FIN, _RSV1 = 0x80, 0x40  # the bits beside the opcode that have a use
_NO_KEY = bytes(4)

Message = str | bytes | bytearray | memoryview


class Ping(NamedTuple):
    payload: bytes


class Pong(NamedTuple):
    payload: bytes


class Close(NamedTuple):
    """The close of the peer, with 1005 if it has no code."""

    code: int
    reason: str


class Part(NamedTuple):
    """A fragment of a message; the message comes with the last one."""


PART = Part()
Item = str | bytes | Ping | Pong | Close | Part  # what a reader gives


def payload_of(message: Message) -> tuple[int, bytes]:
    """Opcode and payload: a `str` is sent as text, bytes as binary. Raises `TypeError` for anything else."""
    if isinstance(message, str):
        return TEXT, message.encode()
    if isinstance(message, (bytes, bytearray, memoryview)):
        return BINARY, bytes(message)
    raise TypeError(f"a message is str or bytes, not {type(message).__name__}; json.dumps makes a str of it")


def frame(opcode: int, payload: bytes, deflated: bool = False, key: bytes = b"") -> bytes:
    """An unfragmented frame. A client masks it with a random `key` of four bytes, a server does not."""
    first = opcode | (_FIN | _RSV1 if deflated else _FIN)
    size = len(payload)
    mask = 0
    if key:
        mask = 0x80
        payload = key + apply_mask(payload, key)
    if size < 126:
        return bytes((first, mask | size)) + payload
    if size < 1 << 16:
        return bytes((first, mask | 126, size >> 8, size & 255)) + payload
    return bytes((first, mask | 127)) + size.to_bytes(8, "big") + payload


def close_frame(code: int, reason: str, key: bytes = b"") -> bytes:
    """A close; that of a peer without a code is answered with 1000."""
    return frame(CLOSE, (NORMAL if code == NO_CODE else code).to_bytes(2, "big") + reason.encode(), key=key)


class FrameReader:
    """Reads the frames of a client, which are masked; with `masked=False` those of a server.

    After `feed`, call `read` until it gives None; after a `Close` or a `Violation`, call `end`. A message of
    more than `max_message` bytes is refused.
    """

    __slots__ = (  # noqa: RUF023  # by lifetime
        "max_message",
        "_deflate",
        "_masked",
        "_starts",  # the first bytes of a frame that may begin a message
        "ended",  # nothing more is read
        "dropping",  # if it is set, messages are not put together any more; `read` may give some
        "_data",
        "_at",  # what is before it in `_data` has been read
        # Of the present message
        "_allowed",  # the first bytes of a frame that may come next
        "_deflated",
        "_is_text",
        "_parts",  # its payload, inflated
        "_checked",  # so many bytes of `_parts` are UTF-8
        "_room",  # so many bytes may come yet
        # Of the present frame of that message
        "_fin",
        "_key",
        "_left",  # so many bytes of its payload have yet to come; 0 before its head is complete
    )  # fmt: skip

    def __init__(self, max_message: int, deflate: Deflate | None = None, *, masked: bool = True) -> None:
        self._deflate: Any = deflate
        self._masked = masked
        self.max_message = max_message
        self._starts = self._allowed = _STARTS if deflate is None else _STARTS | _DEFLATED_STARTS
        self.ended = False
        self.dropping = False
        self._data = b""
        self._at = 0
        self._deflated = False
        self._is_text = False
        self._parts = bytearray()
        self._checked = 0
        self._room = max_message
        self._fin = False
        self._key = b""
        self._left = 0

    def feed(self, data: bytes) -> None:
        if not self.ended:
            self._data = self._data[self._at :] + data
            self._at = 0

    def end(self) -> None:
        """Read nothing more: not even what has come."""
        self.ended = True
        self._data, self._at = b"", 0
        self._parts = bytearray()

    @property
    def has_data(self) -> bool:
        """Whether something is left to read, if perhaps not a whole frame."""
        return self._at < len(self._data)

    def read(self) -> Item | None:
        """The next message or control frame, or `PART`; None if more has to come. Raises `Violation`."""
        data, at = self._data, self._at
        end = len(data)
        if not self._left:
            start = at + 2
            if end < start:
                self._data, self._at = data[at:], 0
                return None
            first, size = data[at], data[at + 1]
            if first not in self._allowed:
                raise Violation(WRONG_FRAME, _objection(first))
            if (size > 127) is not self._masked:
                raise Violation(WRONG_FRAME, "a client masks its frames, a server does not (§5.1)")
            size &= 127
            if size > 125:
                if first & _CONTROL:
                    raise Violation(WRONG_FRAME, "a control frame has more than 125 bytes (§5.5)")
                start += 2 if size == 126 else 8
                if end < start:
                    return None
                size = _long_size(data[at + 2 : start])
            if (
                size > self._room
                and not first & (_CONTROL | _RSV1)
                and (first & _OPCODE or not self._deflated)
            ):
                raise self._too_big()
            key = _NO_KEY
            if self._masked:
                start += 4
                if end < start:
                    return None
                key = data[start - 4 : start]
            whole = _WHOLE.get(first)
            if whole is not None and start + size <= end:
                self._at = start + size
                return whole(apply_mask(data[start : self._at], key))
            if first & _CONTROL:
                return None
            if first & _OPCODE:
                self._deflated = bool(first & _RSV1)
                self._is_text = first & _OPCODE == TEXT
                self._allowed = _INSIDE
            self._fin, self._left, self._key = first >= _FIN, size, key
            at = start
        piece = data[at : at + self._left]
        self._left -= len(piece)
        self._data, self._at = (data, at + len(piece)) if at + len(piece) < end else (b"", 0)
        return self._add(piece)

    def _add(self, piece: bytes) -> Item | None:
        """Add a piece of a frame to the message. Gives what `read` gives."""
        last = self._fin and not self._left
        if last:
            self._allowed = self._starts
        if self.dropping:
            return None if self._left else PART
        turn = len(piece) & 3
        key, self._key = self._key, self._key[turn:] + self._key[:turn]
        piece = apply_mask(piece, key)
        if self._deflated:
            piece = self._deflate.inflate(piece, self._room, last)
        self._room -= len(piece)
        if self._room < 0:
            raise self._too_big()
        parts = self._parts
        parts += piece
        if self._is_text:
            try:
                self._checked += utf_8_decode(memoryview(parts)[self._checked :], "strict", last)[1]
            except UnicodeDecodeError:
                raise _not_utf_8() from None
        if not last:
            return None if self._left else PART
        self._parts, self._checked, self._room = bytearray(), 0, self.max_message
        return parts.decode() if self._is_text else bytes(parts)

    def _too_big(self) -> Violation:
        return Violation(TOO_BIG, f"a message may have {self.max_message} bytes")


def _text(payload: bytes | bytearray) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise _not_utf_8() from None


def _not_utf_8() -> Violation:
    return Violation(WRONG_DATA, "a text is not UTF-8 (§5.6)")


# The first bytes of the frames that are something by themselves, and what their payload makes.
_WHOLE: dict[int, Callable[[bytes], Item]] = {
    _FIN | TEXT: _text,
    _FIN | BINARY: bytes,
    _FIN | CLOSE: lambda payload: Close(*read_close(payload)),
    _FIN | PING: Ping,
    _FIN | PONG: Pong,
}
_STARTS = frozenset(_WHOLE) | {TEXT, BINARY}
_DEFLATED_STARTS = frozenset(fin | _RSV1 | opcode for fin in (0, _FIN) for opcode in (TEXT, BINARY))
_INSIDE = frozenset((0, _FIN, _FIN | CLOSE, _FIN | PING, _FIN | PONG))


def _objection(first: int) -> str:
    """What is wrong with the first byte of a frame, which is not allowed here."""
    opcode = first & _OPCODE
    if opcode not in (0, TEXT, BINARY, CLOSE, PING, PONG):
        return f"opcode {opcode} is reserved (§5.2)"
    if first & _CONTROL and not first & _FIN:
        return "a control frame is fragmented (§5.5)"
    if first & 0x70:
        return "a reserved bit is set (§5.2)"
    return "a message begins inside another one (§5.4)" if opcode else "a continuation of no message (§5.4)"


def _long_size(digits: bytes) -> int:
    """The length of a payload that is written in two or eight bytes."""
    size = int.from_bytes(digits, "big")
    if not (126 if len(digits) == 2 else 1 << 16) <= size < 1 << 63:
        raise Violation(WRONG_FRAME, "a length is too large, or written in too many bytes (§5.2)")
    return size
