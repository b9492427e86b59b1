"""Handlers: whatever function an app registers, as a coroutine function.

An `async def` is left as it is. A plain `def` may block, so it runs in the worker thread of its request; see
`kissapi.backends.awaitables.in_thread_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from kissapi.backends.awaitables import in_thread_of

GENERATOR, COROUTINE, ASYNC_GENERATOR = 0x20, 0x80, 0x200  # code flags; `inspect` costs 14 ms to import


def as_coroutine_function(handler: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A function like `handler`, which takes a request first; a call of it always gives a coroutine."""
    flags = code_flags(handler)
    if flags & COROUTINE:
        return handler
    if flags & (GENERATOR | ASYNC_GENERATOR):

        async def stream(*arguments: Any, **named: Any) -> Any:
            return handler(*arguments, **named)

        return stream

    async def threaded(request: Any, *arguments: Any, **named: Any) -> Any:
        function = partial(handler, **named) if named else handler
        result = await in_thread_of(request, function, request, *arguments)
        # A sync wrapper round an async handler (a decorator, a lambda) hands back its coroutine.
        return await result if hasattr(result, "__await__") else result

    return threaded


def is_plain(function: Callable[..., Any]) -> bool:
    """Whether it is neither an `async def` nor a generator function."""
    return not code_flags(function) & (COROUTINE | GENERATOR | ASYNC_GENERATOR)


def takes_bodies(function: Callable[..., Any]) -> bool:
    """Whether it can take a body as it comes: an `async def`, or an async generator function."""
    return bool(code_flags(function) & (COROUTINE | ASYNC_GENERATOR))


def is_async_generator(function: Callable[..., Any]) -> bool:
    """Whether it is an async generator function: an `async def` with a `yield`."""
    return bool(code_flags(function) & ASYNC_GENERATOR)


def code_flags(function: Any) -> int:
    """The flags of the code of `function`, of its class if it is a callable object."""
    while isinstance(function, partial):
        function = function.func
    if not hasattr(function, "__code__"):
        # A callable object is judged by the method of its class, and a class by what makes its instances.
        function = type(function).__call__
    return getattr(getattr(function, "__code__", None), "co_flags", 0)
