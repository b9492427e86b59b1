"""TLS: a transport over another one: what comes is decrypted, what is written is encrypted.

Law: it knows no socket and no loop. OpenSSL works between two buffers in memory; from below it is spoken to
in the words of asyncio's Protocol, from above in those of its Transport. So asyncio, uvloop and selectors
have the same TLS. asyncio's own, with 256 KiB a connection and words on standard error for what strangers
send, is not used.

Three rules follow from where it stands:

- All that has come is decrypted at once: nothing is left inside that no event would tell of.
- No more is encrypted than there is room for below: a large answer waits as it is, not copied.
- TLS has an end of its own (RFC 8446 §6.1). Only that one is the end of what the client sends; the mere end
  of the connection, which anybody in between can bring about, is a loss.
"""

from __future__ import annotations

import ssl
from collections import deque
from typing import TYPE_CHECKING, Any

from kissapi.connection import Connection

if TYPE_CHECKING:
    from kissapi.service import Service
    from kissapi.tls import Tls

HANDSHAKE, OPEN, CLOSING, CLOSED = "HANDSHAKE", "OPEN", "CLOSING", "CLOSED"

RECORD = 16 * 1024  # the most that one holds (RFC 8446 §5.1): a read of so much leaves nothing of it behind
PIECE = 64 * 1024  # encrypted at one go: a few records, and one system call
PIECES = 16  # in one turn of the loop: a client that takes all there is must not hold up the others
MOST = (
    1024 * 1024
)  # bytes of answers to what TLS itself may ask (new keys), which no back-pressure holds back


