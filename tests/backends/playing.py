"""Playing: a scenario runs on a backend of either kind, and sees what both have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any, NamedTuple

from kissapi import sleep
from kissapi.backends.awaitables import running_loop
from kissapi.backends.loop import Loop
from kissapi.backends.tasks import CancelledError


class On(NamedTuple):
    """A backend at work, as a scenario sees it."""

    loop: Any
    spawn: Callable[[Coroutine[Any, Any, Any]], Any]
    cancelled: type[BaseException]


def play(backend: str, scenario: Callable[[On], Coroutine[Any, Any, None]]) -> None:
    """Run `scenario` to its end on `backend`."""
    module = import_module(f"kissapi.backends.{backend}")
    cancelled = asyncio.CancelledError if backend == "asyncio" else CancelledError

    async def main() -> None:
        loop = running_loop()
        await scenario(On(loop, module.spawner(loop), cancelled))

    module.run(main(), None)


async def turns(number: int = 5) -> None:
    """Let the loop go round."""
    for _ in range(number):
        await sleep(0)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return Loop().run_until_complete(main)
