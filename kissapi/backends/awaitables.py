"""What a handler can await on every backend: `sleep` and `to_thread`.

Written once, with the methods of asyncio's loop that both loops have: `create_future`, `call_later`,
`call_soon_threadsafe`. `kissapi.backends.handlers` runs a plain `def` by `in_thread_of`, and
`kissapi.backends.pieces` the steps of sync iterators.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from kissapi.backends.threads import Place, Threads, copy_context

T = TypeVar("T")


def running_loop() -> Any:
    """The event loop that runs in this thread. Raises `RuntimeError` if there is none."""
    # Neither is imported here: asyncio may not exist, and costs 40 ms. A module that another thread is just
    # importing lacks names, and runs no loop in this one.
    asyncio_loop = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    loop = asyncio_loop() if asyncio_loop is not None else None
    if loop is None:
        ours = getattr(sys.modules.get("kissapi.backends.loop"), "running", None)
        loop = ours.loop if ours is not None else None
    if loop is None:
        raise RuntimeError("no event loop runs here: await this in a handler, a hook or another coroutine")
    return loop


async def sleep(seconds: float) -> None:
    """Wait at least `seconds`, while the loop serves other clients; 0 is one turn of the loop.

    await kissapi.sleep(0.5)
    """
    if seconds != seconds:
        raise ValueError("seconds must be a number, not NaN")  # in a queue of timers it would stop the loop
    loop = running_loop()
    future = loop.create_future()
    if seconds <= 0:
        loop.call_soon(_wake, future)
        await future
        return
    timer = loop.call_later(seconds, _wake, future)
    try:
        await future
    finally:
        timer.cancel()


def _wake(future: Any) -> None:
    if not future.done():
        future.set_result(None)


threads = Threads()


def submit(loop: Any, call: Callable[[], None], place: Place | None = None) -> None:
    """Run `call`, which raises nothing, in a worker thread for `loop`; see `Threads.submit`.

    A loop of tests has no threads: there a call is made at once.
    """
    if hasattr(loop, "submit"):
        loop.submit(call)
    else:
        threads.submit(call, place)


async def to_thread(function: Callable[..., T], *args: Any) -> T:
    """Call `function`, which may block, in a worker thread, and wait for what it returns or raises.

    Context variables are copied. Where Python was built without threads it is called here and now.

        rows = await kissapi.to_thread(database.execute, "SELECT 1")
    """
    return await in_thread(None, copy_context(), function, args)  # type: ignore[no-any-return]


async def in_thread_of(request: Any, function: Callable[..., T], *args: Any) -> T:
    """`to_thread`, always in the one thread of `request`; other requests may share it.

    Context variables that `function` sets are set here, too: a request has one context.
    """
    context = copy_context()
    try:
        return await in_thread(place_of(request), context, function, args)  # type: ignore[no-any-return]
    finally:
        for variable, value in context.items():
            if variable.get(_UNSET) is not value:
                variable.set(value)


_UNSET: Any = object()


def place_of(request: Any) -> Place:
    """Where the calls for `request` run."""
    if request._place is None:
        request._place = Place()
    return request._place  # type: ignore[no-any-return]


async def in_thread(
    place: Place | None, context: Any, function: Any, args: tuple[Any, ...], needed: bool = False
) -> Any:
    """Call `function` in a worker thread, that of `place`; if `needed`, though the result is not."""
    loop = running_loop()
    future = loop.create_future()
    call = partial(_call, loop, future, context, function, args, needed)
    submit(loop, call, place)
    try:
        return await future
    finally:
        del future, call  # an error that is raised from it holds this frame, which would hold it: a cycle


def raised_in(function: Any, raised: BaseException) -> Exception:
    """What a coroutine may raise in place of `raised`, which `function` has raised in a worker thread."""
    # StopIteration would end the coroutine that waits (PEP 479), SystemExit and the like asyncio's loop.
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    error = RuntimeError(f"{function!r} raised {type(raised).__name__}")
    error.__cause__ = raised
    return error


def _call(
    loop: Any, future: Any, context: Any, function: Callable[..., Any], args: tuple[Any, ...], needed: bool
) -> None:
    """In the worker thread."""
    if future.cancelled() and not needed:
        return  # the coroutine that waited was cancelled while this call was in the queue
    result: Any = None
    error: BaseException | None = None
    try:
        result = context.run(function, *args)
    except BaseException as raised:
        error = raised_in(function, raised)
    try:
        loop.call_soon_threadsafe(_settle, future, result, error)
    except RuntimeError:
        pass  # the loop has been closed, and no coroutine waits
    finally:
        del error, future  # the error holds this frame: another cycle


def _settle(future: Any, result: Any, error: BaseException | None) -> None:
    if future.done():
        return  # the coroutine that waited was cancelled
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
