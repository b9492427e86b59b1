"""Listener: accepts the connections of one listening socket.

Every connection of every backend is accepted here. The loop's `add_reader` tells when one waits; `adopt`, of
the backend, gives the accepted socket a transport. A running server has a listener for each of its sockets.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from array import array
from collections.abc import Callable
from typing import Any

# Out of descriptors or memory: to accept again at once would fail again.
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_AT_ONCE = 64  # connections accepted in one turn of the loop
_RETRY = 0.5  # seconds
HANDSHAKE = 0.05  # seconds for a handshake that is under way when the server stops listening
_SO_ATTACH_FILTER = 26  # Linux; no name in the socket module
# Linux' packet filter, run on each packet to a listening socket: code, jump if true, if false, operand.
_NO_MORE_HANDSHAKES = (
    (0x30, 0, 0, 13),  # the flags of the TCP header
    (0x54, 0, 0, 0x12),  # SYN and ACK of them
    (0x15, 0, 1, 0x02),  # SYN alone, which opens a handshake …
    (
        0x06,
        0,
        0,
        0,
    ),  # … is dropped; the client sends it again after a second, to a successor or to a closed port
    (0x06, 0, 0, 0xFFFFFFFF),  # all others pass
)


class Listener:
    """Accepts from `sock`, while `has_room()`, and calls `adopt` with each connection; `warn` logs a line."""

    def __init__(
        self,
        sock: socket.socket,
        loop: Any,
        adopt: Callable[[socket.socket], object],
        has_room: Callable[[], bool],
        warn: Callable[[str], None],
    ) -> None:
        self.sock = sock
        self._loop = loop
        self._adopt = adopt
        self._has_room = has_room
        self._warn = warn
        self._paused = True
        self._retry: Any = None
        self.resume()

    def resume(self) -> None:
        """Go on accepting, if it was paused."""
        if self._paused and self.sock.fileno() >= 0 and self._has_room():
            self._paused = False
            self._loop.add_reader(self.sock, self._accept)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._loop.remove_reader(self.sock)

    def _accept(self, most: int = _AT_ONCE) -> None:
        for _ in range(most):
            if not self._has_room():
                self._pause()  # until a connection closes
                return
            try:
                sock, _ = self.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._wait_for_descriptors(error)
                return
            sock.setblocking(False)
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._adopt(sock)

    def _wait_for_descriptors(self, error: OSError) -> None:
        if self._retry is None:
            self._warn(f"cannot accept more connections: {error.strerror}; raise the limit with ulimit -n")
        else:
            self._retry.cancel()
        self._pause()
        self._retry = self._loop.call_later(_RETRY, self._try_again)

    def _try_again(self) -> None:
        self.resume()
        if self._paused:
            return
        # Once a connection was accepted the shortage is over, and the next one is worth a warning.
        self._accept(1)
        if not self._paused:
            self._retry = None

    def refuse_handshakes(self) -> bool:
        """Drop every attempt to connect from now on, for good; whether this system can do that.

        At `close` the kernel resets each client that it has connected since the last `accept`, with the
        request that it has sent. If no client can connect any more, and those under way have had `HANDSHAKE`
        seconds, there is none. Without this, 20 stops under load cost 2 of 45,000 requests on uvloop and 1 of
        72,000 on selectors; with it, none (make torture ONLY=stops STOPS=20). It is not for a socket that
        another process has as well: the filter stays on it, and whatever serves there next gets no client.
        """
        unix = self.sock.family == getattr(socket, "AF_UNIX", None)
        if sys.platform != "linux" or unix or self.sock.fileno() < 0:
            return False
        program = array("B", b"".join(struct.pack("HBBI", *step) for step in _NO_MORE_HANDSHAKES))
        where = struct.pack("HP", len(_NO_MORE_HANDSHAKES), program.buffer_info()[0])
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, where)
        except OSError:  # a sandbox that forbids it
            return False
        return True

    def leave(self) -> None:
        """Stop listening; what the kernel has queued is for the other processes that have this socket."""
        if self.sock.fileno() >= 0:
            self._pause()
            if self._retry is not None:
                self._retry.cancel()
            self.sock.close()

    def close(self) -> None:
        """Accept what the kernel has queued, then stop listening."""
        if self.sock.fileno() < 0:
            return
        self._accept(1 << 16)
        self._pause()
        if self._retry is not None:
            self._retry.cancel()
        self.sock.close()
