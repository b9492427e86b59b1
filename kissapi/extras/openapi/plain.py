"""Plain: the schemas of scalars, lists and choices, for a Python without msgspec.

These are what a handler can take from path and query where no library is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from kissapi.http.words import type_name
from kissapi.routing.arguments.scalars import bare

# By module and name: none of these modules is imported to compare with what an app may not use.
_SCALARS: dict[str, dict[str, Any]] = {
    "builtins.str": {"type": "string"},
    "builtins.int": {"type": "integer"},
    "builtins.float": {"type": "number"},
    "builtins.bool": {"type": "boolean"},
    "builtins.NoneType": {"type": "null"},
    "builtins.bytes": {"type": "string", "contentEncoding": "base64"},
    "builtins.dict": {"type": "object"},
    "builtins.list": {"type": "array"},
    "datetime.datetime": {"type": "string", "format": "date-time"},
    "datetime.date": {"type": "string", "format": "date"},
    "datetime.time": {"type": "string", "format": "time"},
    "uuid.UUID": {"type": "string", "format": "uuid"},
    "decimal.Decimal": {"type": "string", "format": "decimal"},
}


def plain_schema(kind: Any, other: Callable[[Any], dict[str, Any]] = lambda kind: {}) -> dict[str, Any]:
    """The schema of `kind`; what is no scalar, list, dict, enum, `Literal` or union of these, `other` knows.

    >>> plain_schema(list[int])
    {'type': 'array', 'items': {'type': 'integer'}}
    """
    if known := other(kind) if hasattr(kind, "__metadata__") else None:
        return known
    kind, _ = bare(kind)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return {"anyOf": [plain_schema(part, other) for part in parts]}
    if origin is Literal:
        return {"enum": [*parts]}
    if origin in (list, set, frozenset, tuple):
        items = {} if origin is tuple and parts[-1] is not ... else {"items": plain_schema(parts[0], other)}
        return {"type": "array", **items}
    if origin is dict:
        return {"type": "object", "additionalProperties": plain_schema(parts[1], other)}
    if kind is None:
        kind = NoneType
    if not isinstance(kind, type):
        return other(kind)
    if hasattr(kind, "__members__"):  # an enum
        return {"enum": [member.value for member in kind]}  # type: ignore[attr-defined]
    return dict(_SCALARS.get(type_name(kind)) or other(kind))


def without_none(annotation: Any) -> Any:
    """`annotation` without the None of `str | None`: what may be left out is never sent as null."""
    if hasattr(annotation, "__metadata__"):
        return Annotated[(without_none(annotation.__origin__), *annotation.__metadata__)]
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    return reduce(or_, (part for part in get_args(annotation) if part is not NoneType))
