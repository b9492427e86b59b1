"""Hooks: before + handler + after, composed into ONE callable, once per route.

With no hooks that callable is the handler itself. Whatever it is, calling it gives a coroutine.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi.awaitables import to_thread

if TYPE_CHECKING:
    from kissapi.request import Request

Handler = Callable[..., Any]
Call = Callable[..., Coroutine[Any, Any, Any]]

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # code flags; `inspect` costs 14 ms to import


def compose(handler: Handler, before: Sequence[Handler] = (), after: Sequence[Handler] = ()) -> Call:
    """One callable that runs `before`, the handler and `after`, in this order.

    What a before hook returns is ignored. An after hook gets (request, result) and returns the result to go
    on with; `None` means unchanged. Hooks run on the loop, sync or async. An exception skips what follows.
    """
    call = as_coroutine_function(handler)
    if not before and not after:
        return call

    async def hooked(request: Request) -> Any:
        for hook in before:
            outcome = hook(request)
            if hasattr(outcome, "__await__"):
                await outcome
        result = await call(request)
        for hook in after:
            outcome = hook(request, result)
            if hasattr(outcome, "__await__"):
                outcome = await outcome
            if outcome is not None:
                result = outcome
        return result

    return hooked


def as_coroutine_function(handler: Handler) -> Call:
    """`handler` so that calling it gives a coroutine: an `async def` as it is, a `def` in a worker thread."""
    flags = _code_flags(handler)
    if flags & _COROUTINE:
        return handler
    if flags & (_GENERATOR | _ASYNC_GENERATOR):

        async def stream(*arguments: Any) -> Any:
            return handler(*arguments)

        return stream

    async def threaded(*arguments: Any) -> Any:
        result = await to_thread(handler, *arguments)
        # A sync wrapper round an async handler (a decorator, a lambda) hands back its coroutine.
        return await result if hasattr(result, "__await__") else result

    return threaded


def _code_flags(function: Any) -> int:
    while isinstance(function, partial):
        function = function.func
    if not hasattr(function, "__code__"):
        # A callable object is judged by the method of its class, and a class by what makes its instances.
        function = type(function).__call__
    return getattr(getattr(function, "__code__", None), "co_flags", 0)
