"""Extra: an attribute of `Request` that an extra of kissapi sets, such as `req.session`.

`Request` declares it, so that type checkers know it; without the extra it is an error that names the extra.
An extra sets it, or offers a function that makes it when it is first looked at: what a handler does not look
at costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Extra:
    """The default of an attribute that an extra of kissapi sets: an error that names the extra."""

    def __init__(self, needs: str) -> None:
        self._needs = needs

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, request: Any, owner: type) -> Any:
        if request is None:
            return self
        make = vars(request).get(f"_make_{self._name}")
        if make is None:
            raise AttributeError(f"req.{self._name} needs {self._needs}, on this router or on one above it")
        value = make(request)
        setattr(request, self._name, value)  # found before this is asked again
        return value


def offer(request: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Have `make(request)` called when the attribute `name` is first looked at.

    `make` must hold no request: that would be a cycle.
    """
    vars(request)[f"_make_{name}"] = make
    vars(request).pop(name, None)  # what an outer hook has made
