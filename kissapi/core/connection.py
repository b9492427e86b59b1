"""Connection: the state machine of one client: bytes in, requests in order, answers out.

It does no I/O and knows no clock, socket, thread or loop, and no syntax of any protocol. It has the methods
of asyncio's Protocol and calls those of asyncio's Transport, so asyncio needs no adapter. `Service` has what
the connections of a loop share.

    state      meaning                                leaves by
    IDLE       no request, or one that is half read   message complete → BUSY · end, refusal → CLOSING
    BUSY       a handler is at work                   answer → IDLE · first piece of a body → STREAMING
    STREAMING  a body is going out                    its end → IDLE · its failure → CLOSED
    CLOSING    lingering close: the last bytes go     the client's end → CLOSED
               out, what comes in is dropped. A
               reset could destroy an answer that
               the client has not read yet
    CLOSED     the transport is gone

`close_after` is a flag beside the state: the next answer is the last one.

One message is parsed and answered before the bytes behind it are parsed. So answers keep their order, and a
bad request is answered in its turn. What waits is bytes, never requests: at most one read of them, then
reading is paused.
"""

from __future__ import annotations

from typing import Any

from kissapi.core.message import Request
from kissapi.core.service import Service

IDLE, BUSY, STREAMING, CLOSING, CLOSED = "IDLE", "BUSY", "STREAMING", "CLOSING", "CLOSED"

# The legal transitions: each state, and the states that may follow it.
LEGAL = {
    IDLE: (BUSY, CLOSING, CLOSED),
    BUSY: (IDLE, STREAMING, CLOSING, CLOSED),
    STREAMING: (IDLE, CLOSED),
    CLOSING: (CLOSED,),
    CLOSED: (),
}

SENT = object()  # the result of a sender that has sent the whole answer
# A client that pipelines requests yields to the others after so many bytes of answers, or so many seconds.
BATCH = 64 * 1024
TURN = 0.01


