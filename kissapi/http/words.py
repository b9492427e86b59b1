"""Words: what messages to people and to clients are made of.

raise TypeError(f"{cut(repr(name))} is no argument{did_you_mean(name, NAMES)}")
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def did_you_mean(given: object, names: Iterable[str]) -> str:
    """A question for the end of a message: the name that is nearest to `given`; "" if none is near.

    >>> did_you_mean("prot", ["host", "port"])
    ': did you mean port?'
    """
    try:
        from difflib import get_close_matches  # only where a mistake is told
    except ImportError:  # a small Python
        return ""
    near = get_close_matches(str(given), [*names], n=1)
    return f": did you mean {near[0]}?" if near else ""


def cut(text: str, most: int = 60) -> str:
    """`text`, of at most so many characters: what a client has sent may be long.

    >>> cut("0123456789", 4)
    '0123…'
    """
    return text if len(text) <= most else text[:most] + "…"


def name_of(function: Any) -> str:
    """The name of a handler, a hook or another function."""
    return str(getattr(function, "__qualname__", None) or function)


def type_name(kind: type) -> str:
    """The module and name of a class; a stand-in of `kissapi.compat` has the name of the real one.

    By it a type is known without an import of what an app may never use.

    >>> type_name(dict)
    'builtins.dict'
    """
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("kissapi.compat.")
