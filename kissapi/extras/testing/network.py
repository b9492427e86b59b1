"""Network: a service in a loop without sockets, the connections to it, and the time of both.

The loop runs only while a test waits for something, and virtual time passes only while nothing else is to do.
The client, its answers and its WebSockets connect and wait by it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from kissapi.backends.spawn import current
from kissapi.backends.threads import copy_context
from kissapi.extras.testing.connection import ClientConnection
from kissapi.extras.testing.log import CapturedLog
from kissapi.extras.testing.loop import FakeLoop, alone

if TYPE_CHECKING:
    from kissapi.extras.testing.clock import Clock
    from kissapi.http.service import Service

ROOM = 64 * 1024  # bytes under way to a client that does not read


class Network:
    """`make_service(loop)` is called once, at the first request. `facts` are those of every transport."""

    def __init__(
        self, backend: str, clock: Clock, make_service: Callable[[Any], Service], facts: Mapping[str, Any]
    ) -> None:
        self.clock = clock
        self.loop, self._spawn = _make_loop(backend, clock)
        self.log = CapturedLog()
        self.connections: list[ClientConnection] = []
        self._make_service = make_service
        self._service: Service | None = None
        self._facts = facts
        self._closer = weakref.finalize(self, self.loop.close)

    @property
    def service(self) -> Service:
        """The service that the connections share."""
        if self._service is None:
            service = self._make_service(self.loop)
            service.spawn_by(self._spawn)
            service.clock = self.loop.time
            service.log = service.spawned.log = self.log
            service.answered = []
            self._service = service
        return self._service

    def connect(self, room: float = ROOM) -> ClientConnection:
        """A new connection; the server may send `room` bytes before they are read."""
        self._check_idle()
        connection = ClientConnection(self.service, self._facts, room, self.connections.remove)
        self.connections.append(connection)
        return connection

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of `coroutine`, run in the loop of the handlers."""
        tasks: list[Any] = []
        self._check_idle()
        context = copy_context()
        context.run(current.set, self.service.spawned)
        self.loop.do(lambda: tasks.append(self._spawn(coroutine, context)))
        self.run_until(tasks[0].done, f"run({coroutine!r})")
        return tasks[0].result()

    def run_until(self, done: Callable[[], bool], what: str, seconds: float | None = None) -> None:
        """Run until `done()`. Raises `TimeoutError`, which names `what`, if that takes longer than `seconds`.

        By default it is the patience of the clock.
        """
        self._check_idle()
        patience = self.clock.patience if seconds is None else seconds
        end = self.loop.now + patience
        while True:
            self._push()
            if done():
                return
            if self.loop.now >= end:
                raise TimeoutError(
                    f"{what}: nothing has come of it in {patience:g} s of the clock of the client: does the "
                    f"handler wait for something that never comes?{self.clock.hint}"
                )
            self.loop.run_until(lambda: done() or self._can_push(), end)

    def wait(self, seconds: float) -> None:
        """Let time pass: what is due by then is done."""
        self._check_idle()
        end = self.loop.now + seconds
        while True:
            self._push()
            self.loop.run_until(self._can_push, end)
            if not self._can_push():
                return

    def leave(self) -> None:
        """Close all connections."""
        for connection in tuple(self.connections):
            connection.leave()

    def drain(self) -> None:
        """Let the tasks after answers end, for at most `shutdown_timeout`."""
        service = self.service
        self.loop.run_until(lambda: not service.background, self.loop.now + service.limits.shutdown_timeout)

    def close(self) -> None:
        """Close all connections, and cancel the handlers that are still at work."""
        if self._closer.alive:
            self.leave()
            for task in tuple(self.service.background):
                task.cancel()
            self.wait(0)
            with alone(self.clock):
                self._closer()

    def _push(self) -> None:
        for connection in tuple(self.connections):
            connection.push()

    def _can_push(self) -> bool:
        return any(connection.can_push() for connection in self.connections)

    def _check_idle(self) -> None:
        if self.loop.is_running():
            raise RuntimeError(
                "the app cannot ask the client that waits for it: make another Client for that"
            )


def _make_loop(backend: str, clock: Clock) -> tuple[Any, Callable[..., Any]]:
    """A loop that goes by `clock`, and what makes a task in it."""
    if backend == "selectors":
        loop = FakeLoop(clock)
        return loop, loop.create_task
    from kissapi.backends.asyncio import spawner
    from kissapi.extras.testing.asyncio import FakeAsyncioLoop

    asyncio_loop = FakeAsyncioLoop(clock)
    return asyncio_loop, spawner(asyncio_loop)
