"""Document: what OpenAPI 3.1 says of the routes of a router, as objects that JSON can say.

The paths are those that a client asks for: where the router is mounted, its prefix and the hooks of the
routers above it are included. So the document is made for the outermost router, the `root`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kissapi.extras.openapi.expand import expanded
from kissapi.extras.openapi.operation import describe, security_of
from kissapi.extras.openapi.schemas import Schemas
from kissapi.routing.names import name_of_route

if TYPE_CHECKING:
    from kissapi.routing.route import Route
    from kissapi.routing.router import Router

Object = dict[str, Any]

# OpenAPI 3.1 §4.8.9: a Path Item has no place for other methods.
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")


def document(router: Router, root: Router, head: Object) -> Object:
    """The OpenAPI Object of the routes of `router`, reached through `root`; `head` is its first members.

    Raises `TypeError`, with file and line, for a handler whose arguments cannot be bound.
    """
    schemas = Schemas()
    schemes: Object = {}
    described: dict[tuple[str, str], tuple[Route, Object]] = {}
    for route in _shown(router, root):
        place = _template(route), route.method.lower()
        if place not in described:  # of `/{id:int}` and `/{id}`, which look the same here, the first stands
            described[place] = route, describe(route, schemas)
            for way in security_of(route):
                schemes |= way
    schemas.fill()
    names = [name_of_route(route) for route, _ in described.values()]
    paths: dict[str, Object] = {}
    for (path, method), (route, operation) in described.items():
        name = name_of_route(route)
        unique = name if names.count(name) == 1 else f"{name}_{method}{_words(path)}"
        operation = {"operationId": unique, **expanded(operation, schemas.components)}
        paths.setdefault(path, {})[method] = operation
    components: Object = {"schemas": dict(sorted(schemas.components.items())), "securitySchemes": schemes}
    components = {name: value for name, value in components.items() if value}
    return {**head, "paths": paths, **({"components": components} if components else {})}


def _shown(router: Router, root: Router) -> Iterator[Route]:
    """The routes to describe: of a path with and without a slash at its end, the one without."""
    routes = [route for route in root.routes() if any(each is router for each in route.chain)]
    short = {(route.method, route.path) for route in routes}
    for route in routes or router.routes():
        path = route.path
        twice = path != "/" and path.endswith("/") and (route.method, path[:-1]) in short
        if not (route.hidden or twice or route.method not in METHODS or route.is_websocket):
            yield route


def _template(route: Route) -> str:
    """The path as a template of OpenAPI, which has no kinds: `/users/{id}`."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)


def _words(path: str) -> str:
    """`/v1/users/{id}` as a part of a name: `_v1_users_id`."""
    return re.sub(r"\W+", "_", path).rstrip("_")
