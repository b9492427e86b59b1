"""Path: the pattern a route is registered under, as segments.

A segment is a literal, or one parameter: `/users/{id}`, `{id:int}`, `{id:float}`, `{id:uuid}`, `{rest:path}`,
or a type of `Router.converter`; or text with parameters in it: `{name}.txt`, see `kissapi.routing.pattern`.
Nothing of a path is a regular expression, so a literal needs no escaping and no path can be slow to match.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kissapi.core import Fail
from kissapi.http import uri
from kissapi.http.words import did_you_mean
from kissapi.routing.converters import TYPES
from kissapi.routing.pattern import kind_of, parameters

_PATH_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@%/")


class Segment(NamedTuple):
    """A literal, a parameter or a pattern, by its `kind`: "literal", a key of `TYPES`, or what has a brace.

    `text` is the literal, the name of the parameter, or the pattern as it was written. `parameters_of` gives
    the types and names of all parameters.
    """

    kind: str
    text: str


def parse(path: str) -> tuple[Segment, ...]:
    """The segments of a registered path. Raises `TypeError` or `ValueError` that says how to write it.

    >>> parse("/users/{id:int}")
    (Segment(kind='literal', text='users'), Segment(kind='int', text='id'))
    """
    if not isinstance(path, str):
        raise TypeError(
            f'a path is a string such as "/users/{{id}}", not {path!r}; write @router.get("/path")'
        )
    if not path.startswith("/"):
        raise ValueError(f'a path starts with "/": "/{path}", not {path!r}')
    if "?" in path or "#" in path:
        raise ValueError(f"a path has no query and no fragment: {path!r}; a handler reads req.query")
    parts = path[1:].split("/")
    segments = [_segment(part, path) for part in parts]
    if any(segment.kind == "path" for segment in segments[:-1]):
        raise ValueError(f"a {{name:path}} parameter takes the rest, so it comes last: {path!r}")
    check_names(segments, path)
    return tuple(segments)


def parameters_of(segments: Iterable[Segment]) -> list[tuple[str, str]]:
    """(type, name) of each parameter of a path, in their order.

    >>> parameters_of(parse("/{user}/v{major:int}"))
    [('str', 'user'), ('int', 'major')]
    """
    return [each for kind, text in segments for each in parameters(kind, text)]


def retyped(segments: Iterable[Segment], kinds: Mapping[str, str]) -> tuple[Segment, ...]:
    """`segments` with types for parameters that have none, by name: `{"id": "int"}` makes `{id}` `{id:int}`.

    >>> spell(retyped(parse("/{a}/v{b}.{c:int}"), {"b": "int", "c": "str"}))
    '/{a}/v{b:int}.{c:int}'
    """
    found = []
    for kind, text in segments:
        if kind == "str":
            kind = kinds.get(text, kind)
        elif "{" in kind:
            for name in kinds:
                text = text.replace(f"{{{name}}}", as_written(name, kinds[name]))
            kind = kind_of(text)
        found.append(Segment(kind, text))
    return tuple(found)


def as_written(name: str, kind: str) -> str:
    """A parameter as it is written: `{id}`, `{id:int}`."""
    return f"{{{name}}}" if kind == "str" else f"{{{name}:{kind}}}"


def check_names(segments: Iterable[Segment], path: str) -> None:
    """Raise `ValueError` if two parameters of `path` have one name."""
    names = [name for _, name in parameters_of(segments)]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"parameter {name!r} is in {path!r} twice: give each a name of its own")


def _segment(part: str, path: str) -> Segment:
    if part[:1] in ("<", ":") or part in ("*", "**"):
        raise ValueError(
            f"a parameter is written {{name}}, or {{name:path}} for the rest: {part!r} in {path!r}"
        )
    first, *others = re.split(r"\{([^{}]*)\}", part)  # text, parameter, text, …
    inside, behind = others[::2], others[1::2]
    pieces = [_literal(first, path)]
    for each, text in zip(inside, behind, strict=True):
        pieces += [_parameter(each, path), _literal(text, path)]
    if not inside:
        return Segment("literal", pieces[0])
    if "" in behind[:-1]:
        raise ValueError(
            f"where one parameter of {part!r} ends and the next begins cannot be told: "
            f"put text between them, or a slash: {path!r}"
        )
    whole = "".join(pieces)
    if first or any(behind):
        if any(kind == "path" for kind, _ in parameters("{}", whole)):
            raise ValueError(
                f"a {{name:path}} parameter takes the rest, so it has no text around it: {path!r}"
            )
        return Segment(kind_of(whole), whole)
    ((kind, name),) = parameters("{}", whole)
    return Segment(kind, name)


def _literal(text: str, path: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError(f"braces enclose a parameter, {{name}} or {{name:type}}, which {path!r} lacks")
    try:
        return canonical_literal(text)
    except Fail:
        raise ValueError(f"in a path a % has two hexadecimal digits, or is %25: {path!r}") from None


def _parameter(text: str, path: str) -> str:
    name, colon, kind = text.partition(":")
    if not name.isidentifier():
        raise ValueError(f"a parameter is a name, {{name}} or {{name:type}}: {{{text}}} in {path!r} is not")
    if colon and kind not in TYPES:
        raise ValueError(
            f"unknown type {kind!r} in {path!r}: use {', '.join(TYPES)}, or make one before: "
            f'Router.converter("{kind or "name"}", parse, format){did_you_mean(kind, TYPES)}'
        )
    return as_written(name, kind or "str")


def canonical_literal(text: str) -> str:
    """A literal in the spelling in which it arrives: `café` and `caf%c3%a9` are both `caf%C3%A9`."""
    escaped = "".join(
        char if char in _PATH_SAFE else "".join(f"%{octet:02X}" for octet in char.encode()) for char in text
    )
    return uri.canonical(escaped)


def spell(segments: tuple[Segment, ...]) -> str:
    """The path that `segments` came from, for people: `/users/{id:int}`."""
    words = []
    for kind, text in segments:
        plain = kind == "literal" or "{" in kind
        words.append(text if plain else as_written(text, kind))
    return "/" + "/".join(words)
