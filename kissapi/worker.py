"""Worker: a process that serves what its master has bound, until the line between them says otherwise.

Law: a program like any other, but for whom it tells that it is ready, and who ends it. The listening sockets
are not its own: it may close them, but turns nobody away from them unless all workers stop together.

On the line it hears PING and says it again, which shows that its loop turns; on LEAVE it leaves, on STOP it
stops. It says READY when it serves, ENOUGH when it has had its number of requests, and FAILED, with the
reason behind it, when it ends because of an error.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.program import Program

if TYPE_CHECKING:
    from kissapi.server import Server

PING, LEAVE, STOP = b"P", b"L", b"S"
READY, ENOUGH, FAILED = b"R", b"M", b"X"


class Worker(Program):
    """`servers`, served in this process; each has its listening sockets already."""

    def __init__(self, servers: list[Server], line: socket.socket, max_requests: int | None) -> None:
        super().__init__(servers)
        self._line = line
        self._left = max_requests or 0
        if max_requests is not None:
            for server in servers:
                server._around_handle = self._counting

    def say(self, word: bytes) -> None:
        """Tell the master; from any thread."""
        try:
            self._line.send(word)
        except OSError:
            pass  # it has died, which the line will say

    def _begun(self) -> None:
        self._line.setblocking(False)
        self._loop.add_reader(self._line, self._hear)
        self.say(READY)

    def _hear(self) -> None:
        try:
            words = self._line.recv(64)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:
            self._loop.remove_reader(self._line)
        if PING in words:
            self.say(PING)
        if STOP in words or not words:  # without a master, nobody would go on in our place
            for server in self.servers:
                server._leaving = False
        elif LEAVE not in words:
            return
        if not self._signalled:
            self._signalled = True
            self._stop_all()

    def _on_restart(self, number: int, frame: object) -> None:
        pass  # the master's business, but some send it to the whole family

    def _counting(self, handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def counted(request: Any) -> Any:
            self._left -= 1  # of several loops, two may do it at once: then one more is answered
            if self._left == 0:
                self.say(ENOUGH)
            return handle(request)

        return counted
