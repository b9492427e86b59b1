"""Watch: which files an app has imported, and whether they have changed.

Law: only files below the current directory or the folder of the app are watched, and only those that were
imported: by looking at them, in at most half a percent of the time, or by `watchfiles`, if that is installed.

The process that serves knows what it has imported, and another one looks. They tell each other in files of a
folder: processes come and go, and each may read what another has left.
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


class Notes:
    """What the processes tell each other: `files`, a line for each one imported; `error`, the last one."""

    def __init__(self, folder: str, target: str = "") -> None:
        self.folder = folder
        self.files, self._error = os.path.join(folder, "files"), os.path.join(folder, "error")
        self._target = target.partition(":")[0]
        self._seen: set[str] = set()
        self._count = -1

    def report(self) -> None:
        """Tell of the files imported since the last time."""
        if len(sys.modules) != self._count:
            modules = list(sys.modules.values())
            self._count = len(modules)
            self._tell(getattr(module, "__dict__", {}).get("__file__") for module in modules)

    def failed(self, text: str, error: BaseException | None = None) -> None:
        """Say why this version cannot start, and tell of the files that may have to change for it."""
        if error is not None:
            self.report()
            self._tell(files_of(error, self._roots()))
        part = f"{self._error}.{os.getpid()}"
        with open(part, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        os.replace(part, self._error)  # so that nobody reads half of it

    def error(self) -> str:
        """Why the newest version cannot start; nothing if it can."""
        try:
            with open(self._error, encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""

    def clear(self) -> None:
        """This version serves."""
        try:
            os.unlink(self._error)
        except OSError:
            pass  # there was none

    def remove(self) -> None:
        """The end of all versions."""
        try:
            for name in os.listdir(self.folder):
                os.unlink(os.path.join(self.folder, name))
            os.rmdir(self.folder)
        except OSError:
            pass  # another has removed it

    def _tell(self, files: Iterable[Any]) -> None:
        roots = self._roots()
        lines = []
        for file in files:
            if isinstance(file, str) and file not in self._seen:
                self._seen.add(file)
                path = os.path.abspath(file)
                if _is_below(path, roots) and path.isprintable():
                    modified, size = signature(path)
                    if _STARTED < modified <= time.time_ns():
                        modified, size = _CHANGED  # what was imported may be what was there before
                    lines.append(f"{modified} {size} {path}\n")
        if lines:
            with open(self.files, "a", encoding="utf-8") as out:
                out.write("".join(lines))

    def _roots(self) -> tuple[str, ...]:
        top = sys.modules.get(self._target.partition(".")[0])
        file = getattr(top, "__file__", None)
        roots = {os.getcwd(), os.path.dirname(os.path.abspath(file)) if file else os.getcwd()}
        return tuple(root.rstrip(os.sep) + os.sep for root in roots)


class Watch:
    """The files of `Notes`, and whether they have changed."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._known: dict[str, tuple[int, int]] = {}
        self._moved: dict[str, tuple[int, int]] = {}  # what differs, as it was at the last look
        self._offset = 0
        self._period = PERIOD
        self._events: Iterator[Any] | None = None
        self._fresh = False

    def wait(self, over: threading.Event) -> set[str]:
        """Wait a moment, or until something happens; then what has changed, once it is at rest."""
        if self._read() or self._fresh:
            self._events, self._fresh = self._hear(over), False
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
        self._fresh = bool(changed)  # a folder may be another one now
        return changed

    def look(self) -> set[str]:
        """The files that have changed, and have not since the last look: editors write in several steps."""
        self._read()
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

    def _read(self) -> bool:
        """Take what processes have told since the last time; whether there was anything."""
        try:
            with open(self._notes.files, encoding="utf-8") as file:
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:
            return False
        text = text[: text.rfind("\n") + 1]
        self._offset += len(text.encode())
        for line in text.splitlines():
            modified, size, path = line.split(" ", 2)
            self._known[path] = int(modified), int(size)
        return bool(text)

    def _hear(self, over: threading.Event) -> Iterator[Any] | None:
        """What `watchfiles` has to say of the files; None without it, or where it would not hear of them."""
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
        next(events, None)  # it begins with this; what changed before is looked for, as it is not told of
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
    """What changes when a file does; zeros for one that is not there."""
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
