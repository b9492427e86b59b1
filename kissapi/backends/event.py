"""Event: a flag that coroutines can wait for, on every backend."""

from __future__ import annotations

from typing import Any, Literal

from kissapi.backends.loop_bound import LoopBound


class Event(LoopBound):
    """A flag that is not set at first. `asyncio.Event`, on every backend.

    It belongs to the event loop that first awaits it; another loop, or another thread, gets a `RuntimeError`.

        app.ready = kissapi.Event()
        await app.ready.wait()  # until another coroutine calls app.ready.set()
    """

    def __init__(self) -> None:
        self._value = False
        self._waiters: list[Any] = []

    def __repr__(self) -> str:
        return f"<Event {'set' if self._value else 'not set'}, {len(self._waiters)} waiting>"

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._value

    def set(self) -> None:
        """Set it: all that wait go on."""
        self._check_thread()
        self._value = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(True)

    def clear(self) -> None:
        """Set it back: from now on `wait` waits."""
        self._value = False

    async def wait(self) -> Literal[True]:
        """Wait until it is set; if it is, go on at once."""
        loop = self._bind()
        if self._value:
            return True
        waiter = loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:  # not if its loop has been closed, and another one waits
                self._waiters.remove(waiter)
        return True

    def _forget_waiters(self) -> None:
        self._waiters = []
