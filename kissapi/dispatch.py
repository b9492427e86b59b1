"""Dispatch: a router compiled into a table; request → the coroutine that answers it.

Law: matching goes segment by segment through a tree, so its cost does not grow with the number of routes.
At each segment a literal beats a typed parameter, that beats an untyped one, that beats the rest of the path;
among equals the first registered is tried first, and a branch that leads nowhere lets the search go on.
Paths without parameters skip the tree: they are looked up whole. Where only the last segment is a parameter,
the place above it is: that is where the search would come first.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from kissapi import codec
from kissapi.errors import answer_errors
from kissapi.fail import Fail
from kissapi.framing import too_large
from kissapi.hooks import Call, compose
from kissapi.limits import Limits
from kissapi.path import TYPES, canonical_literal, check_names
from kissapi.response import Response

if TYPE_CHECKING:
    from kissapi.request import Request
    from kissapi.router import Route, Router


class Target:
    """Where a method leads: the composed call, and the names of the captured parameters.

    `max_body` is how many bytes of body it takes, `most` what the parser lets pass for the sake of others.
    """

    __slots__ = ("call", "max_body", "names", "route", "stream")

    def __init__(self, route: Route, max_body: int, most: int) -> None:
        check_names(route.segments, route.path)
        self.route = route
        self.call: Call = compose(route.handler, route.before, route.after)
        tables = [router._on_error for router in reversed(route.chain) if router._on_error]
        if tables:
            self.call = answer_errors(self.call, tables)
        self.stream = route.stream
        self.max_body = max_body if route.max_body is None else route.max_body
        if self.max_body < most:
            self.call = _limited(self.call, self.max_body)
        self.names = tuple(segment.text for segment in route.segments if segment.kind != "literal")


Leaf = dict[str, Target]  # by method
_NOTHING: Leaf = {}


class Node:
    """One place in the tree: what may come next, in order of precedence, and what ends here."""

    __slots__ = ("leaf", "literals", "rest", "typed", "untyped")

    def __init__(self) -> None:
        self.leaf: Leaf = {}
        self.literals: dict[str, Node] = {}
        self.typed: dict[str, tuple[Callable[[str], Any], Node]] = {}
        self.untyped: Node | None = None
        self.rest: Leaf = {}


class Dispatch:
    """The compiled table of a router. Raises what is wrong with the routes as a whole.

    Each event loop compiles its own, in its own thread: on free-threaded Python, objects that another thread
    made cost 2.5 times as much to touch.
    """

    def __init__(self, router: Router, max_body: int = Limits.max_body) -> None:
        routes = list(router.routes())
        self.max_body = max([max_body, *(route.max_body or 0 for route in routes)])
        self.rules = any(route.stream or route.max_body is not None for route in routes)
        self.on_error = router._on_error
        self.tree = Node()
        self.exact: dict[str, Leaf] = {}  # leaves without parameters, by their whole path
        self.places: dict[str, Node] = {}  # nodes above a parameter that have none above them, likewise
        self.methods = {"OPTIONS"}  # all that is answered anywhere
        leaves: list[Leaf] = []
        for route in routes:
            leaf = self._leaf(route)
            if route.method in leaf:
                warnings.warn(f"{route.method} {route.path} is there twice; the last one wins", stacklevel=2)
            leaf[route.method] = target = Target(route, max_body, self.max_body)
            if not target.names:
                self.exact[route.path] = leaf
            leaves.append(leaf)
        for leaf in leaves:
            if "GET" in leaf:
                leaf.setdefault("HEAD", leaf["GET"])
            self.methods.update(leaf)

    def handle(self, request: Request) -> Coroutine[Any, Any, Any]:
        """The coroutine that answers `request`. Raises `Fail`: 404, or 405 with Allow."""
        target = self.exact.get(request.path, _NOTHING).get(request.method)
        if target is None:
            try:
                return self._search(request)
            except Fail as fail:
                if not self.on_error:
                    raise
                return answer_errors(_raising(fail), [self.on_error])(request)
        return target.call(request)

    def _search(self, request: Request) -> Coroutine[Any, Any, Any]:
        path, method = request.path, request.method
        if "%" in path or not path.isascii():  # escaped, or what a parser of another protocol may give
            if path.startswith("/"):
                request.path = path = canonical_literal(path)
        else:
            place, _, segment = path.rpartition("/")
            node = self.places.get(place)
            if node is not None and segment:
                value: Any = segment
                child = node.untyped
                for convert, typed in node.typed.values():
                    converted = convert(segment)
                    if converted is not None:
                        value, child = converted, typed
                        break
                target = child.leaf.get(method) if child is not None else None
                if target is not None:
                    request.params = {target.names[0]: value}
                    return target.call(request)
        allowed: set[str] = set()
        if path.startswith("/"):
            captured: list[Any] = []
            target = _find(self.tree, path.split("/"), 1, method, captured, allowed)
            if target is not None:
                request.params = dict(zip(target.names, captured, strict=True))
                return target.call(request)
            allowed.discard("OPTIONS")  # a handler of it for every path, as CORS has, makes no path exist
        elif path == "*" and method == "OPTIONS":
            allowed = self.methods
        if not allowed:
            raise Fail(404, "Not Found")
        allow = ", ".join(sorted({"OPTIONS", *allowed}))
        if method == "OPTIONS":
            return _answer(Response(None, 204, {"allow": allow}))
        raise Fail(405, "Method Not Allowed", {"Allow": allow})

    def find(self, request: Request) -> Target | None:
        """Where `request` leads, if anywhere."""
        try:
            segments = canonical_literal(request.path).split("/")
            return _find(self.tree, segments, 1, request.method, [], set())
        except Exception:  # the path may be all that is wrong with the request: not even a string, perhaps
            return None

    def handler_of(self, request: Request) -> Callable[..., Any] | None:
        """The handler `request` leads to, for log lines."""
        target = self.find(request)
        return target.route.handler if target is not None else None

    def _leaf(self, route: Route) -> Leaf:
        """The leaf where `route` belongs; the branch to it grows if need be."""
        node = self.tree
        place: str | None = ""  # above all parameters
        for kind, text in route.segments:
            if kind == "path":
                return node.rest
            if kind == "literal":
                node = node.literals.setdefault(text, Node())
                place = f"{place}/{text}" if place is not None else None
                continue
            if place is not None:
                self.places[place] = node
                place = None
            if kind == "str":
                node.untyped = node = node.untyped or Node()
            else:
                node = node.typed.setdefault(kind, (TYPES[kind], Node()))[1]
        return node.leaf


def _find(
    node: Node, segments: list[str], index: int, method: str, captured: list[Any], allowed: set[str]
) -> Target | None:
    """The first target below `node` that matches; `allowed` gets the methods of what else matches."""
    if index == len(segments):
        target = node.leaf.get(method)
        if target is None:
            allowed.update(node.leaf)
        return target
    segment = segments[index]
    child = node.literals.get(segment)
    if child is not None:
        target = _find(child, segments, index + 1, method, captured, allowed)
        if target is not None:
            return target
    if segment:
        for convert, child in node.typed.values():
            value = convert(segment)
            if value is not None:
                captured.append(value)
                target = _find(child, segments, index + 1, method, captured, allowed)
                if target is not None:
                    return target
                captured.pop()
        child = node.untyped
        if child is not None:
            captured.append(codec.decode_segment(segment))
            target = _find(child, segments, index + 1, method, captured, allowed)
            if target is not None:
                return target
            captured.pop()
    if node.rest:
        target = node.rest.get(method)
        if target is not None:
            captured.append(codec.decode_segment("/".join(segments[index:])))
            return target
        allowed.update(node.rest)
    return None


async def _answer(response: Response) -> Response:
    return response


def _raising(fail: Fail) -> Call:
    async def fails(request: Request) -> Any:
        raise fail

    return fails


def _limited(call: Call, most: int) -> Call:
    async def limited(request: Request) -> Any:
        if len(request.body) > most:
            raise too_large(most)
        return await call(request)

    return limited
