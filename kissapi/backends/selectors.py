"""selectors: the backend that needs no asyncio: kissapi's own loop, and its `Transport` over each socket."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from kissapi.backends.loop import Loop
from kissapi.backends.tasks import CancelledError as CancelledError
from kissapi.backends.tasks import Task
from kissapi.backends.transport import adopter as adopter


def cancelling() -> int:
    """How many times the running task has been asked to end: never, but for a start that is cut."""
    return 0


def run(main: Coroutine[Any, Any, None], loop_factory: None = None) -> None:
    """Run `main` in a new loop."""
    Loop().run_until_complete(main)


def spawner(loop: Loop) -> Callable[[Coroutine[Any, Any, Any]], Task]:
    """Our tasks always take their first step when they are made."""
    return partial(Task, loop)
