"""Reload: `kissapi app:router --reload`: when a file that the app has imported changes, a new process serves.

Law: the last version that works goes on serving until the new one is ready, and one that cannot start leaves
it: that is `kissapi.restart`, asked for by a change in place of a signal. The first process guards, and is
the one that looks; see `kissapi.watch`. Why a version cannot start is told in the terminal, and to pages that
ask: see `kissapi.extras.reload_page`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from kissapi.extras.reload_page import attach, show_error
from kissapi.program import Program
from kissapi.restart import inheritance
from kissapi.target import TargetError, start_failure
from kissapi.watch import PERIOD, Notes, Watch

if TYPE_CHECKING:
    from kissapi.server import Server

VARIABLE = "KISSAPI_RELOAD_FOLDER"


def run(target: str, make: Callable[[], Server], make_bare: Callable[[], Server]) -> int:
    """Serve what `make` gives, and again at each change; the exit code.

    If the first version of all cannot start, what `make_bare` gives shows why, until one can.
    """
    if os.name != "posix":
        raise TargetError("--reload hands sockets from one process to the next, which this system cannot")
    guards = inheritance.line is None
    notes = Notes(_make_folder() if guards else os.environ[VARIABLE], target)
    program: Reload | None = None
    try:
        try:
            program = Reload([attach(_in_one_process(make(), guards), notes)], notes, guards)
            program.run()
        except Exception as error:
            if program is not None and program._serving:
                raise
            text = _explain(error)
            print(text, file=sys.stderr, flush=True)
            notes.failed(text, error)
            if not guards:
                return 1
            bare = _in_one_process(make_bare(), guards and program is None)
            Reload([attach(show_error(bare, notes), notes)], notes, guards, failed=True).run()
    finally:
        if guards:
            notes.remove()
    return 0


class Reload(Program):
    """A program that starts anew when a file changes; the process that `guards` is the one that looks.

    One that has `failed` serves in place of the app, and shows why.
    """

    def __init__(self, servers: list[Server], notes: Notes, guards: bool, failed: bool = False) -> None:
        super().__init__(servers)
        self._notes = notes
        self._failed = failed
        self._watch = Watch(notes) if guards else None
        self._over = threading.Event()

    def run(self) -> None:
        thread = threading.Thread(target=self._look, name="kissapi-reload", daemon=True)
        thread.start()
        try:
            super().run()
        finally:
            self._over.set()
            thread.join()

    def _look(self) -> None:
        changed: set[str] = set()
        cleared = self._failed
        while not self._over.is_set():
            self._notes.report()
            if self._serving and not cleared:
                self._notes.clear()
                cleared = True
            if self._watch is None:
                self._over.wait(PERIOD)
                continue
            changed |= self._watch.wait(self._over)
            if changed and self._serving:
                try:
                    self._loop.call_soon_threadsafe(self._begin_anew, sorted(changed))
                except RuntimeError:
                    return  # closed: it has ended this very moment
                changed = set()

    def _begin_anew(self, changed: list[str]) -> None:
        names = ", ".join(os.path.relpath(file) for file in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        log = self._say()
        log.info(f"{names}{more} changed: starting anew")
        log.flush()
        if self._next is not None:  # it starts with what was there before
            self._next.signal(signal.SIGKILL)
            self._next.process.wait()
            self._next = None
        self._notes.clear()
        self.restart()

    def _stay(self, why: str) -> None:
        if not self._notes.error():  # it had no time to say more
            self._notes.failed(why)
        super()._stay(why)


def _in_one_process(server: Server, tell: bool) -> Server:
    """Take from `server` what is for workers: each version has one process, which the next one replaces."""
    asked = ["workers"] if server.workers is not None else []
    asked += [flag for flag in ("max_requests", "max_memory") if getattr(server.limits, flag) is not None]
    if asked and tell:
        log = server._make_log()
        log.info(
            f"--reload serves in one process: {', '.join(asked)} {'are' if asked[1:] else 'is'} left out"
        )
        log.flush()
    server.workers = server.limits.max_requests = server.limits.max_memory = None
    return server


def _explain(error: Exception) -> str:
    what, text = start_failure(error)
    return f"{text}kissapi: {what}"


def _make_folder() -> str:
    import tempfile

    folder = tempfile.mkdtemp(prefix="kissapi-reload-")
    os.environ[VARIABLE] = folder  # for the processes that take over
    return folder
