"""Loop: the event loop of the selectors backend, with those methods of asyncio's loop that kissapi calls.

It waits for sockets, timers and other threads, and calls back. `kissapi.backends.tasks` has its futures and
tasks, `kissapi.backends.poll` asks the system which sockets are ready, and the transports of
`kissapi.backends.selectors` use `watch`.
"""

from __future__ import annotations

import heapq
import itertools
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from kissapi.backends.poll import READ, WRITE, Poll
from kissapi.backends.tasks import Future, Task

_LONGEST = 3600.0  # seconds of one wait: the kernel refuses a timeout that is too large


class _Running(threading.local):
    loop: Loop | None = None


running = _Running()


class Timer:
    """A call that is due at `when`."""

    __slots__ = ("arguments", "callback", "when")

    def __init__(self, when: float, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.when = when
        self.callback: Callable[..., object] | None = callback
        self.arguments = arguments

    def cancel(self) -> None:
        self.callback = None
        self.arguments = ()


class Loop:
    """Waits for sockets, timers and other threads, and calls back. Between calls it sleeps in the kernel."""

    time = staticmethod(time.monotonic)

    def __init__(self) -> None:
        # Called with what a callback raised: a bug of kissapi, after which other clients are still served.
        self.on_error: Callable[[BaseException], object] = _print
        self._poll = Poll()
        self._ready: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()  # timers of one moment keep their order, and are never compared
        self._sweep_at = 64  # timers; with so many, the cancelled ones are removed
        self._handlers: dict[int, Any] = {}  # signal: the handler it had before this loop
        self._closed = False
        # A byte through it wakes the selector for a call from another thread or a signal.
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self.watch(self._wake_reader, READ, self._drain_wakeups)

    def run_until_complete(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run `main`, and everything else meanwhile, until it is done; then the loop is closed."""
        running.loop = self
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=self._finish_generator)
        try:
            task = Task(self, main)
            while not task.done():
                self._turn()
            return task.result()
        finally:
            sys.set_asyncgen_hooks(*hooks)
            running.loop = None
            self.close()

    def _turn(self) -> None:
        ready, timers = self._ready, self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        if ready:
            timeout: float | None = 0
        elif timers:
            timeout = min(max(0.0, timers[0][0] - self.time()), _LONGEST)
        else:
            timeout = None
        for happened, events in self._poll.wait(timeout):
            try:
                happened(events)
            except Exception as error:
                self.on_error(error)
        if timers:
            now = self.time()
            while timers and timers[0][0] <= now:
                timer = heapq.heappop(timers)[2]
                if timer.callback is not None:
                    ready.append((timer.callback, timer.arguments))
        for _ in range(len(ready)):  # what these add waits for the next turn, or sockets would starve
            callback, arguments = ready.popleft()
            try:
                callback(*arguments)
            except Exception as error:
                self.on_error(error)
            del callback, arguments  # no cycle: an error may hold this frame

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Give back what it has of the system; in a forked process, what it has copied of its parent's."""
        self._closed = True
        for number in tuple(self._handlers):
            self.remove_signal_handler(number)
        self._poll.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def watch(self, sock: Any, events: int, callback: Callable[[int], object]) -> None:
        """Call `callback(events)` whenever one of `events` happens on `sock`; 0 ends the watch."""
        if not self._closed:
            self._poll.watch(sock, events, callback)

    def add_reader(self, sock: Any, callback: Callable[..., object], *arguments: Any) -> None:
        self.watch(sock, READ, lambda _: callback(*arguments))

    def remove_reader(self, sock: Any) -> None:
        self.watch(sock, 0, _nothing)

    def add_writer(self, sock: Any, callback: Callable[..., object], *arguments: Any) -> None:
        # It replaces the reader of `sock`, if there is one; `watch` can wait for both.
        self.watch(sock, WRITE, lambda _: callback(*arguments))

    remove_writer = remove_reader

    def create_future(self) -> Future:
        return Future(self)

    def create_task(self, coroutine: Coroutine[Any, Any, Any], context: Any = None) -> Task:
        return Task(self, coroutine, context)

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> None:
        self._ready.append((callback, arguments))

    def call_later(self, seconds: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        timers = self._timers
        # A sweep looks at n timers after at least n / 2 calls of this: a constant cost for each.
        if len(timers) >= self._sweep_at:
            timers[:] = [entry for entry in timers if entry[2].callback is not None]
            heapq.heapify(timers)
            self._sweep_at = 64 + 2 * len(timers)
        timer = Timer(self.time() + seconds, callback, arguments)
        heapq.heappush(timers, (timer.when, next(self._order), timer))
        return timer

    def call_soon_threadsafe(self, callback: Callable[..., object], *arguments: Any) -> None:
        """`call_soon` from another thread or a signal handler. Raises `RuntimeError` if it is closed."""
        if self._closed:
            raise RuntimeError("the event loop is closed")
        self._ready.append((callback, arguments))
        try:
            self._wake_writer.send(b"\0")
        except BlockingIOError:
            pass  # full: the loop is about to wake
        except OSError:
            raise RuntimeError("the event loop is closed") from None  # another thread has just closed it

    def add_signal_handler(self, number: int, callback: Callable[..., object], *arguments: Any) -> None:
        """Call `callback` from the loop when signal `number` comes; only in the main thread."""
        if not self._handlers:
            # Python's own handler runs only once the selector returns; this makes it return.
            signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        before = signal.signal(number, lambda *_: self.call_soon_threadsafe(callback, *arguments))
        self._handlers.setdefault(number, before)

    def remove_signal_handler(self, number: int) -> None:
        if number in self._handlers:
            signal.signal(number, self._handlers.pop(number))
        if not self._handlers:
            signal.set_wakeup_fd(-1)

    def _finish_generator(self, generator: Any) -> None:
        """An async generator was dropped before its end: run its `finally` blocks, which may await."""
        if not self._closed:
            self.call_soon_threadsafe(self.create_task, generator.aclose())

    def _drain_wakeups(self, events: int) -> None:
        try:
            while len(self._wake_reader.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass


def _print(error: BaseException) -> None:
    sys.excepthook(type(error), error, error.__traceback__)  # the module traceback costs 0.2 MiB


def _nothing(events: int) -> None:
    pass
