"""Fake time for asyncio: its own loop, over a selector that moves the clock on instead of waiting.

Law: nothing waits but for descriptors that a handler itself has had the loop watch, and for threads (see
`kissapi.extras.testing.clock`): those are real, and so is the time it takes them.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVarTuple

from kissapi.extras.testing.loop import count, is_tick

if TYPE_CHECKING:
    from contextvars import Context

    from kissapi.extras.testing.clock import Clock

Arguments = TypeVarTuple("Arguments")


class FakeAsyncioLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, spoken to like `kissapi.extras.testing.loop.FakeLoop`."""

    _scheduled: list[Any]  # asyncio's own heap of timers

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.done: Callable[[], bool] = _never
        self.end = self.now
        self.turns = 0  # at this moment
        self.error: BaseException | None = None
        selector = Clockwork(self)
        super().__init__(selector)
        selector.own = len(selector.get_map())
        self.set_exception_handler(_keep)

    @property
    def now(self) -> float:
        return self.clock.time()

    def time(self) -> float:
        return self.clock.time()

    def call_soon_threadsafe(
        self, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        self.clock.called()
        return super().call_soon_threadsafe(callback, *args, context=context)

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        self.run_until(_never, self.now + seconds)

    def run_until(self, done: Callable[[], bool], end: float) -> None:
        """Run until `done()`; while nothing is due, time passes, but not beyond `end`."""
        self.done, self.end, self.turns = done, end, 0
        self.clock.stepped()
        try:
            self.run_forever()
        finally:
            self.done = _never
            error, self.error = self.error, None
        if error is not None:
            raise error

    def do(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function` in the loop, then run everything that is due now."""
        self.call_soon(function, *arguments)
        self.run_until(_never, self.now)

    def close(self) -> None:
        """Cancel what is still under way, and run it no more."""
        if not self.is_closed() and asyncio._get_running_loop() is None:
            for task in asyncio.all_tasks(self):
                task.cancel()
            self.do(self.create_task, self.shutdown_asyncgens())
        super().close()

    def submit(self, call: Callable[[], None]) -> None:
        """What is meant for a worker thread is done here and now; as there, no loop runs for it."""
        asyncio._set_running_loop(None)
        try:
            call()
        finally:
            asyncio._set_running_loop(self)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """`asyncio.to_thread` and the like: the same."""
        future = self.create_future()

        def call() -> None:
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)

        self.submit(call)
        return future


class Clockwork(selectors.DefaultSelector):
    """A selector of a loop that moves its clock on where others wait."""

    own = 0  # descriptors of the loop itself

    def __init__(self, loop: FakeAsyncioLoop) -> None:
        super().__init__()
        self.loop = loop
        self.came: list[tuple[selectors.SelectorKey, int]] = []  # in the last wait

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self.loop
        if loop.done():
            loop.stop()
            return []
        ready = super().select(0)
        if ready or timeout == 0:
            try:
                loop.turns = count(loop.turns)
            except RuntimeError as error:
                loop.error = error
                loop.stop()
            return ready
        loop.turns = 0
        until = loop.end if timeout is None else min(loop.end, loop.now + timeout)
        if until <= loop.now:
            loop.stop()
            return []
        self.came = []
        loop.clock.go_on(until, self._wait, watched=len(self.get_map()) > self.own)
        if loop._scheduled and not is_tick(loop._scheduled[0]._callback):
            loop.clock.stepped()
        return self.came

    def _wait(self, seconds: float) -> bool:
        """Wait for descriptors and other threads: whether anything has come."""
        self.came = super().select(seconds)
        return bool(self.came)


def _keep(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a callback raises is a mistake that a test should see; the rest asyncio logs."""
    assert isinstance(loop, FakeAsyncioLoop)
    if "handle" in context:
        loop.error = context.get("exception")
        loop.stop()
    else:
        loop.default_exception_handler(context)


def _never() -> bool:
    return False
