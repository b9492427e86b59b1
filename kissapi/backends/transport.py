"""Transport: a non-blocking socket under a connection, for a loop that tells when the socket is ready.

It has the methods of asyncio's Transport and calls those of asyncio's Protocol. The selectors backend has no
other. On asyncio's own loop it takes the place of asyncio's, which needs two turns more and 27 µs to begin
and end, and a cycle of references; a request costs the same.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from kissapi.backends.poll import READ, WRITE

if TYPE_CHECKING:
    from kissapi.backends.host import Connect, Host, Peer

HIGH_WATER = 64 * 1024  # unsent bytes from which on the connection is asked to write no more …
LOW_WATER = 16 * 1024  # … until no more than these are left


class Watcher(Protocol):
    """What a transport asks of its loop."""

    def watch(self, sock: Any, events: int, callback: Callable[[int], object]) -> None:
        """Call `callback(events)` whenever one of `events` happens on `sock`; 0 ends the watch."""

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> object:
        """Call `callback` in the next turn."""


def adopter(loop: Watcher, service: Host, connect: Connect) -> Callable[..., None]:
    """The function that is called with each accepted socket, and the client's address if a proxy tells it."""

    def adopt(sock: socket.socket, peer: Peer = None) -> None:
        Transport(loop, sock, connect(peer), service.limits.read_size)

    return adopt


class Transport:
    """A non-blocking socket, and the buffer of what it has not taken yet.

    `connection` is the protocol, in asyncio's sense, that is told what the socket does.
    """

    __slots__ = (
        "_buffer",
        "_closing",
        "_connection",
        "_eof",
        "_events",
        "_loop",
        "_lost",
        "_paused",
        "_read_size",
        "_sock",
    )

    def __init__(self, loop: Watcher, sock: socket.socket, connection: Any, read_size: int) -> None:
        self._loop = loop
        self._sock = sock
        self._connection = connection  # or what has taken its place; None once it is lost
        self._read_size = read_size
        # What the socket has not taken yet: a view of one answer, or of several a copy.
        self._buffer: memoryview | bytearray | None = None
        self._closing = False
        self._lost = False  # the socket is closed; the connection has been told, or will be in the next turn
        self._eof = False  # shut our side once the buffer is empty
        self._paused = False  # the connection has been asked to write no more
        self._events = READ
        loop.watch(sock, READ, self._ready)
        connection.connection_made(self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "socket":
            return self._sock
        if name in ("peername", "sockname"):
            try:
                return getattr(self._sock, "get" + name)()
            except OSError:
                return default
        return default

    def set_protocol(self, protocol: Any) -> None:
        """Tell `protocol` from now on, in place of the connection."""
        self._connection = protocol

    def get_write_buffer_size(self) -> int:
        return len(self._buffer) if self._buffer else 0

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes) -> None:
        """Send `data`, now as far as the socket takes it."""
        if self._lost:
            return
        if self._buffer:
            if isinstance(self._buffer, memoryview):
                self._buffer = bytearray(self._buffer)
            self._buffer += data
        else:
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._lose(error)
                return
            if sent == len(data):
                return
            rest = memoryview(data)[sent:]
            self._buffer = rest if type(data) is bytes else bytearray(rest)  # what else there is may change
            self._watch(self._events | WRITE)
        if len(self._buffer) > HIGH_WATER and not self._paused:
            self._paused = True
            self._connection.pause_writing()

    def write_eof(self) -> None:
        """Send no more after what was written."""
        self._eof = True
        if not self._buffer:
            self._shut()

    def close(self) -> None:
        """Close once everything is sent."""
        if not self._closing:
            self._closing = True
            self._watch(self._events & ~READ)
            if not self._buffer:
                self._lose(None)

    def abort(self) -> None:
        """Close at once."""
        self._lose(None)

    def is_reading(self) -> bool:
        return not self._closing and bool(self._events & READ)

    def pause_reading(self) -> None:
        self._watch(self._events & ~READ)

    def resume_reading(self) -> None:
        if not self._closing:
            self._watch(self._events | READ)

    def _ready(self, events: int) -> None:
        try:
            if events & ~WRITE and self._events & READ:  # what is neither is a broken connection
                try:
                    data = self._sock.recv(self._read_size)
                except (BlockingIOError, InterruptedError):
                    return
                except OSError as error:
                    self._lose(error)
                    return
                if data:
                    self._connection.data_received(data)
                else:
                    self._watch(self._events & ~READ)
                    if not self._connection.eof_received():
                        self.close()
            if events & ~READ and self._buffer:
                self._send()
        except BaseException:
            self.abort()  # the state of this connection is unknown now; no other one is affected
            raise

    def _send(self) -> None:
        assert self._buffer is not None
        try:
            sent = self._sock.send(self._buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if isinstance(self._buffer, memoryview):
            self._buffer = self._buffer[sent:]
        else:
            del self._buffer[:sent]
        if self._paused and len(self._buffer) <= LOW_WATER:
            self._paused = False
            self._connection.resume_writing()  # it may write more, or end it all
        if not self._buffer:
            self._buffer = None
            self._watch(self._events & ~WRITE)
            if self._closing:
                self._lose(None)
            elif self._eof:
                self._shut()

    def _shut(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._lose(error)

    def _watch(self, events: int) -> None:
        if events != self._events and not self._lost:
            self._events = events
            self._loop.watch(self._sock, events, self._ready)

    def _lose(self, error: OSError | None) -> None:
        """Close the socket. The connection is told in the next turn, never inside its own call."""
        if self._lost:
            return
        self._lost = True
        self._closing = True
        self._events = 0
        self._buffer = None
        self._loop.watch(self._sock, 0, self._ready)
        self._sock.close()
        self._loop.call_soon(self._tell, error)

    def _tell(self, error: OSError | None) -> None:
        connection, self._connection = self._connection, None  # only now: it may have handed over meanwhile
        connection.connection_lost(error)
