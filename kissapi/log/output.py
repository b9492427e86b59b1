"""Output: writes text to a stream, and never waits for its reader.

A pipe that is not read, or a terminal held by Ctrl-S, would stop the loop, and with it every client, at the
first write it has no room for. So there a piece is written only when the system says that it fits. The rest
waits in a backlog of bounded size; what comes while that is full is dropped, and the number of dropped lines
is logged in its place. A thread that writes would do as well, but then the lines of the log and what the app
prints would lose their order.
"""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Callable
from typing import IO, Any

BACKLOG = 1024 * 1024  # bytes kept for a reader that is slow: about 20,000 lines
LAST_WORDS = 1.0  # seconds such a reader is given when the server ends


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
        if not room.poll(0):
            return
        self._stream.flush()  # what the app has printed comes first
        backlog, most = self.backlog, select.PIPE_BUF
        # So much fits for certain where poll sees room, and arrives in one piece: nothing of another process
        # that writes there, a worker for example, can come between. Hence whole lines.
        while backlog and room.poll(0):
            end = backlog.rfind(b"\n", 0, most) + 1
            del backlog[: os.write(pipe, backlog[: end or most])]


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
