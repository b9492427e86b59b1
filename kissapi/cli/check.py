"""Check: arguments that cannot be bound, routes that no request reaches, functions that cannot be called.

    from kissapi.cli.check import unbound, uncallable, unguarded, unreached

`kissapi check app:router` prints a line for each. Nothing is worked out twice: whether a route is reached is
asked of the parser and of the compiled table that answer requests, with paths made to fit; whether a function
can be called, of its signature, by the arguments that it gets.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kissapi.backends.handlers import as_coroutine_function
from kissapi.core import Fail
from kissapi.http.parser import HttpParser
from kissapi.http.request import Request
from kissapi.routing.arguments.binding import bind
from kissapi.routing.converters import TYPES
from kissapi.routing.dispatch import Dispatch
from kissapi.routing.fit import names_more
from kissapi.routing.lifespan import takes_app
from kissapi.routing.listing import qualified_name, router_name
from kissapi.routing.path import spell
from kissapi.routing.pattern import parameters, texts
from kissapi.routing.route import ANY
from kissapi.routing.signature import signature_of
from kissapi.server.life import steps_of

if TYPE_CHECKING:
    from kissapi.routing.route import Route
    from kissapi.routing.router import Router
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
# What a converter of the app's own may take.
_ANY = [
    "7",
    "8",
    "a",
    "A",
    "a-b",
    "7.5",
    "2026-11-28",
    "12345678-1234-5678-1234-567812345678",
    "deadbeef",
    "en",
]


def unreached(router: Router) -> Iterator[str]:
    """A line for each route that no request leads to, and why.

    Raises what is wrong with the routes as a whole, as a server does when it starts.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two for the same the first is never reached: that is said below
        dispatch = Dispatch(router)
    for route in router.routes():
        reasons = [_why_not(dispatch, route, path) for path in _paths(route)]
        if reasons and None not in reasons:
            handler = qualified_name(route.handler)
            yield f"{route.method} {route.path} ({handler}) is never reached: {reasons[0]}"


def unbound(router: Router) -> Iterator[str]:
    """A line for each handler that names what cannot be bound: the path, the handler, its file and line."""
    for route in router.routes():
        try:
            if names_more(route):
                bind(route, as_coroutine_function(route.handler))
        except (TypeError, ImportError) as error:
            yield str(error)


def unguarded(router: Router) -> Iterator[str]:
    """A line for each mounted router, and each before hook of one above it that does not run for it.

    That may be as it should be, so it is a note. But what an app takes for its guard may be none.
    """
    found = {
        (qualified_name(hook.function), route.prefix, route.router): None
        for route in router.routes()
        for above in route.chain[:-1]
        for hook in above.before_hooks
        if not hook.nested and hook.function not in route.before
    }
    for hook, prefix, below in found:
        name = router_name(below)
        yield (
            f"note: the before hook {hook} does not run for {spell(prefix)}{f' ({name})' if name else ''}: "
            "with before(nested=True) it runs for mounted routers, too"
        )


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
            yield f"{what}: {qualified_name(function)}({taken}) cannot be called with {given}: {error}"


def _calls(app: Router | Server) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """What the server calls: in words, the function, and what it is given."""
    router: Any = getattr(app, "router", app)
    for route in router.routes():
        function, given = route.own_handler, "WebSocket" if route.is_websocket else "request"
        if signature_of(function) is None:  # else it has been judged where it was registered
            yield f"{route.method} {route.path}", function, (given,)
        yield from _hooks(route.hooks.before, route.hooks.after, route.hooks.around)
    for each in dict.fromkeys((router, *router.below())):
        groups = (each.before_hooks, each.after_hooks, each.around_hooks)
        yield from _hooks(*([hook.function for hook in group] for group in groups))
        for kind, function in each.error_handlers.items():
            name = kind if isinstance(kind, int) else kind.__name__
            yield f"on_error({name})", function, ("request", "error")
    for step in steps_of([] if app is router else app._steps, router):
        yield step.kind, step.function, ("app",) if takes_app(step.function) else ()


def _hooks(
    before: Iterable[Any], after: Iterable[Any], around: Iterable[Any]
) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    for hook in before:
        yield "before hook", hook, ("request",)
    for hook in after:
        yield "after hook", hook, ("request", "result")
    for hook in around:
        yield "around hook", hook, ("request",)


def _samples(kind: str, text: str) -> list[str]:
    """Segments that fit; none if they are of a converter that takes no sample."""
    if kind == "literal":
        return [text]
    if "{" not in kind:
        return _SAMPLES.get(kind) or [sample for sample in _ANY if TYPES[kind](sample) is not None]
    first, *behind = texts(kind)
    values = itertools.product(*(_samples(each, name) for each, name in parameters(kind, text)))
    return [first + "".join(map("".join, zip(each, behind, strict=True))) for each in values]


def _paths(route: Route) -> Iterator[str]:
    choices = [_samples(*segment) for segment in route.segments]
    for parts in itertools.product(*choices):
        yield "/" + "/".join(parts)


def _why_not(dispatch: Dispatch, route: Route, path: str) -> str | None:
    """Why a request for `path` does not lead to `route`; None if it does."""
    request = Request()
    try:
        method = "UNLINK" if route.method == ANY else route.method  # one that no app has a route for
        HttpParser(request).feed_data(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    except Fail as fail:
        return f"such a request is answered with {fail.status}"
    try:
        target = dispatch.find(request)
    except Fail:
        return "nothing leads there"
    if target.route == route:
        return None
    return f"{target.route.method} {target.route.path} ({qualified_name(target.route.handler)}) comes first"
