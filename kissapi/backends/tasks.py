"""Future and Task: the results and the coroutines of the selectors backend, in asyncio's words.

There is one primitive, `Future`, and one place that steps coroutines, `Task`. A task takes its first step
when it is made, so a handler that does not wait never enters the loop. The loop is any `Scheduler`: that of
`kissapi.backends.loop`, or the one of the test client.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol

from kissapi.backends.threads import copy_context

_PENDING, _DONE, _CANCELLED = "PENDING", "DONE", "CANCELLED"


class Scheduler(Protocol):
    """The loop, as futures and tasks see it."""

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> object:
        """Call `callback(*arguments)` in the next turn."""


class CancelledError(BaseException):
    """Thrown into a coroutine whose task is cancelled."""


class ForeignAwait(TypeError):
    """A coroutine awaited what only asyncio can wait for."""


class WhichTask:
    """Awaited, it gives the task that awaits it, a turn of the loop later. No task notes that it runs."""

    task: Any = None

    def __await__(self) -> Generator[WhichTask, None, Any]:
        yield self
        return self.task


class Future:
    """A result that is not there yet."""

    # Class attributes are the defaults: making one then costs a few assignments less, for every request.
    _state = _PENDING
    _result: Any = None
    _error: BaseException | None = None
    _callbacks: list[Callable[[Any], object]] | None = None

    def __init__(self, loop: Scheduler) -> None:
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
        """The result. Raises what was raised, or `CancelledError`."""
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
        """Cancel; True if it was pending."""
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
    _cancels = 0  # how many times it was asked to end

    def __init__(self, loop: Scheduler, coroutine: Coroutine[Any, Any, Any], context: Any = None) -> None:
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
        self._cancels += 1
        if self._waits_for is None or not self._waits_for.cancel():
            self._cancel_asked = True
        return True

    def cancelling(self) -> int:
        """How many times it was asked to end, but for those taken back."""
        return self._cancels

    def uncancel(self) -> int:
        """Take one `cancel` back, and give how many are left."""
        self._cancels = max(0, self._cancels - 1)
        if not self._cancels:
            self._cancel_asked = False
        return self._cancels

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
        elif isinstance(waits_for, WhichTask):
            waits_for.task = self
            self._loop.call_soon(self._step)
        else:
            wrong = ForeignAwait(
                f"{waits_for!r} needs asyncio, and this server runs on selectors: "
                "use kissapi.sleep, kissapi.to_thread, kissapi.gather, kissapi.timeout, kissapi.Event, "
                "kissapi.Queue"
            )
            self._loop.call_soon(self._step, None, wrong)
