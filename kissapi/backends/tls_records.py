"""TlsRecords: OpenSSL between two buffers in memory: bytes of records on one side, plain bytes on the other.

It does no I/O. `TlsHandshake` uses it first, then `TlsTransport`. All that has come is decrypted at once,
because no event of the socket would report what is left inside.
"""

from __future__ import annotations

import ssl

RECORD = 16 * 1024  # the most that one holds (RFC 8446 §5.1): a read of so much leaves nothing of it behind


class TlsRecords:
    """The server's side of one connection. Its methods raise `ssl.SSLError` for what breaks TLS."""

    __slots__ = ("_incoming", "outgoing", "ssl_object")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()  # what is to be sent
        self.ssl_object = context.wrap_bio(self._incoming, self.outgoing, server_side=True)

    def shake_hands(self, data: bytes) -> bool:
        """Go on with the handshake; whether it is done."""
        self._incoming.write(data)
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def unread(self) -> bytes:
        """What has come behind the handshake, not decrypted, to be given to `decrypt`."""
        return self._incoming.read()

    def decrypt(self, data: bytes) -> tuple[bytes, bool]:
        """What the client has sent, and whether it has ended its side."""
        self._incoming.write(data)
        pieces: list[bytes] = []
        ended = False
        try:
            while piece := self.ssl_object.read(RECORD):
                if not self._incoming.pending:  # spares an exception, which costs as much as a record
                    return b"".join((*pieces, piece)) if pieces else piece, False
                pieces.append(piece)
            ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            ended = True
        return b"".join(pieces), ended

    def encrypt(self, data: bytes | memoryview) -> int:
        """The number of bytes of `data` that are encrypted; 0 while a new handshake is under way."""
        try:
            return self.ssl_object.write(data)
        except ssl.SSLWantReadError:
            return 0

    def end(self) -> None:
        """Say that no more comes; the client's own end is not waited for."""
        try:
            self.ssl_object.unwrap()
        except ssl.SSLError:
            pass  # the client has not said it yet
