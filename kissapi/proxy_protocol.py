"""PROXY protocol: a proxy names its client in front of all that the client says.

HAProxy's specification, sections 2.1 (version 1, a line of text) and 2.2 (version 2, binary). The header
comes before TLS and before the first request, and is read from the socket to the byte: what is behind it is
left to those who come next. Which version it is, its first bytes tell.

Law: a server that asks for it serves nobody without it, and takes it from nobody but trusted proxies: whoever
may send this header may be anybody. A connection that a proxy has opened for itself (LOCAL: its health
checks) is the proxy's own. One whose client it does not know (UNKNOWN, a Unix socket) has no known client;
the specification would let it pass for the proxy, but then what the client says in X-Forwarded-For would be
believed.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.trust import UNKNOWN, Trusted, pack, unpack

if TYPE_CHECKING:
    from kissapi.service import Service

PIECE = 4096  # bytes looked at in one go; a header has 28 to 500, up to 64 KiB with certificates in it
LINE = 107  # bytes of the longest version 1, its end included (§2.1)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
QUIET = 60.0  # seconds from one line about refused connections to the next

_LINE = re.compile(
    rb"PROXY (?:UNKNOWN[^\r\n]*|TCP([46]) ([^ ]+) ([^ ]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))\r\n"
)
# Of each family: bytes of an address, and of all addresses and ports together.
_FAMILIES = {0: (0, 0), 1: (4, 12), 2: (16, 36), 3: (108, 216)}
_LOCAL, _PROXY = 0, 1
_UNSPECIFIED, _STREAM, _DATAGRAM = 0, 1, 2

Peer = tuple[str, int] | tuple[()]
Adopt = Callable[..., None]


class BadHeader(ValueError):
    """What came is no PROXY header."""


def header_size(data: bytes) -> int:
    """Bytes of the header that `data` begins with; 0 if more is needed to tell.

    Raises `BadHeader` as soon as it can be no header.
    """
    if SIGNATURE.startswith(data[: len(SIGNATURE)]):
        if len(data) > len(SIGNATURE) and data[len(SIGNATURE)] >> 4 != 2:
            raise BadHeader(f"version {data[len(SIGNATURE)] >> 4} of the PROXY protocol")
        return 16 + int.from_bytes(data[14:16], "big") if len(data) >= 16 else 0
    if not b"PROXY ".startswith(data[:6]):
        raise BadHeader("no PROXY header in front; a proxy sends it if it is told to (send-proxy-v2)")
    end = data.find(b"\r\n", 0, LINE) + 2
    if end == 1 and len(data) >= LINE:
        raise BadHeader(f"a PROXY line of more than {LINE} bytes")
    return end if end > 1 else 0


def read_header(data: bytes) -> Peer | None:
    """Who the client is, from a whole header: None for the proxy itself, `UNKNOWN` if the proxy cannot tell.

    Raises `BadHeader`.

        >>> read_header(b"PROXY TCP4 192.0.2.1 192.0.2.9 5000 80\\r\\n")
        ('192.0.2.1', 5000)
    """
    if data.startswith(b"PROXY"):
        return _read_line(data)
    command, family, transport, block = data[12] & 15, data[13] >> 4, data[13] & 15, data[16:]
    if command == _LOCAL:
        return None
    if command != _PROXY:
        raise BadHeader(f"PROXY command {command}")
    if family not in _FAMILIES or transport not in (_UNSPECIFIED, _STREAM, _DATAGRAM):
        raise BadHeader(f"address family {family} and transport {transport} in a PROXY header")
    size, whole = _FAMILIES[family]
    if len(block) < whole:
        raise BadHeader(f"a PROXY header with {len(block)} of {whole} bytes of addresses")
    if size not in (4, 16) or transport == _UNSPECIFIED:
        return UNKNOWN
    return unpack(block[:size]), int.from_bytes(block[2 * size : 2 * size + 2], "big")


def _read_line(line: bytes) -> Peer:
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadHeader("a PROXY line that breaks the rules")
    family, *texts, source_port, target_port = found.groups(b"")
    if not family:
        return UNKNOWN
    source, target = (text.decode("latin-1") for text in texts)
    for address in (source, target):
        if (":" in address) != (family == b"6") or pack(address) is None:
            raise BadHeader(f"a PROXY line of TCP{family.decode()} with the address {address!r}")
    if max(int(source_port), int(target_port)) > 65535:
        raise BadHeader("a PROXY line with a port above 65535")
    packed = pack(source)
    assert packed is not None
    return unpack(packed), int(source_port)


class Gate:
    """Lets connections in to one loop: `adopt(sock, peer)` is called once their header has been read.

    Whoever is refused is closed without a word, and with a line in the log, but no more than one a minute.
    """

    def __init__(self, loop: Any, service: Service, adopt: Adopt, trusted: Trusted) -> None:
        self.loop = loop
        self.service = service
        self.adopt = adopt
        self._trusted = trusted
        self._quiet_until = 0.0
        self._unsaid = 0

    def enter(self, sock: socket.socket) -> None:
        """A connection has been accepted."""
        try:
            peer = sock.getpeername()
        except OSError:  # it has gone already
            sock.close()
            return
        if self._trusted.knows(peer, sock):
            Introduction(self, sock)
        else:
            self.refuse(sock, "it is not among the trusted_proxies")

    def refuse(self, sock: socket.socket, why: str) -> None:
        """Close a connection, and say so."""
        now = self.service.clock()
        if now < self._quiet_until:
            self._unsaid += 1
        else:
            more = f" ({self._unsaid} more since the last such line)" if self._unsaid else ""
            self.service.log.warning(f"refused a connection from {_name_of(sock)}: {why}{more}")
            self._quiet_until = now + QUIET
            self._unsaid = 0
        sock.close()


class Introduction:
    """A connection whose header has not come yet.

    It stands in for it with the service: it counts, has a deadline, and is ended at stop.
    """

    __slots__ = ("__weakref__", "_data", "_gate", "_left", "_sock", "_watched", "since")

    transport = None  # it has none: see `Service.opened`

    def __init__(self, gate: Gate, sock: socket.socket) -> None:
        self._gate = gate
        self._sock = sock
        self._data = b""
        self._watched = False
        self._left = False
        service = gate.service
        self.since = service.clock()
        service.opened(self)
        self._read()  # most proxies send it at once: it may be there
        if not self._left:
            self._watched = True
            gate.loop.add_reader(sock, self._read)

    def __repr__(self) -> str:
        return f"<Introduction {len(self._data)} bytes>"

    # What the service says

    def tick(self, now: float) -> None:
        """End what takes too long to send its header."""
        service = self._gate.service
        seconds = service.limits.handshake_timeout
        if service.stopping:  # then it had little time, and is not to blame
            if now > self.since + service.limits.drain_timeout:
                self.abort()
        elif now > self.since + seconds:
            self._refuse(f"it has sent no whole PROXY header in {seconds:g} s")

    def drain(self) -> None:
        """The server stops: a client that is quick may still ask."""
        self.since = self._gate.service.clock()

    def abort(self, why: str = "") -> None:
        """End at once."""
        self._leave()
        self._sock.close()
        self._gate.service.closed(self)

    # What the socket says

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
        self._gate.service.closed(self)

    def _leave(self) -> None:
        self._left = True
        if self._watched:
            self._watched = False
            self._gate.loop.remove_reader(self._sock)


def _name_of(sock: socket.socket) -> str:
    try:
        peer = sock.getpeername()
    except OSError:
        return "somebody who has left"
    return f"{peer[0]}" if isinstance(peer, tuple) else "a Unix socket"