class Connection:
    """One client of a `Service`, from `connection_made` to `connection_lost`."""

    __slots__ = (  # noqa: RUF023  # by lifetime
        "__weakref__",
        # of the connection
        "service",
        "transport",
        "state",
        "since",  # when the state began, or the last answer was sent, by the service's clock
        "close_after",
        "eof",  # True once the client sends no more; it still gets its answers
        "on_eof",  # functions that are called then
        "reading",  # False while reading is paused
        "writable",  # False under back-pressure: the client does not take what it is sent
        "waiters",  # futures that are done when the back-pressure ends
        "pending",  # bytes that came before the last answer was complete
        # of the message in hand
        "parser",
        "request",
        "started",  # when its first byte came, by the service's clock
        "context",  # the context variables of its handler and its sender
        "task",  # the handler or the sender that runs
        "sender",  # the one that the next `flush` starts
        "take",  # is given the bytes that come while the task runs; if it is None, `pending` keeps them
        "afters",  # calls that are due once their requests are answered
    )  # fmt: skip

    def __init__(self, service: Service) -> None:
        self.service = service
        self.transport: Any = None
        self.state = IDLE
        self.since = service.clock()
        self.close_after = False
        self.eof = False
        self.on_eof: list[Any] = []
        self.reading = True
        self.writable = True
        self.waiters: list[Any] = []
        self.pending = b""
        self.parser: Any = None
        self.request: Any = None
        self.started = 0.0
        self.context: Any = None
        self.task: Any = None
        self.sender: Any = None
        self.take: Any = None
        self.afters: Any = None

    # Called by the transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.service.opened(self)

    def data_received(self, data: bytes) -> None:
        if self.state is not IDLE or self.pending or not self.writable:
            self.hold(data)
            return
        service = self.service
        start = service.clock()
        replies = b""  # one answer; more, if requests are pipelined
        while True:
            request, parser = self.request, self.parser
            try:
                if request is None:
                    request = service.make_request()
                    request._connection = self
                    self.request = request
                    self.started = start
                    parser = service.make_parser(request) if parser is None else parser.reset(request)
                    self.parser = parser
                if data:
                    parser.feed_data(data)
                else:
                    parser.feed_eof()
                if not parser._finished:
                    if replies:
                        self.flush(replies)
                        replies = b""
                    service.unfinished(self, request, len(data))
                    return
                data = parser.unread
                self.context = service.context.copy()
                task = service.spawn(service.handle(request), self.context)
                if not task.done():
                    self.become(BUSY)
                    self.work(task)
                    break
                result = task.result()
            except BaseException as error:
                if parser is None or not parser._finished:
                    self.close_after = True
                    result = service.refuse(request, error)
                else:
                    result = service.failure(request, error)
                task = None  # the traceback keeps this frame, and the task the error: no cycle
            self.request = None
            replies += self.answer(request, result)
            if not data or self.close_after or self.state is not IDLE:
                break
            if len(replies) > BATCH or service.clock() - start > TURN:
                break
        if data and not self.close_after:
            self.hold(data)
            service.loop.call_soon(self.go_on)
        self.flush(replies)
        if self.since - start > service.slow:
            service.held_up(request, self.since - start)
        if self.close_after or self.eof:
            self.go_on()

    def eof_received(self) -> bool:
        self.eof = True
        for tell in tuple(self.on_eof):
            tell()
        if self.state is CLOSING:
            self.transport.close()
        else:
            self.go_on()
        return bool(self.transport.can_write_eof())

    def connection_lost(self, error: Exception | None) -> None:
        self.become(CLOSED)
        self.pending = b""
        self.parser = None
        self.take = None
        self.on_eof.clear()
        self.wake()
        self.service.closed(self)
        if self.task is not None:
            self.service.cancel(self.task)  # there is no client left to answer; `finally` blocks run
        else:
            self.request = None

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self.wake()
        self.service.loop.call_soon(self.go_on)  # asyncio loses its way if it is closed inside this call

    # One message

    def work(self, task: Any) -> None:
        """Be called when `task` is done; until then no other message is parsed."""
        self.task = task
        task.add_done_callback(self.worked)

    def worked(self, task: Any) -> None:
        """A handler or a sender is done: answer, and go on."""
        request = self.request
        self.request = None
        self.task = None
        if self.state is CLOSED:
            self.service.unanswered(self, request, task)
            return
        try:
            result = task.result()
        except BaseException as error:
            task = None  # as in `data_received`: no cycle
            if self.state is STREAMING:
                self.service.cut(self, request, error)  # an incomplete body must not look complete
                return
            result = self.service.failure(request, error)
        self.become(IDLE)
        self.flush(b"" if result is SENT else self.answer(request, result))
        if self.state is IDLE and self.take is not None:
            self.close_after = True  # the rest of this body must not be parsed as the next message
        self.go_on()

    def answer(self, request: Request, result: Any) -> bytes:
        """The bytes that answer `request`; none if a sender answers it: `flush` starts that."""
        try:
            if not self.close_after:  # else the parser may have failed, and is not asked
                self.close_after = True  # in case that the next line raises
                self.close_after = self.service.stopping or not self.parser.should_keep_alive()
            reply = self.service.encode(self, request, result)
        except Exception as error:
            reply = self.service.encode(self, request, self.service.failure(request, error))
        if type(reply) is bytes:
            return reply
        self.become(BUSY)
        self.request = request
        self.sender = reply
        return b""

    def flush(self, data: bytes) -> None:
        """Write `data`, then start the sender, if there is one."""
        if data:
            self.transport.write(data)
        service = self.service
        self.since = service.clock()
        if service.answered or self.afters:
            service.flushed(self, self.since)
        if self.sender is not None:
            sender = self.sender
            self.sender = None
            self.work(service.spawn(sender(self), self.context))

    # For senders

    def write(self, data: bytes) -> None:
        """Send the next bytes of the answer."""
        if self.state is BUSY:
            self.become(STREAMING)
        self.transport.write(data)

    async def drained(self) -> None:
        """Wait until the back-pressure ends: the client has taken most of what was sent, or has left."""
        while not self.writable and self.state is not CLOSED:
            waiter = self.service.loop.create_future()
            self.waiters.append(waiter)
            await waiter

    def wake(self) -> None:
        """End every wait in `drained`."""
        waiters = self.waiters
        self.waiters = []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # The connection

    def become(self, state: str) -> None:
        """Change the state. Raises `RuntimeError` if `LEGAL` does not have that transition."""
        if state not in LEGAL[self.state]:
            raise RuntimeError(f"a connection that is {self.state} cannot become {state}")
        self.state = state
        self.since = self.service.clock()

    def hold(self, data: bytes) -> None:
        """Give `data` to `take`; without one, keep it until the answer is out, and pause reading."""
        if self.take is not None:
            self.take(data)
        elif self.state is not CLOSING and self.state is not CLOSED:
            self.pending += data
            self.pause_reading()

    def pause_reading(self) -> None:
        if self.reading:
            self.reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.reading:
            self.reading = True
            self.transport.resume_reading()

    def go_on(self) -> None:
        """If no task runs: parse the pending bytes, resume reading, or close."""
        if self.state is not IDLE:
            return
        data = self.pending
        half_read = self.request is not None and self.parser.begun
        if self.close_after or (self.eof and not data and not half_read):
            self.linger()
        elif self.writable:
            self.pending = b""
            if data or self.eof:
                self.data_received(data)
            if self.state is IDLE and self.writable and not self.pending:
                self.resume_reading()

    def linger(self) -> None:
        """The lingering close: send no more, but read until the client ends too.

        Closing a socket with unread bytes sends a reset, which may overtake the last answer.
        """
        self.become(CLOSING)
        self.pending = b""
        self.request = None
        self.parser = None
        self.take = None
        if self.eof or not self.transport.can_write_eof():
            self.transport.close()
        else:
            try:
                self.transport.write_eof()
                self.resume_reading()
            except OSError:  # the client has broken the connection, and the transport has yet to say so
                self.transport.abort()
