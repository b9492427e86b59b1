"""Bell: coroutines that wait until something has changed, and then look whether it is what they wait for.

    while not self.complete:
        await self.change()

One list serves all waits of an object, so each loops on its own condition: woken for another's reason, it
waits on. A wait that is cancelled (`wait_for(receive(), 1)`) ends no other, for each has its own future.
"""

from __future__ import annotations

from typing import Any

from kissapi.backends.awaitables import running_loop


class Bell:
    """Wakes, by `changed`, all that wait in `change`."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: tuple[Any, ...] = ()  # futures; most objects have none

    async def change(self) -> None:
        """Wait for the next call of `changed`."""
        waiter = running_loop().create_future()
        self._waiters += (waiter,)
        try:
            await waiter
        finally:
            if waiter in self._waiters:  # it was cancelled
                self._waiters = tuple(each for each in self._waiters if each is not waiter)

    def changed(self) -> None:
        """Something has changed: all look again."""
        waiters, self._waiters = self._waiters, ()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
