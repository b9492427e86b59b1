"""What a handler can await on every backend.

Law: written once, in asyncio's words (`create_future`, `call_later`, `call_soon_threadsafe`), which both loops speak.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from kissapi.threads import Threads, copy_context

T = TypeVar("T")


def running_loop() -> Any:
    """The event loop that runs in this thread. Raises `RuntimeError` if there is none."""
    asyncio = sys.modules.get("asyncio")  # never imported here: it may not exist, and it costs 40 ms
    if asyncio is not None:
        loop = asyncio._get_running_loop()
        if loop is not None:
            return loop
    ours = sys.modules.get("kissapi.backends.loop")
    loop = ours.running.loop if ours is not None else None
    if loop is None:
        raise RuntimeError("no event loop runs here: await this in a handler, a hook or another coroutine")
    return loop


async def sleep(seconds: float) -> None:
    """Wait without holding up others; at least `seconds`, 0 lets the others have a turn.

    await kissapi.sleep(0.5)
    """
    loop = running_loop()
    future = loop.create_future()
    timer = loop.call_later(seconds, _wake, future)
    try:
        await future
    finally:
        timer.cancel()


def _wake(future: Any) -> None:
    if not future.done():
        future.set_result(None)


_threads = Threads()


async def to_thread(function: Callable[..., T], *args: Any) -> T:
    """Call `function`, which may block, in a worker thread, and wait for what it returns or raises.

    Context variables are copied. Where Python was built without threads it is called here and now.

        rows = await kissapi.to_thread(database.execute, "SELECT 1")
    """
    loop = running_loop()
    future = loop.create_future()
    context = copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():  # whoever waited was cancelled
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):  # it would end the coroutine that waits (PEP 479)
            future.set_exception(RuntimeError(f"{function!r} raised StopIteration"))
        else:
            future.set_exception(error)

    def call() -> None:
        result = error = None
        try:
            result = context.run(function, *args)
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            pass  # the loop was closed meanwhile, and with it all that waited
        finally:
            del error  # it holds this frame, which holds it: a cycle

    _threads.submit(call)
    return await future  # type: ignore[no-any-return]
