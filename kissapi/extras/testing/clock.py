"""Clock: the time of the client's loop: virtual, or real.

Virtual time passes only while the loop has nothing to do, and then at once.

The selector sees events of descriptors. It cannot see what a thread of the app (aiosqlite has one for each
connection) is about to do: the thread sleeps because it is idle, or because it has not yet woken for what was
put in its queue a moment ago. If virtual time simply passed, a timeout of an hour would strike before that
thread had taken its first step. So where there are such threads, they get a moment of real time before the
clock goes on, once after each step of the app. Where there are none, nothing waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import ceil
from weakref import WeakSet

from kissapi.backends.clock import elapsed

# Real seconds. SQLite in memory takes a millisecond; what takes longer than this needs the real clock. A test
# pays it for each virtual sleep, but only while a thread of the app is alive.
GRACE = 0.5

Wait = Callable[[float], bool]  # waits at most so many real seconds; gives whether something has come

# Threads that have called the loop of a client before: those of an executor in a module outlive the client
# that they were started for, and serve the next one.
_callers: WeakSet[threading.Thread] = WeakSet()


class Clock:
    """The real clock: every second takes a second."""

    patience = 30.0  # seconds that a test waits for an answer
    hint = ""  # what to try after that

    def time(self) -> float:
        return elapsed()

    def stepped(self) -> None:
        """The app has had a turn: it may have given a thread something to do."""

    def called(self) -> None:
        """This thread, not the loop's, has called the loop."""

    def go_on(self, until: float, wait: Wait, *, watched: bool) -> None:
        """Advance to `until`, or less if something comes from outside. `watched`: the app has descriptors."""
        wait(until - self.time())


class VirtualClock(Clock):
    """A clock that the loop moves."""

    patience = 3600.0
    hint = f' For a thread of its own, which gets {GRACE} s of real time: Client(app, clock="real").'

    # Apps keep times from one client to the next, and from before the first: a clock never goes back. A whole
    # number of seconds, and as a rule the same one: else rounding would differ from run to run.
    latest = 1000.0

    def __init__(self) -> None:
        self.now = float(max(ceil(VirtualClock.latest), ceil(elapsed())))
        self._home = threading.current_thread()
        self._before = WeakSet(threading.enumerate())  # with those of test runners and debuggers
        self._silent = False  # the threads have had their moment since the last step of the app

    def time(self) -> float:
        return self.now

    def stepped(self) -> None:
        self._silent = False

    def called(self) -> None:
        thread = threading.current_thread()
        if thread is not self._home:
            _callers.add(thread)

    def go_on(self, until: float, wait: Wait, *, watched: bool) -> None:
        seconds = until - self.now
        if watched:  # descriptors are real, and so is the time that they take
            start = time.monotonic()
            came = wait(seconds)
            self.now += min(seconds, time.monotonic() - start) if came else seconds
        elif self._silent or not self._has_threads() or not wait(GRACE):
            self._silent = True
            self.now = until
        VirtualClock.latest = max(VirtualClock.latest, self.now)

    def _has_threads(self) -> bool:
        """Whether the app has threads of its own."""
        return any(
            thread is not self._home and (thread not in self._before or thread in _callers)
            for thread in threading.enumerate()
        )


def make_clock(kind: str) -> Clock:
    """The clock of the name `kind`. Raises `ValueError` for an unknown name."""
    if kind not in ("virtual", "real"):
        raise ValueError(f'clock must be "virtual" or "real", not {kind!r}')
    return VirtualClock() if kind == "virtual" else Clock()
