"""Components: schemas by name, and what it takes to bring two sets of them together.

Two libraries, or the two modes of one, may write different schemas of one name. The second then gets another
name, and so does what refers to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREFIX = "#/components/schemas/"

Schema = dict[str, Any]


def merge(components: dict[str, Schema], more: Mapping[str, Schema], suffix: str) -> dict[str, str]:
    """Add `more` to `components`; the new names of those whose name is taken by another schema."""
    clash = {name for name, schema in more.items() if components.get(name, schema) != schema}
    # What refers to one of another name is another one as well.
    while rest := {
        name
        for name, schema in more.items()
        if name in components and name not in clash and clash & _references(schema)
    }:
        clash |= rest
    names: dict[str, str] = {}
    for name in sorted(clash):
        free = f"{name}-{suffix}"
        while free in components or free in more:
            free += "_"
        names[name] = free
    places = {name: reference(new) for name, new in names.items()}
    for name, schema in more.items():
        components[names.get(name, name)] = replaced(schema, places)
    return names


def reference(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": PREFIX + name}


def replaced(value: Any, places: Mapping[str, Schema]) -> Any:
    """A schema with `places` where it refers to their names, in `discriminator` as well."""
    if isinstance(value, list):
        return [replaced(each, places) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: replaced(each, places) for key, each in value.items()}
    if (name := _named(value.get("$ref"))) in places:
        del found["$ref"]
        found |= places[name]
    for key, target in value.get("mapping", {}).items() if "propertyName" in value else ():
        if (name := _named(target)) in places and "$ref" in places[name]:
            found["mapping"][key] = places[name]["$ref"]
    return found


def _named(ref: Any) -> str:
    return ref.removeprefix(PREFIX) if isinstance(ref, str) else ""


def _references(value: Any) -> set[str]:
    """The names that a schema refers to."""
    each = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    found = {name for part in each for name in _references(part)}
    return found | {_named(value["$ref"])} if isinstance(value, dict) and "$ref" in value else found
