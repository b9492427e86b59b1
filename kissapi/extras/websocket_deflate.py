"""Payloads: what frames carry, as large as it may be, and compressed if the client can do that (RFC 7692).

Law: no message takes more than `max_message` bytes of memory, whatever its frames say of their length, and
however small it was made for its journey: it is refused before it is there, not after.

The extension that wsproto brings is not used: it inflates without a limit, takes what follows a ping between
two fragments for plain text, and fails at parameters that are no numbers.
"""

from __future__ import annotations

import zlib

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

# With 12 bits and this level of memory a compressor takes 32 KiB, where zlib's defaults take 256 KiB, and
# messages of a usual size come out hardly larger.
_BITS = 12
_MEMORY = 5
_SMALL = 64  # bytes; a message below that gains nothing
_END = b"\x00\x00\xff\xff"  # of a message, left out on the wire (RFC 7692 §7.2.1)

_WINDOWS = frozenset(map(str, range(8, 16)))  # as bits are written

# IANA has 1014, Bad Gateway, among the codes of a close; wsproto 1.3 has not, and takes it for a breach. So
# wsproto is given its neighbour, and `close_code` turns that back.
_BAD_GATEWAY, _TRY_AGAIN_LATER = 1014, 1013

_PLAIN = RsvBits(False, False, False)
_DEFLATED = RsvBits(True, False, False)


class Payloads(Extension):
    """Both ways of one connection, in the words that wsproto has for extensions.

    `answer` is for the handshake: None if messages go as they are.
    """

    name = "permessage-deflate"

    def __init__(self, max_message: int, offers: str = "") -> None:
        self.max_message = max_message
        self.deaf = False  # no message is taken any more: what comes is dropped as it is
        self.answer: str | None = None
        self._server_forgets = self._client_forgets = False  # the window, after each message
        self._server_bits, self._client_bits = _BITS, 15
        for offer in offers.split(","):
            name, *parameters = (part.strip() for part in offer.split(";"))
            if name == self.name and self._agree(parameters):
                break
        self._compressor: zlib._Compress | None = None
        self._inflator: zlib._Decompress | None = None
        # of the frame in hand
        self._control = False
        self._closes = False
        self._renamed = False  # the code of a close that has come
        # of the message in hand
        self._deflated = False
        self._size = 0  # bytes so far, inflated

    def _agree(self, parameters: list[str]) -> bool:
        """Whether all `parameters` of an offer are as they may be; then they hold (RFC 7692 §7.1)."""
        asked: dict[str, str] = {}
        for parameter in parameters:
            name, equals, value = (part.strip() for part in parameter.partition("="))
            value = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
            if name in asked or bool(equals) != bool(value):
                return False
            asked[name] = value
        answer = [self.name]
        server_bits, client_bits = _BITS, 15
        for name, value in asked.items():
            if name in ("server_no_context_takeover", "client_no_context_takeover"):
                if value:
                    return False
                answer.append(name)
                continue
            bits = int(value) if value in _WINDOWS else 0
            if name == "server_max_window_bits" and bits > 8:  # zlib cannot do with 8
                server_bits = min(bits, _BITS)
                answer.append(f"{name}={server_bits}")
            elif name == "client_max_window_bits" and (bits or not value):
                client_bits = min(bits or 15, _BITS)
                answer.append(f"{name}={client_bits}")
            else:
                return False
        self._server_forgets = "server_no_context_takeover" in asked
        self._client_forgets = "client_no_context_takeover" in asked
        self._server_bits, self._client_bits = server_bits, client_bits
        self.answer = "; ".join(answer)
        return True

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return False  # that is what clients do

    # What comes. wsproto says the head of a frame, then its payload as it comes, then its end.

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        # It may come twice for one frame, if the rest of its head comes later.
        self._control = opcode.iscontrol()
        self._closes = opcode is Opcode.CLOSE
        if opcode in (Opcode.TEXT, Opcode.BINARY):
            self._deflated = rsv.rsv1 and self.answer is not None
            self._size = 0
            allowed = _DEFLATED if self.answer is not None else _PLAIN
        else:
            allowed = _PLAIN
        if not self._control and not self._deflated and self._size + payload_length > self.max_message:
            return CloseReason.MESSAGE_TOO_BIG
        return allowed

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        if self._closes and data.startswith(_BAD_GATEWAY.to_bytes(2, "big")):  # control frames come whole
            self._renamed = True
            return _TRY_AGAIN_LATER.to_bytes(2, "big") + data[2:]
        if self._control:
            return data
        if self.deaf:
            return b""
        if self._deflated:
            try:
                data = self._inflate(data)
            except zlib.error:
                return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._size += len(data)
        return data if self._size <= self.max_message else CloseReason.MESSAGE_TOO_BIG

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        if self._control or not self._deflated or not fin or self.deaf:
            return None
        rest = self.frame_inbound_payload_data(proto, _END)
        if self._client_forgets:
            self._inflator = None
        return rest

    def close_code(self, code: int) -> int:
        """The code of a close as it came, where wsproto says `code`."""
        return _BAD_GATEWAY if self._renamed and code == _TRY_AGAIN_LATER else code

    def _inflate(self, data: bytes) -> bytes:
        """One byte more than there is room for, at most. Raises `zlib.error`."""
        if self._inflator is None:
            self._inflator = zlib.decompressobj(-max(self._client_bits, 9))
        inflated = self._inflator.decompress(data, self.max_message - self._size + 1)
        if self._inflator.eof:  # a last block, which some clients make of each message (RFC 7692 §7.2.3.4)
            rest = self._inflator.unused_data
            self._inflator = zlib.decompressobj(-max(self._client_bits, 9))
            inflated += self._inflator.decompress(rest, self.max_message - self._size + 1)
            if self._inflator.eof:
                raise zlib.error("more than one last block in what came at once")
        return inflated

    # What goes

    def frame_outbound(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        if self.answer is None or opcode.iscontrol() or len(data) < _SMALL:
            return rsv, data
        if self._compressor is None:
            self._compressor = zlib.compressobj(wbits=-self._server_bits, memLevel=_MEMORY)
        data = self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        if self._server_forgets:
            self._compressor = None
        return _DEFLATED, data.removesuffix(_END)
