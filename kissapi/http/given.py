"""Given: what a client has sent, by name; what is missing or of the wrong kind is the client's mistake.

`req.query["page"]` of a query without one raises `Missing`: an error that answers 400, and a KeyError, so
that `in`, `get`, `pop` and `except KeyError` work as of any mapping. Each place has a class, which says where
it was looked for. All but headers are a `dict`; `req.headers` is in `kissapi.http.headers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, overload

from kissapi.core import Fail
from kissapi.http.hints import Hint
from kissapi.http.words import cut

T = TypeVar("T")
D = TypeVar("D")
V = TypeVar("V")

_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
# How numbers are written. Python's own int, float and Decimal also take "1_000", " 1 ", the digits of every
# script, NaN and infinity: what an app compares and adds up has none of these.
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SPELT = {"int": re.compile(r"[+-]?[0-9]+"), "float": _NUMBER, "Decimal": _NUMBER}
_BOOLS = {"true": True, "1": True, "yes": True, "on": True}
_BOOLS |= {"false": False, "0": False, "no": False, "off": False}


class Missing(Fail, KeyError):
    """`Fail(400)` for a name that the client has not sent; a KeyError as well."""


class MissingItem(Fail, IndexError):
    """`Fail(400)` for an item that a list of the client has not; an IndexError as well."""


class Given(dict[str, V]):
    """A dict of what the client has sent. A name that is missing raises `Missing`, which answers 400.

    `given.get(name, default, type)` converts: `type` is int, float, bool, Decimal, uuid.UUID or any function
    that raises `ValueError`, whose text the client gets. What it cannot convert answers 400, too.

        page = req.query.get("page", 1, int)
    """

    __slots__ = ()
    _missing = "the request has no {!r}"
    _place = "the request"

    def __missing__(self, name: object) -> Any:
        raise Missing(400, self._missing.format(name))

    @overload  # type: ignore[override]
    def get(self, name: str) -> V | None: ...
    @overload
    def get(self, name: str, default: D) -> V | D: ...
    @overload
    def get(self, name: str, default: D, type: Callable[[Any], T]) -> T | D: ...
    def get(self, name: Any, default: Any = None, type: Any = None) -> Any:  # noqa: A002
        """The value of `name`, `default` if it is missing; converted by `type`. Raises `Fail(400)`.

        limit = req.query.get("limit", 10, int)
        """
        if type is None or name not in self:
            return dict.get(self, name, default)
        return converted(dict.__getitem__(self, name), name, self._place, type)

    if not TYPE_CHECKING:  # to type checkers it is no function

        def __call__(self, *_, **__):
            raise TypeError(f"{self._place} cannot be called like a function: leave out the parentheses")

    def pop(self, name: Any, *default: Any) -> Any:
        """Take `name` out, and give its value; without a `default`, a missing one raises `Missing`."""
        if name not in self and not default:
            return self.__missing__(name)
        return dict.pop(self, name, *default)


class Query(Given[V]):
    """Parameters of a query."""

    __slots__ = ()
    _missing = "the query has no {!r}"
    _place = "the query"
    if not TYPE_CHECKING:
        getlist = Hint("getlist", "req.query_all.get(name, [])", _place)


class Form(Given[V]):
    """Fields of a form."""

    __slots__ = ()
    _missing = "the form has no {!r}"
    _place = "the form"
    if not TYPE_CHECKING:
        getlist = Hint("getlist", "req.form_all.get(name, [])", _place)


class Files(Given[V]):
    """Files of a form."""

    __slots__ = ()
    _missing = "the form has no file {!r}"
    _place = "the form"
    if not TYPE_CHECKING:
        getlist = Hint("getlist", "req.files_all.get(name, [])", _place)


class Cookies(Given[str]):
    """Cookies of a request."""

    __slots__ = ()
    _missing = "there is no cookie {!r}"
    _place = "the cookies"


class JsonObject(Given[Any]):
    """The body, if it is a JSON object."""

    __slots__ = ()
    _missing = "the JSON has no {!r}"
    _place = "the JSON"


class JsonList(list[Any]):
    """The body, if it is a JSON list: an item that is missing, or a name asked of it, answers 400."""

    __slots__ = ()

    @overload
    def __getitem__(self, at: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, str):
            return self.get(at)
        try:
            return list.__getitem__(self, at)
        except IndexError:
            raise MissingItem(400, f"the JSON has no item {at}: it is a list of {len(self)}") from None

    if not TYPE_CHECKING:

        def __call__(self, *_, **__):
            raise TypeError("the JSON cannot be called like a function: leave out the parentheses")

    def get(self, name: str, *_: Any) -> Any:
        """Raises `Fail(400)`: a list has no names, and the handler expects an object."""
        raise Missing(400, f"the JSON is a list, not an object with {name!r}")


def of_json(value: Any) -> Any:
    """`value`, of a JSON body; an object or a list at the top as one that answers 400 for what is missing."""
    kind = type(value)
    return JsonObject(value) if kind is dict else JsonList(value) if kind is list else value


def converted(value: Any, name: object, place: str, kind: Any) -> Any:
    """`value`, which `place` has as `name`, as a `kind`. Raises `Fail(400)` that says so if it is none.

    >>> converted("7", "page", "the query", int)
    7
    """
    if not isinstance(value, str):
        return _json_as(value, name, place, kind)
    try:
        return parsed(value, kind)
    except ValueError as error:
        why = str(error)
    raise _wrong(value, name, place, kind, why)


def parsed(text: str, kind: Any) -> Any:
    """`text` as a `kind`: a number in the spelling above, or what `kind` makes of it. Raises `ValueError`."""
    spelt = _SPELT.get(getattr(kind, "__name__", ""))
    if spelt is not None and not spelt.fullmatch(text):
        raise ValueError
    try:
        value = _BOOLS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ArithmeticError) as error:  # the latter is Decimal's
        raise ValueError(error) from None
    if kind is float and value - value != 0:  # 1e999 is infinity
        raise ValueError
    return value


def _json_as(value: Any, name: object, place: str, kind: Any) -> Any:
    """JSON has types: a number is none of its strings, true and false are no numbers."""
    if isinstance(kind, type):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(value, kind) and (kind is not int or number):
            return value
        if kind in _KINDS and not (kind is float and number):
            raise _wrong(value, name, place, kind)
    try:
        # Decimal(0.1) is 0.1000000000000000055: the client has written 0.1.
        decimal = isinstance(value, float) and getattr(kind, "__name__", "") == "Decimal"
        return kind(repr(value) if decimal else value)
    # uuid.UUID(7) is an AttributeError, float(10**400) an OverflowError
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        why = str(error)
    raise _wrong(value, name, place, kind, why)


def _wrong(value: Any, name: object, place: str, kind: Any, why: str = "") -> Fail:
    """`why` is what a function says that is no class: it may know more than that the value is wrong."""
    what = _KINDS.get(kind) or (f"a {kind.__name__}" if isinstance(kind, type) else "valid")
    reason = f": {cut(why)}" if why and not isinstance(kind, type) else ""
    return Fail(400, f"{name!r} of {place} must be {what}, not {cut(repr(value))}{reason}")
