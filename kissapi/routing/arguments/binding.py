"""Binding: the call of a handler with its arguments, planned once for each route when routes are compiled.

`bind` makes a function of the request alone, as source, the way `dataclasses` does: for `/orders/{id}` and
`limit: int = 10` it is

    def bound(request):
        try:
            query = request.query_all if request.query_string else NONE
            value_0 = request.params['id']
            value_1 = read_1(text) if 'limit' in query and (text := query['limit'][0]) else default_1
        except Wrong as wrong:
            raise invalid(request, wrong) from None
        return call(request, value_0, value_1)

Closures took 0.46 µs for a parameter of the path and 2.3 for the first of the query; this takes 0.07 and 1.8
(CPython 3.11). Binding comes behind the before hooks, so that a 401 comes before a 422; it runs on the loop,
also for a `def` that runs in a thread. After a mistake each argument is read once more, so that all are told.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple

from kissapi.core import Fail
from kissapi.http.files import File
from kissapi.routing.arguments.argument import Argument, checked_arguments, item_of
from kissapi.routing.arguments.constraints import check_of
from kissapi.routing.arguments.invalid import Invalid
from kissapi.routing.arguments.scalars import Reader, Wrong, members, read_int, reader_of
from kissapi.routing.path import Segment, parameters_of
from kissapi.routing.route import Route
from kissapi.routing.signature import NOTHING, place_of, signature_of

Call = Callable[..., Coroutine[Any, Any, Any]]

# By place: where all values are, the first value of a key, and all of them.
_SOURCES = {
    "path": "request.params",
    "query": "request.query_all if request.query_string else NONE",
    "header": "request.headers",
    "cookie": "request.cookies",
    "form": "request.form_all",
    "file": "request.files_all",
}
_FIRST = dict.fromkeys(_SOURCES, "{place}[{key!r}]")
_FIRST |= dict.fromkeys(("query", "form", "file"), "{place}[{key!r}][0]")
_ALL = dict.fromkeys(_SOURCES, "{place}[{key!r}]")
_ALL |= {"header": "header.get_all({key!r})", "cookie": "[cookie[{key!r}]]"}
# What an error calls the key of a place.
_CALLED = {"path": "parameter", "query": "parameter", "form": "field"}


class Plan(NamedTuple):
    """How one argument is read: an expression, what the names in it stand for, and where all values are."""

    argument: Argument
    expression: str
    names: dict[str, Any]
    source: str | None = None


def bind(route: Route, call: Call) -> Call:
    """`call`, the handler of `route` as a coroutine function, as a function of the request alone.

    That raises `Invalid` for what is missing or wrong. Raises `TypeError`, with file and line, for what
    cannot be bound, `ImportError` for a package that is missing.
    """
    handler = route.own_handler
    signature = signature_of(handler)
    assert signature is not None
    arguments = checked_arguments(route)
    try:
        plans = [_plan(number, each, route) for number, each in enumerate(arguments)]
    except (TypeError, NameError, ImportError) as error:  # of a library, about a type or a field of it
        kind = ImportError if isinstance(error, ImportError) else TypeError
        raise kind(f"{route.method} {route.path}: {place_of(handler)}: {error}") from error
    by_name = {parameter.name for parameter in signature.parameters if parameter.by_name}
    given = [
        f"{plan.argument.name}=value_{number}" if plan.argument.name in by_name else f"value_{number}"
        for number, plan in enumerate(plans)
    ]
    name = f"<arguments of {place_of(handler)}>"  # in tracebacks
    takes = [(plan.argument, _compiled(name, _lines([plan], "return value_0"), [plan])) for plan in plans]

    def invalid(request: Any, first: Wrong) -> Invalid:
        errors: list[dict[str, Any]] = []
        for argument, take in takes:
            try:
                take(request)
            except Wrong as wrong:
                called, key = _CALLED.get(argument.place, argument.place), argument.key
                if argument.place == "body":  # the whole of it
                    called, key = "pointer", "#"
                errors += wrong.errors or [{called: key, "detail": str(wrong)}]
        # A validator that asks the clock may be content by now.
        return Invalid(errors or first.errors or [{"parameter": "?", "detail": str(first)}])

    lines = ["try:", *(f"    {line}" for line in _lines(plans)), "except Wrong as wrong:"]
    lines += ["    raise invalid(request, wrong) from None", f"return call({', '.join(['request', *given])})"]
    bound: Call = _compiled(name, lines, plans, call=call, invalid=invalid)
    return bound


def _lines(plans: list[Plan], *end: str) -> list[str]:
    sources = {plan.argument.place: plan.source for plan in plans if plan.source}
    return [
        *(f"{place} = {source}" for place, source in sources.items()),
        *(f"value_{number} = {plan.expression}" for number, plan in enumerate(plans)),
        *end,
    ]


def _compiled(name: str, lines: Iterable[str], plans: list[Plan], **names: Any) -> Any:
    """The function of the request that `lines` are."""
    names |= {"Wrong": Wrong, "NONE": {}}
    for plan in plans:
        names |= plan.names
    # Not by `compile`: its first call makes the 120 classes of syntax trees, 0.2 MiB.
    exec("\n    ".join(["def bound(request):", *lines]), names)
    bound = names["bound"]
    bound.__code__ = bound.__code__.replace(co_filename=name)
    return bound


def _plan(number: int, argument: Argument, route: Route) -> Plan:
    """How `argument` is read; the names in its expression end with its number."""
    place, key = argument.place, argument.key
    if place == "path":
        return _plan_path(number, argument, route.segments)
    names: dict[str, Any] = {f"default_{number}": argument.default}
    missing = f"default_{number}"
    if argument.default is NOTHING:
        names = {f"missing_{number}": _missing}
        missing = f"missing_{number}()"
    elif isinstance(argument.default, (list, dict, set)):
        missing += ".copy()"
    read = f"read_{number}"
    if place == "body":
        from kissapi.routing.arguments.bodies import body_reader

        names[read] = body_reader(argument.annotation)
        return Plan(argument, f"{read}(request) if request.body else {missing}", names)
    if place in ("query", "form") and not argument.many and reader_of(argument.type) is None:
        from kissapi.routing.arguments.bodies import fields_of, record_reader

        names[read] = record_reader(argument.annotation, _CALLED[place])
        expression = f"{read}({place})"
        if argument.default is not NOTHING:
            names[f"fields_{number}"] = fields_of(argument.annotation).keys()
            expression += f" if {place}.keys() & fields_{number} else {missing}"
        return Plan(argument, expression, names, _SOURCES[place])
    one, every = (text[place].format(place=place, key=key) for text in (_FIRST, _ALL))
    reader, blank = _reader(argument)
    names[read] = reader
    if argument.many:
        expression = f"{read}({every}) if {key!r} in {place} else {missing}"
    elif blank:
        one = one if reader is str else f"{read}({one})"
        expression = f"{one} if {key!r} in {place} else {missing}"
    else:
        # Browsers send fields that are left blank: to all types but text that is a value that is missing.
        value = f"{read}(text)"
        if reader is read_int:  # the usual text without a call, which takes 0.1 µs
            value = f"(int(text) if len(text) < 19 and text.isdigit() and text.isascii() else {value})"
        expression = f"{value} if {key!r} in {place} and (text := {one}) else {missing}"
    return Plan(argument, expression, names, _SOURCES[place])


def _reader(argument: Argument) -> tuple[Callable[[Any], Any], bool]:
    """What makes the value of what has come, and whether a blank text is a value."""
    kind = item_of(argument.type) if argument.many else argument.type
    kinds, _ = members(kind)
    read: Any = reader_of(kind)
    blank = str in kinds
    if argument.place == "file":
        read, blank = (File.read if kinds == (bytes,) else _same), True
    if argument.many:
        read = _each(read, blank, argument.type)
    check = check_of(argument.annotation)
    if check is None:
        return read, blank
    return (lambda text: check(read(text))), blank


def _each(read: Callable[[Any], Any], blank: bool, kind: Any) -> Callable[[list[Any]], Any]:
    """What reads all values of a key."""
    container = members(kind)[0][0]
    make = getattr(container, "__origin__", container)
    if make is list:
        return lambda texts: [read(text) for text in texts if blank or text]
    return lambda texts: make(read(text) for text in texts if blank or text)


def _plan_path(number: int, argument: Argument, segments: tuple[Segment, ...]) -> Plan:
    kind = next(kind for kind, name in parameters_of(segments) if name == argument.key)
    value = f"path[{argument.key!r}]"
    names: dict[str, Any] = {}
    steps: list[Callable[[Any], Any]] = []
    if kind in ("str", "path") and (reader := reader_of(argument.type)) not in (None, str):
        steps.append(_or_not_found(reader))
    elif kind == "int" and int not in members(argument.type)[0] and float in members(argument.type)[0]:
        steps.append(float)
    if (check := check_of(argument.annotation)) is not None:
        steps.append(check)
    for at, step in enumerate(steps):
        names[f"read_{number}_{at}"] = step
        value = f"read_{number}_{at}({value})"
    return Plan(argument, value, names, _SOURCES["path"])


def _or_not_found(read: Any) -> Reader:
    """As of `{id:int}`: a path with another value is none of ours."""

    def find(text: str) -> Any:
        try:
            return read(text)
        except Wrong:
            raise Fail(404) from None

    return find


def _missing() -> Any:
    raise Wrong("is missing")


def _same(value: Any) -> Any:
    return value
