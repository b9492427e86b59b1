"""TlsTransport: a transport over another one: what comes is decrypted, what is written is encrypted.

It knows no socket and no loop. For the transport below it is a protocol, with the methods of asyncio's
Protocol; for the connection above it is a transport, with those of asyncio's Transport. So asyncio, uvloop
and selectors have the same TLS. asyncio's own is not used: it takes 256 KiB a connection, and writes to
standard error what any client can make it write.

What a read is answered goes out in one write, TLS's own end with it if it is the last. No more is encrypted
than there is room for below: a large answer waits as it is, not copied. And TLS has an
end of its own (RFC 8446 §6.1): only that one is the end of what the client sends. The mere end of the
connection, which anything in between can bring about, is a loss.
"""

from __future__ import annotations

import ssl
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kissapi.backends.host import Host
    from kissapi.backends.tls_records import TlsRecords

OPEN, CLOSING, CLOSED = "OPEN", "CLOSING", "CLOSED"

PIECE = 64 * 1024  # encrypted at one go: a few records, and one system call
PIECES = 16  # in one turn of the loop: a client that takes all there is must not hold up the others
MOST = 1 << 20  # bytes of answers to what TLS itself may ask (new keys), which no back-pressure holds back


class TlsTransport:
    """The transport of `connection` over the one `below`; `room` is False if that has enough to send."""

    __slots__ = (
        "__weakref__",
        "_backlog",
        "_connection",
        "_eof",
        "_error",
        "_held",
        "_input_ended",
        "_mute",
        "_outgoing",
        "_paused",
        "_reading",
        "_records",
        "_room",
        "_tickets",
        "_turn_due",
        "below",
        "service",
        "state",
    )

    def __init__(
        self, service: Host, connection: Any, below: Any, records: TlsRecords, room: bool = True
    ) -> None:
        self.service = service
        self.below = below
        self.state = OPEN
        self._connection = connection  # or what has taken its place; None once it is lost
        self._records = records
        self._outgoing = records.outgoing
        self._tickets = records.outgoing.pending  # bytes that may wait: see `TlsHandshake`
        self._held = False  # a read is handled, behind which goes out what is encrypted
        self._backlog: deque[memoryview] = deque()  # what is not encrypted yet
        self._turn_due = False  # encrypting goes on in the next turn of the loop
        self._room = room  # False while the transport below has enough to send
        self._paused = False  # the connection has been asked to write no more
        self._reading = True  # False while the connection has paused it
        self._eof = False  # the connection writes no more
        self._mute = False  # nothing at all goes out any more
        self._input_ended = False  # the client has said that it sends no more
        self._error: Exception | None = None  # why it ended, if it did not end well

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state}>"

    # Called by the transport below

    def data_received(self, data: bytes) -> None:
        if self.state is CLOSING or self._input_ended:
            return
        if len(data) > self.service.limits.read_size:  # see `Connection.yield_turn`; a record may be tiny
            self.below.pause_reading()
            self.service.loop.call_soon(self._read_on)
        try:
            plain, ended = self._records.decrypt(data)
        except ssl.SSLError as error:  # a record that was tampered with, for example
            self._fail(error)
            return
        if plain:
            self._held = True
            self._connection.data_received(plain)
            self._held = False
        if self._backlog:
            self._push()
        if self._outgoing.pending > self._tickets:
            self._flush()
        if ended and not self._input_ended:
            self._input_ended = True
            if not self._connection.eof_received():
                self.close()

    def eof_received(self) -> bool:
        if self._input_ended:
            return True  # and it still gets its answers
        # A client that has ended in TLS's way may wait for an answer; one that just closes has left.
        self._error = ConnectionAbortedError("the connection has ended before TLS did: it may have been cut")
        self._stop()
        return False  # close, once what was written is sent

    def connection_lost(self, error: Exception | None) -> None:
        connection, self._connection = self._connection, None
        self._backlog.clear()
        self.state = CLOSED
        connection.connection_lost(error or self._error)

    def pause_writing(self) -> None:
        self._room = False
        self._pause()

    def resume_writing(self) -> None:
        self._room = True
        self._push()

    # Called by the connection

    def set_protocol(self, protocol: Any) -> None:
        """Tell `protocol` from now on, in place of the connection."""
        self._connection = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":
            return self._records.ssl_object.context
        if name == "ssl_object":
            return self._records.ssl_object
        return self.below.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self._backlog)) + int(self.below.get_write_buffer_size())

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.state is CLOSING or self.state is CLOSED

    def write(self, data: bytes) -> None:
        """Encrypt and send `data`, now as far as there is room below, or at the end of a read."""
        if self.state is not OPEN or self._eof or not data:
            return
        if self._room and not self._backlog and len(data) + self._outgoing.pending <= PIECE:
            try:
                size = self._records.encrypt(data)
            except ssl.SSLError as error:
                self._fail(error)
                return
            if size:
                if not self._held:
                    self._send()
                return
        self._backlog.append(memoryview(data if type(data) is bytes else bytes(data)))
        self._push()
        if self._backlog:
            self._pause()

    def write_eof(self) -> None:
        """Send no more after what was written."""
        self._eof = True
        if not self._backlog:
            self._end()

    def close(self) -> None:
        """Close once everything is sent."""
        if self.state is OPEN:
            self.state = CLOSING
            if not self._backlog:
                self._end()

    def abort(self) -> None:
        """Close at once."""
        if self._connection is not None:
            self._stop()
            self.below.abort()

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False
        if self.below.is_reading():
            self.below.pause_reading()

    def resume_reading(self) -> None:
        if self.state is OPEN:
            self._reading = True
            if not self.below.is_reading():
                self.below.resume_reading()

    # Between the two

    def _fail(self, error: ssl.SSLError) -> None:
        """TLS is broken: send the alert that says why, and close."""
        self._error = error.with_traceback(None)  # which holds the frames, and they us: a cycle
        self._flush()
        self._stop()
        self.below.close()

    def _stop(self) -> None:
        """Send no more, not even TLS's end: what was sent would then pass for the whole answer."""
        self.state = CLOSING
        self._mute = True
        self._backlog.clear()

    def _send(self) -> None:
        self._tickets = 0
        self.below.write(self._outgoing.read())

    def _flush(self) -> None:
        """Send what OpenSSL has made."""
        if self._outgoing.pending and not self._mute:
            self._send()
            if not self._room and self.below.get_write_buffer_size() > MOST:
                self.abort()

    def _push(self) -> None:
        """Encrypt and send what waits, as long as there is room below."""
        if self._turn_due:
            return
        backlog = self._backlog
        for _ in range(PIECES):
            if not backlog or not self._room:
                break
            try:
                size = self._records.encrypt(backlog[0][:PIECE])
            except ssl.SSLError as error:
                self._fail(error)
                return
            if not size:
                break  # a new handshake is under way: on with what the client sends next
            if size < len(backlog[0]):
                backlog[0] = backlog[0][size:]
            else:
                backlog.popleft()
            self._send()
        else:
            self._turn_due = True
            self.service.loop.call_soon(self._take_turn)
            return
        if backlog or not self._room or self._connection is None:
            return
        if self._paused:
            self._paused = False
            self._connection.resume_writing()  # it may write more, or end it all
        if not backlog and not self._mute and (self._eof or self.state is CLOSING):
            self._end()

    def _read_on(self) -> None:
        """The others have had their turn."""
        if self._reading and self.state is OPEN and not self.below.is_reading():
            self.below.resume_reading()

    def _take_turn(self) -> None:
        self._turn_due = False
        self._push()

    def _pause(self) -> None:
        if not self._paused and self.state is OPEN and self._connection is not None:
            self._paused = True
            self._connection.pause_writing()

    def _end(self) -> None:
        """All is encrypted: say that no more comes, in TLS and below."""
        if not self._mute:
            self._records.end()
            self._flush()
            self._mute = True
        if self.state is CLOSING:
            self.below.close()
            return
        try:
            self.below.write_eof()
        except OSError:  # the client has broken the connection, and we have yet to be told
            self.abort()
