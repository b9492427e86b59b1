"""Schemas: the JSON Schemas of the types of a document, and the components that they refer to.

msgspec writes those of dataclasses, Structs, TypedDicts, NamedTuples, attrs classes, enums and containers,
pydantic those of its models, `plain` those of scalars where msgspec is not installed. A type is asked for
with `of`, while the operations are described, and all are written at once by `fill`: only then is it known
which names are taken.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin

from kissapi.extras.openapi.components import Schema, merge, reference, replaced
from kissapi.extras.openapi.plain import plain_schema
from kissapi.extras.openapi.times import add_time_formats

_SUFFIXES = {"validation": "Input", "serialization": "Output"}  # pydantic's two modes, FastAPI's two words


class Schemas:
    """The schemas of one document; `components` are those that have a name."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}
        self._asked: list[tuple[Schema, Any, str]] = []

    def of(self, kind: Any, mode: str = "validation") -> Schema:
        """The schema of `kind`, a dict that `fill` completes; it stays empty, "anything", if none is known.

        What a handler takes is "validation"; what it returns is "serialization", which differs in pydantic:
        fields that are computed, defaults that are always there.
        """
        schema: Schema = {}
        if _is_describable(kind):
            self._asked.append((schema, kind, mode))
        elif get_origin(kind) in (Union, UnionType):  # two dataclasses: msgspec could not tell them apart
            schema["anyOf"] = [self.of(part, mode) for part in get_args(kind)]
        return schema

    def add(self, name: str, schema: Schema) -> Schema:
        """A reference to `schema`, which no type of the app has, as a component called `name`."""
        return reference(merge(self.components, {name: schema}, "Answer").get(name, name))

    def fill(self) -> None:
        """Write all that `of` has promised."""
        for mode, suffix in _SUFFIXES.items():
            asked = [(schema, kind) for schema, kind, of_mode in self._asked if of_mode == mode]
            if asked:
                written, components = _write([kind for _, kind in asked], mode)
                names = merge(self.components, components, suffix)
                places = {name: reference(new) for name, new in names.items()}
                for (schema, _), text in zip(asked, written, strict=True):
                    schema.update(replaced(text, places))
        self._asked.clear()


def _is_describable(kind: Any) -> bool:
    try:
        _write([kind], "validation")
    except Exception:  # of a library that cannot describe a type, whichever it raises for that
        return False
    return True


def _write(kinds: list[Any], mode: str) -> tuple[list[Schema], dict[str, Schema]]:
    """The schemas of `kinds`, and the components that they refer to."""
    models: list[Any] = []

    def refer(kind: Any) -> Schema:
        """Where msgspec knows no schema: of a model of pydantic's a reference to its number, else nothing."""
        if not _is_pydantics(kind):
            return {}
        models.append(kind)
        return reference(str(len(models) - 1))

    schemas, components = _by_msgspec(kinds, refer)
    if models:
        written, more = _by_pydantic(models, mode)
        names = merge(components, more, "Model")
        moved = {name: reference(new) for name, new in names.items()}
        places = {str(at): replaced(schema, moved) for at, schema in enumerate(written)}
        schemas = replaced(schemas, places)
        components = {name: replaced(schema, places) for name, schema in components.items()}
    return schemas, components


def _by_msgspec(kinds: list[Any], refer: Callable[[Any], Schema]) -> tuple[list[Schema], dict[str, Schema]]:
    try:
        from msgspec.json import schema_components
    except ImportError:
        return [plain_schema(kind, refer) for kind in kinds], {}
    written = [refer(kind) if _is_pydantics(kind) else None for kind in kinds]
    others = [kind for kind, schema in zip(kinds, written, strict=True) if schema is None]

    def hook(kind: Any) -> Schema:
        return refer(kind) or {"title": getattr(kind, "__name__", str(kind))}  # nothing would be an error

    found, components = schema_components(others, schema_hook=hook, ref_template=reference("{name}")["$ref"])
    add_time_formats(others, found, components)
    each = iter(found)
    return [next(each) if schema is None else schema for schema in written], components


def _by_pydantic(kinds: list[Any], mode: Any) -> tuple[list[Schema], dict[str, Schema]]:
    from pydantic import TypeAdapter  # it is there, for `kinds` are pydantic's

    asked = [(at, mode, TypeAdapter(kind)) for at, kind in enumerate(kinds)]
    found, definitions = TypeAdapter.json_schemas(asked, ref_template=reference("{model}")["$ref"])
    return [found[at, mode] for at in range(len(kinds))], definitions.get("$defs", {})


def _is_pydantics(kind: Any) -> bool:
    """Whether pydantic describes `kind`: a model, or what it or annotated_types has put into `Annotated`."""
    if "pydantic" not in sys.modules:
        return False
    if hasattr(kind, "__pydantic_core_schema__"):
        return True
    of = {type(each).__module__.partition(".")[0] for each in getattr(kind, "__metadata__", ())}
    return not of.isdisjoint(("pydantic", "annotated_types"))
