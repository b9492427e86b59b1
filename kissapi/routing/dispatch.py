"""Dispatch: what HTTP adds to the dispatch of the core: escaped paths, HEAD, any method, Allow, body limits.

A path of literals and one last parameter, or the rest, is looked up without a search, with the result that
the search of the core would find first. Each event loop compiles its own table, in its own thread: on
free-threaded Python, objects that another thread made cost 2.5 times as much to touch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kissapi import core
from kissapi.backends.handlers import as_coroutine_function
from kissapi.core import Fail, compose
from kissapi.http import uri
from kissapi.http.body import too_large
from kissapi.http.body_reader import BodyReader
from kissapi.http.limits import Limits
from kissapi.http.request_line import METHODS
from kissapi.http.response import Response
from kissapi.routing.covers import Covers, cover_of
from kissapi.routing.fit import names_more
from kissapi.routing.gateway import root_of
from kissapi.routing.path import canonical_literal, check_names
from kissapi.routing.pattern import CONVERTERS, parameters, rank
from kissapi.routing.route import ANY

if TYPE_CHECKING:
    from kissapi.core.compose import Call
    from kissapi.http.cover import Cover
    from kissapi.http.request import Request
    from kissapi.routing.names import Names
    from kissapi.routing.route import Route
    from kissapi.routing.router import Router


class Endpoint(core.Endpoint):
    """Where a method leads.

    `max_body` is how many bytes of body it takes, `root` where its router is mounted; see `gateway`.
    """

    def __init__(self, route: Route, call: Call, max_body: int, cover: Cover | None) -> None:
        super().__init__(route, call)
        self.max_body = max_body
        self.cover = cover
        self.path = route.path  # for metrics: `req.route.path`
        self.root = root_of(route)
        # The names in each pattern of the path, by its text, which is what `names` has; None without any.
        self.patterns = {
            text: [name for _, name in parameters(kind, text)] for kind, text in route.segments if "{" in kind
        } or None

    def spread(self, captured: dict[str, Any]) -> dict[str, Any]:
        """The parameters by their names, of what was captured by segment: a pattern has captured several."""
        assert self.patterns is not None
        params: dict[str, Any] = {}
        for text, value in captured.items():
            if text in self.patterns:
                params.update(zip(self.patterns[text], value, strict=True))
            else:
                params[text] = value
        return params


class Dispatch(core.Dispatch):
    """The compiled table of a router. Raises what is wrong with the routes as a whole."""

    converters = CONVERTERS

    def __init__(self, router: Router, max_body: int = Limits.max_body) -> None:
        routes = list(router.routes())
        self.router = router
        self.limit = max_body
        self.max_body = max([max_body, *(route.max_body or 0 for route in routes)])
        self.rules = any(route.stream or route.max_body is not None for route in routes)
        self.gives_tasks = any(hasattr(route.handler, "_begin") for route in routes)
        self.covers = Covers(router)
        self.names: Names | None = None  # made for the first `url_for`
        self.methods = {"OPTIONS"}  # all methods of all routes
        super().__init__(routes)
        for node in _nodes(self.tree):
            node.parameters = dict(sorted(node.parameters.items(), key=lambda way: rank(way[0])))
            for leaf in (node.leaf, node.rest):
                if "GET" in leaf:
                    leaf.setdefault("HEAD", leaf["GET"])
                if ANY in leaf:
                    leaf.update(dict.fromkeys(METHODS, leaf.pop(ANY)) | leaf)
                self.methods.update(leaf)
        self.places = dict(_places(self.tree, ""))
        self.rests = dict(_rests(self.tree, ""))
        # Where all requests go, if it is one place: there is nothing to search.
        self.whole = self.tree.rest.get("GET") if len(routes) == 1 and routes[0].method == ANY else None

    def compile(self, route: Route) -> Endpoint:
        check_names(route.segments, route.path)
        call = as_coroutine_function(route.handler)
        if names_more(route):
            from kissapi.routing.arguments.binding import bind

            call = bind(route, call)
        call = compose(call, route.before, route.after)
        begin = getattr(route.handler, "_begin", None)
        if route.stream and begin is None:
            call = _streamed(call)
        max_body = self.limit if route.max_body is None else route.max_body
        if max_body < self.max_body:
            call = _limited(call, max_body)
        cover = cover_of(route.arounds, route.errors)
        if cover is not None:
            call = cover.over(call)
        if begin is not None and call is route.handler:
            call = begin  # nothing else has to wait for it, so it gives a task
        return Endpoint(route, call, max_body, cover)

    def find(self, request: Any) -> Any:
        path = request.path
        if self.whole is not None and path.startswith("/"):
            rest = uri.decode_segment(path[1:]) if "%" in path else path[1:]
            request.params = {self.whole.names[0]: rest}
            return self.whole
        if "%" in path or not path.isascii():  # escaped, or what a parser of another protocol may give
            if path.startswith("/"):
                request.path = canonical_literal(path)
        else:
            place, _, segment = path.rpartition("/")
            for convert, child in self.places.get(place, ()) if segment else ():
                value = convert(segment)
                if value is not None:
                    endpoint = child.leaf.get(request.method)
                    if endpoint is not None:
                        request.params = {endpoint.names[0]: value}
                        return endpoint
                    break
            if self.rests and path.startswith("/"):
                while place and place not in self.rests:
                    place = place.rpartition("/")[0]
                endpoint = self.rests.get(place, {}).get(request.method)
                if endpoint is not None:
                    request.params = {endpoint.names[0]: path[len(place) + 1 :]}
                    return endpoint
        if path.startswith("/"):
            found: Any = super().find(request)
            if found.patterns is not None:
                request.params = found.spread(request.params)
            return found
        if path == "*" and request.method == "OPTIONS":
            return self.missing(request, self.methods)
        raise Fail(404, "Not Found")

    def missing(self, request: Any, methods: set[str]) -> Any:
        # A handler of OPTIONS for every path, as CORS has, makes no path exist.
        if methods <= {"OPTIONS"} and request.path != "*":
            raise Fail(404, "Not Found")
        allow = {"Allow": ", ".join(sorted({"OPTIONS", *methods}))}
        if request.method == "OPTIONS":
            return _Options(Response(None, 204, allow), self.covers.at(request.path))
        raise Fail(405, "Method Not Allowed", allow)

    def url_for(self, name: Any, values: Mapping[str, Any], request: Any) -> str:
        """The path of the route `name`, seen from `request`; see `Request.url_for`."""
        if self.names is None:
            from kissapi.routing.names import Names  # only apps that ask

            self.names = Names(self.router.routes())
        here = request.route.route if request.route is not None else None
        return self.names.url_for(name, values, here, request.params)

    def cover_for(self, request: Any) -> Cover | None:
        """The cover of the route of `request`; without a route, that of the routers with its prefix."""
        return self.covers.at(request.path) if request.route is None else request.route.cover


class _Options:
    """The endpoint of OPTIONS where no route has one."""

    route = None
    path = ""
    max_body = 0
    patterns = None

    def __init__(self, response: Response, cover: Cover | None) -> None:
        self.cover = cover

        async def answer(request: Request) -> Response:  # no method: the endpoint would hold itself
            return response

        self.call = answer if cover is None or not cover.arounds else cover.over(answer)


def _places(node: core.dispatch.Node, path: str) -> Iterator[tuple[str, Any]]:
    """The parameters behind literals, by the path of those literals; paths that need decoding skip this."""
    if node.parameters and not any("{" in kind for kind in node.parameters):
        ways = node.parameters.items()
        yield path, [(str if kind == "str" else convert, child) for kind, (convert, child) in ways]
    for text, child in node.literals.items():
        yield from _places(child, f"{path}/{text}")


def _rests(node: core.dispatch.Node, path: str) -> Iterator[tuple[str, Any]]:
    """What takes the rest of a path behind literals, by the path of those, where nothing else may follow."""
    if node.rest and not node.parameters and not node.literals:
        yield path, node.rest
    for text, child in node.literals.items():
        yield from _rests(child, f"{path}/{text}")


def _nodes(node: core.dispatch.Node) -> Iterator[core.dispatch.Node]:
    yield node
    for child in (*node.literals.values(), *(child for _, child in node.parameters.values())):
        yield from _nodes(child)


def _limited(call: Call, most: int) -> Call:
    async def limited(request: Request) -> Any:
        if request._reader is None and len(request.body) > most:
            raise too_large(most)
        return await call(request)

    return limited


def _streamed(call: Call) -> Call:
    """Give a body that came whole with its head a reader as well: handlers read both in one way."""

    async def streamed(request: Request) -> Any:
        if request._reader is None:
            request._reader = BodyReader.of_whole(request)
        return await call(request)

    return streamed
