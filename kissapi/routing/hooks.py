"""Hooks: the before, after and around hooks and the error handlers of one router.

They are registered here, and composed with each handler when a server starts: `kissapi.core.compose`, and
`kissapi.http.cover` for what sees every answer.
"""

import warnings
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Concatenate, NamedTuple, TypeVar, overload

from kissapi.backends.handlers import ASYNC_GENERATOR, GENERATOR, code_flags, is_async_generator
from kissapi.routing.signature import check_takes, place_of

# A handler takes the request first, and what it names beside it; see `kissapi.routing.arguments`.
Handler = Callable[Concatenate[Any, ...], Any]
HandlerT = TypeVar("HandlerT", bound=Handler)
WebSocketT = TypeVar("WebSocketT", bound=Callable[Concatenate[Any, ...], Coroutine[Any, Any, Any]])
BeforeT = TypeVar("BeforeT", bound=Callable[[Any], Any])
AfterT = TypeVar("AfterT", bound=Callable[[Any, Any], Any])
AroundT = TypeVar("AroundT", bound=Callable[[Any], AsyncGenerator[Any, Any]])


class Hook(NamedTuple):
    """A before, after or around hook; `nested` ones run for the routers mounted below, too."""

    function: Callable[..., Any]
    nested: bool


class RouteHooks(NamedTuple):
    """The hooks of one route alone, inside those of its router."""

    before: tuple[Callable[..., Any], ...] = ()
    after: tuple[Callable[..., Any], ...] = ()
    around: tuple[Callable[..., Any], ...] = ()


