"""Dispatch: routes compiled into a tree, and the search for the route of a request.

Matching goes segment by segment, so its cost does not grow with the number of routes. At each segment the
order is: a literal, a parameter with a type, a parameter without one, the rest of the path. Among equals the
first registered is tried first. If a branch does not match to its end, the search goes on with the next one.
Paths without parameters skip the tree: they are looked up whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from kissapi.core.compose import Call, compose
from kissapi.core.fail import Fail
from kissapi.core.message import Request


class Endpoint:
    """A compiled route: the composed call, and the names of the captured parameters."""

    def __init__(self, route: Any, call: Call) -> None:
        self.route = route
        self.call = call
        self.names = tuple(segment.text for segment in route.segments if segment.kind != "literal")


Leaf = dict[str, Any]  # endpoints by method


class Node:
    """A place in the tree: the segments that may come next, and the endpoints of paths that end here."""

    def __init__(self) -> None:
        self.leaf: Leaf = {}
        self.literals: dict[str, Node] = {}
        self.parameters: dict[str, tuple[Callable[[str], Any], Node]] = {}  # by type, in order of precedence
        self.rest: Leaf = {}


class Dispatch:
    """The compiled table of `routes`: it finds the coroutine that answers a request.

    A route has `method`, `path`, `segments` of a `kind` and a `text`, `handler`, `before`, `after`, `errors`;
    see `kissapi.routing.router.Route`. A protocol may replace `converters`, `compile`, `find` and `missing`.
    """

    # By the kind of a segment: the function from its text to its value, None if the text does not match.
    converters: ClassVar[Mapping[str, Callable[[str], Any]]] = {"str": str, "path": str}

    def __init__(self, routes: Iterable[Any]) -> None:
        self.tree = Node()
        self.exact: dict[tuple[str, str], Endpoint] = {}  # without parameters, by method and path
        for route in routes:
            leaf = self.leaf_of(route.segments)
            if route.method in leaf:
                warnings.warn(f"{route.method} {route.path} is there twice; the last one wins", stacklevel=2)
            endpoint = self.compile(route)
            leaf[route.method] = endpoint
            if not endpoint.names:
                self.exact[route.method, route.path] = endpoint

    def leaf_of(self, segments: Iterable[Any]) -> Leaf:
        """The leaf of `segments`; nodes that are missing on the way are made."""
        node = self.tree
        for kind, text in segments:
            if kind == "path":
                return node.rest
            if kind == "literal":
                node = node.literals.setdefault(text, Node())
            else:
                parameters = node.parameters
                node = parameters.setdefault(kind, (self.converters[kind], Node()))[1]
                if "str" in parameters:
                    parameters["str"] = parameters.pop("str")  # it takes any segment, so it is asked last
        return node.leaf

    def handle(self, request: Request) -> Coroutine[Any, Any, Any]:
        """The coroutine that answers `request`. Raises `Fail` if no route matches."""
        endpoint: Endpoint | None = request.route
        if endpoint is None:
            endpoint = self.exact.get((request.method, request.path)) or self.find(request)
            request.route = endpoint
        return endpoint.call(request)

    def find(self, request: Request) -> Endpoint:
        """The endpoint of `request`; sets its parameters. Raises `Fail` if no route matches."""
        methods: set[str] = set()
        for leaf, captured in self.matches(self.tree, request.path.split("/"), 1, ()):
            endpoint: Endpoint | None = leaf.get(request.method)
            if endpoint is not None:
                request.params = dict(zip(endpoint.names, captured, strict=True))
                return endpoint
            methods.update(leaf)
        return self.missing(request, methods)

    def matches(self, node: Node, segments: list[str], at: int, captured: tuple[Any, ...]) -> Iterator[Any]:
        """(leaf, captured values) of each place that matches `segments` from `at` on, the best one first."""
        if at == len(segments):
            yield node.leaf, captured
            return
        segment = segments[at]
        if segment in node.literals:
            yield from self.matches(node.literals[segment], segments, at + 1, captured)
        for convert, child in node.parameters.values():
            value = convert(segment)
            if value is not None:
                yield from self.matches(child, segments, at + 1, (*captured, value))
        if node.rest:
            yield node.rest, (*captured, self.converters["path"]("/".join(segments[at:])))

    def compile(self, route: Any) -> Endpoint:
        """The endpoint of `route`."""
        return Endpoint(route, compose(route.handler, route.before, route.after, route.errors))

    def missing(self, request: Request, methods: set[str]) -> Endpoint:
        """The endpoint of a path without a route, or with routes for `methods` only; or raises `Fail`."""
        raise Fail(405, "Method Not Allowed") if methods else Fail(404, "Not Found")
