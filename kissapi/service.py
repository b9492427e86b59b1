"""Service: the service of the core for HTTP: limits, bodies in pieces, logs, the tick, the drain.

There is one per event loop, used only in its thread. What does not change from request to request is computed
once, in `__init__`. Time is a tick: a few times a second each connection compares its deadline with the
clock. The backends make the service and its connections; `Server` starts and stops it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi import core, sockets
from kissapi.awaitables import in_thread_of, sleep
from kissapi.body_reader import CONTINUE, BodyReader
from kissapi.contract import Contract
from kissapi.core import BUSY, SENT, Fail
from kissapi.dispatch import Dispatch
from kissapi.encoder import Refused, encoder_for
from kissapi.handlers import is_plain
from kissapi.request import Request
from kissapi.response import Response, http_date
from kissapi.threads import copy_context

if TYPE_CHECKING:
    from kissapi.connection import Connection
    from kissapi.limits import Limits
    from kissapi.log import Log
    from kissapi.router import Router

CLEANUP = 1.0  # seconds for the `finally` blocks of cancelled handlers when the server ends
_OF_A_BODY = (404, 405, 408, 413)  # refusals that come after a well-formed head, before the body is complete
SLOW = 0.1  # seconds that a handler may block the loop; other clients notice more, and a warning names it


class Service(core.Service):
    """What every `Connection` of one loop uses.

    `loop` has asyncio's `call_soon`, `call_later` and `create_future`. `spawn(coroutine, context)` makes a
    task; where the loop can do that, its first step has run when it returns.
    """

    response_class = Response

    def __init__(
        self,
        *,
        loop: Any,
        spawn: Callable[..., Any],
        router: Router,
        parser_class: Callable[[Request], Any],
        request_class: type[Request],
        limits: Limits,
        log: Log,
        access_log: bool = True,
        clock: Callable[[], float] = time.perf_counter,
        context: Any = None,
    ) -> None:
        self.dispatch = Dispatch(router, limits.max_body)
        # If no subclass has an `__init__` or `__new__`, a request is made by C alone.
        plain = (
            type(request_class) is type
            and request_class.__init__ is Request.__init__
            and request_class.__new__ is object.__new__
        )
        make_request: Any = partial(object.__new__, request_class) if plain else request_class
        # The parser enforces the largest limit of any route; the routes enforce their own.
        self.contract = Contract(parser_class, make_request(), limits.with_max_body(self.dispatch.max_body))
        super().__init__(
            self.dispatch,
            self.contract.make,
            loop=loop,
            spawn=spawn,
            clock=clock,
            context=copy_context() if context is None else context,
        )
        self.make_request = make_request
        self.encode = encoder_for(self.contract)  # type: ignore[method-assign,assignment]
        self.limits = limits
        self.log = log
        self.slow = SLOW
        self.answered = [] if access_log else None
        self.has_input = sockets.has_input
        self.is_gone = sockets.is_gone
        self.background: set[Any] = set()  # tasks that go on after an answer
        self.cancelled: set[Any] = set()  # cancelled tasks whose `finally` blocks still run
        self.on_closed: Callable[[], None] = _nothing
        # What a backend does with the transport of a new connection, and of one that has ended.
        self.tame: Callable[[Any], None] = _no_transport
        self.release: Callable[[Any], None] = _no_transport
        timeouts = (
            limits.handshake_timeout,
            limits.head_timeout,
            limits.body_timeout,
            limits.idle_timeout,
            limits.write_timeout,
        )
        self._period = min(1.0, max(0.02, min(timeouts) / 4))
        self._timer: Any = None  # of the next tick; None without connections: an idle process is not woken
        self._warned: set[str] = set()
        self._read_clock()

    # The clock

    def _read_clock(self) -> None:
        date = http_date(time.gmtime()).encode("ascii")
        self.tail = b"\r\nDate: " + date + b"\r\n\r\n"
        self.tail_close = b"\r\nDate: " + date + b"\r\nConnection: close\r\n\r\n"
        self.tail_keep_alive = b"\r\nDate: " + date + b"\r\nConnection: keep-alive\r\n\r\n"
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

    def opened(self, connection: Any) -> None:
        self.connections.add(connection)
        self.tame(connection.transport)
        if self._timer is None:
            self._tick()

    def closed(self, connection: Any) -> None:
        self.connections.discard(connection)
        self.release(connection.transport)
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

    async def finish(self, forced: Callable[[], bool]) -> None:
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
        """Cancel a task, once: a second time would interrupt its `finally` blocks; see `finish`."""
        if task not in self.cancelled:
            self.cancelled.add(task)
            task.add_done_callback(self.cancelled.discard)
            task.cancel()

    # A message that goes on in a later read

    def unfinished(self, connection: Connection, request: Any, size: int) -> None:
        super().unfinished(connection, request, size)
        parser, limits, contract = connection.parser, self.limits, self.contract
        if not parser.begun:
            return
        if not request._fed:
            connection.since = connection.sent_until = self.clock()
        request._fed += size
        connection.got(size)
        # A parser with `limits` enforces them itself; here × 8, for a chunk of one byte takes six bytes.
        # A route may allow more than the server, and is known at the end of the head.
        most = limits.max_head + (self.dispatch.max_body * 8 if contract.takes_limits else limits.max_body)
        if request._fed > most:
            raise Fail(413, f"Content Too Large: a message may have {most} bytes")
        if parser.in_body and (parser.expects_continue or (self.dispatch.rules and contract.takes_bodies)):
            target = self._find(request)
            parser.limit_body(limits.max_body if target is None else target.max_body)
            if target is not None and target.route is not None and target.route.stream and contract.streams:
                self._start(connection, request)
                return
            if parser.expects_continue:
                if target is None:
                    self.dispatch.find(request)  # raises the 404 or 405: the client need not send the body
                parser.expects_continue = False
                connection.transport.write(CONTINUE)
        connection.share_turn(size)

    def _find(self, request: Any) -> Any:
        if request.route is None:
            try:
                request.route = self.dispatch.find(request)
            except Fail:
                pass  # `Dispatch.handle` raises it again when the message is complete
        return request.route

    def _start(self, connection: Connection, request: Any) -> None:
        """Start a handler that reads the body while it comes."""
        reader = request._reader = BodyReader(connection)
        reader.put(connection.parser.take_body())
        connection.context = self.context.copy()
        connection.become(BUSY)
        connection.work(self.spawn(self.handle(request), connection.context))

    # After the parser, the handler, the answer

    def refuse(self, request: Any, error: BaseException) -> Any:
        connection = request._connection
        connection.context = self.context.copy()  # no handler has been started, so there is none yet
        parser = connection.parser
        if not isinstance(error, Fail):
            self.log.warning(f"{type(parser).__name__} cannot read a message: {error!r}")
            error = Fail(400, "Bad Request")
        if (
            error.status in _OF_A_BODY
            and parser is not None
            and parser.in_body
            and self.contract.takes_bodies
        ):
            self._find(request)  # the head is well-formed: the error handlers of its route are asked
            return self.failure(request, error)
        for name in ("method", "path"):
            request.__dict__.setdefault(name, "-")  # not parsed; without this the log would say "GET /"
        request._asked = True  # a message that cannot be parsed goes to no router
        return self.failure(request, error)

    def failure(self, request: Any, error: BaseException) -> Any:
        if not request._asked and isinstance(error, Exception) and self.dispatch.errors_for(request):
            return Refused(error)
        return super().failure(request, error)

    def report(self, request: Any, error: BaseException) -> None:
        self.log.failure(request, self.name_of(request), error)

    def flushed(self, connection: Connection, now: float) -> None:
        if self.answered:
            self.log.answered(self.answered, now)
        if connection.afters:
            afters, connection.afters = connection.afters, None
            for after in afters:
                if after[0] is connection.request:
                    connection.afters = [*(connection.afters or ()), after]
                else:
                    self.run_after(*after)

    def run_after(
        self, request: Any, function: Callable[..., Any], arguments: tuple[Any, ...], context: Any
    ) -> None:
        """Call what is due after the answer to `request`; see `Request.after`."""
        task = self.spawn(self._after(request, function, arguments), context)
        if not task.done():
            self.background.add(task)
            task.add_done_callback(self.background.discard)

    async def _after(self, request: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            if is_plain(function):
                outcome = await in_thread_of(request, function, *arguments)
            else:
                outcome = function(*arguments)
            if hasattr(outcome, "__await__"):
                await outcome
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            self.log.failure(request, _name(function), error)

    def unanswered(self, connection: Any, request: Any, task: Any) -> None:
        connection.context = None  # it may hold the request, which holds the connection: no cycle
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled() and task.result() is SENT:
            # The whole answer was sent, or another protocol has the connection now.
            if self.answered or connection.afters:
                self.flushed(connection, self.clock())
            return
        request._lost = True
        connection.afters = None
        if error is not None and not isinstance(error, Fail):
            self.report(request, error)
        if self.answered is not None:
            self.log.unanswered(
                request, connection.ending or "client left", self.clock() - connection.started
            )

    def cut(self, connection: Any, request: Any, error: BaseException) -> None:
        request._lost = True
        super().failure(request, error)
        sockets.reset(connection.transport)
        if self.answered is not None:
            self.log.unanswered(request, "cut short", self.clock() - connection.started)

    def held_up(self, request: Any, seconds: float) -> None:
        """A handler has blocked the loop: warn, once for each handler."""
        name = self.name_of(request)
        if name != "the router" and name not in self._warned:
            self._warned.add(name)
            self.log.warning(
                f"handler {name} held up the loop for {seconds * 1000:.0f} ms: "
                "make it a plain def, or await to_thread(…) for what blocks"
            )

    def name_of(self, request: Any) -> str:
        """The name of the handler of `request`, for people."""
        route = request.route.route if request.route is not None else None
        return _name(route.handler) if route is not None else "the router"


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or function)


def _nothing() -> None:
    pass


def _no_transport(transport: Any) -> None:
    pass
