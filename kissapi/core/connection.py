"""Connection: one client. Its bytes come in, its requests are handled in order, its answers go out.

It does no I/O and knows no clock, socket, thread or loop, and no syntax of any protocol. It has the methods
of asyncio's Protocol and calls those of asyncio's Transport, so asyncio needs no adapter. `service.py` has
what the connections of a loop share, `channel.py` the states and the back-pressure. A backend makes a
connection of each accepted socket; a sender gets it as its argument; a subclass may add deadlines.

One message is parsed and answered before the bytes behind it are parsed. So answers keep their order, and a
bad request is answered in its turn. Only bytes wait, never parsed requests: at most one read of them, because
reading is paused meanwhile.
"""

from __future__ import annotations

from typing import Any

from kissapi.core.channel import Channel
from kissapi.core.message import Request
from kissapi.core.service import Service
from kissapi.core.states import BUSY, CLOSED, CLOSING, IDLE, STREAMING

SENT = object()  # the result of a sender that has sent the whole answer
# A client that pipelines requests gives way to the others after either of these.
BATCH = 64 * 1024  # bytes of answers
TURN = 0.01  # seconds


class Connection(Channel):
    """One client of a `Service`, from `connection_made` to `connection_lost`."""

    __slots__ = (  # noqa: RUF023  # by lifetime
        "__weakref__",
        # of the connection
        "close_after",
        "eof",  # True once the client sends no more; it still gets its answers
        "on_eof",  # functions that are called at that moment
        "pending",  # bytes that came before the last answer was complete
        # of the message in hand
        "parser",
        "request",
        "received_at",  # when its first byte came, by the service's clock
        "context",  # the context variables of its handler and its sender
        "task",  # of the handler or the sender that runs
        "sender",  # started by the next `flush`
        "take",  # called with the bytes that come while the task runs; if it is None, `pending` keeps them
        "after_calls",  # calls that are due once their requests are answered
    )  # fmt: skip

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.close_after = False
        self.eof = False
        self.on_eof: tuple[Any, ...] = ()
        self.pending = b""
        self.parser: Any = None
        self.request: Any = None
        self.received_at = 0.0
        self.context: Any = None
        self.task: Any = None
        self.sender: Any = None
        self.take: Any = None
        self.after_calls: Any = None

    # Called by the transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.service.add(self)

    def data_received(self, data: bytes) -> None:
        if self.state is not IDLE or self.pending or not self.writable:
            self.buffer(data)
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
                    self.received_at = start
                    parser = service.make_parser(request) if parser is None else parser.reset(request)
                    self.parser = parser
                if data:
                    parser.feed_data(data)
                else:
                    parser.feed_eof()
                if not parser.finished:
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
                    self.wait_for(task)
                    break
                result = task.result()
            except BaseException as error:
                if parser is None or not parser.finished:
                    self.close_after = True
                    result = service.refuse(request, error)
                else:
                    data = parser.unread  # the parser itself may have refused the whole of a message
                    result = service.failure(request, error)
                task = None  # no cycle: the task has the error, whose traceback has this frame
            self.request = None
            replies += self.answer(request, result)
            if not data or self.close_after or self.state is not IDLE:
                break
            if len(replies) > BATCH or service.clock() - start > TURN:
                break
        if data and not self.close_after:
            self.buffer(data)
            if self.state is IDLE:  # else `task_done` resumes
                service.loop.call_soon(self.resume)
        self.flush(replies)
        if self.since - start > service.slow:
            service.warn_slow(request, self.since - start)
        if self.close_after or self.eof:
            self.resume()

    def eof_received(self) -> bool:
        self.eof = True
        for tell in self.on_eof:
            tell()
        if self.state is CLOSING:
            self.transport.close()
        else:
            self.resume()
        return bool(self.transport.can_write_eof())

    def connection_lost(self, error: Exception | None) -> None:
        self.become(CLOSED)
        self.pending = b""
        self.parser = None
        self.take = None
        self.on_eof = ()
        self.wake()
        self.service.remove(self)
        if self.task is not None:
            self.service.cancel(self.task)  # there is no client left to answer; `finally` blocks run
        else:
            self.request = None

    def resume_writing(self) -> None:
        super().resume_writing()
        # In the next turn: asyncio ends a connection twice if it is closed inside this call, and fails.
        self.service.loop.call_soon(self.resume)

    # One message

    def wait_for(self, task: Any) -> None:
        """Have `task_done` called at the end of `task`; until then no other message is parsed."""
        self.task = task
        task.add_done_callback(self.task_done)

    def task_done(self, task: Any) -> None:
        """A handler or a sender is done: answer, then resume."""
        request, self.request = self.request, None
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
        self.resume()

    def answer(self, request: Request, result: Any) -> bytes:
        """The bytes that answer `request`; none if a sender answers it, which the next `flush` starts."""
        try:
            if not self.close_after:  # else the parser may have failed, and cannot be asked
                self.close_after = True  # if the next line raises
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
        if service.answered or self.after_calls:
            service.flushed(self, self.since)
        if self.sender is not None:
            sender = self.sender
            self.sender = None
            self.wait_for(service.spawn(sender(self), self.context))

    # The connection

    def buffer(self, data: bytes) -> None:
        """Give `data` to `take`; without one, keep it until the answer is out, and pause reading."""
        if self.take is not None:
            self.take(data)
        elif self.state is not CLOSING and self.state is not CLOSED:
            self.pending += data
            self.pause_reading()

    def resume(self) -> None:
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
            if not self.reading and self.state is IDLE and self.writable and not self.pending:
                self.resume_reading()

    def linger(self) -> None:
        """Start the lingering close: send no more, but read until the client ends the connection too.

        Closing a socket with unread bytes sends a reset, which may overtake the last answer.
        """
        self.become(CLOSING)
        # A refused message may have megabytes, and the client has `linger_timeout` seconds.
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
            except OSError:  # the client has reset the connection, which the transport has yet to report
                self.transport.abort()
