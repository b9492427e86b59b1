"""FakeLoop: kissapi's own loop without sockets and threads, by the clock of a test.

`FakeAsyncioLoop` is the same on asyncio. `RawClient` and `Network` drive either of them.
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

from kissapi.backends.clock import source
from kissapi.backends.loop import Timer, running
from kissapi.backends.tasks import Future, Task
from kissapi.extras.testing.clock import Clock, VirtualClock
from kissapi.http.service import Service

MANY = 1_000_000  # calls at one moment of the clock: they take about a second


def count(turns: int) -> int:
    """One turn more. Raises `RuntimeError` for so many that the app must be in an endless loop."""
    if turns == MANY:
        raise RuntimeError(
            f"{MANY:,} steps, and nothing has waited: something in the app goes round and round; "
            "is there a loop that waits for nothing, or only with sleep(0)?"
        )
    return turns + 1


def is_tick(callback: Callable[..., object] | None) -> bool:
    """Whether it is the tick of the service, which runs no code of the app."""
    return isinstance(getattr(callback, "__self__", None), Service)


class alone:  # noqa: N801 – `with alone(clock):`
    """In this block no other loop runs in this thread, and `kissapi.clock` tells the time of `clock`.

    So a client can be used in an `async def` of a test: the loop of that stands still meanwhile. It is no
    generator: clients enter it several times for each request.
    """

    __slots__ = ("_before", "_outer", "_task", "_time", "_told")

    def __init__(self, clock: Clock) -> None:
        self._time = clock.time

    def __enter__(self) -> None:
        self._before, running.loop = running.loop, None
        self._told, source.time = source.time, self._time
        asyncio: Any = sys.modules.get("asyncio")
        self._outer = asyncio and getattr(asyncio, "_get_running_loop", never)()  # half imported, it has none
        if self._outer:
            self._task = asyncio.current_task(self._outer)
            if self._task:  # since CPython 3.14 a thread has one task, not one for each of its loops
                asyncio.tasks._leave_task(self._outer, self._task)
            asyncio._set_running_loop(None)

    def __exit__(self, *_: object) -> None:
        running.loop, source.time = self._before, self._told
        if self._outer:
            asyncio: Any = sys.modules["asyncio"]
            asyncio._set_running_loop(self._outer)
            if self._task:
                asyncio.tasks._enter_task(self._outer, self._task)


class FakeLoop:
    """The methods of kissapi's own loop; time stands still while anything is to be done."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self.calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.timers: list[tuple[float, int, Timer]] = []
        self.order = itertools.count()
        self.tasks: WeakSet[Task] = WeakSet()  # those of `create_task`
        self.called = threading.Event()  # by another thread
        self.closed = False
        self.at_work = False

    @property
    def now(self) -> float:
        return self.clock.time()

    def time(self) -> float:
        return self.clock.time()

    def create_future(self) -> Future:
        return Future(self)

    def create_task(self, coroutine: Coroutine[Any, Any, Any], context: Any = None) -> Task:
        task = Task(self, coroutine, context)
        self.tasks.add(task)
        return task

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> None:
        self.calls.append((callback, arguments))

    def call_soon_threadsafe(self, callback: Callable[..., object], *arguments: Any) -> None:
        self.clock.called()
        self.calls.append((callback, arguments))
        self.called.set()

    def call_later(self, seconds: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        timer = Timer(self.now + seconds, callback, arguments)
        heapq.heappush(self.timers, (timer.when, next(self.order), timer))
        return timer

    def run(self) -> None:
        """Run everything that is due now."""
        with self.running():
            self._run_due()

    def _run_due(self) -> None:
        turns = 0
        while self.calls:
            turns = count(turns)
            self._call(*self.calls.popleft())

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        self.run_until(never, self.now + seconds)

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
                    self.calls.append((self._fire, (heapq.heappop(self.timers)[2],)))
                    # All that are due come before what they bring about, as in the real loops.
                    while self.timers and self.timers[0][0] <= self.now:
                        self.calls.append((self._fire, (heapq.heappop(self.timers)[2],)))
                elif self.now < end:
                    turns = 0
                    until = min(end, self.timers[0][0]) if self.timers else end
                    self.clock.go_on(until, self._wait, watched=False)
                else:
                    return

    def _fire(self, timer: Timer) -> None:
        if timer.callback is not None:  # it has not been cancelled
            if not is_tick(timer.callback):
                self.clock.stepped()
            self._call(timer.callback, timer.arguments)

    def _wait(self, seconds: float) -> bool:
        """Wait for another thread; gives whether one has called."""
        came = self.called.wait(seconds)
        self.called.clear()
        return came

    def do(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function` in the loop, then run everything that is due now."""
        with self.running():
            function(*arguments)
            self._run_due()

    @contextmanager
    def running(self) -> Iterator[None]:
        """In this block this is the running loop."""
        with alone(self.clock):
            before, self.at_work = self.at_work, True
            running.loop = self  # type: ignore[assignment]
            hooks = sys.get_asyncgen_hooks()
            sys.set_asyncgen_hooks(finalizer=self._finish_generator)
            try:
                yield
            finally:
                sys.set_asyncgen_hooks(*hooks)
                self.at_work = before

    def submit(self, call: Callable[[], None]) -> None:
        """Call what is meant for a worker thread now; as in a thread, no loop is running for it."""
        with alone(self.clock):
            call()

    def close(self) -> None:
        """Cancel the tasks that are not done; then the loop runs no more."""
        with self.running():
            for task in tuple(self.tasks):
                task.cancel()
            self._run_due()
        self.timers.clear()
        self.closed = True

    def is_closed(self) -> bool:
        return self.closed

    def is_running(self) -> bool:
        return self.at_work

    def _call(self, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        callback(*arguments)
        del callback, arguments  # an error may hold this frame: no cycle by it

    def _finish_generator(self, generator: Any) -> None:
        """An async generator was dropped before its end: run its `finally` blocks in the loop."""
        self.call_soon(self.create_task, generator.aclose())


def never() -> bool:
    """For `run_until`: up to its end."""
    return False
