"""Service: what one event loop serves: the compiled routes, the open connections, the tick of the clock.

Law: one per event loop, used only in its thread; everything that does not change per request is worked out
here, once. Time is a tick: every deadline is a number on a connection, compared when the clock ticks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi import sockets
from kissapi.awaitables import sleep
from kissapi.dispatch import Dispatch
from kissapi.fail import Fail
from kissapi.hooks import as_coroutine_function
from kissapi.request import Request
from kissapi.response import Response, http_date, respond

if TYPE_CHECKING:
    from kissapi.connection import Connection
    from kissapi.limits import Limits
    from kissapi.log import Log
    from kissapi.router import Router

CLEANUP = 1.0  # seconds that the `finally` blocks of a cancelled handler have when the server ends
SLOW = 0.1  # seconds a handler may hold the loop before a warning names it: others feel more than that


class Service:
    """The surroundings of every `Connection` of one loop.

    `loop` has asyncio's `time` and `call_later`; `spawn` turns a coroutine into a task that has taken its
    first step already, where the loop can do that.
    """

    def __init__(
        self,
        *,
        loop: Any,
        spawn: Callable[[Any], Any],
        router: Router,
        parser_class: Callable[[Request], Any],
        request_class: type[Request],
        limits: Limits,
        log: Log,
        access_log: bool = True,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.loop = loop
        self.spawn = spawn
        self.time: Callable[[], float] = loop.time
        self.clock = clock
        self.dispatch = Dispatch(router, limits.max_body)
        self.handle = self.dispatch.handle
        # Where no class in between has a say in it, a request is made by C alone.
        plain = (
            type(request_class) is type
            and request_class.__init__ is Request.__init__
            and request_class.__new__ is object.__new__
        )
        self.make_request = partial(object.__new__, request_class) if plain else request_class
        self.limits = limits
        # What the parser lets pass: what the most generous route takes.
        self._parser_limits = limits.with_max_body(self.dispatch.max_body)
        self.log = log
        self.slow = SLOW
        self.answered: list[tuple[Request, int, int, float]] | None = [] if access_log else None
        self.stopping = False
        self.has_input = sockets.has_input
        self.is_gone = sockets.is_gone
        self.connections: set[Connection] = set()
        self.afters: set[Any] = set()  # tasks that go on after an answer
        self.cancelled: set[Any] = set()  # tasks that have been told to end, and clean up
        self.on_closed: Callable[[], None] = _nothing
        self.parser_class = parser_class
        # What this parser has of the contract. Asked of a sample, for `parser_class` may be a function.
        request = self.make_request()
        request._connection = None  # a class that forbids it would fail at every request
        sample = parser_class(request)
        for name in ("_finished", "feed_data"):
            if not hasattr(sample, name):
                raise TypeError(
                    f"{type(sample).__name__} is no parser: it has no {name}; see kissapi/parser.py"
                )
        self.parser_takes_limits = hasattr(sample, "limits")
        self.reuses_parser = hasattr(sample, "reset")
        self.parser_keeps_alive = hasattr(sample, "should_keep_alive")
        self.parser_limits_body = hasattr(sample, "limit_body")
        self.parser_streams = hasattr(sample, "take_body") and hasattr(sample, "body_left")
        self.parser_reads_eof = hasattr(sample, "feed_eof")
        self.parser_encodes = hasattr(sample, "encode")
        self.parser_encodes_results = self.parser_encodes and hasattr(sample, "encode_result")
        timeouts = (
            limits.handshake_timeout,
            limits.head_timeout,
            limits.body_timeout,
            limits.idle_timeout,
            limits.write_timeout,
        )
        self._period = min(1.0, max(0.02, min(timeouts) / 4))
        self._idle_timeout = limits.idle_timeout
        self._timer: Any = None  # of the next tick; None while nobody is there: nothing wakes this process
        self._warned: set[str] = set()
        self._read_clock()

    def make_parser(self, request: Request) -> Any:
        """A parser for the next message."""
        parser = self.parser_class(request)
        if self.parser_takes_limits:
            parser.limits = self._parser_limits
        return parser

    # The clock

    def _read_clock(self) -> None:
        date = http_date(time.gmtime()).encode("ascii")
        self.tail = b"\r\nDate: " + date + b"\r\n\r\n"
        self.tail_close = b"\r\nDate: " + date + b"\r\nConnection: close\r\n\r\n"
        self.tail_keep_alive = b"\r\nDate: " + date + b"\r\nConnection: keep-alive\r\n\r\n"
        # A whole period more: a deadline may come late, but never early.
        self.idle_deadline = self.time() + self._period + self._idle_timeout
        self.log.tick()

    def _tick(self) -> None:
        self._read_clock()
        now = self.time()
        self._timer = self.loop.call_later(self._period, self._tick) if self.connections else None
        for connection in tuple(self.connections):
            if connection.deadline <= now:
                try:
                    connection.tick(now)
                except Exception as error:  # one broken connection must not stop the clock for all others
                    self.log.error(f"{connection!r} failed at its deadline", error)
                    connection.abort("failed")

    # The connections

    def opened(self, connection: Connection) -> None:
        """A client has come."""
        self.connections.add(connection)
        if self._timer is None:
            self._tick()

    def count(self) -> int:
        """How many connections there are."""
        return len(self.connections)

    def closed(self, connection: Connection) -> None:
        """A client has gone."""
        self.connections.discard(connection)
        self.on_closed()

    def stop(self) -> None:
        """From now on every answer is the last of its connection; an idle client may deliver one request."""
        self.stopping = True
        self._period = 0.02
        self._idle_timeout = self.limits.drain_timeout
        if self._timer is not None:
            self._timer.cancel()
        self._tick()
        for connection in tuple(self.connections):
            connection.drain(self.idle_deadline)

    async def finish(self, forced: Callable[[], bool]) -> None:
        """Stop, and wait until the last client and what goes on after answers is gone, or `forced()`.

        What has not ended after `shutdown_timeout` is cancelled, and has `CLEANUP` for its `finally` blocks:
        the rollback of a database is to get out.
        """
        try:
            self.stop()
            deadline = self.time() + self.limits.shutdown_timeout
            while self._at_work() and self.time() < deadline and not forced():
                await sleep(0.01)
        finally:
            for connection in tuple(self.connections):
                connection.abort("stopped")
            for task in tuple(self.afters):
                self.cancel(task)
            for _turn in range(3):  # connection_lost, the cancelled handlers, what their `finally` waits for
                await sleep(0)
            deadline = self.time() + CLEANUP
            while self.cancelled and self.time() < deadline:
                await sleep(0.01)

    def _at_work(self) -> bool:
        return bool(self.connections or self.afters or self.cancelled)

    def cancel(self, task: Any) -> None:
        """Tell a task to end, once: a second time would cut its `finally` blocks: see `finish`."""
        if task not in self.cancelled:
            self.cancelled.add(task)
            task.add_done_callback(self.cancelled.discard)
            task.cancel()

    # What becomes of requests

    def failure(self, request: Request, error: BaseException) -> Response:
        """The answer to a request whose handler, hook or conversion raised `error`; logs all but a `Fail`."""
        if isinstance(error, Fail):
            try:
                return respond(error)
            except Exception as wrong:
                error = wrong
        self.log.failure(request, self.name_of(request), error)
        return Response(b"Internal Server Error", 500)

    def run_after(self, request: Request, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Call what a handler wants done once it is answered; see `Request.after`."""
        task = self.spawn(self._after(request, function, arguments))
        if not task.done():
            self.afters.add(task)
            task.add_done_callback(self.afters.discard)

    async def _after(
        self, request: Request, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        try:
            await as_coroutine_function(function)(*arguments)
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            self.log.failure(request, self.name_of(request), error)

    def unanswered(self, connection: Connection, request: Request, task: Any) -> None:
        """The connection ended before the answer was complete; the handler was cancelled."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Fail):
            self.log.failure(request, self.name_of(request), error)
        if self.answered is not None:
            why = connection.ending or "client left"
            self.log.unanswered(request, why, self.clock() - connection.started)

    def cut(self, connection: Connection, request: Request) -> None:
        """End a connection in the middle of an answer, so that the client cannot take it for a whole one."""
        sockets.reset(connection.transport)
        if self.answered is not None:
            self.log.unanswered(request, "cut short", self.clock() - connection.started)

    def held_up(self, request: Request, seconds: float) -> None:
        """A handler has kept all others waiting; say so, once for each handler."""
        name = self.name_of(request)
        if name != "the router" and name not in self._warned:
            self._warned.add(name)
            self.log.warning(
                f"handler {name} held up the loop for {seconds * 1000:.0f} ms: "
                "make it a plain def, or await to_thread(…) for what blocks"
            )

    def name_of(self, request: Request) -> str:
        """The name of the handler of `request`, for people."""
        handler: Any = self.dispatch.handler_of(request)
        return str(getattr(handler, "__qualname__", None) or handler or "the router")


def _nothing() -> None:
    pass