class Hooks:
    """What a `Router` has besides its routes."""

    def __init__(self) -> None:
        self.before_hooks: list[Hook] = []
        self.after_hooks: list[Hook] = []
        self.around_hooks: list[Hook] = []
        self.error_handlers: dict[int | type[Exception], Callable[..., Any]] = {}
        self._servers = 0  # how many running servers have compiled this router

    def add_hook(self, kind: str, function: Callable[..., Any], nested: bool | None = None) -> None:
        """Run `function` "before", "after" or "around" each handler of this router, in the order of addition.

        A before hook gets the request. It returns None to go on, a `Response` or a `Fail` to answer in place
        of the handler. An after hook gets (request, result) and may return another result. `around` is as
        for the decorator. `nested=True` makes a hook run for the routers mounted below, too: before hooks
        from the outermost router in, after hooks from the innermost out. Arounds are nested unless
        `nested=False`. Raises `ValueError` for another kind, `TypeError` for a function that does not fit,
        `RuntimeError` while a server runs.

            router.add_hook("before", authenticate, nested=True)
        """
        self._check_open()
        check_hook(kind, function)
        hooks = {"before": self.before_hooks, "after": self.after_hooks, "around": self.around_hooks}[kind]
        hooks.append(Hook(function, kind == "around" if nested is None else nested))

    @overload
    def before(self, function: BeforeT, /) -> BeforeT: ...
    @overload
    def before(self, /, *, nested: bool = False) -> Callable[[BeforeT], BeforeT]: ...
    def before(self, function: Any = None, /, *, nested: bool = False) -> Any:
        """Run a function before each handler of this router: a decorator; see `add_hook`.

        @router.before(nested=True)
        async def authenticate(req: Request) -> Response | None:
            return None if "authorization" in req.headers else Response("log in first", 401)
        """
        return self._hook("before", function, nested)

    @overload
    def after(self, function: AfterT, /) -> AfterT: ...
    @overload
    def after(self, /, *, nested: bool = False) -> Callable[[AfterT], AfterT]: ...
    def after(self, function: Any = None, /, *, nested: bool = False) -> Any:
        """Run a function after each handler of this router: a decorator; see `add_hook`.

        @router.after
        async def wrap(req: Request, result: object) -> object:
            return {"data": result}
        """
        return self._hook("after", function, nested)

    @overload
    def around(self, function: AroundT, /) -> AroundT: ...
    @overload
    def around(self, /, *, nested: bool = True) -> Callable[[AroundT], AroundT]: ...
    def around(self, function: Any = None, /, *, nested: bool = True) -> Any:
        """Run an async generator function around each answer of this router and of those mounted below.

        Its one `yield` gives the `Response`, with `error` if an exception was raised. 404, 405, OPTIONS,
        `Fail` and exceptions are answers, too. `yield Response(…)` answers in place of the handler, and so
        does raising `Fail`; after the yield that replaces the answer. If the client leaves or the server
        stops, cancellation is raised at the yield. Raises `TypeError` for any other function.

            @router.around
            async def timing(req: Request) -> AsyncGenerator[None, Response]:
                start = clock()
                response = yield
                response.headers["server-timing"] = f"app;dur={(clock() - start) * 1000:.1f}"
        """
        return self._hook("around", function, nested)

    def _hook(self, kind: str, function: Any, nested: bool) -> Any:
        def add(function: HandlerT) -> HandlerT:
            self.add_hook(kind, function, nested)
            return function

        return add if function is None else add(function)

    def on_error(self, what: int | type[Exception]) -> Callable[[AfterT], AfterT]:
        """Answer a status, or an exception, of this router and those below with what a function returns.

        It gets (request, error), sync or async. What it returns is sent with the status of the error (500 for
        what is no `Fail`), unless it is a `Response` or a `Fail`. The innermost router that has one answers.
        For 404 and 405 without a route that is the deepest mounted router with the prefix of the path, or one
        above it. It is asked once for a request, up to the first byte of the answer: for generators,
        conversion, files and bodies as well. A message that cannot be parsed never comes to a router. Raises
        `TypeError` for anything but a status or a class of exceptions.

            @router.on_error(404)
            async def missing(req: Request, error: Fail):
                return {"error": f"nothing at {req.path}"}
        """
        self._check_open()
        is_class = isinstance(what, type) and issubclass(what, Exception)
        if not is_class and (isinstance(what, bool) or not isinstance(what, int) or not 400 <= what <= 599):
            raise TypeError(f"on_error takes a status from 400 to 599 or a class of exceptions, not {what!r}")

        def register(function: AfterT) -> AfterT:
            check_takes("an error handler", function, "request", "error")
            if what in self.error_handlers:
                name = what if isinstance(what, int) else what.__name__
                warnings.warn(f"on_error({name}) is there twice; the last one wins", stacklevel=2)
            self.error_handlers[what] = function
            return function

        return register

    def _check_open(self) -> None:
        if self._servers:
            raise RuntimeError(
                "this router is being served: register routes, mounts and hooks before the server starts"
            )


def check_hook(kind: str, function: Any) -> None:
    """Raise `ValueError` for an unknown kind, `TypeError` for what is no hook of that kind."""
    if kind not in ("before", "after", "around"):
        raise ValueError(f'a hook is "before", "after" or "around", not {kind!r}')
    if not callable(function):
        raise TypeError(f"the {kind} hook is {function!r}, which cannot be called")
    if kind == "around" and not is_async_generator(function):
        hint = "write `async def` with one `yield`, which gives the response"
        if hasattr(function, "__wrapped__"):
            hint = "leave out the decorator below it"  # @asynccontextmanager, perhaps
        raise TypeError(f"{place_of(function)}: an around hook is an async generator function: {hint}")
    if kind == "before" and code_flags(function) & (GENERATOR | ASYNC_GENERATOR):
        raise TypeError(f"{place_of(function)} has a yield: @router.around takes it, @router.before does not")
    given = ("request", "result") if kind == "after" else ("request",)
    check_takes(f"{'a' if kind == 'before' else 'an'} {kind} hook", function, *given)


def hook_list(kind: str, functions: Any) -> tuple[Callable[..., Any], ...]:
    """The hooks of one route. Raises `TypeError` for what is no list of hooks of that kind."""
    if callable(functions) or isinstance(functions, str):
        raise TypeError(f"{kind} is a list of hooks: {kind}=[check], not {functions!r}")
    hooks = tuple(functions)
    for function in hooks:
        check_hook(kind, function)
    return hooks
