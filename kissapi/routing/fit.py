"""Fit: whether a handler can take what it will get, asked where it is registered.

A handler that takes the request alone is judged by its code, and nothing is imported. For any other the
arguments are worked out: what can never be bound is an error at once. What a mount prefix or a name that is
not there yet may still change is asked again when routes are compiled.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from kissapi import core
from kissapi.routing.path import parameters_of
from kissapi.routing.signature import NOTHING, Parameter, Signature, place_of, signature_of

if TYPE_CHECKING:
    from kissapi.routing.route import Route

# Classes that a client's values have, and no request: what a forgotten first parameter looks like.
_VALUES = (str, bytes, int, float, bool, list, dict, tuple, set)


def names_more(route: Route) -> bool:
    """Whether the handler of `route` names more than the request, or the WebSocket."""
    signature = signature_of(route.own_handler)
    return signature is not None and len(signature.parameters) > 1


def fitted(route: Route) -> Route:
    """`route` with the kinds of path parameters that its handler asks for: `id: int` makes `{id}` `{id:int}`.

    Raises `TypeError`, with file and line, for a handler that cannot be called with a request, or names what
    can never be bound.
    """
    handler = route.own_handler
    signature = signature_of(handler)
    if signature is None:
        return route
    _check_first(route, handler, signature, "WebSocket" if route.is_websocket else "request")
    if len(signature.parameters) == 1:
        return route
    from kissapi.routing.arguments.argument import checked_arguments, typed

    return route._replace(segments=typed(route.segments, checked_arguments(route, complete=False)))


def _check_first(route: Route, handler: Any, signature: Signature, given: str) -> None:
    """Raise `TypeError` if the first parameter is not for the request."""
    where = f"{route.method} {route.path}: {place_of(handler)}"
    if signature.open:
        raise TypeError(
            f"{where} takes *args or **kwargs: a handler names what it takes; "
            "put @functools.wraps(function) on the wrapper of a decorator"
        )
    first = next((each for each in signature.parameters if not each.by_name), None)
    if first is None:
        raise TypeError(f"{where}: a handler takes the {given} first, and this one takes nothing")
    if any(name == first.name for _, name in parameters_of(route.segments)):
        raise TypeError(
            f"{where}: a handler takes the {given} first, and the first parameter here is "
            f"{first.name!r} of the path"
        )
    annotation = _class_of(first, signature.function)
    if annotation is not None and not _may_be(annotation, given):
        raise TypeError(
            f"{where}: a handler takes the {given} first, and the first parameter here is "
            f"{first.name!r}, which is {annotation.__qualname__}"
        )


def _class_of(parameter: Parameter, function: Any) -> type | None:
    """The class that a parameter is annotated with; None if it is none, or not known yet."""
    annotation = parameter.annotation
    if isinstance(annotation, str):
        annotation = function.__globals__.get(annotation, getattr(builtins, annotation, NOTHING))
    # A protocol, in the sense of typing, says what is used of the request.
    plain = isinstance(annotation, type) and not getattr(annotation, "_is_protocol", False)
    plain = plain and annotation is not Any  # which is a class since CPython 3.11
    return annotation if plain else None


def _may_be(annotation: type, given: str) -> bool:
    """Whether what is `given` may be an instance."""
    if given == "WebSocket":
        return not issubclass(annotation, (core.Request, *_VALUES))
    return issubclass(annotation, core.Request) or issubclass(core.Request, annotation)
