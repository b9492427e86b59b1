"""Hooks: the before and after hooks and the error handlers of one router.

They are registered here, and composed with each handler when a server starts (`kissapi.core.compose`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


class Hook(NamedTuple):
    """A before or after hook; `nested` ones run for the routers mounted below, too."""

    function: Callable[..., Any]
    nested: bool


class Hooks:
    """What a `Router` has besides its routes."""

    def __init__(self) -> None:
        self.before_hooks: list[Hook] = []
        self.after_hooks: list[Hook] = []
        self.error_handlers: dict[int | type[Exception], Callable[..., Any]] = {}
        self._servers = 0  # how many running servers have compiled this router

    def add_hook(self, kind: str, function: Callable[..., Any], nested: bool = False) -> None:
        """Run `function` "before" or "after" each handler of this router, in the order they were added.

        A before hook gets the request; an after hook gets (request, result) and may return another result.
        `nested=True` makes it run for the routers mounted below, too: before hooks from the outermost router
        in, after hooks from the innermost out. Raises `ValueError` for another kind.
        """
        self._check_open()
        if kind not in ("before", "after"):
            raise ValueError(f'a hook is "before" or "after", not {kind!r}')
        if not callable(function):
            raise TypeError(f"the {kind} hook is {function!r}, which cannot be called")
        (self.before_hooks if kind == "before" else self.after_hooks).append(Hook(function, nested))

    def before(self, function: HandlerT) -> HandlerT:
        """As a decorator: `@router.before` is `add_hook("before", function)`."""
        self.add_hook("before", function)
        return function

    def after(self, function: HandlerT) -> HandlerT:
        """As a decorator: `@router.after` is `add_hook("after", function)`."""
        self.add_hook("after", function)
        return function

    def on_error(self, what: int | type[Exception]) -> Callable[[HandlerT], HandlerT]:
        """Answer a status, or an exception, of this router and those below with what a function returns.

        It gets (request, error), sync or async. What it returns is sent with the status of the error (500 for
        what is no `Fail`), unless it is a `Response` or a `Fail`. The innermost router that has one answers;
        404 and 405 for paths without a route are the outermost router's. It is asked once for a request, up
        to the first byte of the answer: for generators, conversion, files and bodies as well. A message
        that cannot even be read never comes to a router. Raises `TypeError` for anything but a status or a
        class of exceptions.

            @router.on_error(404)
            async def missing(req: Request, error: Fail):
                return {"error": f"nothing at {req.path}"}
        """
        self._check_open()
        is_class = isinstance(what, type) and issubclass(what, Exception)
        if not is_class and (isinstance(what, bool) or not isinstance(what, int) or not 400 <= what <= 599):
            raise TypeError(f"on_error takes a status from 400 to 599 or a class of exceptions, not {what!r}")

        def register(function: HandlerT) -> HandlerT:
            self.error_handlers[what] = function
            return function

        return register

    def _check_open(self) -> None:
        if self._servers:
            raise RuntimeError(
                "this router is being served: register routes, mounts and hooks before the server starts"
            )
