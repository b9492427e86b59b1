"""Times: the formats of dates with a time, and of times, in the schemas of msgspec.

It leaves them out where the time zone may be missing. Then nothing tells a time from any text, neither a
reader nor a generator of clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kissapi.extras.openapi.components import PREFIX, Schema

_FORMATS = {"DateTimeType": "date-time", "TimeType": "time"}


def add_time_formats(kinds: Sequence[Any], schemas: Sequence[Schema], components: dict[str, Schema]) -> None:
    """Complete what msgspec has written of `kinds`: their `schemas`, and the `components` behind these."""
    from msgspec.inspect import multi_type_info

    seen: set[str] = set()
    for info, schema in zip(multi_type_info(kinds), schemas, strict=True):
        _walk(info, schema, components, seen)


def _walk(info: Any, schema: Schema, components: dict[str, Schema], seen: set[str]) -> None:
    """Go through a type, as msgspec sees it, and its schema side by side."""
    kind = type(info).__name__
    if kind in _FORMATS and info.tz is None:
        schema["format"] = _FORMATS[kind]
        return
    pairs: list[tuple[Any, Any]] = []
    if kind == "Metadata":
        pairs = [(info.type, schema)]
    elif kind == "UnionType":
        pairs = [(part, one) for part in info.types for one in schema.get("anyOf", ()) if _fits(part, one)]
    elif kind == "DictType":
        pairs = [(info.value_type, schema.get("additionalProperties"))]
    elif hasattr(info, "item_type"):
        pairs = [(info.item_type, schema.get("items"))]
    elif hasattr(info, "item_types"):
        pairs = [*zip(info.item_types, schema.get("prefixItems", ()), strict=False)]
    elif hasattr(info, "fields"):
        name = schema.get("$ref", "").removeprefix(PREFIX)
        target = components.get(name, {})
        if name not in seen:
            seen.add(name)
            fields = target.get("properties", {})
            pairs = [(field.type, fields.get(field.encode_name)) for field in info.fields]
            # Of a NamedTuple, or a Struct with array_like=True.
            pairs += zip([field.type for field in info.fields], target.get("prefixItems", ()), strict=False)
    for part, one in pairs:
        if isinstance(one, dict):
            _walk(part, one, components, seen)


def _fits(info: Any, schema: Schema) -> bool:
    """Whether `schema`, one of a union, may be that of the member `info`: in msgspec one alone is text."""
    if type(info).__name__ in _FORMATS:
        return schema == {"type": "string"}
    return "$ref" in schema if hasattr(info, "fields") else schema.get("type") in ("array", "object")
