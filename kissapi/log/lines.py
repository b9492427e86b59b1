"""Log: lines for people.

A log that cannot be written never costs a request. Lines are gathered and written once per tick or 64 KiB (on
a terminal at once): one call of `logging` per request would cost more than the request.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING

from kissapi.log.ids import current_ids, tag
from kissapi.log.output import LAST_WORDS, Output
from kissapi.log.terminal import is_terminal, painter
from kissapi.log.text import escape, failed, missing, unanswered
from kissapi.log.tracebacks import foreign_await, traceback_of

if TYPE_CHECKING:
    from kissapi.log.text import Answered, LoggedRequest

BATCH = 256  # answers that get their lines at one go: a tenth of a millisecond
GATHER = 64 * 1024  # characters
_TOOK = [f"{tenths / 10:.1f}ms\n" for tenths in range(100)]  # formatting one costs as much as the rest
_COLOURS = {1: "CYAN", 2: "GREEN", 3: "CYAN", 4: "YELLOW", 5: "RED"}  # by the first digit of the status


class Log:
    """Writes to `stream`, standard output by default, in colour if that is a terminal."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        paint = painter(stream if stream is not None else sys.stdout)
        # Only now: on an old Windows console colorama has put a sys.stdout of its own there.
        stream = stream if stream is not None else sys.stdout
        self._output = Output(stream)
        self._entries: list[
            tuple[str, str, Mapping[str, str], int, int, float]
        ] = []  # answers without a line yet
        self._lines: list[str] = []
        self._size = 0
        self._at_once = is_terminal(stream)
        self._arrow = "→" if "→".encode(self._output.encoding, "replace") != b"?" else "->"
        self._levels = {
            level: f"[{paint(colour, level)}]"
            for level, colour in (("INFO", "GREEN"), ("WARNING", "YELLOW"), ("ERROR", "RED"))
        }
        self._paint = paint
        self._statuses: dict[int, str] = {}  # painted, of those that have been answered
        self._prefix = ""
        self.tick()

    def tick(self) -> None:
        """A new second, perhaps: write what was gathered."""
        self._format()
        self._prefix = f"{time.strftime('%H:%M:%S')} {self._levels['INFO']} "
        self.flush()

    def answered(self, answers: Answered, now: float) -> None:
        """One line for each (request, status, bytes of body, start) answered by `now`; empties the list."""
        entries = self._entries
        for request, status, size, start in answers:
            entries.append((request.method, request.path, request._log_ids, status, size, now - start))
        answers.clear()
        # Formatting in batches is twice as fast as one by one.
        if self._at_once or len(entries) >= BATCH:
            self._format()
            if self._at_once or self._size > GATHER:
                self.flush()

    def _format(self) -> None:
        prefix, arrow, statuses, lines = self._prefix, self._arrow, self._statuses, self._lines
        entries, self._entries = self._entries, []  # first: one that cannot be written must not come again
        for method, path, ids, status, size, seconds in entries:
            what = f"{method} {path}{tag(ids)}" if ids else f"{method} {path}"
            if not what.isprintable():
                what = escape(what)
            tenths = int(seconds * 10_000 + 0.5)
            took = _TOOK[tenths] if tenths < len(_TOOK) else f"{tenths / 10:.1f}ms\n"
            line = f"{prefix}{what} {arrow} {statuses.get(status) or self._painted(status)} {size}B {took}"
            lines.append(line)
            self._size += len(line)

    def _painted(self, status: int) -> str:
        text: str = self._paint(_COLOURS[status // 100], str(status))
        self._statuses[status] = text
        return text

    def unanswered(self, request: LoggedRequest, why: str, seconds: float) -> None:
        """The answer was not completed, because of `why`."""
        self._about(request, "INFO", escape(unanswered(request, why, seconds, self._arrow)))

    def info(self, text: str) -> None:
        """A line of level INFO."""
        self._tell("INFO", text, current_ids())

    def warning(self, text: str) -> None:
        """A line of level WARNING."""
        self._tell("WARNING", escape(text), current_ids())

    def error(self, text: str, error: BaseException | None = None) -> None:
        """A line of level ERROR, and the traceback of `error` below it."""
        self._tell("ERROR", text, current_ids(), error)

    def failure(self, request: LoggedRequest, handler: str, error: BaseException) -> None:
        """A handler or hook has raised `error`."""
        what = escape(failed(request, handler, error))
        advice = foreign_await(error)
        if advice is not None:
            self._about(request, "ERROR", f"{what}: {advice}")
        else:
            self._about(request, "ERROR", what, error)

    def flush(self) -> None:
        """Write what was gathered; to a pipe, as much as it takes at once."""
        self._format()
        if not self._lines and not self._output.backlog:
            return
        text = "".join(self._lines)
        self._lines.clear()
        self._size = 0
        self._output.write(text, self._missing)

    def finish(self) -> None:
        """The server ends: write all there is, and give a slow reader a moment to take it."""
        deadline = time.monotonic() + LAST_WORDS
        self.flush()
        while self._output.backlog and time.monotonic() < deadline:
            time.sleep(0.01)
            self.flush()
        self._output.end_turn()  # of a line that a reader has not taken to its end

    def _missing(self, lines: int) -> str:
        return f"{time.strftime('%H:%M:%S')} {self._levels['WARNING']} {missing(lines)}\n"

    def _about(
        self, request: LoggedRequest, level: str, text: str, error: BaseException | None = None
    ) -> None:
        """A line about `request`, perhaps after its end; `text` tells its id."""
        self._tell(level, text, {}, error)

    def _tell(
        self, level: str, text: str, ids: Mapping[str, str], error: BaseException | None = None
    ) -> None:
        """A line, while a request of these `ids` runs."""
        trace = f"\n{traceback_of(error)}" if error is not None else ""
        self._line(level, f"{text}{escape(tag(ids))}{trace}")

    def _line(self, level: str, text: str) -> None:
        self._format()
        self._lines.append(f"{time.strftime('%H:%M:%S')} {self._levels[level]} {text}\n")
        self.tick()  # no line after this one may bear an earlier time
