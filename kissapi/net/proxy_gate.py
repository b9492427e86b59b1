"""Gate: reads the header of the PROXY protocol in front of each connection, and admits trusted proxies only.

A server that asks for the header serves no connection without it, and takes it from trusted proxies alone:
any other peer could name any client. The header comes before TLS and before the first request, and is read
from the socket to the byte: what is behind it is left to the connection.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from kissapi.net.proxy_protocol import BadHeader, Peer, header_size, read_header

if TYPE_CHECKING:
    from kissapi.core import Service
    from kissapi.net.trusted_proxies import TrustedProxies

PIECE = 4096  # bytes looked at in one go; a header has 28 to 500, up to 64 KiB with certificates in it
QUIET = 60.0  # seconds from one line about refused connections to the next


class Limits(Protocol):
    """The limits that hold before a request; see `kissapi.http.limits`."""

    @property
    def handshake_timeout(self) -> float: ...
    @property
    def drain_timeout(self) -> float: ...


class Gate:
    """Admits connections to one loop: `adopt(sock, peer)` is called once their header has been read.

    A connection that is refused is closed without an answer. `warn` gets a line, but no more than one a
    minute.
    """

    def __init__(
        self,
        service: Service,
        limits: Limits,
        adopt: Callable[[socket.socket, Peer | None], object],
        trusted: TrustedProxies,
        warn: Callable[[str], object],
    ) -> None:
        self.service = service
        self.limits = limits
        self.adopt = adopt
        self._warn = warn
        self._trusted = trusted
        self._quiet_until = 0.0
        self._unsaid = 0

    def admit(self, sock: socket.socket) -> None:
        """A connection has been accepted."""
        try:
            peer = sock.getpeername()
        except OSError:  # it has gone already
            sock.close()
            return
        if self._trusted.is_trusted(peer, sock):
            PendingProxyHeader(self, sock)
        else:
            self.refuse(sock, "it is not among the trusted_proxies")

    def refuse(self, sock: socket.socket, why: str) -> None:
        """Close a connection, and say so."""
        now = self.service.clock()
        if now < self._quiet_until:
            self._unsaid += 1
        else:
            more = f" ({self._unsaid} more since the last such line)" if self._unsaid else ""
            self._warn(f"refused a connection from {_name_of(sock)}: {why}{more}")
            self._quiet_until = now + QUIET
            self._unsaid = 0
        sock.close()


class PendingProxyHeader:
    """A connection whose header has not come yet.

    It stands in for the connection with the service: it counts as one, has a deadline, and is ended at stop.
    """

    __slots__ = ("__weakref__", "_data", "_gate", "_left", "_sock", "_watched", "since")

    transport = None  # it has none

    def __init__(self, gate: Gate, sock: socket.socket) -> None:
        self._gate = gate
        self._sock = sock
        self._data = b""
        self._watched = False
        self._left = False
        service = gate.service
        self.since = service.clock()
        service.add(self)
        self._read()  # most proxies send it at once: it may be there
        if not self._left:
            self._watched = True
            gate.service.loop.add_reader(sock, self._read)

    def __repr__(self) -> str:
        return f"<PendingProxyHeader {len(self._data)} bytes>"

    # Called by the service

    def tick(self, now: float) -> None:
        """End what takes too long to send its header."""
        limits = self._gate.limits
        seconds = limits.handshake_timeout
        if self._gate.service.stopping:  # then it had little time, and is not to blame
            if now > self.since + limits.drain_timeout:
                self.abort()
        elif now > self.since + seconds:
            self._refuse(f"it has sent no whole PROXY header in {seconds:g} s")

    def drain(self) -> None:
        """The server stops: a client that is quick may still send a request."""
        self.since = self._gate.service.clock()

    def abort(self, why: str = "") -> None:
        """End at once."""
        self._leave()
        self._sock.close()
        self._gate.service.remove(self)

    # Called by the socket

    def _read(self) -> None:
        try:
            while True:
                seen = self._sock.recv(PIECE, socket.MSG_PEEK)
                if not seen:
                    self.abort()  # it has left; a health check may be no more than a connection
                    return
                size = header_size(self._data + seen)
                # Only what belongs to the header is taken out of the socket.
                ours = min(size - len(self._data), len(seen)) if size else len(seen)
                self._data += self._sock.recv(ours)
                if size == len(self._data):
                    break
            peer = read_header(self._data)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        except BadHeader as error:
            self._refuse(f"it has sent {error}")
            return
        self._leave()
        gate = self._gate
        try:
            gate.adopt(self._sock, peer)
        finally:
            gate.service.connections.discard(self)  # not `closed`: no room has come free

    def _refuse(self, why: str) -> None:
        self._leave()
        self._gate.refuse(self._sock, why)
        self._gate.service.remove(self)

    def _leave(self) -> None:
        self._left = True
        if self._watched:
            self._watched = False
            self._gate.service.loop.remove_reader(self._sock)


def _name_of(sock: socket.socket) -> str:
    try:
        peer = sock.getpeername()
    except OSError:
        return "a client that has left"
    return f"{peer[0]}" if isinstance(peer, tuple) else "a Unix socket"
