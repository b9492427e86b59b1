"""What a handler can await on every backend.

Law: written once, in words of asyncio (`create_future`, `call_later`, `call_soon_threadsafe`) that both loops
speak.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from kissapi.threads import Threads, copy_context

T = TypeVar("T")


def running_loop() -> Any:
    """The event loop that runs in this thread. Raises `RuntimeError` if there is none."""
    # Neither is imported here: asyncio may not exist, and costs 40 ms. Another thread may just be importing
    # it, and what is there in part runs no loop in this one.
    asyncio_loop = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    loop = asyncio_loop() if asyncio_loop is not None else None
    if loop is None:
        ours = getattr(sys.modules.get("kissapi.backends.loop"), "running", None)
        loop = ours.loop if ours is not None else None
    if loop is None:
        raise RuntimeError("no event loop runs here: await this in a handler, a hook or another coroutine")
    return loop


async def sleep(seconds: float) -> None:
    """Wait without holding up others; at least `seconds`, 0 lets the others have a turn.

    await kissapi.sleep(0.5)
    """
    if seconds != seconds:
        raise ValueError("nobody can sleep for NaN seconds")  # in a queue of timers it would stop the loop
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


async def to_thread(function: Callable[..., T], *args: Any) -> T:
    """Call `function`, which may block, in a worker thread, and wait for what it returns or raises.

    Context variables are copied. Where Python was built without threads it is called here and now.

        rows = await kissapi.to_thread(database.execute, "SELECT 1")
    """
    loop = running_loop()
    future = loop.create_future()
    # A loop of tests has no threads: there a call is made at once.
    submit = getattr(loop, "submit", threads.submit)
    submit(partial(_call, loop, future, copy_context(), function, args))
    try:
        return await future  # type: ignore[no-any-return]
    finally:
        del future  # an error that is raised from it holds this frame, which would hold it: a cycle


def _call(loop: Any, future: Any, context: Any, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """In the worker thread."""
    if future.cancelled():
        return  # whoever waited has gone while this call stood in the queue
    result: Any = None
    error: BaseException | None = None
    try:
        result = context.run(function, *args)
    except BaseException as raised:
        error = raised
        # StopIteration would end the coroutine that waits (PEP 479), SystemExit and the like asyncio's loop.
        if isinstance(raised, StopIteration) or not isinstance(raised, Exception):
            error = RuntimeError(f"{function!r} raised {type(raised).__name__}")
            error.__cause__ = raised
    try:
        loop.call_soon_threadsafe(_settle, future, result, error)
    except RuntimeError:
        pass  # the loop was closed meanwhile, and with it all that waited
    finally:
        del error, future  # the error holds this frame: another cycle


def _settle(future: Any, result: Any, error: BaseException | None) -> None:
    if future.done():
        return  # whoever waited was cancelled
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
