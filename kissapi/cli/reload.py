"""Reload: `kissapi app:router --reload`: when a module of the app changes, a new process serves.

The process that serves watches the files of its own modules and asks its program for a restart: that is the
handover of `kissapi.process.handover`, so the last version that works goes on until the new one is ready.

A version that cannot start says why in the terminal and waits for a change as well, since only it knows the
modules that it has imported. After the change the first version restarts itself in the same process; a later
one asks its supervisor for a new process, like the one that serves.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from kissapi.cli.app_import import StartError, start_failure
from kissapi.cli.diagnostics import say
from kissapi.cli.watch import PERIOD, ModuleWatch
from kissapi.process import signals
from kissapi.process.handover import inherited
from kissapi.process.program import Program

if TYPE_CHECKING:
    from kissapi.server import Server

# Seconds that a later version that does not serve leaves the one that does to ask first: most changes are in
# files of both, and two restarts for one change would only cost time.
GRACE = 2 * PERIOD


def run(target: str, make: Callable[[], Server]) -> int:
    """Serve what `make` gives, and a new version at each change; the exit code.

    `target` is the `module:name` of the command line. Raises `StartError` on a system that cannot hand
    sockets to another process.
    """
    if os.name != "posix":
        raise StartError("--reload hands sockets from one process to the next, which this system cannot")
    # Bytecode knows its source by size and whole seconds: a second change within one would not be seen.
    sys.dont_write_bytecode = True
    reload = Reload(target)
    program: Program | None = None
    try:
        program = Program([_in_one_process(make(), tell=reload.is_first)])
        reload.serve(program)
        return 0
    except Exception as error:
        if program is not None and program.serving:
            raise
        return reload.wait_for_change(error)


class Reload:
    """One version of the app, in its process: what it watches, and what follows from a change."""

    def __init__(self, target: str) -> None:
        self.is_first = inherited.line is None
        self._watch = ModuleWatch(target)
        self._changed: set[str] = set()  # files, since the last request
        self._folder = os.getcwd()  # where the command was given: the app may go elsewhere

    def serve(self, program: Program) -> None:
        """Run `program`, and request a restart of it at each change."""
        with _in_thread(lambda over: self._request_restarts(program, over)):
            program.run()

    def _request_restarts(self, program: Program, over: threading.Event) -> None:
        while not over.is_set():
            self._changed |= self._watch.wait(over)
            if not self._changed:
                continue
            if not program.serving and (self.is_first or over.wait(GRACE)):
                continue  # the first one has no supervisor to ask: it serves first, or waits for a change
            if not program.request_restart(f"{self._names()} changed"):
                return  # another version serves, and watches
            self._changed.clear()

    def wait_for_change(self, error: Exception) -> int:
        """Say that `error` keeps this version from starting, and have another one tried at a change.

        Returns the exit code if a signal, or the end of the supervisor, comes before a change does.
        """
        self._watch.add_error(error)
        what, text = start_failure(error)
        then = "waiting for a change" if self.is_first else "the old one goes on"
        try:
            for number in signals.of(signals.END):
                signals.install(number, _interrupt)
            signals.defer_restarts()
            say(f"{what}; {then}", text)
            if not self._has_changed():
                return 0
            if self.is_first:
                self._restart_in_place()
            time.sleep(GRACE)
            self._say_changed()
            inherited.ask_for_new()
            while inherited.is_told_to_stop_accepting() is not None:
                time.sleep(PERIOD)  # the supervisor ends this process
        except KeyboardInterrupt:
            pass
        return 0

    def _has_changed(self) -> bool:
        """Wait until a file changes, or a signal asks for a restart; False if the supervisor ends first."""
        found = threading.Event()

        def look(over: threading.Event) -> None:
            while not self._changed and not over.is_set():
                self._changed |= self._watch.wait(over)
            found.set()

        # In a thread: signals interrupt the main one only, and watchfiles would swallow what they raise.
        with _in_thread(look):
            while not found.wait(PERIOD) and not signals.deferred:
                if not self.is_first and inherited.is_told_to_stop_accepting() is None:
                    return False
        return True

    def _restart_in_place(self) -> NoReturn:
        self._say_changed()
        os.chdir(self._folder)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])

    def _say_changed(self) -> None:
        if self._changed:
            say(f"{self._names()} changed: restarting", level="INFO")

    def _names(self) -> str:
        changed = sorted(self._changed)
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        return ", ".join(map(os.path.relpath, changed[:3])) + more


@contextmanager
def _in_thread(look: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `look(over)` in a thread until the body ends, which sets `over`."""
    over = threading.Event()
    thread = threading.Thread(target=look, args=(over,), name="kissapi-reload", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _in_one_process(server: Server, tell: bool) -> Server:
    """Take from `server` what is for workers: each version has one process, which the next one replaces."""
    asked = ["workers"] if server.workers is not None else []
    asked += [flag for flag in ("max_requests", "max_memory") if getattr(server.limits, flag) is not None]
    if asked and tell:
        log = server.settings.make_log()
        log.info(
            f"--reload serves in one process: {', '.join(asked)} {'are' if asked[1:] else 'is'} left out"
        )
        log.flush()
    server.settings = server.settings.replace(workers=None, max_requests=None, max_memory=None)
    return server


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
