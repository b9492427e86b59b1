"""JsonLibrary: what `Server(json=…)` is given, as the two functions that requests and responses use.

`to_json` is the JSON of the server that the handler at work belongs to. Its library is in a context variable,
which each request begins with: a `Response` encodes its body when it is made, and knows no request then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from kissapi.backends.threads import ContextVar
from kissapi.core import Fail
from kissapi.http import json_codec
from kissapi.http.json_values import explain, plain

_NAMES = (("dumps", "loads"), ("encode", "decode"))
_SAMPLE = {"a": [1, "é", None]}


class JsonLibrary:
    """A library of JSON: any module or object with `dumps` and `loads`, or `encode` and `decode`.

    What it does not know it asks of `plain`, if it takes a function for that: `default=` as json, orjson and
    simplejson do, or `enc_hook=` as msgspec does. Raises `TypeError` for what is none, or does not work.

        >>> import json
        >>> JsonLibrary(json).encode([1])
        b'[1]'
    """

    __slots__ = ("_dumps", "_loads", "given")

    def __init__(self, given: Any) -> None:
        self.given = given
        for write, read in _NAMES:
            dumps, loads = getattr(given, write, None), getattr(given, read, None)
            if callable(dumps) and callable(loads):
                break
        else:
            raise TypeError(
                "json must have dumps and loads, or encode and decode, as orjson and msgspec.json have; "
                f"{given!r} has not"
            )
        self._dumps: Callable[[Any], Any] = dumps
        self._loads: Callable[[bytes], Any] = loads
        try:
            same = loads(self._encode(_SAMPLE)) == _SAMPLE
        except Exception as error:
            raise TypeError(f"json={given!r} cannot write {_SAMPLE} and read it again: {error!r}") from error
        if not same:
            raise TypeError(f"json={given!r}: {read}({write}({_SAMPLE})) is another value")
        self._dumps = _with_hook(dumps)

    def _encode(self, value: Any) -> bytes:
        data = self._dumps(value)
        if isinstance(data, str):
            return data.encode()
        if not isinstance(data, (bytes, bytearray)):
            raise TypeError(f"json={self.given!r} must make str or bytes, not {type(data).__name__}")
        return bytes(data)

    def encode(self, value: Any) -> bytes:
        """`value` as JSON. Raises `TypeError` or `ValueError`, with the path of what cannot be encoded."""
        try:
            return self._encode(value)
        except (TypeError, ValueError) as error:
            raise explain(value, self._encode, error) from None

    def decode(self, data: bytes) -> Any:
        """The value of a JSON text. Raises `Fail(400)`, which says what the library says, if it is none."""
        try:
            return self._loads(data)
        except (ValueError, RecursionError) as error:  # those of orjson and msgspec are ValueErrors
            why = "it is empty" if not data.strip() else str(error)
        raise Fail(400, f"Bad Request: the body is not JSON: {why}")


def _with_hook(dumps: Callable[..., Any]) -> Callable[[Any], Any]:
    for name in ("default", "enc_hook"):
        asked: list[Any] = []

        def hook(value: Any, asked: list[Any] = asked) -> None:
            asked.append(value)

        try:
            dumps([_Unknown()], **{name: hook})
        except Exception:
            continue  # it has no such argument
        if asked:
            return partial(dumps, **{name: plain})
    return dumps


class _Unknown:
    """A value that no library knows."""


current: ContextVar[JsonLibrary | None] = ContextVar("kissapi.json", default=None)


def to_json(value: Any) -> bytes:
    """`value` as JSON, by the library of the server at work here; see `json_codec.to_json`."""
    library = current.get()
    return json_codec.to_json(value) if library is None else library.encode(value)
