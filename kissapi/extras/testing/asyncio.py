"""FakeAsyncioLoop: asyncio's own loop over a selector that advances the clock instead of waiting.

It waits only for descriptors that a handler has had the loop watch, and for threads (see
`kissapi.extras.testing.clock`): those are real, and so is the time that they take.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVarTuple

from kissapi.extras.testing.loop import alone, count, is_tick, never

if TYPE_CHECKING:
    from contextvars import Context

    from kissapi.extras.testing.clock import Clock

Arguments = TypeVarTuple("Arguments")


class FakeAsyncioLoop(asyncio.SelectorEventLoop):
    """asyncio's loop with the methods of `kissapi.extras.testing.loop.FakeLoop`."""

    _scheduled: list[Any]  # asyncio's own heap of timers

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.done: Callable[[], bool] = never
        self.end = self.now
        self.turns = 0  # at the present moment of the clock
        self.error: BaseException | None = None
        selector = FakeSelector(self)
        super().__init__(selector)
        selector.own = len(selector.get_map())
        self.set_exception_handler(_keep_error)

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
        self.run_until(never, self.now + seconds)

    def run_until(self, done: Callable[[], bool], end: float) -> None:
        """Run until `done()`; while nothing is due, time passes, but not beyond `end`."""
        self.done, self.end, self.turns = done, end, 0
        self.clock.stepped()
        try:
            with alone(self.clock):
                self.run_forever()
        finally:
            self.done = never
            error, self.error = self.error, None
        if error is not None:
            raise error

    def do(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function` in the loop, then run everything that is due now."""
        self.call_soon(function, *arguments)
        self.run()

    def run(self) -> None:
        """Run everything that is due now."""
        self.run_until(never, self.now)

    def close(self) -> None:
        """Cancel the tasks that are not done; then the loop runs no more."""
        if not self.is_closed() and asyncio._get_running_loop() is None:
            for task in asyncio.all_tasks(self):
                task.cancel()
            self.do(self.create_task, self.shutdown_asyncgens())
        super().close()

    def submit(self, call: Callable[[], None]) -> None:
        """Call what is meant for a worker thread now; as in a thread, no loop is running for it."""
        with alone(self.clock):
            call()

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """As `submit`, for `asyncio.to_thread` and the like."""
        future = self.create_future()

        def call() -> None:
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)

        self.submit(call)
        return future


class FakeSelector(selectors.DefaultSelector):
    """A selector that advances the clock of its loop where others wait."""

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
        """Wait for descriptors and other threads; gives whether anything has come."""
        self.came = super().select(seconds)
        return bool(self.came)


def _keep_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Raise in the test what a callback has raised; let asyncio log the rest."""
    assert isinstance(loop, FakeAsyncioLoop)
    if "handle" in context:
        loop.error = context.get("exception")
        loop.stop()
    else:
        loop.default_exception_handler(context)
