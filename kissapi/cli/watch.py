"""Watch: the files of the modules that this process has imported, and whether they have changed.

A file counts if it lies below the current directory or the folder of the app, outside of installed packages,
and if a module was imported from it, or an error that kept the app from starting can be mended in it. Without
`watchfiles` the files are looked at, in at most half a percent of the time; with it the system tells.

`kissapi.cli.reload` waits for changes in a thread of the process that serves.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

try:
    import watchfiles
except ImportError:
    watchfiles = None  # type: ignore[assignment, unused-ignore]  # where it is not installed

PERIOD = 0.25  # seconds between two looks, at least: a change is seen before a hand is back at the mouse
REST = 0.05  # seconds that a file has not changed for, so that it is whole
SHARE = 200  # so many times as long as a look takes until the next: with 10,000 files, too

_PYTHONS = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_STARTED = time.time_ns()
_CHANGED = (-1, -1)  # the signature of a file that changed while it was being imported


class ModuleWatch:
    """The files of this process's modules, and whether they have changed.

    `target` is `module:name`: the folder of that module counts, wherever the process was started.
    """

    def __init__(self, target: str = "") -> None:
        self._package = target.partition(":")[0].partition(".")[0]
        self._modules = -1  # their number at the last look: modules come, and hardly ever go
        self._seen: set[str] = set()  # files as modules and errors spell them, also those that do not count
        self._known: dict[str, tuple[int, int]] = {}  # the files that count, as they were when they were read
        self._moved: dict[str, tuple[int, int]] = {}  # what differs, as it was at the last look
        self._period = PERIOD
        self._events: Iterator[Any] | None = None
        self._is_stale = True  # `_events` may miss files: there are new ones, or a folder was replaced

    def wait(self, over: threading.Event) -> set[str]:
        """Wait a moment, at most until `over` is set; the files that have changed and are at rest since."""
        self.add_modules()
        if self._is_stale:
            self._events, self._is_stale = self._listen(over), False
        elif not self._moved:
            if self._events is not None:
                if not next(self._events, None):
                    return set()
            else:
                over.wait(self._period)
        before = time.thread_time()
        changed = self.look()
        self._period = max(PERIOD, SHARE * (time.thread_time() - before))
        if self._moved:
            over.wait(REST)
        self._is_stale = self._is_stale or bool(changed)
        return changed

    def look(self) -> set[str]:
        """The files that have changed, and have not since the last look: editors write in several steps."""
        self.add_modules()
        before, self._moved = self._moved, {}
        for path, known in self._known.items():
            now = signature(path)
            if now != known:
                self._moved[path] = now
        if not self._moved or self._moved != before:
            return set()
        changed, self._moved = self._moved, {}
        self._known |= changed
        return set(changed)

    def add_modules(self) -> None:
        """Watch what was imported since the last time, too."""
        if len(sys.modules) != self._modules:
            modules = list(sys.modules.values())
            self._modules = len(modules)
            self._add(getattr(module, "__dict__", {}).get("__file__") for module in modules)

    def add_error(self, error: BaseException) -> None:
        """Watch the files in which `error` can be mended: a module that fails is not in `sys.modules`."""
        self.add_modules()
        self._add(files_of(error, self._roots()))
        self._is_stale = True  # what listened may have been told that it is over

    def _add(self, files: Iterable[Any]) -> None:
        roots = self._roots()
        for file in files:
            if isinstance(file, str) and file not in self._seen:
                self._seen.add(file)
                path = os.path.abspath(file)
                if path not in self._known and _is_below(path, roots):
                    found = signature(path)
                    # What was imported may be what was there before.
                    self._known[path] = _CHANGED if _STARTED < found[0] <= time.time_ns() else found
                    self._is_stale = True

    def _roots(self) -> tuple[str, ...]:
        file = getattr(sys.modules.get(self._package), "__file__", None)
        roots = {os.getcwd(), os.path.dirname(os.path.abspath(file)) if file else os.getcwd()}
        return tuple(root.rstrip(os.sep) + os.sep for root in roots)

    def _listen(self, over: threading.Event) -> Iterator[Any] | None:
        """The events of `watchfiles` for the known files; None without it, or if a folder is missing."""
        folders = {os.path.dirname(path) for path in self._known}
        if watchfiles is None or not all(map(os.path.isdir, folders)):
            return None
        events: Iterator[Any] = watchfiles.watch(
            *folders,
            watch_filter=lambda change, path: path in self._known,
            debounce=200,
            rust_timeout=int(PERIOD * 1000),
            yield_on_timeout=True,
            stop_event=over,
            raise_interrupt=False,
            recursive=False,
        )
        next(events, None)  # the watch begins here: changes before it make no event, and are looked for
        return events


def files_of(error: BaseException, roots: Iterable[str]) -> set[str]:
    """The files in which `error` may be mended: those it came through, and those that are missing."""
    files: set[str] = set()
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        todo += [each.__cause__, each.__context__]
        if isinstance(each, SyntaxError) and each.filename:
            files.add(each.filename)
        if isinstance(each, ModuleNotFoundError) and each.name:
            places = [os.path.join(root, *each.name.split(".")) for root in roots]
            files |= {place + end for place in places for end in (".py", f"{os.sep}__init__.py")}
        trace = each.__traceback__
        while trace is not None:
            files.add(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
    return files


def signature(path: str) -> tuple[int, int]:
    """What changes when a file does: its time in nanoseconds, its size; zeros for one that is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    """An environment in the folder of the app is no part of it. Where that folder lies does not matter."""
    if path.startswith(_PYTHONS):
        return False
    parts = [path[len(os.path.dirname(root[:-1])) :].split(os.sep) for root in roots if path.startswith(root)]
    return any("site-packages" not in below and "dist-packages" not in below for below in parts)
