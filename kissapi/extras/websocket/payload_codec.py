"""PayloadCodec: limits the size of messages, and compresses them (permessage-deflate, RFC 7692).

No message takes more than `max_message` bytes of memory, whatever length its frames declare, and however
small it is when compressed: it is refused before it is inflated further, not after.

The extension of wsproto is not used: it inflates without a limit, takes the frames after a ping between two
fragments for plain text, and fails on parameters that are no numbers.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from kissapi.extras.websocket.closing import NO_CODE, TOO_BIG

if TYPE_CHECKING:
    from wsproto.events import CloseConnection

# With 12 bits and this level of memory a compressor takes 32 KiB where zlib's defaults take 256 KiB; messages
# of a usual size are hardly larger.
_BITS = 12
_MEMORY = 5
_SMALL = 64  # bytes; a smaller message gains nothing
_END = b"\x00\x00\xff\xff"  # ends each message, and is not sent (RFC 7692 §7.2.1)

_WINDOWS = frozenset(map(str, range(8, 16)))  # the window sizes, in bits, as parameters have them

# IANA lists the close code 1014, Bad Gateway; wsproto 1.3 does not, and treats it as a protocol error. So
# wsproto gets its neighbour instead, and `close_of` reverts that.
_BAD_GATEWAY, _TRY_AGAIN_LATER = 1014, 1013

_PLAIN = RsvBits(False, False, False)
_DEFLATED = RsvBits(True, False, False)


class PayloadCodec(Extension):
    """Both directions of one connection, as an extension of wsproto; `offers` are those of the client.

    `answer` is the field of the 101 that accepts one of them; None: messages are not compressed.
    """

    name = "permessage-deflate"

    def __init__(self, max_message: int, offers: str = "") -> None:
        self.max_message = max_message
        self.dropping = False  # from now on messages are dropped, not even inflated
        self.answer: str | None = None
        self._server_forgets = self._client_forgets = False  # the window, after each message
        self._server_bits, self._client_bits = _BITS, 15
        for offer in offers.split(","):
            name, *parameters = (part.strip() for part in offer.split(";"))
            if name == self.name and self._accept(parameters):
                break
        self._compressor: zlib._Compress | None = None
        self._inflator: zlib._Decompress | None = None
        # Of the present frame
        self._control = False
        self._closes = False
        self._renamed = False  # the code of the received close
        self._too_big = False  # a message was refused
        # Of the present message
        self._deflated = False
        self._size = 0  # bytes so far, inflated

    def _accept(self, parameters: list[str]) -> bool:
        """Accept an offer if all its `parameters` are valid (RFC 7692 §7.1). Gives whether they are."""
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
            if name == "server_max_window_bits" and bits > 8:  # zlib does not support 8
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
        return False  # only clients offer

    # Incoming: wsproto gives the head of a frame, then its payload as it comes, then its end.

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        # Called twice for one frame, if the rest of its head comes later.
        self._control = opcode.iscontrol()
        self._closes = opcode is Opcode.CLOSE
        if opcode in (Opcode.TEXT, Opcode.BINARY):
            self._deflated = rsv.rsv1 and self.answer is not None
            self._size = 0
            allowed = _DEFLATED if self.answer is not None else _PLAIN
        else:
            allowed = _PLAIN
        if not self._control and not self._deflated and self._size + payload_length > self.max_message:
            self._too_big = True
            return CloseReason.MESSAGE_TOO_BIG
        return allowed

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        # wsproto gives a control frame whole.
        if self._closes and data.startswith(_BAD_GATEWAY.to_bytes(2, "big")):
            self._renamed = True
            return _TRY_AGAIN_LATER.to_bytes(2, "big") + data[2:]
        if self._control:
            return data
        if self.dropping:
            return b""
        if self._deflated:
            try:
                data = self._inflate(data)
            except zlib.error:
                return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._size += len(data)
        if self._size > self.max_message:
            self._too_big = True
            return CloseReason.MESSAGE_TOO_BIG
        return data

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        if self._control or not self._deflated or not fin or self.dropping:
            return None
        rest = self.frame_inbound_payload_data(proto, _END)
        if self._client_forgets:
            self._inflator = None
        return rest

    def close_of(self, event: CloseConnection) -> tuple[int, str]:
        """Code and reason of a close, be it the peer's or wsproto's because the peer broke the rules."""
        if self._too_big:
            return TOO_BIG, f"a message may have {self.max_message} bytes"
        code = (
            _BAD_GATEWAY if self._renamed and event.code == _TRY_AGAIN_LATER else int(event.code or NO_CODE)
        )
        return code, event.reason or ""

    def _inflate(self, data: bytes) -> bytes:
        """Inflate, to at most one byte more than the message may have. Raises `zlib.error`."""
        if self._inflator is None:
            self._inflator = zlib.decompressobj(-max(self._client_bits, 9))
        inflated = self._inflator.decompress(data, self.max_message - self._size + 1)
        if self._inflator.eof:  # a final block, with which some clients end each message (RFC 7692 §7.2.3.4)
            rest = self._inflator.unused_data
            self._inflator = zlib.decompressobj(-max(self._client_bits, 9))
            inflated += self._inflator.decompress(rest, self.max_message - self._size + 1)
            if self._inflator.eof:
                raise zlib.error("more than one final block in one piece")
        return inflated

    # Outgoing

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
