"""Loop: kissapi's own loop without the waiting: a clock that goes on when it is told to.

Law: no socket, no thread, no sleep. What is due now is done at once.
"""

from __future__ import annotations

import heapq
import itertools
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from kissapi.backends.loop import Future, Task, Timer, running

MANY = 1_000_000  # calls at one moment: a second of them


def count(turns: int) -> int:
    """One more. Raises `RuntimeError` for so many that there will be no end."""
    if turns == MANY:
        raise RuntimeError(
            f"{MANY:,} steps, and the clock has not moved: something in the app goes round and round; "
            "is there a loop that waits for nothing, or only with sleep(0)?"
        )
    return turns + 1


class FakeLoop:
    """The words of kissapi's own loop, with a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.timers: list[tuple[float, int, Timer]] = []
        self.order = itertools.count()
        self.tasks: WeakSet[Task] = WeakSet()  # that were made by `create_task`

    def time(self) -> float:
        return self.now

    def create_future(self) -> Future:
        return Future(self)  # type: ignore[arg-type]

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        task = Task(self, coroutine)  # type: ignore[arg-type]
        self.tasks.add(task)
        return task

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> None:
        self.calls.append((callback, arguments))

    call_soon_threadsafe = call_soon

    def call_later(self, seconds: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        timer = Timer(self.now + seconds, callback, arguments)
        heapq.heappush(self.timers, (timer.when, next(self.order), timer))
        return timer

    def run(self) -> None:
        """Everything that is due now."""
        turns = 0
        while self.calls:
            turns = count(turns)
            self._call(*self.calls.popleft())

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        self.run_until(_never, self.now + seconds)

    def run_until(self, done: Callable[[], bool], end: float) -> None:
        """Run until `done()`; while nothing is due, time passes, but not beyond `end`."""
        turns = 0
        with self.running():
            while not done():
                if self.calls:
                    turns = count(turns)
                    self._call(*self.calls.popleft())
                elif self.timers and self.timers[0][0] <= end:
                    turns = 0
                    when, _, timer = heapq.heappop(self.timers)
                    if timer.callback is not None:
                        self.now = max(self.now, when)
                        self._call(timer.callback, timer.arguments)
                else:
                    self.now = max(self.now, end)
                    return

    def do(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function` in the loop, then run everything that is due now."""
        with self.running():
            function(*arguments)
            self.run()

    @contextmanager
    def running(self) -> Iterator[None]:
        """In this block it is the loop that runs here."""
        before, running.loop = running.loop, self  # type: ignore[assignment]
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=self._finish_generator)
        try:
            yield
        finally:
            sys.set_asyncgen_hooks(*hooks)
            running.loop = before

    def submit(self, call: Callable[[], None]) -> None:
        """What is meant for a worker thread is done here and now; as there, no loop runs for it."""
        before, running.loop = running.loop, None
        try:
            call()
        finally:
            running.loop = before

    def close(self) -> None:
        """Cancel what is still under way, and run it no more."""
        with self.running():
            for task in tuple(self.tasks):
                task.cancel()
            self.run()
        self.timers.clear()

    def _call(self, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        callback(*arguments)
        del callback, arguments  # an error may hold this frame: no cycle by way of it

    def _finish_generator(self, generator: Any) -> None:
        """Nobody goes on with an async generator: its `finally` blocks run in the loop."""
        self.call_soon(self.create_task, generator.aclose())


def _never() -> bool:
    return False
