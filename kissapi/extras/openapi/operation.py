"""Operation: what OpenAPI says of one route: its words, its parameters, its body and its security.

All of it is read from the route: the path, the arguments of the handler, its docstring, what it was
registered with, and what its hooks carry as `.security`. `answers` has what it may answer.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from kissapi.extras.openapi.answers import answers_of
from kissapi.extras.openapi.plain import without_none
from kissapi.http.forms import MULTIPART, URLENCODED
from kissapi.http.json_codec import to_json
from kissapi.routing.arguments import Argument, arguments_of
from kissapi.routing.arguments.scalars import reader_of
from kissapi.routing.path import parameters_of
from kissapi.routing.signature import NOTHING

if TYPE_CHECKING:
    from kissapi.extras.openapi.components import Schema
    from kissapi.extras.openapi.schemas import Schemas
    from kissapi.routing.route import Route

Object = dict[str, Any]

_PARAMETERS = ("path", "query", "header", "cookie")
# What the converters of a path take, where the handler does not say it.
_SEGMENTS: dict[str, Object] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "uuid": {"type": "string", "format": "uuid"},
}


def describe(route: Route, schemas: Schemas) -> Object:
    """The Operation Object of `route` (OpenAPI 3.1 §4.8.10), without `operationId`."""
    arguments = arguments_of(route.handler, route.segments)
    summary, description = _words(route)
    security = security_of(route)
    operation: Object = {
        "tags": [*route.tags],
        "summary": summary,
        "description": description,
        "deprecated": hasattr(route.handler, "__deprecated__"),  # PEP 702
        "parameters": _parameters(route, arguments, schemas),
        "requestBody": _body(arguments, schemas),
        "security": [{name: [] for name in way} for way in security],
    }
    operation = {name: value for name, value in operation.items() if value}
    operation["responses"] = answers_of(route, arguments, bool(security), schemas)
    return operation


def security_of(route: Route) -> list[Object]:
    """The ways through the hooks of `route` that ask for credentials: each the schemes it takes, by name.

    The schemes of one hook are alternatives; of several hooks, each has to be satisfied. One that is not
    `required` lets through without any: then there is an empty way as well (OpenAPI 3.1 §4.8.30).
    """
    ways: list[Object] = [{}]
    for hook in (*route.arounds, *route.before):
        schemes: Object = getattr(hook, "security", {})
        if schemes:
            with_it = [{**way, name: scheme} for way in ways for name, scheme in schemes.items()]
            ways = with_it if getattr(hook, "required", True) else with_it + ways
    return ways if ways != [{}] else []


def _words(route: Route) -> tuple[str, str]:
    """Summary and description: the first line of the docstring, unless there is a summary, and the rest."""
    text = cleandoc(getattr(route.handler, "__doc__", None) or "")
    if not hasattr(route.handler, "__code__") and not hasattr(route.handler, "__wrapped__"):
        text = ""
    first, _, rest = text.partition("\n")
    return (first.strip(), rest.strip()) if route.summary is None else (route.summary, text)


def _parameters(route: Route, arguments: tuple[Argument, ...], schemas: Schemas) -> list[Object]:
    found = []
    bound = {argument.key for argument in arguments if argument.place == "path"}
    for kind, name in parameters_of(route.segments):
        if name not in bound:
            found.append(
                {
                    "name": name,
                    "in": "path",
                    "required": True,
                    "schema": _SEGMENTS.get(kind, {"type": "string"}),
                }
            )
    for argument in arguments:
        if argument.place in _PARAMETERS:
            parameter: Object = {"name": argument.key, "in": argument.place}
            if argument.place == "path" or argument.default is NOTHING:
                parameter["required"] = True
            found.append({**parameter, "schema": _schema(argument, schemas)})
    return found


def _schema(argument: Argument, schemas: Schemas) -> Schema:
    in_body = argument.place == "body"
    schema = schemas.of(argument.annotation if in_body else without_none(argument.annotation))
    if argument.default is not NOTHING and argument.default is not None and _is_json(argument.default):
        schema["default"] = argument.default
    return schema


def _is_json(value: Any) -> bool:
    try:
        to_json(value)
    except (TypeError, ValueError):
        return False
    return True


def _body(arguments: tuple[Argument, ...], schemas: Schemas) -> Object:
    for argument in arguments:
        if argument.place == "body":
            content = {"application/json": {"schema": _schema(argument, schemas)}}
            return {"required": argument.default is NOTHING, "content": content}
    fields = [argument for argument in arguments if argument.place in ("form", "file")]
    if not fields:
        return {}
    kind = MULTIPART if any(field.place == "file" for field in fields) else URLENCODED
    records = [field for field in fields if field.place == "form" and is_record(field)]
    parts = [_schema(record, schemas) for record in records]
    if singles := [field for field in fields if field not in records]:
        single: Schema = {"type": "object", "properties": {f.key: _field(f, schemas) for f in singles}}
        if required := [field.key for field in singles if field.default is NOTHING]:
            single["required"] = required
        parts.append(single)
    schema = parts[0] if len(parts) == 1 else {"allOf": parts}
    needed = any(field.default is NOTHING for field in fields)
    return {"required": needed, "content": {kind: {"schema": schema}}}


def is_record(argument: Argument) -> bool:
    """Whether `argument` stands for several: each field of a dataclass, a Struct or a model is one."""
    return not argument.many and reader_of(argument.type) is None


def _field(argument: Argument, schemas: Schemas) -> Schema:
    if argument.place == "form":
        return _schema(argument, schemas)
    # OpenAPI 3.1 §4.8.14.2: the bytes of a file are an empty schema with a media type.
    file: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {"type": "array", "items": file} if argument.many else file
