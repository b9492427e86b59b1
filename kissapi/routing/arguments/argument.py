"""Arguments: what a handler names beside the request, and where each value comes from.

    arguments_of(handler, segments) → (Argument("id", "path", …), Argument("limit", "query", …))

A name in the path is a path parameter; a marker in `Annotated` says where any other comes from; without
one, a scalar or a list of scalars is in the query, a file in the form, and a dataclass, Struct or model is
the body. The signature alone decides. `fit` asks at registration, `binding` when routes are compiled.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from kissapi.http.files import File
from kissapi.http.words import type_name
from kissapi.routing.arguments.scalars import bare, members, reader_of
from kissapi.routing.markers import Marker
from kissapi.routing.path import Segment, parameters_of, retyped
from kissapi.routing.signature import NOTHING, Parameter, place_of, signature_of

LISTS = (list, set, frozenset, tuple)
# Of a segment by its kind: the type of its value; the other way round, the kind that a type asks for.
_TYPES = {"str": str, "path": str, "int": int, "float": float}
_KINDS = {"builtins.int": "int", "builtins.float": "float", "uuid.UUID": "uuid"}
# What a class has that JSON objects become: dataclass, Struct, attrs, pydantic, TypedDict, NamedTuple.
_RECORDS = (
    "__dataclass_fields__",
    "__struct_fields__",
    "__attrs_attrs__",
    "__pydantic_validator__",
    "__total__",
    "_field_defaults",
)


class Argument(NamedTuple):
    """One argument of a handler.

    `place` is "path", "query", "header", "cookie", "form", "file" or "body"; `key` is its name there.
    `annotation` is as it was written, `type` the same without `Annotated`. `default` is `NOTHING` where it is
    required. `many` says that it has all values of its key.
    """

    name: str
    place: str
    key: str
    annotation: Any
    type: Any
    default: Any
    many: bool


class Unresolved(TypeError):
    """An annotation has a name that is not there, or not yet."""


def arguments_of(handler: Callable[..., Any], segments: Iterable[Segment]) -> tuple[Argument, ...]:
    """What `handler` takes after the request, or the WebSocket, on a path of `segments`, in its order.

    Raises `TypeError`, with the file and line of the handler, for what cannot be bound.

        >>> from kissapi.routing.path import parse
        >>> async def show(req, id: int, limit: int = 10): ...
        >>> [argument.place for argument in arguments_of(show, parse("/orders/{id}"))]
        ['path', 'query']
    """
    return tuple(known_arguments(handler, segments, complete=True))


def known_arguments(
    handler: Callable[..., Any], segments: Iterable[Segment], complete: bool
) -> Iterable[Argument]:
    """The arguments that can be told apart; with `complete` all of them, or `TypeError`."""
    signature = signature_of(handler)
    if signature is None:
        return
    kinds = {name: kind for kind, name in parameters_of(segments)}
    for parameter in signature.parameters[1:]:
        try:
            yield _argument(parameter, signature.function, kinds)
        except Unresolved as error:
            if complete:
                raise TypeError(f"{place_of(handler)}: {error}") from None
        except TypeError as error:
            raise TypeError(f"{place_of(handler)}: {error}") from None


def _argument(parameter: Parameter, function: Any, kinds: dict[str, str]) -> Argument:
    name, default = parameter.name, parameter.default
    if isinstance(default, Marker):
        raise TypeError(f"write {name}: Annotated[…, {default!r}]; a default is for what is missing")
    if parameter.annotation is NOTHING:
        if name not in kinds:
            raise Unresolved(
                f"parameter {name!r} is not in the path and has no type: "
                f"write {name}: str for a value of the query; functools.partial gives a value to a function"
            )
        kind = _TYPES.get(kinds[name], Any)
        return Argument(name, "path", name, kind, kind, default, False)
    annotation = resolve(name, parameter.annotation, function)
    kind, said = bare(annotation)
    markers = [each() if isinstance(each, type) else each for each in said if _is_marker(each)]
    if len(markers) > 1:
        raise TypeError(f"parameter {name!r} comes from one place, not from {markers}")
    if not markers and name in kinds:
        _check_path(name, kind, kinds[name])
        return Argument(name, "path", name, annotation, kind, default, False)
    many = _is_list(kind)
    if markers:
        place = markers[0].place
        key = markers[0].key
        if key is None:
            key = name.replace("_", "-") if place == "header" else name
    else:
        place, key = _usual_place(kind), name
    if place == "file":
        if _file_type(kind) is None:
            raise TypeError(f"parameter {name!r}: a file is an Upload, bytes, or a list of them, not {kind}")
    elif place in ("header", "cookie") and not (many or reader_of(kind)):
        raise TypeError(f"parameter {name!r}: a {place} has no {kind}")
    elif place in ("body", "query", "form") and not (many or reader_of(kind)):
        many = False
        if not _is_record(kind):
            raise TypeError(
                f"parameter {name!r}: a request has no {getattr(kind, '__qualname__', kind)}; what is "
                "not the client's comes by functools.partial, req.app, or req.state from a before hook"
            )
    return Argument(name, place, key.lower() if place == "header" else key, annotation, kind, default, many)


def _is_marker(said: Any) -> bool:
    return isinstance(said, Marker) or (isinstance(said, type) and issubclass(said, Marker))


def resolve(name: str, annotation: Any, function: Any) -> Any:
    """`annotation` of a parameter of `function` as a type, if it is text. Raises `Unresolved`."""
    # One by one: the name of another may be imported for type checkers only.
    shim = SimpleNamespace(__annotations__={name: annotation})
    try:
        return get_type_hints(shim, function.__globals__, include_extras=True)[name]
    except (NameError, AttributeError) as error:
        raise Unresolved(
            f"the type of parameter {name!r}, {annotation!r}, is not there: {error}; with `from __future__ "
            "import annotations` it must be a name of the module, imported at run time, too"
        ) from None


def item_of(kind: Any) -> Any:
    """The type of the items of a list, set or tuple; None of any other type."""
    kinds, _ = members(kind)
    if len(kinds) != 1:
        return None
    origin, items = get_origin(kinds[0]) or kinds[0], get_args(kinds[0])
    if origin not in LISTS:
        return None
    if origin is tuple:
        return items[0] if len(items) == 2 and items[1] is Ellipsis else None
    return items[0] if items else str


def _file_type(kind: Any) -> Any:
    """`File` or `bytes`, of one or of a list; None of anything else."""
    kinds, _ = members(item_of(kind) or kind)
    return kinds[0] if len(kinds) == 1 and kinds[0] in (File, bytes) else None


def _is_list(kind: Any) -> bool:
    item = item_of(kind)
    return item is not None and (_file_type(kind) is not None or reader_of(item) is not None)


def _usual_place(kind: Any) -> str:
    if reader_of(kind) is not None or (_is_list(kind) and _file_type(kind) is None):
        return "query"
    kinds, _ = members(item_of(kind) or kind)
    return "file" if kinds == (File,) else "body"


def _is_record(kind: Any) -> bool:
    """Whether JSON may be one: a dataclass, TypedDict, NamedTuple, Struct, model, or a list or dict."""
    kinds, _ = members(kind)
    for each in kinds:
        origin = get_origin(each) or each
        if origin in (*LISTS, dict, Mapping, Sequence) or any(hasattr(origin, mark) for mark in _RECORDS):
            continue
        if reader_of(each) is None:
            return False
    return True


def _check_path(name: str, kind: Any, segment: str) -> None:
    kinds, _ = members(kind)
    expected = _TYPES.get(segment)
    if expected in (int, float) and not any(each in (expected, float, Any, object) for each in kinds):
        raise TypeError(f"{{{name}:{segment}}} gives {expected.__name__}, and parameter {name!r} is {kind}")
    if segment in ("str", "path") and reader_of(kind) is None and kind not in (Any, object):
        raise TypeError(f"parameter {name!r} is in the path, which has no {kind}")


def typed(segments: tuple[Segment, ...], arguments: Iterable[Argument]) -> tuple[Segment, ...]:
    """`segments` with the kinds that their arguments ask for: `id: int` makes `{id}` `{id:int}`."""
    wanted: dict[str, str] = {}
    for argument in arguments:
        kinds, _ = members(argument.type)
        if argument.place == "path" and len(kinds) == 1 and isinstance(kinds[0], type):
            kind = _KINDS.get(type_name(kinds[0]))
            if kind is not None:
                wanted[argument.key] = kind
    return retyped(segments, wanted)


def checked_arguments(route: Any, complete: bool = True) -> tuple[Argument, ...]:
    """The arguments of the handler of `route`; see `known_arguments`.

    Raises `TypeError` for two bodies, for a body where there is none, and for a second reading of one.
    """
    try:
        found = tuple(known_arguments(route.own_handler, route.segments, complete))
    except TypeError as error:
        raise TypeError(f"{route.method} {route.path}: {error}") from None
    read = [each for each in found if each.place in ("body", "form", "file")]
    if not read:
        return found
    where = f"{route.method} {route.path}: {place_of(route.own_handler)}"
    names = " and ".join(repr(each.name) for each in read)
    bodies = [each for each in read if each.place == "body"]
    if route.is_websocket:
        raise TypeError(f"{where}: a WebSocket begins without a body, which {names} would be in")
    if route.method in ("GET", "HEAD"):
        hint = _hint_for_query(bodies) if bodies else ""
        raise TypeError(f"{where}: a {route.method} has no body, which {names} would be in{hint}")
    if route.stream:
        raise TypeError(
            f"{where}: with stream=True the handler takes the body itself, and {names} would be in it"
        )
    if bodies and len(read) > 1:
        raise TypeError(
            f"{where}: a request has one body, and each of {names} would be in it; "
            "a dataclass that has them as its fields is one"
        )
    return found


def _hint_for_query(bodies: list[Argument]) -> str:
    name, kind = bodies[0].name, getattr(bodies[0].type, "__name__", bodies[0].type)
    return f"; for its fields from the query write {name}: Annotated[{kind}, Query()]"
