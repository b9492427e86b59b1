"""Contexts and variables, where contextvars is missing: a variable has one value in each thread.

A context keeps none of them, and only calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Context:
    """A context without variables."""

    def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return function(*args, **kwargs)

    def copy(self) -> Context:
        return self

    def items(self) -> tuple[()]:
        return ()


def copy_context() -> Context:
    return Context()


class ContextVar(Generic[T]):
    """A variable that the whole of a thread shares."""

    def __init__(self, name: str, *, default: T) -> None:
        self.name = name
        self._default = default
        self._here = threading.local()

    def get(self) -> T:
        return getattr(self._here, "value", self._default)

    def set(self, value: T) -> T:
        """Set it, and give what `reset` takes to undo that."""
        before = self.get()
        self._here.value = value
        return before

    def reset(self, token: T) -> None:
        self._here.value = token
