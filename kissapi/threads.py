"""Threads: a few worker threads, started when there is work and none is free. The one door to contextvars.

concurrent.futures is not used: small Python builds lack it, and its futures cost a lock and a condition each.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from kissapi.limits import Limits

try:
    from contextvars import copy_context
except ImportError:
    from kissapi.compat.contextvars import copy_context  # type: ignore[assignment]
try:
    from queue import SimpleQueue
except ImportError:
    from kissapi.compat.queue import SimpleQueue  # type: ignore[assignment]

__all__ = ["Threads", "copy_context"]


class Threads:
    """Runs calls in at most `limit` threads; further calls wait in a queue."""

    def __init__(self, limit: int = Limits.max_threads) -> None:
        self.limit = limit
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._alive = 0
        self._free = 0  # threads that wait, less the calls on their way to them

    def submit(self, call: Callable[[], None]) -> None:
        """Run `call`, which raises nothing, as soon as a thread is free; here and now if none can be had."""
        with self._lock:
            self._free -= 1
            if self._free < 0 and self._alive < self.limit:
                self._start()
            alive = self._alive
            if not alive:
                self._free += 1
        if alive:
            self._calls.put(call)
        else:
            call()

    def _start(self) -> None:
        # Daemons: a handler that blocks for ever must not keep a stopped server from ending.
        thread = threading.Thread(target=self._work, name=f"kissapi-{self._alive + 1}", daemon=True)
        try:
            thread.start()
            self._alive += 1
        except RuntimeError:
            pass  # a Python without threads, or a system that has no more of them

    def _work(self) -> None:
        while True:
            with self._lock:
                self._free += 1
            call = self._calls.get()
            call()
            del call  # an idle thread keeps nothing of the last request alive
