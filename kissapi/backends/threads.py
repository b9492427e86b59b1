"""Threads: a few worker threads, started when there is work and none is free. The one door to contextvars.

A call goes to an idle thread, else to a new one, else it waits for the first that is free. One thread is
woken at a time: when it begins, it wakes the next if calls wait. So a few threads do all short calls, one
after the other, and none waits behind a long one. A call with a `Place` waits for the thread of that place,
and goes before the calls that may run anywhere. A thread that serves streams gets other calls only if all
threads do.

concurrent.futures is not used: small Python builds lack it, and its futures cost a lock and a condition each.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

try:
    from contextvars import ContextVar, copy_context
except ImportError:
    from kissapi.compat.contextvars import ContextVar, copy_context  # type: ignore[assignment]
try:
    from queue import SimpleQueue
except ImportError:
    from kissapi.compat.queue import SimpleQueue  # type: ignore[assignment]

__all__ = ["ContextVar", "Place", "SimpleQueue", "Threads", "copy_context"]

Call = Callable[[], None]


class Place:
    """Where the calls of one request run: in the thread that took the first."""

    __slots__ = ("calls", "stays", "worker")

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self.calls: tuple[Call, ...] = ()  # that wait for it to get one
        self.stays = False

    def stay(self) -> None:
        """More calls are to come, over a long time."""
        self.stays = True
        if self.worker is not None:
            self.worker.places.add(self)

    def leave(self) -> None:
        """No more calls are to come."""
        self.stays = False
        if self.worker is not None:
            self.worker.places.discard(self)


class Threads:
    """Runs calls in at most `limit` threads; further calls wait in a queue."""

    def __init__(self, limit: int = 40) -> None:  # a server sets its `max_threads`
        self.limit = limit
        self._lock = threading.Lock()
        self._waiting: list[Worker] = []  # that have nothing to do
        self._backlog: deque[Place] = deque()  # those whose calls wait
        self._alive = 0
        self._woken: Worker | None = None  # has been given a call from here, and has not begun it

    def submit(self, call: Call, place: Place | None = None) -> None:
        """Run `call`, which raises nothing, as soon as a thread is free; here and now if none can be had.

        With a `place`, run it in the thread of that; if it has none yet, it gets the one that takes the call.
        """
        if place is None:
            place = Place()
        with self._lock:
            waits = bool(place.calls)
            place.calls += (call,)
            if waits:
                return
            if place.worker is not None:
                self._give(place.worker, place)
                return
            if self._woken is None and self._wake(place):
                return
            if self._alive:
                self._backlog.append(place)
                return
            place.calls = ()
        call()

    def _wake(self, place: Place) -> bool:
        """Give `place` a thread that has nothing to do, or a new one. False if there is none."""
        worker = self._woken = self._least_loaded()
        if worker is None:
            return False
        self._give(worker, place)
        return True

    def _give(self, worker: Worker, place: Place) -> None:
        if worker in self._waiting:
            self._waiting.remove(worker)
        place.worker = worker
        worker.places.add(place)
        if not place.stays:  # checked last: the thread of its loop may call `leave` at the same time
            worker.places.discard(place)
        calls, place.calls = place.calls, ()
        for call in calls:
            worker.calls.put(call)

    def _least_loaded(self) -> Worker | None:
        """Of the threads that wait the one with the fewest streams; a new one, if there may be, has none."""
        worker = self._waiting[-1] if self._waiting else None
        if worker is None or worker.places:
            worker = min(self._waiting, key=lambda each: len(each.places), default=None)
        if (worker is None or worker.places) and self._alive < self.limit:
            worker = self._start() or worker
        return worker

    def _start(self) -> Worker | None:
        worker = Worker(self)
        # Daemons: a handler that blocks for ever must not keep a stopped server from ending.
        thread = threading.Thread(target=worker.work, name=f"kissapi-{self._alive + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return None  # a Python without threads, or a system that has no more of them
        self._alive += 1
        return worker

    def begin(self, worker: Worker) -> None:
        """`worker` has got a call: if it was woken for that, wake the next for what waits."""
        if self._woken is worker:
            with self._lock:
                self._woken = None
                if self._backlog and self._wake(self._backlog[0]):
                    self._backlog.popleft()

    def next_call(self, worker: Worker) -> None:
        """`worker` is done with a call: give it the next, or let it wait."""
        with self._lock:
            if not worker.calls.empty():
                return
            if self._backlog:
                self._give(worker, self._backlog.popleft())
            else:
                self._waiting.append(worker)


class Worker:
    """One thread, and the calls that are meant for it."""

    def __init__(self, threads: Threads) -> None:
        self.calls: SimpleQueue[Call] = SimpleQueue()
        self.places: set[Place] = set()  # of the streams that come back here
        self._threads = threads

    def work(self) -> None:
        while True:
            call = self.calls.get()
            self._threads.begin(self)
            call()
            del call  # an idle thread keeps nothing of the last request alive
            self._threads.next_call(self)
