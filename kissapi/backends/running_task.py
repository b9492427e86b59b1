"""The running task, on every backend: `timeout` is to end it."""

from __future__ import annotations

import sys
from typing import Any


async def running_task() -> tuple[Any, type[BaseException]]:
    """The task that awaits this, and what is raised in it when it is cancelled."""
    asyncio: Any = sys.modules.get("asyncio")  # as in `running_loop`: not imported for this
    running = getattr(asyncio, "_get_running_loop", None)
    if running is not None and running() is not None:
        return asyncio.current_task(), asyncio.CancelledError
    from kissapi.backends.tasks import CancelledError, WhichTask

    return await WhichTask(), CancelledError
