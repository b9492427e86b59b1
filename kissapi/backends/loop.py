"""Loop, Future and Task: an event loop in asyncio's words, as small as the selectors backend needs it.

Law: there is one primitive, `Future`, and one place that steps coroutines, `Task`. A task takes its first
step when it is made, so a handler that does not wait never enters the loop.
"""

from __future__ import annotations

import heapq
import itertools
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from kissapi.backends.poll import READ, WRITE, Poll
from kissapi.threads import copy_context

_PENDING, _DONE, _CANCELLED = "PENDING", "DONE", "CANCELLED"
_LONGEST = 3600.0  # seconds in the kernel at a time: it cannot count to infinity


class CancelledError(BaseException):
    """Thrown into a coroutine whose task is cancelled."""


class ForeignAwait(TypeError):
    """A coroutine awaited what only asyncio can wait for."""


class _Running(threading.local):
    loop: Loop | None = None


running = _Running()


class Future:
    """A result that is not there yet."""

    # Class attributes are the defaults: making one then costs a few assignments less, for every request.
    _state = _PENDING
    _result: Any = None
    _error: BaseException | None = None
    _callbacks: list[Callable[[Any], object]] | None = None

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state}>"

    def __await__(self) -> Generator[Future, None, Any]:
        if self._state is _PENDING:
            yield self
        try:
            return self.result()
        finally:
            self = None  # type: ignore[assignment]  # noqa: PLW0642 – as in `result`

    def done(self) -> bool:
        return self._state is not _PENDING

    def cancelled(self) -> bool:
        return self._state is _CANCELLED

    def result(self) -> Any:
        """What it came to. Raises what was raised, or `CancelledError`."""
        if self._state is _DONE and self._error is None:
            return self._result
        if self._error is not None:
            try:
                raise self._error
            finally:
                self = None  # type: ignore[assignment]  # noqa: PLW0642 – see the end of `Task._step`
        if self._state is _CANCELLED:
            raise CancelledError
        raise RuntimeError("the result is not there yet")

    def exception(self) -> BaseException | None:
        if self._state is _CANCELLED:
            raise CancelledError
        return self._error

    def set_result(self, result: Any) -> None:
        self._settle(_DONE, result, None)

    def set_exception(self, error: BaseException) -> None:
        self._settle(_DONE, None, error)

    def cancel(self) -> bool:
        """Whether it was still to be had, and now is not."""
        if self._state is not _PENDING:
            return False
        self._settle(_CANCELLED, None, None)
        return True

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Call `callback(self)` from the loop as soon as this is done."""
        if self._state is not _PENDING:
            self._loop.call_soon(callback, self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def _settle(self, state: str, result: Any, error: BaseException | None) -> None:
        if self._state is not _PENDING:
            raise RuntimeError(f"{self!r} is done already")
        self._state, self._result, self._error = state, result, error
        if self._callbacks:
            for callback in self._callbacks:
                self._loop.call_soon(callback, self)
            self._callbacks = None


class Task(Future):
    """A coroutine at work, in a context of its own; a `Future` of what it returns."""

    _waits_for: Future | None = None
    _cancel_asked = False

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, Any, Any], context: Any = None) -> None:
        # The first step, which is the only one of the usual handler, is taken here: that saves a call.
        self._loop = loop
        if context is None:
            context = copy_context()
        try:
            waits_for = context.run(coroutine.send, None)
        except StopIteration as stop:
            self._state, self._result = _DONE, stop.value
        except BaseException as raised:
            self._fail(raised)
            self = None  # type: ignore[assignment]  # noqa: PLW0642 – see the end of `_step`
        else:
            self._coroutine, self._context = coroutine, context
            self._wait(waits_for)

    def cancel(self) -> bool:
        """Throw `CancelledError` into the coroutine where it waits."""
        if self._state is not _PENDING:
            return False
        if self._waits_for is None or not self._waits_for.cancel():
            self._cancel_asked = True
        return True

    def _step(self, woken_by: Future | None = None, error: BaseException | None = None) -> None:
        self._waits_for = None
        if self._cancel_asked:
            self._cancel_asked, error = False, CancelledError()
        try:
            if error is None:
                waits_for = self._context.run(self._coroutine.send, None)
            else:
                waits_for = self._context.run(self._coroutine.throw, error)
        except StopIteration as stop:
            self._settle(_DONE, stop.value, None)
        except BaseException as raised:
            self._fail(raised)
        else:
            self._wait(waits_for)
        finally:
            # A raised error holds this frame and those below: no cycle by way of them.
            self = error = None  # type: ignore[assignment]  # noqa: PLW0642
            del woken_by  # the future that it was raised from

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, CancelledError):
            self._settle(_CANCELLED, None, None)
        else:
            self._settle(_DONE, None, error)

    def _wait(self, waits_for: Any) -> None:
        """Go on when `waits_for`, which the coroutine awaits, is done; None is a turn for the others."""
        if isinstance(waits_for, Future):
            self._waits_for = waits_for
            waits_for.add_done_callback(self._step)
            if self._cancel_asked and waits_for.cancel():
                self._cancel_asked = False
        elif waits_for is None:
            self._loop.call_soon(self._step)
        else:
            wrong = ForeignAwait(
                f"{waits_for!r} needs asyncio, and this server runs on selectors: "
                "use kissapi.sleep, kissapi.to_thread"
            )
            self._loop.call_soon(self._step, None, wrong)


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
    """Waits for sockets, timers and other threads, and calls back. Nothing to do: it sleeps in the kernel."""

    time = staticmethod(time.monotonic)

    def __init__(self) -> None:
        # Called with what a callback raised: a mistake of ours, after which all others must still be served.
        self.on_error: Callable[[BaseException], object] = traceback.print_exception
        self._poll = Poll()
        self._ready: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()  # timers of one moment keep their order, and are never compared
        self._sweep_at = 64  # timers; from so many on, cancelled ones are looked for
        self._handlers: dict[int, Any] = {}  # what stood for a signal before us
        self._closed = False
        # Wakes the selector when another thread or a signal has something for us.
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        self.watch(self._alarm, READ, self._silence)

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
            self._close()

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
        for _ in range(len(ready)):  # what they add has to wait for the next turn, or sockets would starve
            callback, arguments = ready.popleft()
            try:
                callback(*arguments)
            except Exception as error:
                self.on_error(error)
            del callback, arguments  # an error may hold this frame: no cycle by way of it

    def _close(self) -> None:
        self._closed = True
        for number in tuple(self._handlers):
            self.remove_signal_handler(number)
        self._poll.close()
        self._alarm.close()
        self._bell.close()

    def watch(self, sock: Any, events: int, callback: Callable[[int], object]) -> None:
        """Call `callback(events)` whenever one of `events` happens on `sock`; with 0, never again."""
        if not self._closed:
            self._poll.watch(sock, events, callback)

    def add_reader(self, sock: Any, callback: Callable[..., object], *arguments: Any) -> None:
        self.watch(sock, READ, lambda _: callback(*arguments))

    def remove_reader(self, sock: Any) -> None:
        self.watch(sock, 0, _nothing)

    def add_writer(self, sock: Any, callback: Callable[..., object], *arguments: Any) -> None:
        # In place of a reader, if it has one: who needs both takes `watch`.
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
        # Each time as many have come as were left: a constant cost for each.
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
            self._bell.send(b"\0")
        except BlockingIOError:
            pass  # full: it rings already
        except OSError:
            raise RuntimeError("the event loop is closed") from None  # it was closed this very moment

    def add_signal_handler(self, number: int, callback: Callable[..., object], *arguments: Any) -> None:
        """Call `callback` from the loop when signal `number` comes; only in the main thread."""
        if not self._handlers:
            # Python's own handler runs only once the selector returns; this makes it return.
            signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        before = signal.signal(number, lambda *_: self.call_soon_threadsafe(callback, *arguments))
        self._handlers.setdefault(number, before)

    def remove_signal_handler(self, number: int) -> None:
        if number in self._handlers:
            signal.signal(number, self._handlers.pop(number))
        if not self._handlers:
            signal.set_wakeup_fd(-1)

    def _finish_generator(self, generator: Any) -> None:
        """Nobody goes on with an async generator: run its `finally` blocks, which may wait."""
        if not self._closed:
            self.call_soon_threadsafe(self.create_task, generator.aclose())

    def _silence(self, events: int) -> None:
        try:
            while len(self._alarm.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass


def _nothing(events: int) -> None:
    pass
