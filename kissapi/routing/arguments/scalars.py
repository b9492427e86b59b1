"""Scalars: what reads a value of one type from the text of a path, a query, a header, a cookie or a form.

A reader is a function from the text to the value; it raises `Wrong`, which says what the text must be. What
is no scalar (a dataclass, a list) has no reader. Types beyond the built-in ones are known by their names:
nothing is imported to compare with what an app may never use.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from kissapi.http.given import parsed
from kissapi.http.words import cut, type_name

Reader = Callable[[str], Any]


class Wrong(ValueError):
    """A value that does not fit. Its message goes on after the name: "must be a whole number, not 'x'".

    `errors` are its own, with their places in it, if it has several parts.
    """

    def __init__(self, what: str, value: Any = ..., errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(what if value is ... else f"{what}, not {cut(repr(value), 40)}")
        self.errors = errors or []


def _by_call(what: str, name: str = "") -> Callable[[Any], Reader]:
    """Readers of the types that one function makes of a text: the type itself, or its method `name`."""

    def of(kind: Any) -> Reader:
        make = getattr(kind, name) if name else kind

        def read(text: str) -> Any:
            try:
                return parsed(text, make)
            except ValueError:
                raise Wrong(f"must be {what}", text) from None

        return read

    return of


read_int = _by_call("a whole number")(int)
_PLAIN: dict[Any, Reader] = {
    str: str,
    int: read_int,
    float: _by_call("a number")(float),
    bool: _by_call("true or false")(bool),
}
# By module and name.
_KNOWN: dict[str, Callable[[Any], Reader]] = {
    "uuid.UUID": _by_call("a UUID"),
    "decimal.Decimal": _by_call("a number"),
    "datetime.datetime": _by_call("a date and time such as 2026-05-01T12:30:00Z", "fromisoformat"),
    "datetime.date": _by_call("a date such as 2026-05-01", "fromisoformat"),
    "datetime.time": _by_call("a time such as 12:30:00", "fromisoformat"),
}


def bare(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """`annotation` without `Annotated`, `NewType` and `type X = …`, and what `Annotated` says of it."""
    said: tuple[Any, ...] = ()
    while True:
        if get_origin(annotation) is Annotated:
            said = (*annotation.__metadata__, *said)
            annotation = annotation.__origin__
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation, said


def members(annotation: Any) -> tuple[tuple[Any, ...], bool]:
    """The types of a union but for None, one of any other type; whether None is among them."""
    annotation, _ = bare(annotation)
    if get_origin(annotation) not in (Union, UnionType):
        return (annotation,), False
    found = get_args(annotation)
    return tuple(bare(kind)[0] for kind in found if kind is not NoneType), NoneType in found


def reader_of(annotation: Any) -> Reader | None:
    """What reads a scalar of this type; None if it is none."""
    kinds, _ = members(annotation)
    if len(kinds) != 1:
        readers = [reader_of(kind) for kind in kinds]
        return _first_of([each for each in readers if each]) if all(readers) and readers else None
    kind = kinds[0]
    if get_origin(kind) is Literal:
        return _one_of({str(value): value for value in get_args(kind)})
    if not isinstance(kind, type):
        return None
    if kind in _PLAIN:
        return _PLAIN[kind]
    if hasattr(kind, "__members__"):  # an Enum
        return _one_of({str(member.value): member for member in kind.__members__.values()})
    known = _KNOWN.get(type_name(kind))
    if known is not None:
        return known(kind)
    base = next((base for base in kind.__mro__ if base in _PLAIN), None)  # class Slug(str)
    return None if base is None else _made_of(_PLAIN[base], kind)


def _made_of(read: Reader, kind: Any) -> Reader:
    def make(text: str) -> Any:
        try:
            return kind(read(text))
        except ValueError as error:
            raise Wrong(str(error)) from None

    return make


def _one_of(values: dict[str, Any]) -> Reader:
    wrong = f"must be {' or '.join(repr(text) for text in values)}"

    def read(text: str) -> Any:
        try:
            return values[text]
        except KeyError:
            raise Wrong(wrong, text) from None

    return read


def _first_of(readers: list[Reader]) -> Reader:
    def read(text: str) -> Any:
        for each in readers[:-1]:
            try:
                return each(text)
            except Wrong:
                pass
        return readers[-1](text)

    return read
