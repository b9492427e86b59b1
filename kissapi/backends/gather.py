"""gather: several awaitables at the same time, on every backend; and tasks that begin in the next turn."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any, Literal, TypeVar, overload

from kissapi.backends.awaitables import running_loop, sleep

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")

_kept: set[Any] = set()  # tasks that are not done: a loop itself keeps no strong reference


@overload
async def gather(
    one: Awaitable[T1], two: Awaitable[T2], /, *, return_exceptions: Literal[False] = False
) -> tuple[T1, T2]: ...
@overload
async def gather(
    one: Awaitable[T1],
    two: Awaitable[T2],
    three: Awaitable[T3],
    /,
    *,
    return_exceptions: Literal[False] = False,
) -> tuple[T1, T2, T3]: ...
@overload
async def gather(*awaitables: Awaitable[T], return_exceptions: Literal[False] = False) -> list[T]: ...
@overload
async def gather(*awaitables: Awaitable[T], return_exceptions: Literal[True]) -> list[T | BaseException]: ...


async def gather(*awaitables: Any, return_exceptions: bool = False) -> Any:
    """Await all of them at the same time; gives the list of their results, in their order.

    The first error is raised at once, and the others go on; with `return_exceptions=True` errors are results.
    If this is cancelled, they are, and their `finally` blocks are waited for. `asyncio.gather`, on every
    backend; but they begin when it is awaited.

        user, orders = await kissapi.gather(load_user(), load_orders())
    """
    loop = running_loop()
    tasks: dict[Any, Any] = {}
    for each in awaitables:
        if each not in tasks:
            tasks[each] = each if hasattr(each, "add_done_callback") else keep(begin(loop, each))
    if not tasks:
        return []
    waits = loop.create_future()
    left = len(tasks)
    errors: list[Any] = []  # the task that failed first

    def ended(task: Any) -> None:
        nonlocal left
        left -= 1
        failed = task.cancelled() or task.exception() is not None
        if not waits.done() and (not left or (failed and not return_exceptions)):
            if failed and not return_exceptions:
                errors.append(task)
            waits.set_result(None)

    for task in tasks.values():
        task.add_done_callback(ended)
    cancelled: BaseException | None = None
    try:
        while not waits.done():
            try:
                await waits
            except BaseException as error:
                if not waits.cancelled():
                    raise
                cancelled = error
                waits = loop.create_future()
                for task in tasks.values():
                    task.cancel()
        if errors:
            errors.pop().result()  # raises
        if cancelled is not None:
            raise cancelled
        return [_result(tasks[each]) for each in awaitables]
    finally:
        awaitables, task, cancelled = (), None, None  # an error raised from here holds this frame: no cycle
        tasks.clear()


def begin(loop: Any, awaitable: Awaitable[T]) -> Any:
    """A task of `awaitable`, which takes its first step in a later turn, on every backend."""
    task = loop.create_task(_later(awaitable))
    if isinstance(awaitable, Coroutine):
        # If the task was cancelled before it began, Python would warn that this was never awaited.
        task.add_done_callback(lambda _: awaitable.close())
    return task


def keep(task: Any) -> Any:
    """`task`, referenced until it is done."""
    _kept.add(task)
    task.add_done_callback(_kept.discard)
    return task


async def _later(awaitable: Awaitable[T]) -> T:
    await sleep(0)
    return await awaitable


def _result(task: Any) -> Any:
    try:
        return task.result()
    except BaseException as error:
        return error
