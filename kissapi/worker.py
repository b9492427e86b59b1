"""Worker: a process that serves what its master has bound, until the line between them says otherwise; and
what the master knows of it.

Law: a program like any other, but for whom it tells that it is ready, and who ends it. The listening sockets
are not its own: it may close them, but turns nobody away from them unless all workers stop together.

On the line it hears PING and says it again, which shows that its loop turns; on LEAVE it leaves, on STOP it
stops. It says READY when it serves, ENOUGH when it has had its number of requests, and FAILED, with the
reason behind it, when it ends because of an error.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.program import Program
from kissapi.restart import let_go

if TYPE_CHECKING:
    from kissapi.server import Server
    from kissapi.share import Share

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

    async def _serve_all(self, loop: Any) -> None:
        self._line.setblocking(False)
        loop.add_reader(self._line, self._hear)  # first: it may be told to stop while it begins
        await super()._serve_all(loop)

    def _begun(self) -> None:
        self.say(READY)

    def _disown(self) -> None:
        super()._disown()
        let_go(self._line)

    def _hear(self) -> None:
        try:
            words = self._line.recv(64)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:
            self._loop.remove_reader(self._line)
        if PING in words and self._serving:  # the master warns of one that takes long to begin
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


class WorkerProcess:
    """What the master knows of one worker."""

    def __init__(self, pid: int, line: socket.socket, born: float, shares: list[Share | None]) -> None:
        self.pid = pid
        self.line = line
        self.born = born
        self.shares = shares
        self.ready = False
        self.enough = ""  # why it is to be replaced
        self.successor: WorkerProcess | None = None  # who is to serve in its place
        self.leaving = False
        self.silent = 0  # pings that it has not answered
        self.failure = b""  # what it said of its end
        self.line.setblocking(False)

    def tell(self, word: bytes) -> None:
        """Say `word` on its line."""
        try:
            self.line.send(word)
        except OSError:
            pass  # it hangs or has ended; we shall see

    def heard(self) -> bytes | None:
        """What it has said since; None once it can say no more."""
        try:
            said = self.line.recv(65536)
        except BlockingIOError:
            return b""
        except OSError:
            said = b""
        if not said:
            return None
        if self.failure:
            self.failure += said
            return b""
        words, failed, reason = said.partition(FAILED)
        self.failure = failed + reason
        self.silent = 0
        return words

    def take_up(self) -> int | None:
        """How it ended, as `os.waitstatus_to_exitcode` has it; None if it has not."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # somebody else has asked, and been told
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None


def how(code: int) -> str:
    """The end of a process, by its exit code, in words."""
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:  # one of the real-time signals, most of which have no name
        return f"by signal {-code}"


def memory_of(pid: int) -> int | None:
    """Bytes of memory that a process has, shared pages included; None if nobody knows."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
