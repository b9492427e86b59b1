"""Loop: kissapi's own loop without sockets, and with a clock that a test moves if it is not a real one.

Law: no socket, no thread. What is due now is done at once.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from kissapi.backends.loop import Future, Task, Timer, running
from kissapi.extras.testing.clock import Clock, VirtualClock
from kissapi.service import Service

MANY = 1_000_000  # calls at one moment: a second of them


def count(turns: int) -> int:
    """One more. Raises `RuntimeError` for so many that there will be no end."""
    if turns == MANY:
        raise RuntimeError(
            f"{MANY:,} steps, and nothing has waited: something in the app goes round and round; "
            "is there a loop that waits for nothing, or only with sleep(0)?"
        )
    return turns + 1


def is_tick(callback: Callable[..., object] | None) -> bool:
    """Whether it is the tick of the service, which runs nothing of the app."""
    return isinstance(getattr(callback, "__self__", None), Service)


class FakeLoop:
    """The words of kissapi's own loop, with a clock that stands still while there is anything to do."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self.calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.timers: list[tuple[float, int, Timer]] = []
        self.order = itertools.count()
        self.tasks: WeakSet[Task] = WeakSet()  # that were made by `create_task`
        self.bell = threading.Event()  # of other threads

    @property
    def now(self) -> float:
        return self.clock.time()

    def time(self) -> float:
        return self.clock.time()

    def create_future(self) -> Future:
        return Future(self)  # type: ignore[arg-type]

    def create_task(self, coroutine: Coroutine[Any, Any, Any], context: Any = None) -> Task:
        task = Task(self, coroutine, context)  # type: ignore[arg-type]
        self.tasks.add(task)
        return task

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> None:
        self.calls.append((callback, arguments))

    def call_soon_threadsafe(self, callback: Callable[..., object], *arguments: Any) -> None:
        self.clock.called()
        self.calls.append((callback, arguments))
        self.bell.set()

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
        self.clock.stepped()
        with self.running():
            while not done():
                if self.calls:
                    turns = count(turns)
                    self._call(*self.calls.popleft())
                elif self.timers and (self.timers[0][2].callback is None or self.timers[0][0] <= self.now):
                    turns = count(turns)
                    timer = heapq.heappop(self.timers)[2]
                    if timer.callback is not None:
                        if not is_tick(timer.callback):
                            self.clock.stepped()
                        self._call(timer.callback, timer.arguments)
                elif self.now < end:
                    turns = 0
                    until = min(end, self.timers[0][0]) if self.timers else end
                    self.clock.go_on(until, self._wait, watched=False)
                else:
                    return

    def _wait(self, seconds: float) -> bool:
        """Wait for another thread: whether one has called."""
        came = self.bell.wait(seconds)
        self.bell.clear()
        return came

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
