"""Signature: the parameters of a function, read from its code: `inspect` would cost 14 ms at import.

It looks through methods, `functools.partial`, classes, callable objects, and wrappers that pass on all that
they get. Of a function in C, which does not tell, there is no signature.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

_VARARGS, _VARKEYWORDS = 0x04, 0x08  # flags of code
NOTHING: Any = type("Nothing", (), {"__repr__": lambda _: "NOTHING", "__slots__": ()})()


class Parameter(NamedTuple):
    """A parameter; `annotation` and `default` are `NOTHING` where there is none."""

    name: str
    annotation: Any  # as it is written: text, perhaps
    default: Any
    by_name: bool


class Signature(NamedTuple):
    """What a function takes; `function` is the one with the code, at the bottom."""

    function: Any
    parameters: tuple[Parameter, ...]
    open: bool  # it takes more than its parameters: *args or **kwargs

    def takes(self, count: int) -> bool:
        """Whether it can be called with `count` arguments by position."""
        by_position = [parameter for parameter in self.parameters if not parameter.by_name]
        required = [parameter for parameter in self.parameters if parameter.default is NOTHING]
        most = float("inf") if self.function.__code__.co_flags & _VARARGS else len(by_position)
        return count <= most and all(parameter in by_position[:count] for parameter in required)


def signature_of(function: Any) -> Signature | None:
    """The signature of `function`, without what is given already; None if it cannot be read.

    A wrapper with `*args` or `**kwargs` and a `__wrapped__` takes what the function below it takes.
    """
    given = 0  # parameters that have their arguments, from the first on …
    named: set[str] = set()  # … and by name
    while True:
        if hasattr(function, "__func__"):  # a method of an object
            given, function = given + 1, function.__func__
        elif isinstance(function, partial):
            given += len(function.args)
            named.update(function.keywords)
            function = function.func
        elif hasattr(function, "__code__"):
            more = bool(function.__code__.co_flags & (_VARARGS | _VARKEYWORDS))
            if not (more and hasattr(function, "__wrapped__")):
                return Signature(function, _parameters(function, given, named), more)
            function = function.__wrapped__
        elif isinstance(function, type):
            given, function = given + 1, function.__init__  # type: ignore[misc]
        else:  # a callable object
            given, function = given + 1, type(function).__call__
            if not hasattr(function, "__code__"):
                return None


def _parameters(function: Any, given: int, named: set[str]) -> tuple[Parameter, ...]:
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    keywords = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    values = function.__defaults__ or ()
    defaults = dict(zip(positional[len(positional) - len(values) :], values, strict=True))
    defaults.update(function.__kwdefaults__ or {})
    annotations = annotations_of(function)
    found: list[Parameter] = []
    by_name = False
    for name in (*positional[given:], *keywords):
        by_name = by_name or name in named or name in keywords  # what stands behind a given one, too
        if name not in named:
            annotation = annotations.get(name, NOTHING)
            found.append(Parameter(name, annotation, defaults.get(name, NOTHING), by_name))
    return tuple(found)


def annotations_of(function: Any) -> dict[str, Any]:
    """The annotations of `function` as they are written, some of them text."""
    try:
        return function.__annotations__ or {}
    except NameError:  # PEP 649, from 3.14 on: a name that is not there, or not yet
        from annotationlib import Format, get_annotations  # type: ignore[import-not-found,unused-ignore]

        found: dict[str, Any] = get_annotations(function, format=Format.FORWARDREF)
        return found


def place_of(function: Callable[..., Any]) -> str:
    """Where `function` stands, for messages: `add (app.py:12)`."""
    signature = signature_of(function)
    bottom: Any = function if signature is None else signature.function
    name = getattr(bottom, "__qualname__", None) or repr(bottom)
    code = getattr(bottom, "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def check_takes(what: str, function: Callable[..., Any], *given: str) -> None:
    """Raise `TypeError` if `function`, which is a `what`, cannot be called with what is `given`.

    One that cannot be read, as of C, passes.
    """
    signature = signature_of(function)
    if signature is not None and not signature.takes(len(given)):
        name = signature.function.__name__
        raise TypeError(
            f"{place_of(function)}: {what} takes {' and '.join(f'the {each}' for each in given)}: "
            f"def {name if name.isidentifier() else 'function'}({', '.join(given)})"
        )
