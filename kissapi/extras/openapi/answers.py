"""Answers: what OpenAPI says of the responses of one route.

They are: what the handler is annotated to return, what the route was registered with as `responses`, and what
kissapi answers itself where arguments are wrong or credentials are missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from kissapi.core import Fail
from kissapi.core.fail import REASONS
from kissapi.http.response import Response
from kissapi.routing.arguments.argument import resolve, typed
from kissapi.routing.arguments.constraints import check_of
from kissapi.routing.arguments.invalid import PROBLEM
from kissapi.routing.arguments.scalars import bare, reader_of
from kissapi.routing.path import parameters_of
from kissapi.routing.signature import annotations_of, signature_of

if TYPE_CHECKING:
    from kissapi.extras.openapi.schemas import Schemas
    from kissapi.routing.arguments.argument import Argument
    from kissapi.routing.route import Route

Object = dict[str, Any]

_UNKNOWN: Any = object()  # a handler without an annotation of what it returns
_STREAMS = (Iterator, AsyncIterator)
_TEXT = {"text/plain": {"schema": {"type": "string"}}}

_PLACES = ("parameter", "header", "cookie", "field", "file", "pointer")
# What `kissapi.routing.arguments.invalid` sends.
_PROBLEM: Object = {
    "title": "Problem",
    "description": "What is wrong with a request (RFC 9457), and where: a pointer leads into the body.",
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("detail", *_PLACES)},
                "required": ["detail"],
            },
        },
    },
    "required": ["title", "status", "detail", "errors"],
}


def answers_of(route: Route, arguments: tuple[Argument, ...], secured: bool, schemas: Schemas) -> Object:
    """The Responses Object of `route` (OpenAPI 3.1 §4.8.16): what is declared takes the place of the rest."""
    found = {status: _named(status) for status in _own_statuses(route, arguments, secured)}
    if 422 in found:
        found[422]["content"] = {PROBLEM: {"schema": schemas.add("Problem", _PROBLEM)}}
    for hook in (*route.arounds, *route.before):
        for status, what in getattr(hook, "responses", {}).items():
            found[status] = _declared(status, what, schemas)
    returned = _returned(route.handler)
    says_nothing = all(part in (_UNKNOWN, Any, object) or _is_a(part, Response) for part in _parts(returned))
    if not says_nothing or not any(status < 400 for status in route.responses):
        found |= _returned_answers(returned, schemas)
    for status, what in route.responses.items():
        found[status] = _declared(status, what, schemas)
    return {str(status): found[status] for status in sorted(found)}


def _own_statuses(route: Route, arguments: tuple[Argument, ...], secured: bool) -> Iterator[int]:
    """What kissapi answers itself."""
    places = {argument.place for argument in arguments} - {"path"}
    if secured:
        yield 401
    if _may_not_fit(route, arguments):
        yield 404
    if places & {"body", "form", "file"}:
        yield from (400, 415)
    if places or any(check_of(argument.annotation) for argument in arguments):
        yield 422


def _may_not_fit(route: Route, arguments: tuple[Argument, ...]) -> bool:
    """Whether a parameter of the path may be of another form than it has to be: that is another path."""
    segments = typed(route.segments, arguments)
    kinds = {kind for kind, _ in parameters_of(segments)} - {"str", "path"}
    readers = [reader_of(argument.type) for argument in arguments if argument.place == "path"]
    return bool(kinds or set(readers) - {None, str} or any("{" in kind for kind, _ in segments))


def _returned(handler: Any) -> Any:
    """The type that `handler` is annotated to return; `_UNKNOWN` without one that can be read."""
    signature = signature_of(handler)
    if signature is None:
        return _UNKNOWN
    annotation = annotations_of(signature.function).get("return", _UNKNOWN)
    try:
        return annotation if annotation is _UNKNOWN else resolve("return", annotation, signature.function)
    except TypeError:  # a name that is imported for type checkers only
        return _UNKNOWN


def _returned_answers(returned: Any, schemas: Schemas) -> dict[int, Object]:
    """What a handler answers that returns this type: 200 with its content, 204 for None."""
    kinds = [part for part in _parts(returned) if not (_is_a(part, Response) or _is_a(part, Fail))]
    found = {204: _named(204)} if NoneType in kinds or None in kinds else {}
    kinds = [kind for kind in kinds if kind not in (NoneType, None)]
    if kinds or not found:
        content = _content(reduce(or_, kinds), schemas) if kinds else None
        found[200] = _named(200, content)
    return found


def _declared(status: int, what: Any, schemas: Schemas) -> Object:
    """The answer that a route was registered with: a description, a `Fail`, a type, or OpenAPI."""
    if what is None or isinstance(what, str):
        return _named(status) if what is None else {"description": what}
    if isinstance(what, Mapping):
        return dict(what)
    if isinstance(what, Fail):
        if what.data is None or isinstance(what.data, (str, bytes)):
            content = (
                {"text/plain": {"schema": {"type": "string"}, "example": what.data}} if what.data else None
            )
            return {**_named(status, content), **({"description": what.data} if what.data else {})}
        return _named(status, {"application/json": {"example": what.data}})
    described = [each for each in bare(what)[1] if isinstance(each, str)]
    return _named(status, _content(what, schemas)) | ({"description": described[0]} if described else {})


def _content(kind: Any, schemas: Schemas) -> Object | None:
    """The content of an answer of this type, by media type; None if nothing is known of it."""
    plain, _ = bare(kind)
    if plain is Any or plain is object or plain is _UNKNOWN or _is_a(plain, Response):
        return None
    if all(part in (str, bytes) or _is_a(get_origin(part) or part, _STREAMS) for part in _parts(plain)):
        return dict(_TEXT)
    return {"application/json": {"schema": schemas.of(kind, "serialization")}}


def _parts(kind: Any) -> tuple[Any, ...]:
    kind, _ = bare(kind)
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _is_a(kind: Any, of: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, of)


def _named(status: int, content: Object | None = None) -> Object:
    answer: Object = {"description": REASONS.get(status, str(status))}
    return {**answer, "content": content} if content else answer
