"""JSON values: what a value becomes that JSON has no type for, and where in a result one cannot be encoded.

`json_codec` calls `plain` only for what its encoder does not know, so the usual results pay nothing. A type
is known by its name: no module is imported to compare with what an app may never use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from kissapi.http.words import cut, type_name

# By module and name of a class, or of one that it inherits from.
_KNOWN: dict[str, Callable[[Any], Any]] = {
    "datetime.datetime": lambda value: value.isoformat(),
    "datetime.date": lambda value: value.isoformat(),
    "datetime.time": lambda value: value.isoformat(),
    "uuid.UUID": str,
    "decimal.Decimal": str,  # a float would round it
    "enum.Enum": lambda value: value.value,
    "builtins.set": list,
    "builtins.frozenset": list,
}


def plain(value: Any) -> Any:
    """`value` as the next simpler thing, in the end what JSON has; see README, "Response", for the types.

    Raises `TypeError` if there is none.

        >>> plain(frozenset([1]))
        [1]
    """
    convert = _converter(type(value))
    if convert is None:
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
    return convert(value)


def _find_converter(kind: type) -> Callable[[Any], Any] | None:
    if hasattr(kind, "model_dump"):  # pydantic; it has aliases and serializers of its own
        return lambda model: model.model_dump(mode="json", by_alias=True)
    if hasattr(kind, "__struct_fields__"):
        from msgspec import to_builtins  # it is there, for `kind` is a Struct

        return lambda struct: to_builtins(struct, enc_hook=plain)
    names = _attributes(kind)
    if names is not None:
        return lambda record: {name: getattr(record, name) for name in names}
    for base in kind.__mro__:
        if convert := _KNOWN.get(type_name(base)):
            return convert
    return None


# An app may make classes at run time.
_converter: Callable[[type], Callable[[Any], Any] | None] = lru_cache(maxsize=512)(_find_converter)


def _attributes(kind: type) -> tuple[str, ...] | None:
    """The fields of a record, None of anything else."""
    if hasattr(kind, "__dataclass_fields__"):
        from dataclasses import fields

        return tuple(field.name for field in fields(kind))
    names = getattr(kind, "model_fields", None) or getattr(kind, "__struct_fields__", None)
    return None if names is None else tuple(names)


def explain(value: Any, encode: Callable[[Any], object], error: Exception) -> Exception:
    """`error`, raised by `encode(value)`, with the path of its cause: `result["items"][3].when: complex`.

    It is `error` itself if no single part of `value` is.
    """
    where = _find(value, encode)
    if where is None:
        return error
    path, culprit = where
    if isinstance(error, TypeError):
        hint = "; is an await missing?" if hasattr(culprit, "__await__") else ""
        return TypeError(f"{path}: {type(culprit).__name__} is not JSON serializable{hint}")
    return ValueError(f"{path}: {error}")


def _find(value: Any, encode: Callable[[Any], object]) -> tuple[str, Any] | None:
    todo: list[tuple[Any, str]] = [(value, "result")]
    seen: dict[int, Any] = {}  # circles are no fault of a part
    while todo:
        value, path = todo.pop()
        if id(value) in seen:
            continue
        parts: list[tuple[Any, str]]
        if isinstance(value, dict):
            for key in value:
                if _fails(encode, {key: None}):
                    return f"{path}, a key", key
            parts = [(each, f"{path}[{_spell(key)}]") for key, each in value.items()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            parts = [(each, f"{path}[{at}]") for at, each in enumerate(value)]
        elif (names := _attributes(type(value))) is not None:
            parts = [(getattr(value, name), f"{path}.{name}") for name in names]
        elif _fails(encode, value):
            return path, value
        else:
            continue
        seen[id(value)] = value
        todo += reversed(parts)
    return None


def _spell(key: Any) -> str:
    """A key for one line of a log; it may be what a client has sent."""
    text = f'"{key}"' if isinstance(key, str) and key.isprintable() and '"' not in key else repr(key)
    return cut(text)


def _fails(encode: Callable[[Any], object], value: Any) -> bool:
    try:
        encode(value)
    except (TypeError, ValueError):
        return True
    return False
