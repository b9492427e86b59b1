"""Output: writes text to a stream, and never waits for its reader.

A pipe that is not read, or a terminal held by Ctrl-S, would stop the loop, and with it every client, at the
first write it has no room for. So there a piece is written only when the system says that it fits. The rest
waits in a backlog of bounded size; what comes while that is full is dropped, and the number of dropped lines
is logged in its place. A thread that writes would do as well, but then the lines of the log and what the app
prints would lose their order.

A line that is longer than a pipe takes at once, such as a traceback in JSON, goes in pieces. Until its end no
other process writes, as a lock on the pipe says, and no other loop of this one; their lines wait likewise.
"""

from __future__ import annotations

import io
import os
import select
import stat
import time
from collections.abc import Callable
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows, where nothing is written in pieces
    fcntl = None  # type: ignore[assignment]

BACKLOG = 1024 * 1024  # bytes kept for a reader that is slow: about 20,000 lines
LAST_WORDS = 1.0  # seconds such a reader is given when the server ends
_TURN = 0.002  # seconds to wait for the end of another's write, which takes 10 µs if it does not wait itself
_writers: dict[int, Output] = {}  # of this process, by descriptor: those that write
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_writers.clear)  # the lock is the parent's


class Output:
    """Where a log is written."""

    def __init__(self, stream: IO[str]) -> None:
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        self.backlog = bytearray()  # what the pipe has not taken yet
        self.dropped = 0  # lines, since the backlog was full
        self._stream = stream
        self._pipe = _pipe_behind(stream)

    def write(self, text: str, missing: Callable[[int], str]) -> None:
        """Write `text`, which is whole lines; to a pipe, as much as it takes at once.

        `missing(lines)` is the line that stands for so many dropped ones.
        """
        try:
            if self._pipe is not None:
                self._feed(self._pipe, text, missing)
                return
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
            self._stream.flush()
        except (OSError, ValueError, AttributeError):
            # Closed, full, gone, never there (None): nowhere to say so, and requests must be answered.
            self.backlog.clear()
            self.end_turn()

    def end_turn(self) -> None:
        """Others may write: a line is at its end, or will never be."""
        pipe = self._pipe
        if pipe is not None and _writers.get(pipe) is self:
            _unlock(pipe)
            del _writers[pipe]

    def _take_turn(self, pipe: int) -> bool:
        """Whether this one may write now."""
        ends = time.monotonic() + _TURN
        while _writers.setdefault(pipe, self) is not self:
            if time.monotonic() > ends:
                return False
            time.sleep(_TURN / 20)
        while not _lock(pipe):
            if time.monotonic() > ends:
                del _writers[pipe]
                return False
            time.sleep(_TURN / 20)
        return True

    def _feed(self, pipe: int, text: str, missing: Callable[[int], str]) -> None:
        self._drain(pipe)
        if len(self.backlog) > BACKLOG:
            self.dropped += text.count("\n")
            return
        if self.dropped:
            text = missing(self.dropped) + text
            self.dropped = 0
        self.backlog += text.encode(self.encoding, "backslashreplace")
        self._drain(pipe)

    def _drain(self, pipe: int) -> None:
        room = select.poll()
        room.register(pipe, select.POLLOUT)
        half = _writers.get(pipe) is self  # a line is half written, and this one has kept the turn
        if not room.poll(0) or not (half or self._take_turn(pipe)):
            return
        self._stream.flush()  # what the app has printed comes first
        backlog, most = self.backlog, select.PIPE_BUF
        # So much fits for certain where poll sees room, and arrives in one piece: nothing of another process
        # that writes there, a worker for example, can come between. Hence whole lines.
        while backlog and room.poll(0):
            end = backlog.rfind(b"\n", 0, most) + 1
            written = os.write(pipe, backlog[: end or most])
            half = backlog[written - 1 : written] != b"\n"
            del backlog[:written]
        if not half:
            self.end_turn()


def _lock(pipe: int) -> bool:
    """Lock it against other processes; False if one of them has done so. Not all systems can."""
    if fcntl is not None:
        try:
            fcntl.lockf(pipe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            pass  # macOS has no locks on pipes
    return True


def _unlock(pipe: int) -> None:
    if fcntl is not None:
        try:
            fcntl.lockf(pipe, fcntl.LOCK_UN)
        except OSError:
            pass  # closed, or as above


def _pipe_behind(stream: Any) -> int | None:
    """The descriptor of a pipe, terminal or socket to which `stream` writes; None for all that cannot stall.

    A file cannot, and what is no plain text file may do more with a line than to pass it on. Windows has no
    way to ask whether a pipe has room.
    """
    if type(stream) is not io.TextIOWrapper or not hasattr(select, "poll"):
        return None
    try:
        descriptor = stream.fileno()
        return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor
    except (OSError, ValueError):
        return None
