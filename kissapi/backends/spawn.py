"""spawn: background tasks of an app: kept while they run, logged if they fail, cancelled when it stops.

Each service has the `Spawned` of its loop. A handler, a hook and what they spawn find theirs by a context
variable, for one loop may serve several servers.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from kissapi.backends.awaitables import running_loop, sleep
from kissapi.backends.gather import begin
from kissapi.backends.threads import ContextVar, copy_context

T = TypeVar("T")


def spawn(coroutine: Coroutine[Any, Any, T]) -> Any:
    """Run `coroutine` in the background; gives its task, which can be awaited and cancelled.

    It begins in the next turn of the loop. What it raises is an error in the log; it is not started anew.
    When the server stops it is cancelled, after the last client has gone and before `on_stop`. Raises
    `TypeError` for what is no coroutine, `RuntimeError` where no server serves, and in a plain `def`, which
    runs in a thread.

        @router.on_start
        async def watch(app):
            app.watcher = kissapi.spawn(watch_prices(app))
    """
    if not hasattr(coroutine, "send"):
        hint = "call it: spawn(work())" if callable(coroutine) else "what a call of an async def gives"
        raise TypeError(f"spawn takes a coroutine, not {coroutine!r}: {hint}")
    spawned = current.get()
    try:
        loop = running_loop()
    except RuntimeError:
        loop = None
    if loop is not None and spawned is not None:
        return spawned.start(loop, coroutine)
    coroutine.close()  # else Python would warn that it was never awaited
    if loop is None:
        raise RuntimeError("no event loop runs here: spawn in an async def; in a def, req.after(…) may do")
    raise RuntimeError("nothing serves here: spawn is for handlers, hooks, on_start and lifespan")


class Log(Protocol):
    """Where failures go."""

    def error(self, text: str, error: BaseException | None = None) -> None: ...


class Spawned:
    """The background tasks of one service, whose log is `log`."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self._tasks: dict[Any, str] = {}  # their names, for the log

    def start(self, loop: Any, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The task of `coroutine`."""
        task = begin(loop, _guarded(coroutine))
        self._tasks[task] = name = getattr(coroutine, "__qualname__", str(coroutine))
        context = copy_context()  # of the request: the line of a failure bears its id

        def ended(task: Any) -> None:
            self._tasks.pop(task, None)
            coroutine.close()
            if not task.cancelled() and task.exception() is not None:
                context.run(self.log.error, f"the background task {name} failed", task.exception())

        task.add_done_callback(ended)
        return task

    async def cancel(self, seconds: float) -> None:
        """Cancel all, and give them `seconds` for their `finally` blocks; what goes on is left behind."""
        for task in tuple(self._tasks):
            task.cancel()
        deadline = running_loop().time() + seconds
        while self._tasks and running_loop().time() < deadline:
            await sleep(0)
            if self._tasks:
                await sleep(0.01)
        for name in self._tasks.values():
            self.log.error(f"the background task {name} goes on {seconds:g} s after it was cancelled")
        self._tasks.clear()


current: ContextVar[Spawned | None] = ContextVar("kissapi.spawned", default=None)


async def _guarded(coroutine: Coroutine[Any, Any, T]) -> T:
    """`coroutine`; an end of the process is none of its business: asyncio would end the loop by it."""
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"a background task raised {type(error).__name__}") from error
