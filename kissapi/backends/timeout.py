"""timeout: a limit on the time that a block of a coroutine may take."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from kissapi.backends.awaitables import running_loop
from kissapi.backends.running_task import running_task


class timeout:  # noqa: N801 – it reads like a word of the language, as asyncio's does
    """End the block after `seconds`, with the builtin `TimeoutError`; None is no limit.

    What the block waits for is cancelled. It may be nested: the innermost that is over raises. It must not
    stand round a `yield` of a stream: its pieces may be made in another task. Raises `ValueError` for what
    is no number, `RuntimeError` if it is entered a second time.

    async with kissapi.timeout(2.5):
        row = await fetch()
    """

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and seconds != seconds:
            raise ValueError("seconds must be a number or None, not NaN")
        self._seconds = seconds
        self._task: Any = None
        self._cancelled_error: type[BaseException] = BaseException
        self._cancels = 0  # those before this one
        self._timer: Any = None
        self._entered = False
        self._expired = False

    def expired(self) -> bool:
        """Whether the time was over before the block was."""
        return self._expired

    async def __aenter__(self) -> timeout:
        if self._entered:
            raise RuntimeError("a timeout is for one block: make another one")
        self._entered = True
        self._task, self._cancelled_error = await running_task()
        self._cancels = self._task.cancelling()
        if self._seconds is not None:
            self._timer = running_loop().call_later(max(0.0, self._seconds), self._expire)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None  # the task holds this frame: no cycle
        if self._timer is not None:
            self._timer.cancel()
        # If it was cancelled by others as well, their cancellation goes on.
        is_last = self._expired and task.uncancel() <= self._cancels
        if is_last and kind is not None and issubclass(kind, self._cancelled_error):
            raise TimeoutError(f"it took longer than {self._seconds:g} s") from error

    def _expire(self) -> None:
        if self._task is None:
            return
        if self._task.done():  # the loop logs this: there is no other place where it could be raised
            raise RuntimeError(
                "a timeout stands round the yield of a generator, which goes on in another task, and cannot "
                "end it: put it round what is awaited between two yields"
            )
        self._expired = True
        self._task.cancel()
