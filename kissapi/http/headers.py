"""Headers: the fields of a message, looked up in any case, each name with one or more values.

What a handler sets is checked when it is set, so that no input of it can split a response (RFC 9110 §5.5:
CR, LF and NUL are refused in values, and names are tokens). In a field that holds a URI-reference, what that
may not contain is percent-encoded. Fields that are known to be valid pass by `from_wire` and `of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Self, TypeVar, overload

from kissapi.http import uri
from kissapi.http.given import Missing, converted
from kissapi.http.grammar import is_token

T = TypeVar("T")
D = TypeVar("D")

_CONTROL = dict.fromkeys([*range(0x09), *range(0x0A, 0x20), 0x7F], " ")

# An octet that is no UTF-8, as Python has it (PEP 383), and the character of ISO-8859-1 that it stands for.
_OCTETS_OF_OLD = {0xDC00 + octet: octet for octet in range(0x80, 0x100)}
_REFERENCES = frozenset(("location", "content-location"))  # fields that hold URI-references (RFC 9110)


def decode_fields(octets: bytes) -> str:
    """The octets of a head as text: UTF-8, and what is none by the octet as ISO-8859-1 (RFC 9110 §5.5).

    So whatever a client sends is text that can be sent on, to the client, to a file, to a database. The
    characters of `surrogateescape` are taken by no encoder: each such place would answer 500. Paths, queries
    and bodies that are no UTF-8 are refused; fields are not, for old clients send ISO-8859-1 in good faith.

        >>> decode_fields(b"caf\\xe9 caf\\xc3\\xa9")
        'café café'
    """
    text = octets.decode("utf-8", "surrogateescape")
    return text if text.isascii() else text.translate(_OCTETS_OF_OLD)


class Headers(MutableMapping[str, str]):
    """A mapping of lower-case names to values; looking up and comparing ignores case.

    A name that came several times gives its values joined with `", "` (cookies with `"; "`, RFC 6265 §5.4);
    `get_all` gives them one by one, `add` adds one more. Raises `ValueError` when a name or value is set that
    may not travel in HTTP.

        >>> headers = Headers({"Content-Type": "text/html"})
        >>> headers["content-type"]
        'text/html'
    """

    __slots__ = ("_values",)

    def __init__(self, items: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        values: dict[str, list[str]] = {}
        self._values = values
        pairs: Iterable[tuple[str, str]]
        if type(items) is dict:  # isinstance of an abstract class takes as long as to check a field
            pairs = items.items()
        elif not items:
            return
        elif isinstance(items, Headers):
            pairs = items.lines()  # one by one: joined with commas, cookies could not be told apart again
        else:
            pairs = items.items() if isinstance(items, Mapping) else items
        for name, value in pairs:
            key = _checked_name(name)
            if type(value) is str and value.isascii() and value.isprintable() and key not in _REFERENCES:
                text = value.strip(" ")  # as `checked_value` has it, and nearly all are
            else:
                text = checked_value(key, value)
            if key in values:
                values[key].append(text)
            else:
                values[key] = [text]

    @classmethod
    def from_wire(cls, head: bytes) -> Self:
        """The fields of a head that a parser has checked; see `decode_fields`."""
        headers = cls.__new__(cls)
        values: dict[str, list[str]] = {}  # not `dict[str, list[str]]()`, which takes as long as two fields
        headers._values = values
        for line in decode_fields(head[:-4]).split("\r\n")[1:]:
            name, _, value = line.partition(":")
            values.setdefault(name.lower(), []).append(value.strip(" \t"))
        return headers

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Self:
        """`fields` as they are: lower-case names, and values known to be fit to be sent."""
        headers = cls.__new__(cls)
        headers._values = {name: [value] for name, value in fields.items()}
        return headers

    def __getitem__(self, name: str) -> str:
        key = name.lower()
        return ("; " if key == "cookie" else ", ").join(self._values[key])

    def __setitem__(self, name: str, value: str) -> None:
        key = _checked_name(name)
        self._values[key] = [checked_value(key, value)]

    def __delitem__(self, name: str) -> None:
        del self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self.items()) == {str(name).lower(): value for name, value in other.items()}

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({dict(self.items())!r})"

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: D) -> str | D: ...
    @overload
    def get(self, name: str, default: D, type: Callable[[str], T]) -> T | D: ...
    def get(self, name: str, default: Any = None, type: Any = None) -> Any:  # noqa: A002
        """The value of `name`, `default` if it is missing; converted by `type`, and raises what that raises.

        Of a request, what `type` cannot convert raises `Fail(400)`.
        """
        if name.lower() not in self._values:
            return default
        return Headers.__getitem__(self, name) if type is None else self._convert(name, type)

    def _convert(self, name: str, kind: Any) -> Any:
        return kind(self[name])

    def add(self, name: str, value: str) -> None:
        """One more value of `name`, beside those it has: `headers.add("Set-Cookie", "a=1")`."""
        key = _checked_name(name)
        text = checked_value(key, value)
        self._values.setdefault(key, []).append(text)

    def get_all(self, name: str) -> list[str]:
        """Every value of `name` in the order they came; an empty list if there is none."""
        return list(self._values.get(name.lower(), ()))

    def copy(self) -> Self:
        """The same fields, which may be changed apart from these."""
        headers = type(self).__new__(type(self))
        headers._values = {name: values.copy() for name, values in self._values.items()}
        return headers

    def lines(self) -> Iterator[tuple[str, str]]:
        """One (name, value) for every line on the wire."""
        for name, values in self._values.items():
            for value in values:
                yield name, value


class RequestHeaders(Headers):
    """The fields of a request: one that is missing raises `Missing`, which answers 400 and is a KeyError.

    `get` with a type answers 400 for what is none, as that of `req.query` does.

        >>> RequestHeaders({"Content-Length": "7"}).get("content-length", 0, int)
        7
    """

    __slots__ = ()

    def __getitem__(self, name: str) -> str:
        try:
            return Headers.__getitem__(self, name)
        except KeyError:
            raise Missing(400, f"there is no header {name!r}") from None

    def _convert(self, name: str, kind: Any) -> Any:
        return converted(Headers.__getitem__(self, name), name, "the headers", kind)


@lru_cache(1024)  # an app has few names; to look at the characters of one takes ten times as long
def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not is_token(name):
        raise ValueError(
            f"{name!r} is no header name: letters, digits and !#$%&'*+-.^_`|~ only (RFC 9110 §5.1)"
        )
    return name.lower()


def checked_value(name: str, value: str) -> str:
    """`value` as it is sent, of the field `name` in lower case."""
    if not isinstance(value, str):
        raise ValueError(f"header {name} must be a str, not {value!r}")
    if name in _REFERENCES and not uri.is_plain(value):
        value = uri.encode_reference(value.strip(" \t"))
    if not (value.isascii() and value.isprintable()):  # nearly all are
        if value.translate(_CONTROL) != value:
            raise ValueError(f"header {name} may not contain control characters such as line ends: {value!r}")
        value.encode("utf-8", "surrogateescape")  # what cannot be sent is refused now: UnicodeEncodeError
    return value.strip(" \t")
