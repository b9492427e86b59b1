"""Lifespan: the start and the end of an ASGI app in one event loop (ASGI lifespan 2.0).

The app hears `lifespan.startup`, and clients are served once it has answered. `state` is what the app keeps
then, of which each scope has a shallow copy. An app that raises, or returns, without an answer is one that
knows no lifespan; if it had taken the event, it may be a mistake, so that is logged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kissapi.backends.awaitables import running_loop, sleep
from kissapi.backends.spawn import current
from kissapi.extras.asgi.inward.bell import Bell


class LifespanFailed(RuntimeError):
    """The app says that it has failed; `text` is what it says, if that is more than a line."""

    def __init__(self, event: str, message: str) -> None:
        lines = message.strip().splitlines() or ["it does not say why"]
        super().__init__(f"the {event} of the ASGI app has failed: {lines[-1].strip()}")
        self.text = f"{message.strip()}\n" if lines[1:] else ""


class Lifespan(Bell):
    """One life of `app`."""

    def __init__(self, app: Callable[..., Any]) -> None:
        super().__init__()
        self.app = app
        self.state: dict[str, Any] = {}
        self._event = "startup"  # that the app is to answer, or has answered
        self._told = False  # whether it has taken it
        self._said = False  # whether it has answered
        self._failure = ""  # what it has answered, if that is a failure
        self._ended = False
        self._error: BaseException | None = None  # that it has ended with
        self._task: Any = None

    async def start(self) -> None:
        """Start the app, if it knows a lifespan. Raises `LifespanFailed`."""
        self._task = running_loop().create_task(self._live())
        await self._answer()
        if self._ended and not self._said:
            error, self._error = self._error, None
            spawned = current.get()
            if error is not None and self._told and spawned is not None:
                what = "the ASGI app has failed at lifespan.startup; it is served without a lifespan"
                spawned.log.error(what, error)  # no logging.Logger

    async def stop(self) -> None:
        """Let the app end. Raises `LifespanFailed`, and what the app raises."""
        if not self._ended:
            self._event, self._told, self._said = "shutdown", False, False
            self.changed()
            await self._answer()
            await sleep(0)  # for what comes behind the answer
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """It is over, whatever the app does."""
        self._error = None
        if self._task is not None:
            self._task.cancel()

    async def _live(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self.app(scope, self.receive, self.send)
        except Exception as error:
            self._error = error
        finally:
            self._ended = True
            self.changed()

    async def _answer(self) -> None:
        while not self._said and not self._ended:
            await self.change()
        if self._failure:
            raise LifespanFailed(self._event, self._failure)

    async def receive(self) -> dict[str, Any]:
        """The next event, once there is one."""
        while self._told:
            await self.change()
        self._told = True
        return {"type": f"lifespan.{self._event}"}

    async def send(self, message: Any) -> None:
        """Take the answer of the app. Raises `RuntimeError` for any other event."""
        kind = message["type"]
        if kind not in (f"lifespan.{self._event}.complete", f"lifespan.{self._event}.failed") or self._said:
            raise RuntimeError(f"{kind!r} cannot be sent now: the app is to answer lifespan.{self._event}")
        self._said = True
        if kind.endswith("failed"):
            self._failure = message.get("message") or " "
        self.changed()
