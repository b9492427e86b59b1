"""Routes: what a router answers, for people: the table of its routes, and those that are never reached.

    from kissapi.extras.routes import table, uncallable, unreached

    print(table(router))

`kissapi routes app:router` prints it, `kissapi check app:router` tells what is wrong with it, and
`kissapi.extras.debug` shows it on a 404.

Law: nothing is worked out twice. Whether a route is reached is asked of the parser and of the compiled table
that answer requests, with paths made to fit; whether a function can be called, of its signature, by the
arguments that it will get.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from kissapi.core import Fail
from kissapi.dispatch import Dispatch
from kissapi.parser import HttpParser
from kissapi.request import Request

if TYPE_CHECKING:
    from kissapi.router import Route, Router
    from kissapi.server import Server

# What fits a parameter of each kind. A float takes whole numbers too, so it is reached if either is; the rest
# of a path may have one segment or several.
_SAMPLES = {
    "int": ["7"],
    "float": ["7.5", "7"],
    "uuid": ["12345678-1234-5678-1234-567812345678"],
    "str": ["~kissapi~"],
    "path": ["~kissapi~/~", "~kissapi~"],
}
_DEBUG = "kissapi.extras.debug."


class Row(NamedTuple):
    """One route, in words."""

    method: str
    path: str
    handler: str
    hooks: str
    router: str


def rows(router: Router) -> list[Row]:
    """Every route that can be reached from `router`, in order of registration.

    Hooks stand in the order in which they run, `…` for the handler: `auth, …, add_headers`.
    """
    found = []
    for route in router.routes():
        before, after = hooks_of(route)
        hooks = ", ".join([*before, "…", *after]) if before or after else ""
        found.append(Row(route.method, route.path, name_of(route.handler), hooks, router_name(route.router)))
    return found


def hooks_of(route: Route) -> tuple[list[str], list[str]]:
    """The names of the hooks that run before and after the handler of `route`, but for those of debug."""
    named = ([name_of(hook) for hook in hooks] for hooks in (route.before, route.after))
    before, after = ([name for name in names if not name.startswith(_DEBUG)] for names in named)
    return before, after


def table(router: Router) -> str:
    """The rows as text, below a line that names the columns; empty columns are left out."""
    lines: list[tuple[str, ...]] = [("METHOD", "PATH", "HANDLER", "HOOKS", "ROUTER"), *rows(router)]
    columns = [column for column in zip(*lines, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in zip(*columns, strict=True)
    )


def unreached(router: Router) -> Iterator[str]:
    """A line for each route that no request leads to, and why.

    Raises what is wrong with the routes as a whole, as a server does when it starts.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two for the same the first is never reached: that is said below
        dispatch = Dispatch(router)
    for route in router.routes():
        reasons = []
        for path in _paths(route):
            reason = _why_not(dispatch, route, path)
            if reason is None:
                break
            reasons.append(reason)
        else:
            yield f"{route.method} {route.path} ({name_of(route.handler)}) is never reached: {reasons[0]}"


def uncallable(app: Router | Server) -> Iterator[str]:
    """A line for each handler, hook or other function of `app` that cannot be called as it will be."""
    from inspect import signature  # 14 ms to import, and the routes on a 404 do without

    for what, function, arguments in _calls(app):
        try:
            # The function that is called, and not what a decorator says is below it.
            found = signature(function, follow_wrapped=False)
        except ValueError:
            continue  # one of C that does not tell
        except TypeError:
            yield f"{what}: {function!r} cannot be called"
            continue
        try:
            found.bind(*arguments)
        except TypeError as error:
            given = " and ".join(f"the {argument}" for argument in arguments) or "nothing"
            taken = ", ".join(found.parameters)
            yield f"{what}: {name_of(function)}({taken}) cannot be called with {given}: {error}"


def _calls(app: Router | Server) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """What the server calls: in words, the function, and what it is given."""
    router: Any = getattr(app, "router", app)
    for route in router.routes():
        inner = getattr(route.handler, "_websocket", None)  # the handler of the app, inside one of ours
        function, given = (route.handler, "request") if inner is None else (inner, "WebSocket")
        yield f"{route.method} {route.path}", function, (given,)
    for each in dict.fromkeys((router, *router._below())):
        for hook in each._before:
            yield "before hook", hook.function, ("request",)
        for hook in each._after:
            yield "after hook", hook.function, ("request", "result")
        for kind, function in each._on_error.items():
            name = kind if isinstance(kind, int) else kind.__name__
            yield f"on_error({name})", function, ("request", "error")
    for event in ("on_start", "on_stop"):
        for function in getattr(app, f"_{event}", ()):
            yield event, function, ()


def name_of(function: Any) -> str:
    """Where a handler or hook is defined: `app.users.show`."""
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    if not hasattr(function, "__qualname__"):
        function = type(function)
    return f"{function.__module__}.{function.__qualname__}"


def router_name(router: Router) -> str:
    """The module and variable that a router is in, `app:router`; nothing for one that is in none."""
    for name, module in list(sys.modules.items()):
        for variable, value in list(getattr(module, "__dict__", {}).items()):
            if value is router and name.partition(".")[0] != "kissapi":
                return f"{name}:{variable}"
    return ""


def _paths(route: Route) -> Iterator[str]:
    choices = [_SAMPLES.get(kind, [text]) for kind, text in route.segments]
    for parts in itertools.product(*choices):
        yield "/" + "/".join(parts)


def _why_not(dispatch: Dispatch, route: Route, path: str) -> str | None:
    """Why a request for `path` does not lead to `route`; None if it does."""
    request = Request()
    try:
        HttpParser(request).feed_data(f"{route.method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    except Fail as fail:
        return f"such a request is answered with {fail.status}"
    try:
        target = dispatch.find(request)
    except Fail:
        return "nothing leads there"
    if target.route == route:
        return None
    return f"{target.route.method} {target.route.path} ({name_of(target.route.handler)}) comes first"
