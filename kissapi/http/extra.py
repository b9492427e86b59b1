"""Extra: an attribute of `Request` that an extra of kissapi sets, such as `req.session`.

`Request` declares it, so that type checkers know it; without the extra it is an error that names the extra.
"""

from __future__ import annotations

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
        raise AttributeError(f"req.{self._name} needs {self._needs}, on this router or on one above it")
