"""Watchdog: finds workers that hang, which it kills, and workers that have too much memory."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.process.line import PING

if TYPE_CHECKING:
    from kissapi.http.interfaces import Log
    from kissapi.process.worker_handle import WorkerHandle

PINGS = 3  # a worker that answers none of so many hangs
PERIOD = 1.0  # seconds between two looks at the memory of the workers


class Watchdog:
    """Looks after `workers`, the list of a master, in its loop.

    A worker that does not answer for `timeout` seconds is killed; `replace(worker, why)` is called for one
    that has more than `max_memory` bytes.
    """

    def __init__(
        self,
        workers: list[WorkerHandle],
        loop: Any,
        log: Log,
        timeout: float,
        max_memory: int | None,
        replace: Callable[[WorkerHandle, str], None],
    ) -> None:
        self._workers = workers
        self._loop = loop
        self._log = log
        self._timeout = timeout
        self._max_memory = max_memory
        self._replace = replace
        self._all_end = False
        self._timers: dict[str, Any] = {}

    def check_own_memory(self) -> None:
        """Raise `SystemExit` if `max_memory` cannot be kept, or is less than every worker will have."""
        if self._max_memory is None:
            return
        memory = memory_of(os.getpid())
        if memory is None:
            raise SystemExit("kissapi: max_memory needs /proc, which is not there; max_requests does not")
        if memory >= self._max_memory:
            raise SystemExit(
                f"kissapi: max_memory={self._max_memory} is less than this program has at its start: {memory}"
            )

    def ping(self) -> None:
        """Ping each worker and kill those that hang, now and periodically until `stop`."""
        period = max(0.02, self._timeout / PINGS)
        self._timers["ping"] = self._loop.call_later(period, self.ping)
        for worker in self._workers:
            # A start may take as long as it needs, unless all are to end.
            if worker.silent >= PINGS and (worker.ready or self._all_end):
                self._log.error(f"worker {worker.pid} has not answered for {self._timeout:g} s: killed")
                os.kill(worker.pid, signal.SIGKILL)
            elif worker.silent == PINGS:
                self._log.warning(f"worker {worker.pid} has not begun to serve for {self._timeout:g} s")
            worker.silent += 1
            if worker.silent <= PINGS:
                worker.tell(PING)

    def check_memory(self) -> None:
        """Replace each worker that has too much memory, now and periodically until `stop`."""
        if self._max_memory is None:
            return
        self._timers["memory"] = self._loop.call_later(PERIOD, self.check_memory)
        for worker in tuple(self._workers):
            memory = memory_of(worker.pid) or 0
            if worker.ready and memory > self._max_memory:
                self._replace(worker, f"has {memory / (1 << 20):.0f} MiB of memory")

    def all_end(self) -> None:
        """All workers are to end: from now on one that does not answer while it starts is killed, too."""
        self._all_end = True

    def stop(self) -> None:
        """End the periodic checks."""
        for timer in self._timers.values():
            timer.cancel()


def memory_of(pid: int) -> int | None:
    """Bytes of memory that a process has, shared pages included; None where the system does not tell."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
