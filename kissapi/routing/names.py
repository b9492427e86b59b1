"""Names: from the name of a route, and values for its parameters, back to its path.

    Names(router.routes()).url_for("user", {"id": 7, "page": 2})  # "/users/7?page=2"

`req.url_for` and `router.url_for` use it. It is made when the first of them is called. It knows no request:
`here` is the route of the request that asks. It decides among several routes of one name, and its parameters
fill the prefix that both have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kissapi.core import Fail
from kissapi.http import uri
from kissapi.http.words import did_you_mean
from kissapi.routing.converters import TYPES, to_text
from kissapi.routing.path import Segment, parameters_of
from kissapi.routing.pattern import CONVERTERS, parameters, texts

if TYPE_CHECKING:
    from kissapi.routing.route import Route


class Names:
    """The routes by their names: that of `name=`, without one that of the handler."""

    def __init__(self, routes: Iterable[Route]) -> None:
        # "/api" is "/api/", of a mounted router, in other words.
        self._routes = [route for route in routes if not route.is_alias]
        self._by_name: dict[str, list[Route]] = {}
        for route in self._routes:
            self._by_name.setdefault(name_of_route(route), []).append(route)

    def url_for(
        self,
        name: str | Callable[..., Any],
        given: Mapping[str, Any],
        here: Route | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> str:
        """The path of the route `name`, or of a handler, with its query; see `Request.url_for`.

        `here` is the route of the request that asks, `params` are its parameters.
        """
        routes = self._named(name)
        choices = [(route, {**_shared(route, here, params or {}), **given}) for route in routes]
        fitting = [(route, values) for route, values in choices if values.keys() >= {*_names(route)}]
        if not fitting:
            raise ValueError(_lacking(_spoken(name), choices))
        nearest = max(_nearness(route, here) for route, _ in fitting)
        best = [each for each in fitting if _nearness(each[0], here) == nearest]
        most = max(len(_names(route)) for route, _ in best)
        best = [(route, values) for route, values in best if len(_names(route)) == most]
        if len(paths := {route.path: None for route, _ in best}) > 1:
            raise LookupError(
                f"{_spoken(name)} is the name of several routes: {', '.join(paths)}; "
                "give each one of its own: @router.get(…, name=…)"
            )
        route, values = best[0]
        path = _path(route, values)
        names = _names(route)
        query = uri.encode_query({key: value for key, value in given.items() if key not in names})
        return f"{path}?{query}" if query else path

    def _named(self, name: str | Callable[..., Any]) -> list[Route]:
        if isinstance(name, str):
            routes = self._by_name.get(name, [])
        elif callable(name):
            routes = [route for route in self._routes if name in (route.handler, route.own_handler)]
        else:
            raise TypeError(f"url_for takes the name of a route, or its handler, not {name!r}")
        if not routes:
            near = did_you_mean(name, self._by_name) if isinstance(name, str) else ""
            known = near or f"; there are {', '.join(sorted(self._by_name)) or 'none'}"
            raise LookupError(f"no route has the name {_spoken(name)}{known}")
        return routes


def name_of_route(route: Route) -> str:
    """What `url_for` knows `route` by."""
    if route.name is not None:
        return route.name
    function: Any = route.own_handler
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def _spoken(name: object) -> str:
    return repr(name) if isinstance(name, str) else getattr(name, "__qualname__", repr(name))


def _names(route: Route) -> list[str]:
    return [name for _, name in parameters_of(route.segments)]


def _together(route: Route, here: Route | None) -> int:
    """How many segments of the prefix of `route` are those of `here`."""
    count = 0
    if here is not None:
        for own, other in zip(route.prefix, here.prefix, strict=False):
            if own != other:
                break
            count += 1
    return count


def _shared(route: Route, here: Route | None, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `here` that stand in the prefix of both routes."""
    prefix = route.segments[: _together(route, here)]
    return {name: params[name] for _, name in parameters_of(prefix) if name in params}


def _nearness(route: Route, here: Route | None) -> tuple[int, int, int]:
    """How near `route` is to `here`: routers in common, segments of the prefix, and how far it is below."""
    chain = here.chain if here is not None else route.chain[:1]
    common = 0
    while common < min(len(chain), len(route.chain)) and chain[common] is route.chain[common]:
        common += 1
    return common, _together(route, here), -len(route.chain)


def _lacking(name: str, choices: list[tuple[Route, dict[str, Any]]]) -> str:
    said = []
    for route, values in choices:
        lacks = ", ".join(repr(each) for each in _names(route) if each not in values)
        said.append(f"{route.path} needs {lacks}")
    return f"url_for({name}): {'; '.join(dict.fromkeys(said))}"


def _path(route: Route, values: Mapping[str, Any]) -> str:
    path = "".join(f"/{_segment(segment, values, route)}" for segment in route.segments)
    # "//evil.example/x" would be an address of another host.
    return "/%2F" + path[2:] if path.startswith("//") and route.segments[0].kind == "path" else path


def _segment(segment: Segment, values: Mapping[str, Any], route: Route) -> str:
    kind, text = segment
    if kind == "literal":
        return text
    if "{" not in kind:
        return _parameter(kind, text, values[text], route)
    first, *behind = texts(kind)
    parts = [_parameter(each, name, values[name], route) for each, name in parameters(kind, text)]
    whole = first + "".join(part + after for part, after in zip(parts, behind, strict=True))
    # As a request for it will be read: what is in a value may be taken for the text behind it.
    read = CONVERTERS[kind](whole)
    if read is None or read != tuple(
        TYPES[each](part) for (each, _), part in zip(parameters(kind, text), parts, strict=True)
    ):
        raise ValueError(
            f"{text} of {route.path} does not read {whole!r} as it was written: a value has its text"
        )
    return whole


def _parameter(kind: str, name: str, value: Any, route: Route) -> str:
    where = f"{name}={value!r} of {route.path}"
    if value is None or isinstance(value, (bytes, bytearray)):
        raise ValueError(f"{where} is no text")
    text = to_text(kind, value)
    if not isinstance(text, str):
        raise TypeError(f"the converter {kind!r} formats {value!r} as {text!r}, which is no string")
    if not {".", ".."}.isdisjoint(text.split("/") if kind == "path" else (text,)):
        raise ValueError(f"{where} is a step up or down, which clients take out of a path")
    pieces = text.split("/") if kind == "path" else [text]
    written = "/".join(map(uri.encode_segment, pieces))
    try:
        matches = TYPES[kind](written) is not None
    except Fail as refused:
        raise ValueError(f"{where} is refused: {refused.data}") from None
    if not matches:
        what = "empty" if not text else f"no {kind}"
        raise ValueError(f"{where} is {what}")
    return written
