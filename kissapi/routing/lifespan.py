"""Lifespan: what an app does when a loop begins to serve it, and when that ends, as it is registered.

`Router` and `Server` have it. `kissapi.server.life` calls it, once for each loop that serves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from kissapi.backends.handlers import ASYNC_GENERATOR, GENERATOR, code_flags
from kissapi.routing.signature import NOTHING, place_of, signature_of

FunctionT = TypeVar("FunctionT", bound=Callable[[], Any] | Callable[[Any], Any])
GeneratorT = TypeVar(
    "GeneratorT",
    bound=Callable[[], AsyncIterator[Any]] | Callable[[Any], AsyncIterator[Any]],
)


class Step:
    """One registration; `kind` is "on_start", "on_stop" or "lifespan"."""

    def __init__(self, kind: str, function: Callable[..., Any]) -> None:
        self.kind = kind
        self.function = function


class Lifespan:
    """What begins and ends with a loop that serves."""

    _steps: list[Step]

    def on_start(self, function: FunctionT) -> FunctionT:
        """Call `function(app)`, sync or async, before the first client is served; if it raises, none is.

        It is called once in each event loop that serves, on it, one loop after the other: `app` is the
        namespace of that loop, which requests have as `req.app`. A function without a parameter is called
        without. Those of an outer router are called before those of the routers mounted in it, of one router
        in their order. If one raises, or a signal cancels it, what `on_stop` has registered is called all the
        same.

            @router.on_start
            async def connect(app):
                app.pool = await create_pool()
        """
        self._register("on_start", function)
        return function

    def on_stop(self, function: FunctionT) -> FunctionT:
        """Call `function(app)`, sync or async, when the last client of a loop has gone; the last comes first.

        All of them are called, whatever one raises: that is a line in the log. They are called for a server
        that could not start as well, so what one closes may not have been opened.

            @router.on_stop
            async def disconnect(app):
                await app.pool.close()
        """
        self._register("on_stop", function)
        return function

    def lifespan(self, function: GeneratorT) -> GeneratorT:
        """Run an async generator function, `function(app)`, to its `yield` at the start, the rest at the end.

        It is `on_start` and `on_stop` in one: its end comes only if it has come to the `yield`, also when
        another function of the start fails. Raises `TypeError` for anything but an async generator function.

            @router.lifespan
            async def pool(app):
                async with create_pool() as app.pool:
                    yield
        """
        if not code_flags(function) & ASYNC_GENERATOR:
            below = hasattr(function, "__wrapped__")
            hint = "leave out the decorator below it" if below else "async def, with one yield"
            name = place_of(function) if callable(function) else repr(function)
            raise TypeError(f"lifespan takes an async generator function, not {name}: {hint}")
        self._register("lifespan", function)
        return function

    def _register(self, kind: str, function: Any) -> None:
        self._check_open()
        if not callable(function):
            raise TypeError(f"{kind} takes a function, not {function!r}")
        if kind != "lifespan" and code_flags(function) & (GENERATOR | ASYNC_GENERATOR):
            raise TypeError(
                f"{place_of(function)} has a yield: @router.lifespan takes an `async def` with one"
            )
        self._steps.append(Step(kind, function))

    def _check_open(self) -> None:
        """Raise `RuntimeError` if it is too late to register."""


def takes_app(function: Any) -> bool:
    """Whether `function` has a parameter without a default, which the namespace is for."""
    signature = signature_of(function)
    return signature is not None and any(each.default is NOTHING for each in signature.parameters)
