"""WorkerHandle: what the master knows of one worker: its process, its line, its health."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

from kissapi.process.line import FAILED, hear, say

if TYPE_CHECKING:
    from kissapi.process.accept_balance import Slot


class WorkerHandle:
    """One worker, from its fork to its end; `born` is a time of the loop of the master."""

    def __init__(self, pid: int, line: socket.socket, born: float, slots: list[Slot | None]) -> None:
        self.pid = pid
        self.line = line
        self.born = born
        self.slots = slots
        self.ready = False
        self.enough = ""  # the reason to replace it, if there is one
        self.successor: WorkerHandle | None = None  # the one that is to serve in its place
        self.leaving = False
        self.silent = 0  # pings that it has not answered
        self.failure = b""  # the reason that it sent for its end
        self.line.setblocking(False)

    def tell(self, word: bytes) -> None:
        """Say `word` on its line; the watchdog or `receive` notices if it hangs or has ended."""
        say(self.line, word)

    def receive(self) -> bytes | None:
        """What it has sent since the last call; None once it has closed the line."""
        said = hear(self.line, 65536)
        if said is None:
            return b""
        if not said:
            return None
        if self.failure:
            self.failure += said
            return b""
        words, failed, reason = said.partition(FAILED)
        self.failure = failed + reason
        self.silent = 0
        return words

    def reap(self) -> int | None:
        """How it ended, as `os.waitstatus_to_exitcode` has it; None if it has not."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # other code has waited for it
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None


def describe_exit(code: int) -> str:
    """The end of a process, by its exit code, in words."""
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:  # one of the real-time signals, most of which have no name
        return f"by signal {-code}"
