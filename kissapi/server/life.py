"""Life: the start and the end of an app in one event loop: `on_start`, `on_stop` and `lifespan`, in order.

The running server has one for each loop that serves, the testing client one for its own. What a life has
opened it closes, in reverse: the outermost router first at the start, last at the end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from kissapi.backends.spawn import current
from kissapi.backends.threads import copy_context
from kissapi.http.roster import CLEANUP
from kissapi.http.words import name_of
from kissapi.routing.lifespan import Step, takes_app

if TYPE_CHECKING:
    from kissapi.http.service import Service
    from kissapi.routing.router import Router

Steps = Callable[[], Iterable[Step]]


class Backend(Protocol):
    """What a life asks of its backend; see `kissapi.backends`."""

    CancelledError: type[BaseException]

    def cancelling(self) -> int: ...


def steps_of(own: list[Step], router: Router) -> list[Step]:
    """The steps of a server, and then those of its router and of all that are mounted below, each once."""
    routers = dict.fromkeys((router, *router.below()))
    return [*own, *(step for each in routers for step in each._steps)]


class Life:
    """One life of an app in the loop of `service`. `start` and `stop` are awaited in one task.

    `steps()` gives what is registered, in the order of the start.
    """

    def __init__(self, steps: Steps, service: Service, backend: Backend) -> None:
        self._steps = steps
        self._service = service
        self._backend = backend
        self._opened: dict[Step, AsyncGenerator[Any, Any]] = {}  # lifespans that have come to their yield

    async def start(self) -> None:
        """Call the functions of the start. Raises the error that prevents it; `stop` is due then, too."""
        service = self._service
        token: Any = current.set(service.spawned)
        try:
            for step in self._steps():
                if step.kind == "on_start":
                    await self._call(step.function)
                elif step.kind == "lifespan":
                    await self._open(step)
            service.begin_with(copy_context())  # all requests see the variables that they have set
        finally:
            current.reset(token)

    async def stop(self) -> BaseException | None:
        """Cancel what was spawned, and call all that is to be called at the end.

        What they raise is logged. Returns the first error that ends more than a function, if any.
        """
        backend, service = self._backend, self._service
        first: BaseException | None = None
        asked = backend.cancelling()
        ends: list[tuple[str, Any, Callable[[], Any]]] = [
            (step.kind, step.function, self._end_of(step))
            for step in reversed([*self._steps()])
            if step.kind == "on_stop" or step in self._opened
        ]
        ends.insert(0, ("spawn", "the end of background tasks", self._cancel_spawned))
        ends.append(ends[0])  # what the others have spawned
        for kind, function, end in ends:
            try:
                await end()
            except GeneratorExit:  # the loop has been closed
                raise
            except BaseException as error:
                if isinstance(error, backend.CancelledError) and backend.cancelling() > asked:
                    asked = backend.cancelling()  # this task was cancelled, not what the function waited for
                    first = first or error
                    continue
                service.log.error(f"{kind}: {name_of(function)} failed", error)
                if isinstance(error, (SystemExit, KeyboardInterrupt)):
                    first = first or error
        return first

    async def _call(self, function: Callable[..., Any]) -> None:
        outcome = function(self._service.app) if takes_app(function) else function()
        if hasattr(outcome, "__await__"):
            await outcome

    async def _open(self, step: Step) -> None:
        function = step.function
        generator = function(self._service.app) if takes_app(function) else function()
        try:
            await anext(generator)
        except StopAsyncIteration:
            raise RuntimeError(
                f"{name_of(function)} has ended without a yield: a lifespan yields once"
            ) from None
        self._opened[step] = generator

    async def _close(self, step: Step) -> None:
        generator = self._opened.pop(step)
        try:
            await anext(generator)
        except StopAsyncIteration:
            return
        await generator.aclose()
        raise RuntimeError(f"{name_of(step.function)} yields twice: a lifespan yields once")

    def _end_of(self, step: Step) -> Callable[[], Any]:
        return lambda: self._close(step) if step.kind == "lifespan" else self._call(step.function)

    async def _cancel_spawned(self) -> None:
        await self._service.spawned.cancel(CLEANUP)
