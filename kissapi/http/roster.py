"""Roster: the connections of one event loop, and what they share in time: the tick, the drain, the tasks.

Time is a tick: a few times a second each connection compares its deadline with the clock, and `tail`, the
last lines of every head, is made anew with the date. Without connections there is no tick: an idle process is
not woken. `Service` adds the handling of requests. A connection relies only on what is here and in the core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi import core
from kissapi.backends import client_socket
from kissapi.backends.awaitables import in_thread_of, sleep
from kissapi.backends.handlers import is_plain
from kissapi.backends.spawn import Spawned, current
from kissapi.backends.threads import copy_context
from kissapi.http.app import App
from kissapi.http.dates import http_date
from kissapi.http.words import name_of

if TYPE_CHECKING:
    from kissapi.http.interfaces import Log, Routes
    from kissapi.http.limits import Limits
    from kissapi.http.server_headers import ServerHeaders

CLEANUP = 1.0  # seconds for the `finally` blocks of cancelled handlers when the server ends


class Roster(core.Service):
    """What every `Connection` of one loop uses, from its start to its end.

    `loop` has asyncio's `call_soon`, `call_later` and `create_future`. `spawn(coroutine, context)` makes a
    task; where the loop can do that, its first step has run when it returns. What is a task is itself.
    """

    def __init__(
        self,
        dispatch: Routes,
        make_parser: Callable[[Any], Any],
        *,
        loop: Any,
        spawn: Callable[..., Any],
        limits: Limits,
        log: Log,
        headers: ServerHeaders,
        clock: Callable[[], float],
        context: Any,
    ) -> None:
        super().__init__(
            dispatch.handle,
            make_parser,
            loop=loop,
            spawn=spawn,
            clock=clock,
            context=copy_context() if context is None else context.copy(),
        )
        self.app = App()  # what the start has opened, for all requests of this loop
        self.app._connections = self.connections
        self.spawned = Spawned(log)
        self.context.run(current.set, self.spawned)
        self.dispatch = dispatch
        self.spawn_by(spawn)
        self.limits = limits
        self.log = log
        self.headers = headers
        self.has_headers = bool(headers.lines)
        self.has_input = client_socket.has_input
        self.is_gone = client_socket.is_gone
        self.background: set[Any] = set()  # tasks that go on after an answer
        self.cancelled: set[Any] = set()  # cancelled tasks whose `finally` blocks still run
        # Called with a client that has connected, where the protocol speaks first or has links.
        self.welcome: Callable[[Any], None] | None = None
        self.on_closed: Callable[[], None] = _nothing  # called when a connection has ended
        timeouts = (
            limits.handshake_timeout,
            limits.head_timeout,
            limits.body_timeout,
            limits.idle_timeout,
            limits.write_timeout,
        )
        self._period = min(1.0, max(0.02, min(timeouts) / 4))
        self._timer: Any = None  # of the next tick; None without connections
        self._read_clock()

    def spawn_by(self, spawn: Callable[..., Any]) -> None:
        """From now on make tasks with `spawn`, which is `new_task`."""
        self.new_task = spawn
        self.spawn = partial(_task_of, spawn) if self.dispatch.gives_tasks else spawn

    # The tick

    def _read_clock(self) -> None:
        tail = b"\r\nDate: " + http_date(time.gmtime()).encode("ascii") + self.headers.lines
        self.tail = tail + b"\r\n\r\n"
        self.tail_close = tail + b"\r\nConnection: close\r\n\r\n"
        self.tail_keep_alive = tail + b"\r\nConnection: keep-alive\r\n\r\n"
        self.log.tick()

    def _tick(self) -> None:
        self._read_clock()
        now = self.clock()
        self._timer = self.loop.call_later(self._period, self._tick) if self.connections else None
        for connection in tuple(self.connections):
            try:
                connection.tick(now)
            except Exception as error:  # one broken connection must not stop the tick for all others
                self.log.error(f"{connection!r} failed at its deadline", error)
                connection.abort("failed")

    # The connections

    def add(self, connection: Any) -> None:
        self.connections.add(connection)
        if self._timer is None:
            self._tick()

    def remove(self, connection: Any) -> None:
        self.connections.discard(connection)
        self.on_closed()

    def count(self) -> int:
        """The number of connections."""
        return len(self.connections)

    def stop(self) -> None:
        """Start the drain: every answer is the last of its connection; see `Connection.drain`."""
        self.stopping = True
        self._period = 0.02
        if self._timer is not None:
            self._timer.cancel()
        for connection in tuple(self.connections):
            connection.drain()
        self._tick()

    async def shut_down(self, forced: Callable[[], bool]) -> None:
        """Drain: wait until all connections and all tasks after answers have ended, or `forced()` is true.

        After `shutdown_timeout` they are cancelled, and have `CLEANUP` seconds for their `finally` blocks, so
        that the rollback of a database is still sent.
        """
        try:
            self.stop()
            deadline = self.clock() + self.limits.shutdown_timeout
            while self._at_work() and self.clock() < deadline and not forced():
                await sleep(0.01)
        finally:
            for connection in tuple(self.connections):
                connection.abort("stopped")
            for task in tuple(self.background):
                self.cancel(task)
            for _turn in range(3):  # for connection_lost, the cancelled handlers, and their `finally` blocks
                await sleep(0)
            deadline = self.clock() + CLEANUP
            while self.cancelled and self.clock() < deadline:
                await sleep(0.01)

    def _at_work(self) -> bool:
        return bool(self.connections or self.background or self.cancelled)

    def cancel(self, task: Any) -> None:
        """Cancel a task, once: a second time would interrupt its `finally` blocks; see `shut_down`."""
        if task not in self.cancelled:
            self.cancelled.add(task)
            task.add_done_callback(self.cancelled.discard)
            task.cancel()

    # Tasks after answers

    def run_after(
        self, request: Any, function: Callable[..., Any], arguments: tuple[Any, ...] | None, context: Any
    ) -> Any:
        """Call what is due after the answer to `request`, in a task, which it gives: see `Request.after`.

        Without `arguments` it gets the outcome and the bytes sent; see `Request.on_end`.
        """
        task = self.spawn(self._after(request, function, arguments), context)
        if not task.done():
            self.background.add(task)
            task.add_done_callback(self.background.discard)
        return task

    async def _after(
        self, request: Any, function: Callable[..., Any], arguments: tuple[Any, ...] | None
    ) -> None:
        try:
            if arguments is None:
                outcome = function(request._outcome or "sent", request._sent)
            elif is_plain(function):
                outcome = await in_thread_of(request, function, *arguments)
            else:
                outcome = function(*arguments)
            if hasattr(outcome, "__await__"):
                await outcome
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            self.log.failure(request, name_of(function), error)


def _task_of(spawn: Callable[..., Any], work: Any, context: Any = None) -> Any:
    """A task of `work`, unless it is one."""
    return work if hasattr(work, "add_done_callback") else spawn(work, context)


def _nothing() -> None:
    pass
