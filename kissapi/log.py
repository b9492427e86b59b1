"""Log: lines for people: `12:35:01 [INFO] GET / → 200 13B 0.2ms`. The one door to colorama.

Law: a log that cannot be written never costs a request. Lines are gathered and written once per tick or
64 KiB (on a terminal at once): one call of `logging` per request would cost more than the request.

A pipe that nobody reads, or a terminal held by Ctrl-S, would stop the loop, and with it every client, at the
first write it has no room for. So there a piece is written only when the system says that it fits; the rest
waits in a backlog of bounded size, and what comes while that is full is counted, and told of in its place. A
thread that writes would do as well, but then our lines and what the app prints would lose their order.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import time
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logging import Logger

    from kissapi.request import Request

    Answered = list[tuple[Request, int, int, float]]

BATCH = 256  # answers whose lines are made at one go: a tenth of a millisecond
_TOOK = [f"{tenths / 10:.1f}ms\n" for tenths in range(100)]  # formatting one costs as much as the rest
GATHER = 64 * 1024  # characters
BACKLOG = 1024 * 1024  # bytes kept for a reader that is slow: about 20,000 lines
LAST_WORDS = 1.0  # seconds such a reader is given when the server ends


class Log:
    """Writes to `stream`, standard output by default, in colour if that is a terminal."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        paint = _painter(stream if stream is not None else sys.stdout)
        # Only now: on an old Windows console colorama has put a sys.stdout of its own there.
        self._stream = stream if stream is not None else sys.stdout
        self._entries: list[tuple[str, str, int, int, float]] = []  # lines to be, see `answered`
        self._lines: list[str] = []
        self._size = 0
        self._at_once = _is_terminal(self._stream)
        self._pipe = _pipe_behind(self._stream)
        self._backlog = bytearray()  # what the pipe has not taken yet
        self._dropped = 0  # lines, since the backlog was full
        self._encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._arrow = "→" if "→".encode(self._encoding, "replace") != b"?" else "->"
        self._levels = {
            level: f"[{paint(colour, level)}]"
            for level, colour in (("INFO", "GREEN"), ("WARNING", "YELLOW"), ("ERROR", "RED"))
        }
        colours = {1: "CYAN", 2: "GREEN", 3: "CYAN", 4: "YELLOW", 5: "RED"}
        self._statuses = {status: paint(colours[status // 100], str(status)) for status in range(100, 600)}
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
            entries.append((request.method, request.path, status, size, now - start))
        answers.clear()
        # Many at once cost half of one by one, for then the processor knows the way.
        if self._at_once or len(entries) >= BATCH:
            self._format()
            if self._at_once or self._size > GATHER:
                self.flush()

    def _format(self) -> None:
        prefix, arrow, statuses, lines = self._prefix, self._arrow, self._statuses, self._lines
        entries, self._entries = self._entries, []  # first: one that cannot be written must not come again
        for method, path, status, size, seconds in entries:
            what = f"{method} {path}"
            if not what.isprintable():
                what = escape(what)
            tenths = int(seconds * 10_000 + 0.5)
            took = _TOOK[tenths] if tenths < len(_TOOK) else f"{tenths / 10:.1f}ms\n"
            line = f"{prefix}{what} {arrow} {statuses[status]} {size}B {took}"
            lines.append(line)
            self._size += len(line)

    def unanswered(self, request: Request, why: str, seconds: float) -> None:
        """The answer was not completed, because of `why`."""
        what = escape(f"{request.method} {request.path}")
        self.info(f"{what} {self._arrow} {why} after {seconds * 1000:.1f}ms")

    def info(self, text: str) -> None:
        """A line of level INFO."""
        self._line("INFO", text)

    def warning(self, text: str) -> None:
        """A line of level WARNING."""
        self._line("WARNING", escape(text))

    def error(self, text: str, error: BaseException | None = None) -> None:
        """A line of level ERROR, and the traceback of `error` below it."""
        self._line("ERROR", text if error is None else f"{text}\n{traceback_of(error)}")

    def failure(self, request: Request, handler: str, error: BaseException) -> None:
        """A handler or hook has raised `error`."""
        what = f"{escape(f'{request.method} {request.path}')}: {handler} raised {type(error).__name__}"
        advice = foreign_await(error)
        if advice is not None:
            self.error(f"{what}: {advice}")
        else:
            self.error(what, error)

    def flush(self) -> None:
        """Write what was gathered; to a pipe, as much as it takes at once."""
        self._format()
        if not self._lines and not self._backlog:
            return
        text = "".join(self._lines)
        self._lines.clear()
        self._size = 0
        try:
            if self._pipe is not None:
                self._feed(self._pipe, text)
                return
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._stream.write(text.encode(self._encoding, "backslashreplace").decode(self._encoding))
            self._stream.flush()
        except (OSError, ValueError, AttributeError):
            # Closed, full, gone, never there (None): nowhere to say so, and requests must be answered.
            self._backlog.clear()

    def finish(self) -> None:
        """The server ends: write all there is, and give a slow reader a moment to take it."""
        deadline = time.monotonic() + LAST_WORDS
        self.flush()
        while self._backlog and time.monotonic() < deadline:
            time.sleep(0.01)
            self.flush()

    def _feed(self, pipe: int, text: str) -> None:
        self._drain(pipe)
        if len(self._backlog) > BACKLOG:
            self._dropped += text.count("\n")
            return
        if self._dropped:
            text = self._missing(self._dropped) + text
            self._dropped = 0
        self._backlog += text.encode(self._encoding, "backslashreplace")
        self._drain(pipe)

    def _drain(self, pipe: int) -> None:
        room = select.poll()
        room.register(pipe, select.POLLOUT)
        if not room.poll(0):
            return
        self._stream.flush()  # what the app has printed comes first
        backlog, most = self._backlog, select.PIPE_BUF
        # So much fits for certain where poll sees room, and arrives in one piece: nothing of another process
        # that writes there, a worker for example, can come between. Hence whole lines.
        while backlog and room.poll(0):
            end = backlog.rfind(b"\n", 0, most) + 1
            del backlog[: os.write(pipe, backlog[: end or most])]

    def _missing(self, lines: int) -> str:
        return f"{time.strftime('%H:%M:%S')} {self._levels['WARNING']} {missing(lines)}\n"

    def _line(self, level: str, text: str) -> None:
        self._format()
        self._lines.append(f"{time.strftime('%H:%M:%S')} {self._levels[level]} {text}\n")
        self.tick()  # no line after this one may bear an earlier time


class LoggerLog(Log):
    """Hands every line to a `logging.Logger` of the user's, with the facts of a request in `extra`."""

    def __init__(self, logger: Logger) -> None:
        self.logger = logger
        self._arrow = "→"

    def tick(self) -> None:
        pass

    def flush(self) -> None:
        pass

    def finish(self) -> None:
        pass

    def answered(self, answers: Answered, now: float) -> None:
        for request, status, size, start in answers:
            milliseconds = (now - start) * 1000
            facts = {
                "method": escape(request.method),
                "path": escape(request.path),
                "status": status,
                "size": size,
                "milliseconds": milliseconds,
                "client": request.client,
            }
            line = "%(method)s %(path)s → %(status)d %(size)dB %(milliseconds).1fms"
            self.logger.info(line, facts, extra=facts)
        answers.clear()

    def error(self, text: str, error: BaseException | None = None) -> None:
        self.logger.error("%s", text, exc_info=error)

    def _line(self, level: str, text: str) -> None:
        getattr(self.logger, level.lower())("%s", text)


def escape(text: str) -> str:
    """`text` on one line of printable characters: no client may forge lines or move the cursor."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def missing(lines: int) -> str:
    """What stands in place of lines that found no room."""
    return f"nobody reads this log fast enough: {lines} lines are missing here"


def foreign_await(error: BaseException) -> str | None:
    """What to say if `error` comes of awaiting what is asyncio's where no asyncio runs; else None."""
    ours = sys.modules.get("kissapi.backends.loop")
    if ours is not None and isinstance(error, ours.ForeignAwait):
        return str(error)
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is not None:
        return None
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] == "asyncio":
            return (
                f"{module}.{frame.f_code.co_qualname} needs asyncio, and this server runs on selectors: "
                "use kissapi.sleep, kissapi.to_thread"
            )
        trace = trace.tb_next
    if type(error) is RuntimeError and str(error) == "no running event loop":  # asked in C: no frame to see
        return "a running asyncio loop was asked for, and this server runs on selectors: use kissapi.sleep"
    return None


def traceback_of(error: BaseException) -> str:
    """The traceback of `error`, each line escaped."""
    import traceback  # costs 3 ms, and most servers never need it

    lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
    return "\n".join(map(escape, lines))  # the message of an error often has in it what a client sent


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


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


def wants_colour(stream: Any, environ: Any = os.environ) -> bool:
    """Whether to colour: PYTHON_COLORS, NO_COLOR, FORCE_COLOR decide, as for CPython; else on a terminal."""
    if environ.get("PYTHON_COLORS") in ("0", "1"):
        return bool(environ["PYTHON_COLORS"] == "1")
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return environ.get("TERM") != "dumb" and _is_terminal(stream)


def _painter(stream: Any) -> Any:
    if not wants_colour(stream):
        return lambda colour, text: text
    try:
        import colorama
    except ImportError:
        from kissapi.compat import colorama
    colorama.just_fix_windows_console()
    return lambda colour, text: getattr(colorama.Fore, colour) + text + colorama.Style.RESET_ALL