class TlsTransport:
    """The transport of `connection`, which hears of it when the handshake is done.

    Until then this stands in for it with the service: it counts, has a deadline, and is ended at stop.
    """

    __slots__ = (
        "__weakref__",
        "_backlog",
        "_connection",
        "_eof",
        "_error",
        "_incoming",
        "_input_ended",
        "_mute",
        "_outgoing",
        "_paused",
        "_reading",
        "_room",
        "_ssl",
        "_turn_due",
        "below",
        "service",
        "since",
        "state",
    )

    def __init__(self, connection: Connection, context: ssl.SSLContext) -> None:
        self.service = connection.service
        self.state = HANDSHAKE
        self.since = self.service.clock()
        self._connection: Connection | None = connection
        self.below: Any = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._backlog: deque[memoryview] = deque()  # what is not encrypted yet
        self._turn_due = False  # it will be gone on with in the next turn of the loop
        self._room = True  # False while the transport below has enough to send
        self._paused = False  # the connection has been asked to write no more
        self._reading = True  # False while the connection has paused it
        self._eof = False  # the connection writes no more
        self._mute = False  # nothing at all goes out any more
        self._input_ended = False  # the client has said that it sends no more
        self._error: Exception | None = None  # why it ended, if it did not end well

    @classmethod
    def welcome(cls, service: Service, tls: Tls, peer: tuple[Any, ...] | None = None) -> TlsTransport:
        """For a client that has come this moment; `peer` as of `Connection`."""
        tls.look(service.clock(), service.log)
        return cls(Connection(service, peer), tls.context)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state}>"

    # What the transport below says

    def connection_made(self, below: Any) -> None:
        self.below = below
        self.service.opened(self)

    def data_received(self, data: bytes) -> None:
        if self.state is CLOSING or self._input_ended:
            return
        if len(data) > self.service.limits.read_size:  # see `Connection.share_turn`; a record may be tiny
            self.below.pause_reading()
            self.service.loop.call_soon(self._read_on)
        self._incoming.write(data)
        if self.state is HANDSHAKE and not self._shake_hands():
            return
        pieces: list[bytes] = []
        ended = False
        try:
            while piece := self._ssl.read(RECORD):
                pieces.append(piece)
                if not self._incoming.pending:  # spares an exception, which costs as much as a record
                    break
            else:
                ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            ended = True
        except ssl.SSLError as error:  # a record that was tampered with, for example
            self._fail(error)
            return
        assert self._connection is not None
        if pieces:
            self._connection.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self._backlog:
            self._push()
        elif self._outgoing.pending:
            self._flush()
        if ended and not self._input_ended:
            self._input_ended = True
            if not self._connection.eof_received():
                self.close()

    def eof_received(self) -> bool:
        if self._input_ended:
            return True  # and it still gets its answers
        # Who says so in TLS's words may wait for an answer; who does not has left.
        self._error = ConnectionAbortedError("the connection has ended before TLS did: it may have been cut")
        self._stop()
        return False  # close, once what was written is sent

    def connection_lost(self, error: Exception | None) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        self._backlog.clear()
        in_handshake = connection.transport is None
        self.state = CLOSED
        if in_handshake:
            self.service.closed(self)
        else:
            self.service.release(self.below)
            connection.connection_lost(error or self._error)

    def pause_writing(self) -> None:
        self._room = False
        self._pause()

    def resume_writing(self) -> None:
        self._room = True
        self._push()

    # What the service says during the handshake

    def tick(self, now: float) -> None:
        """End a handshake that takes too long."""
        limits = self.service.limits
        patience = limits.drain_timeout if self.service.stopping else limits.handshake_timeout
        if now > self.since + patience:
            self.abort()

    def drain(self) -> None:
        """The server stops: a client that is quick may still ask."""
        self.since = self.service.clock()

    def abort(self, why: str = "") -> None:
        """End at once."""
        if self._connection is not None:
            self._stop()
            if self.below is not None:  # else it has been accepted this very moment
                self.below.abort()

    # What the connection says

    def set_protocol(self, protocol: Any) -> None:
        """From now on `protocol` is told, in place of the connection."""
        self._connection = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":
            return self._ssl.context
        if name == "ssl_object":
            return self._ssl
        return self.below.get_extra_info(name, default)

    @property
    def transport(self) -> Any:
        """The transport below; see `Service.opened`."""
        return self.below

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self._backlog)) + int(self.below.get_write_buffer_size())

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.state is CLOSING or self.state is CLOSED

    def write(self, data: bytes) -> None:
        """Encrypt and send `data`, now as far as there is room below."""
        if self.state is not OPEN or self._eof or not data:
            return
        if self._room and not self._backlog and len(data) <= PIECE:
            try:
                self._ssl.write(data)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self._fail(error)
                return
            else:
                self.below.write(self._outgoing.read())
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

    def _shake_hands(self) -> bool:
        """Whether the handshake is done."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            # A port scan, plain HTTP, a client that does not trust us: daily business, and not worth a line.
            self._fail(error)
            return False
        self.state = OPEN
        assert self._connection is not None
        self.service.connections.discard(self)
        self._connection.connection_made(self)
        return True

    def _fail(self, error: ssl.SSLError) -> None:
        """TLS is broken: send the alert that says why, and close."""
        self._error = error.with_traceback(None)  # which holds the frames, and they us: a cycle
        self._flush()
        self._stop()
        self.below.close()

    def _stop(self) -> None:
        """Not a word more, not even the one that would pass what was sent for all there is."""
        self.state = CLOSING
        self._mute = True
        self._backlog.clear()

    def _flush(self) -> None:
        """Send what OpenSSL has made."""
        if self._outgoing.pending and not self._mute:
            self.below.write(self._outgoing.read())
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
                size = self._ssl.write(backlog[0][:PIECE])
            except ssl.SSLWantReadError:
                break  # a new handshake, under way: on with what the client says next
            except ssl.SSLError as error:
                self._fail(error)
                return
            if size < len(backlog[0]):
                backlog[0] = backlog[0][size:]
            else:
                backlog.popleft()
            self.below.write(self._outgoing.read())
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
        if self._reading and self.state in (HANDSHAKE, OPEN) and not self.below.is_reading():
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
            try:
                self._ssl.unwrap()
            except ssl.SSLError:
                pass  # it has been said; we do not wait for the client to say it too
            self._flush()
            self._mute = True
        if self.state is CLOSING:
            self.below.close()
            return
        try:
            self.below.write_eof()
        except OSError:  # the client has broken the connection, and we have yet to be told
            self.abort()
