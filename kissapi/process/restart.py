"""Restarts: a new process takes over the listening sockets, and only then does the old one stop accepting.

There is always a process that accepts: a successor serves before the old process stops, and if the successor
fails, the old process goes on. The first process stays as supervisor, which serves nothing, so that its
number and its exit code remain those of the service. `Program` makes one `Restarts` and tells it of signals;
`handover.py` starts the successors.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.process.handover import Handed, Successor
from kissapi.process.systemd import notify

if TYPE_CHECKING:
    from kissapi.http.interfaces import Log


class Restarts:
    """The restarts of one program, in `loop`: at most one successor serves, and at most one more starts.

    `sockets()` returns the sockets that are handed to successors. `stop_accepting()` is called when the first
    successor serves. `log()` is the log to write to.
    """

    def __init__(
        self,
        loop: Any,
        sockets: Callable[[], Handed],
        stop_accepting: Callable[[], None],
        log: Callable[[], Log],
    ) -> None:
        self.successor: Successor | None = None  # it has taken over
        self._next: Successor | None = None  # it starts, and will take over
        self._loop = loop
        self._sockets = sockets
        self._handed: Handed = []
        self._stop_accepting = stop_accepting
        self._log = log
        self._serving = False
        self._ending = False  # a signal to end has come; it may come at any moment
        self._another = False  # a restart was asked for, and waits until there can be one
        self._over = loop.create_future()  # the successor has ended, or there will be none

    def enable(self) -> None:
        """From now on the program can be restarted: it serves."""
        self._serving = True
        if self._another:
            self.request()

    def request(self) -> None:
        """Start a successor, now or as soon as there can be one."""
        if self._is_ending():
            return
        # A successor that is starting may have read the old version of the program: another follows it.
        self._another = self._next is not None or not self._serving
        if self._another:
            return
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            if not self._handed:
                self._handed = self._sockets()
            self._next = Successor(self._handed, self._loop, self._on_change)
        except (OSError, ValueError) as error:  # ValueError: a signal to end has closed the sockets
            if not self._is_ending():
                self._go_on(f"a new process cannot be started: {error}")
        else:
            if self._is_ending():  # the signal came too early to be passed on to it
                self._next.send_signal(signal.SIGTERM)

    def request_new(self) -> None:
        """Start a successor in place of one that does not serve yet, which may have read an old version."""
        if self._next is not None and not self._ending:
            self._next.send_signal(signal.SIGKILL)
            self._next.process.wait()
            self._next = None
        self.request()

    def end(self, number: int) -> None:
        """Pass on the signal to end `number`, and start no more successors. A signal handler calls this."""
        self._ending = True
        self.close_handed()  # or clients would connect, and get no answer
        for successor in (self.successor, self._next):
            if successor is not None:
                successor.send_signal(number)

    async def wait(self) -> None:
        """Wait as supervisor until the successor has ended, if there is one."""
        if self.successor is not None or self._next is not None:
            await self._over

    def exit_code(self) -> int:
        """The exit code of the successor that has taken over; 0 without one."""
        return self.successor.exit_code() or 0 if self.successor is not None else 0

    def close_handed(self) -> None:
        """Close the sockets that are kept for successors."""
        for _, socks, _ in self._handed:
            for sock in socks:
                sock.close()

    def close_inherited(self) -> None:
        """In a forked process: close what is for successors, or their end would go unnoticed."""
        for successor in (self.successor, self._next):
            if successor is not None:
                successor.close_inherited()
        self.close_handed()

    def _is_ending(self) -> bool:  # not the attribute: mypy would not see that a signal changes it
        return self._ending

    def _on_change(self, successor: Successor) -> None:
        code = successor.exit_code()
        if successor is self._next and code is not None:
            self._next = None
            if not self._ending:
                self._go_on(f"the new process ended with exit code {code} before it served")
                if self._another:
                    self.request()
            elif self.successor is None:
                self._over.set_result(None)
        elif successor is self._next and successor.ready and not self._ending:
            before, self.successor, self._next = self.successor, successor, None
            notify("READY=1", f"STATUS=process {successor.pid} serves")
            self._log().info(f"process {successor.pid} has taken over")
            if before is not None:
                before.stop_accepting()
            else:
                self._stop_accepting()
            if self._another:
                self.request()
        elif successor is self.successor and code is not None and not self._over.done():
            self._over.set_result(None)
        if successor.asks_for_new and successor in (self.successor, self._next):
            self.request_new()

    def _go_on(self, why: str) -> None:
        """A restart has failed: tell systemd that it is over, and the log why."""
        notify("READY=1", f"STATUS={why}; the old one goes on")
        log = self._log()
        log.error(f"{why}; the old one goes on")
        log.flush()
