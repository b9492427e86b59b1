"""Deflate: compressed messages (permessage-deflate, RFC 7692), in both directions of one connection.

`agree` picks one of the client's offers. A message is inflated only as far as it may be large: a bomb gets no
memory. Where Python has no zlib no offer is accepted.
"""

from __future__ import annotations

from typing import Any

try:
    import zlib
except ImportError:
    zlib = None  # type: ignore[assignment]

from kissapi.extras.websocket.closing import WRONG_DATA, Violation

NAME = "permessage-deflate"
SMALL = 64  # bytes; a smaller message gains nothing, and goes as it is
# With 12 bits and this level of memory a compressor takes 32 KiB where zlib's defaults take 256 KiB; messages
# of a usual size are hardly larger.
_BITS = 12
_MEMORY = 5
_END = b"\x00\x00\xff\xff"  # ends each message, and is not sent (RFC 7692 §7.2.1)
_WINDOWS = frozenset(map(str, range(8, 16)))  # the window sizes, in bits, as parameters have them


def agree(offers: str) -> Deflate | None:
    """What accepts the first of a client's offers that is valid; None: messages are not compressed."""
    for offer in offers.split(",") if zlib is not None else ():
        name, *parameters = (part.strip() for part in offer.split(";"))
        if name == NAME and (deflate := _accept(parameters)) is not None:
            return deflate
    return None


def _accept(parameters: list[str]) -> Deflate | None:
    """Accept an offer if all its parameters are valid (RFC 7692 §7.1)."""
    asked: dict[str, str] = {}
    for parameter in parameters:
        name, equals, value = (part.strip() for part in parameter.partition("="))
        value = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        if name in asked or bool(equals) != bool(value):
            return None
        asked[name] = value
    deflate = Deflate()
    for name, value in asked.items():
        bits = int(value) if value in _WINDOWS else 0
        if name == "server_no_context_takeover" and not value:
            deflate.server_forgets = True
        elif name == "client_no_context_takeover" and not value:
            deflate.client_forgets = True
        elif name == "server_max_window_bits" and bits > 8:  # zlib does not support 8
            value = str(min(bits, _BITS))
            deflate.server_bits = int(value)
        elif name == "client_max_window_bits" and (bits or not value):
            value = str(min(bits or 15, _BITS))
            deflate.client_bits = max(int(value), 9)
        else:
            return None
        deflate.answer += f"; {name}={value}" if value else f"; {name}"
    return deflate


def _compress(compressor: Any, payload: bytes) -> bytes:
    data: bytes = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(_END)


class Deflate:
    """The compression of one connection; `answer` is the field of the 101 that says so."""

    __slots__ = (
        "_compressor",
        "_inflator",
        "answer",
        "client_bits",  # the size of a window
        "client_forgets",  # whether each message has a window of its own
        "server_bits",
        "server_forgets",
    )

    def __init__(self) -> None:
        self.answer = NAME
        self.client_bits, self.client_forgets = 15, False
        self.server_bits, self.server_forgets = _BITS, False
        self._compressor: Any = None
        self._inflator: Any = None

    def compress(self, payload: bytes) -> bytes:
        """The payload of a message to this client alone: it may refer to messages before it."""
        compressor = self._compressor or self._new_compressor()
        self._compressor = None if self.server_forgets else compressor
        return _compress(compressor, payload)

    def compress_alone(self, payload: bytes) -> bytes:
        """The payload of a message for all clients with a window of `server_bits`.

        It refers to no message before it. After it call `forget`: no later message may refer past it.
        """
        return _compress(self._new_compressor(), payload)

    def forget(self) -> None:
        self._compressor = None

    def _new_compressor(self) -> Any:
        return zlib.compressobj(wbits=-self.server_bits, memLevel=_MEMORY)

    def inflate(self, data: bytes, room: int, last: bool) -> bytes:
        """Inflate the next piece of a message, to at most `room + 1` bytes. Raises `Violation`."""
        try:
            inflated = self._inflate(data + _END if last else data, room + 1)
        except zlib.error:
            raise Violation(WRONG_DATA, "a message is not compressed as it says (RFC 7692)") from None
        if last and self.client_forgets:
            self._inflator = None
        return inflated

    def _inflate(self, data: bytes, most: int) -> bytes:
        if self._inflator is None:
            self._inflator = zlib.decompressobj(-self.client_bits)
        inflated = self._inflator.decompress(data, most)
        if self._inflator.eof:  # a final block, with which some clients end each message (RFC 7692 §7.2.3.4)
            rest = self._inflator.unused_data
            self._inflator = zlib.decompressobj(-self.client_bits)
            inflated += self._inflator.decompress(rest, most)
            if self._inflator.eof:
                raise zlib.error("more than one final block in one piece")
        return bytes(inflated)
