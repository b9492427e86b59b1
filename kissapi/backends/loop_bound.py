"""LoopBound: what belongs to the event loop that first awaits it, such as an event or a queue."""

from __future__ import annotations

import threading
from typing import Any

from kissapi.backends.awaitables import running_loop


class LoopBound:
    """An object of one loop; when that has been closed, of the next that awaits it."""

    _loop: Any = None
    _thread = 0

    def _bind(self) -> Any:
        """The running loop, to which it belongs from now on. Raises `RuntimeError` if it is another's."""
        loop = running_loop()
        if self._loop is not loop:
            if self._is_bound():
                raise RuntimeError(
                    f"this {type(self).__name__} belongs to another event loop, which has awaited it: with "
                    "loops=… each needs one of its own, made in on_start: "
                    f"app.name = kissapi.{type(self).__name__}()"
                )
            self._forget_waiters()
            self._loop = loop
            self._thread = threading.get_ident()
        return loop

    def _check_thread(self) -> None:
        """Raise `RuntimeError` outside the thread of its loop, which would not wake for it."""
        if self._thread != threading.get_ident() and self._is_bound():
            raise RuntimeError(
                f"this {type(self).__name__} belongs to the event loop of another thread: use it there, "
                "in an async def"
            )

    def _is_bound(self) -> bool:
        return self._loop is not None and not self._loop.is_closed()

    def _forget_waiters(self) -> None:
        """Its loop has been closed: what waited there waits no more."""
        raise NotImplementedError


def wake_next(waiters: Any) -> None:
    """End the wait of the first of `waiters`, a deque of futures, that still waits."""
    while waiters:
        waiter = waiters.popleft()
        if not waiter.done():
            waiter.set_result(None)
            return
