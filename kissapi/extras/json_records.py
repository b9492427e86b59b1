"""JSON records: records of `logging` in the form of `kissapi.extras.json_log`, and all else a process says.

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO)

A line has the attributes that a record was given by `extra=`, and those of `kissapi.log.ids`. The command
line calls `speak_json` for `--log-format json`.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from typing import Any

from kissapi.extras.json_log import json_line
from kissapi.http import json_codec
from kissapi.log.ids import current_ids
from kissapi.log.tracebacks import traceback_of

__all__ = ["JsonFormatter", "speak_json"]

_IDS = ("request_id", "trace_id", "span_id")
# What every record has, and every line; the rest are facts of one.
_OWN = {*vars(logging.makeLogRecord({})), *"message asctime taskName time level logger".split()}.difference(
    _IDS
)


class JsonFormatter(logging.Formatter):
    """Makes one line of JSON of a record: `time`, `level`, `logger`, `message`, `traceback`, and its facts.

    A fact that JSON cannot say stands as its `repr`.

        handler.setFormatter(JsonFormatter())
    """

    def format(self, record: logging.LogRecord) -> str:
        try:
            message = record.getMessage()
        except Exception:  # logging would write a traceback in place of the line
            message = f"{record.msg!r} % {record.args!r}"
        facts = {name: value for name, value in vars(record).items() if name not in _OWN}
        for name in _IDS:
            if facts.get(name) == "-":  # outside of a request
                del facts[name]
        if record.exc_info and record.exc_info[1] is not None:
            facts["traceback"] = traceback_of(record.exc_info[1])
        elif record.exc_text:  # a QueueHandler has made text of it
            facts["traceback"] = record.exc_text
        if record.stack_info:
            facts["stack"] = record.stack_info
        return _line(record.created, record.levelname, record.name, message, facts)


def _line(moment: float, level: str, logger: str, message: str, facts: dict[str, Any]) -> str:
    try:
        return json_line(moment, level, logger, message, facts)[:-1]
    except Exception:  # whatever an object of the app raises while it is looked at
        return json_line(moment, level, logger, message, {name: _told(facts[name]) for name in facts})[:-1]


def _told(value: Any) -> Any:
    try:
        json_codec.to_json(value)
        return value
    except Exception:
        pass  # then its repr, of which the same is true
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, and its repr raises {type(error).__name__}>"


def write_json(level: str, logger: str, message: str, trace: str = "") -> None:
    """Write a line to standard error, where what cannot be in a log goes: it has not begun, or has ended."""
    facts: dict[str, Any] = {**current_ids(), **({"traceback": trace} if trace else {})}
    stream = sys.stderr
    if stream is None:
        return  # a process without it has nowhere to say it
    try:
        stream.write(json_line(time.time(), level, logger, message, facts))
        stream.flush()
    except (OSError, ValueError):
        pass  # closed: likewise, and a warning must not fail what warns


def speak_json() -> None:
    """From now on all that Python itself writes to standard error is JSON: records, warnings, errors.

    Records are those that no handler of the app takes: of WARNING and above. What the app prints, and what
    its own handlers write, stays as it is. For a program that the command line does not start:

        speak_json()
        Server(router=router, logger=JsonLog).loop()
    """
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(JsonFormatter())

    def on_warning(
        message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        write_json("WARNING", "py.warnings", f"{filename}:{lineno}: {category.__name__}: {message}")

    def on_error(kind: Any, error: BaseException, *_: Any) -> None:
        write_json("ERROR", "kissapi", f"uncaught {kind.__name__}", traceback_of(error))

    def on_thread_error(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            name = args.thread.name if args.thread is not None else "a thread"
            write_json(
                "ERROR", "kissapi", f"{name} ended by {args.exc_type.__name__}", traceback_of(args.exc_value)
            )

    def on_unraisable(args: Any) -> None:
        trace = traceback_of(args.exc_value) if args.exc_value is not None else ""
        write_json("ERROR", "kissapi", f"{args.err_msg or 'Exception ignored in'}: {args.object!r}", trace)

    warnings.showwarning = on_warning
    sys.excepthook = on_error
    threading.excepthook = on_thread_error
    sys.unraisablehook = on_unraisable
