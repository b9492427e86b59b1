"""Verdict: a function of the app that says yes or no about a request, for extras that guard something.

Anything but True or False is an error: a coroutine that is not awaited is true, and would let everything
pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kissapi.backends.handlers import is_plain


def verdict_of(function: Callable[[Any], bool], what: str) -> Callable[[Any], bool]:
    """`function`, held to a bool; `what` names it. Raises `TypeError` for an `async def`.

    >>> verdict_of(str.isupper, "the function for origins")("A")
    True
    """
    if not is_plain(function):
        raise TypeError(f"{what} is a plain `def` that returns True or False, not {function!r}")

    def ask(subject: Any) -> bool:
        verdict = function(subject)
        if not isinstance(verdict, bool):
            raise TypeError(f"{what} returned {verdict!r}, not True or False")
        return verdict

    return ask
