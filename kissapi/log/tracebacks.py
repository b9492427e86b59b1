"""Tracebacks, as text: of all frames for the log, or of the app's alone; which files are the app's.

A file is kissapi's, Python's, installed (a package), or the app's. The command line trims what an app raises
while it is imported with `traceback_text`, the debug page opens the steps of the app with `is_the_apps`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kissapi.log.text import escape

if TYPE_CHECKING:
    from traceback import TracebackException

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PYTHONS = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_IMPORT = os.path.join(_PYTHONS, "importlib") + os.sep


def traceback_of(error: BaseException) -> str:
    """The traceback of `error`, each line escaped."""
    try:
        import traceback  # costs 3 ms and 0.2 MiB, and most servers never need it
    except (ImportError, OSError):
        # Python shuts down; or the process has as many files as it may, which may be the error, too.
        lines = _plain_lines(error)
    else:
        lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
    return "\n".join(map(escape, lines))  # the message of an error often has in it what a client sent


def _plain_lines(error: BaseException) -> list[str]:
    """The traceback of `error` alone, without lines of the source."""
    lines = ["Traceback (most recent call last):"]
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}')
        trace = trace.tb_next
    return [*lines, *f"{type(error).__name__}: {error}".split("\n")]


def traceback_text(error: BaseException) -> str:
    """The traceback of `error` from the app's first frame on; "" if no frame is the app's.

    Left out are the frames of kissapi and of Python's import, and what calls the app's first frame, such as
    asyncio. A SyntaxError always has a traceback: the file in it is the app's.
    """
    import traceback  # costs 3 ms, and most servers never need it

    whole = traceback.TracebackException.from_exception(error)
    theirs = _trim(whole)
    return "".join(whole.format()) if theirs or isinstance(error, SyntaxError) else ""


def is_the_apps(file: str) -> bool:
    """Whether `file` is neither kissapi's nor installed.

    Only `sys.path` says where packages are installed: an app may lie in a folder of any name.
    """
    installed = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
    return not file.startswith((_OURS, *(path + os.sep for path in installed)))


def _trim(error: TracebackException | None) -> bool:
    """Take kissapi's frames out of `error` and what it comes from; whether any frame of the app is left."""
    if error is None:
        return False
    stack = [frame for frame in error.stack if not _is_ours(frame.filename)]
    while stack and _is_pythons(stack[0].filename):  # what called the app: asyncio, perhaps
        del stack[0]
    error.stack[:] = stack
    above = [_trim(error.__cause__), _trim(error.__context__)]
    return bool(stack) or any(above)


def _is_ours(file: str) -> bool:
    return file.startswith((_OURS, _IMPORT, "<frozen "))


def _is_pythons(file: str) -> bool:
    return file.startswith(_PYTHONS) and f"{os.sep}site-packages{os.sep}" not in file


def foreign_await(error: BaseException) -> str | None:
    """The advice if `error` comes of awaiting what is asyncio's where no asyncio runs; else None."""
    ours = sys.modules.get("kissapi.backends.tasks")
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
