"""Connection: the state machine of one client: bytes in, requests in order, responses out.

Law: it does no I/O and knows no clock, socket, thread or loop. It is spoken to in the words of asyncio's
Protocol (`connection_made, data_received, eof_received, connection_lost, pause_writing, resume_writing`, and
`tick`) and speaks in the words of its Transport, so asyncio calls it with nothing in between.

    state      meaning                                leaves by
    IDLE       no request in hand, or one half read   message complete → BUSY · end, error, deadline → CLOSING
    BUSY       a handler is at work                   answer → IDLE · answer that streams → STREAMING
    STREAMING  a body is going out                    its end → IDLE · its failure → CLOSED: no second head
    CLOSING    the last bytes go out; what comes in   the client's end, or the deadline → CLOSED
               is dropped: a reset would take the
               answer away from the client
    CLOSED     over
    UPGRADED   the connection is another protocol's, for good; all that comes is passed on

`close_after` is a flag beside the state: the answer in hand is the last one.

One message is parsed and answered before the bytes behind it are looked at. So answers keep their order,
a bad request is answered in its turn, and what is queued is bytes: at most one read of them, then reading is
paused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi.answer import answer
from kissapi.fail import Fail
from kissapi.upload import CONTINUE, Upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from kissapi.request import Request
    from kissapi.service import Service
    from kissapi.stream import Stream

IDLE, BUSY, STREAMING = "IDLE", "BUSY", "STREAMING"
CLOSING, CLOSED, UPGRADED = "CLOSING", "CLOSED", "UPGRADED"

NEVER = float("inf")
BATCH = 64 * 1024  # answers to pipelined requests are joined into one write, up to about this size


class Connection:
    """One client of a `Service`, from `connection_made` to `connection_lost`."""

    __slots__ = (  # noqa: RUF023  # by lifetime
        "__weakref__",
        # of the connection
        "service",
        "peer",  # the address of the client, if a proxy tells it (PROXY protocol); () if it does not know
        "transport",
        "state",
        "close_after",  # the answer in hand is the last one
        "eof",  # the client sends no more; it still gets its answers
        "reading",  # False while reading is paused
        "writable",  # False while the client does not take what it is sent
        "unsent",  # bytes it had yet to take when we last looked
        "deadline",  # in the service's seconds; once it has passed, `tick` is called
        "pending",  # bytes that came while an answer was awaited
        "arrived",  # when the first of them came, by the service's clock; else 0
        "ending",  # why it ends, if the client is not the one who ended it
        # of the message in hand
        "parser",
        "request",
        "started",  # when its first byte came, by the service's clock
        "since",  # when waiting for the rest of it began, in the service's seconds
        "fed",  # bytes of it so far
        "task",
        "upload",  # the body of the message, if its handler takes it as it comes
        "stream",  # the answer, if it is made piece by piece
        "on_writable",  # a future that a stream waits for
        "afters",  # what is to be called once requests are answered: (request, function, arguments)
        "protocol",  # that the connection is handed over to
    )  # fmt: skip

    def __init__(self, service: Service, peer: tuple[Any, ...] | None = None) -> None:
        self.service = service
        self.peer = peer
        self.transport: Any = None
        self.state = IDLE
        self.close_after = False
        self.eof = False
        self.reading = True
        self.writable = True
        self.unsent = 0
        self.deadline = NEVER
        self.pending = b""
        self.arrived = 0.0
        self.ending = ""
        self.parser: Any = None
        self.request: Request | None = None
        self.started = 0.0
        self.since = 0.0
        self.fed = 0
        self.task: Any = None
        self.upload: Upload | None = None
        self.stream: Stream | None = None
        self.on_writable: Any = None
        self.afters: list[tuple[Request, Callable[..., Any], tuple[Any, ...]]] | None = None
        self.protocol: Any = None

    def __repr__(self) -> str:
        return f"<Connection {self.state}{' close_after' if self.close_after else ''}>"

    # What the transport says

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.service.opened(self)
        self.deadline = self.service.idle_deadline

    def data_received(self, data: bytes) -> None:
        if self.state is not IDLE or not self.writable:
            self.hold(data)
            return
        service = self.service
        start = service.clock()
        came = self.arrived or start
        out: list[bytes] = []  # answers to what was pipelined
        size = 0
        while True:
            request: Any = self.request  # a Request that has come in part, or None
            self.request = None
            try:
                if request is None:
                    request = service.make_request()
                    request._connection = self
                    self.started = came
                    self.fed = 0
                    if self.parser is not None and service.reuses_parser:
                        self.parser.reset(request)
                    else:
                        self.parser = service.make_parser(request)
                parser = self.parser
                if data:
                    parser.feed_data(data)
                else:
                    parser.feed_eof()
            except Exception as error:
                reply = self._refuse(request, error)
                break
            if not parser._finished:
                if out and service.dispatch.rules:  # a handler that starts now may say "100 Continue"
                    self._flush(b"".join(out))
                    out = []
                reply = self._wait_for_rest(request, len(data))
                break
            data = getattr(parser, "unread", b"")
            try:
                task = service.spawn(service.handle(request))
                if not task.done():
                    self._wait_for_handler(request, task, data)
                    reply = b""
                    break
                result = task.result()
            except BaseException as error:
                result = service.failure(request, error)
                task = None  # the error holds this frame: no cycle by way of it
            reply = answer(self, request, result)
            self.deadline = service.idle_deadline  # unless `_flush` has another
            if not data or self.close_after:
                break
            if self.state is not IDLE:
                self.hold(data)
                break
            now = service.clock()
            if now - start > service.slow:
                service.held_up(request, now - start)
            start = now
            out.append(reply)
            size += len(reply)
            if size > BATCH:
                self._flush(b"".join(out))
                out, size = [], 0
                if not self.writable:  # it has become so
                    self.hold(data)  # type: ignore[unreachable]
                    reply = b""
                    break
        if out:
            out.append(reply)
            reply = b"".join(out)
        held = self._flush(reply) - start
        if held > service.slow:
            service.held_up(request, held)
        if (self.close_after or self.eof) and self.state is IDLE:
            self._settle()

    def eof_received(self) -> bool:
        self.eof = True
        if self.state is UPGRADED:
            return bool(self.protocol.eof_received())
        if self.upload is not None and not self.upload.ended:
            self.upload.end(Fail(400, "Bad Request: the request ends before it is complete"))
        if self.state is IDLE and not self.pending:
            self._settle()
        elif self.state is CLOSING:
            self.transport.close()
        else:
            if self.stream is not None:
                self.stream.on_eof()
            self.watch_client()
        return bool(self.transport.can_write_eof())  # over the TLS of asyncio there is no way to send on

    def connection_lost(self, error: Exception | None) -> None:
        self.state = CLOSED
        self.service.closed(self)
        self.pending = b""
        self.parser = None
        protocol, self.protocol = self.protocol, None  # it knows this connection: no cycle
        if protocol is not None:
            protocol.connection_lost(error)
        if self.task is not None:
            self.service.cancel(self.task)  # nobody waits for the answer; its `finally` blocks run
        else:
            self.request = None

    def pause_writing(self) -> None:
        self.writable = False
        self._watch_writing()

    def resume_writing(self) -> None:
        self.writable = True
        if self.on_writable is not None and not self.on_writable.done():
            self.on_writable.set_result(None)
        if self.state is UPGRADED:
            self.deadline = self.service.time()  # it has set others than ours, and will do so again
        elif self.state is IDLE:
            self._go_on()
        else:
            self.watch_client()

    def tick(self, now: float) -> None:
        """The deadline has passed."""
        if not self.writable or self.state is CLOSING:
            if self.transport.get_write_buffer_size() < self.unsent:
                self._watch_writing()  # slow, but still taking
            else:
                self.abort("client takes nothing")
        elif self.state is UPGRADED:
            self.deadline = NEVER
            self.protocol.tick(now)
        elif self.state is IDLE and self._is_reading():
            assert self.request is not None
            self._flush(self._refuse(self.request, Fail(408, "Request Timeout")))
            self._settle()
        elif self.state is IDLE:
            if not self.service.has_input(self.transport):  # else a request has come this very moment
                self._close()
                if not self.unsent:  # the last answer has long arrived: no need to read on for its sake
                    self.transport.close()
        elif self.upload is not None and self.reading and not self.upload.ended:
            self.upload.end(Fail(408, "Request Timeout"))
        elif self.service.is_gone(self.transport):
            self.transport.abort()
        else:
            self.watch_client()

    def abort(self, why: str) -> None:
        """End at once; `why` is for the log, if a request is in hand."""
        self.ending = why
        if self.transport is not None:  # else it has been accepted this very moment
            self.transport.abort()

    def drain(self, deadline: float) -> None:
        """The server stops: what is in hand is answered, and until `deadline` one more request may come."""
        if self.state is UPGRADED:
            self.protocol.stop()
            return
        if self.stream is not None:
            self.stream.on_stop()
        # Who has yet to take an answer is not idle; once it is taken, `_settle` sets the deadline.
        at_rest = self.state is IDLE and self.writable and not self._is_reading()
        if at_rest and self.transport is not None:
            self.deadline = min(self.deadline, deadline)

    # One message

    def _is_reading(self) -> bool:
        """Whether a message has begun to come."""
        return self.request is not None and getattr(self.parser, "begun", True)

    def _wait_for_rest(self, request: Request, size: int) -> bytes:
        """The message goes on in a later read. Gives the word that the client waits for, if it does."""
        service, limits = self.service, self.service.limits
        if size == 0:
            return self._refuse(request, Fail(400, "Bad Request: the request ends before it is complete"))
        self.request = request
        if self.fed == 0:
            self.since = service.time()
        if self._is_reading():
            self.fed += size
        self.deadline = self._rest_deadline()
        # A parser that knows the limits keeps them itself, but chunks of one byte come in six.
        # Routes may allow more than the server: which one this is for, `_start_upload` heeds.
        most = limits.max_head + (
            service.dispatch.max_body * 8 if service.parser_takes_limits else limits.max_body
        )
        if self.fed > most:
            return self._refuse(request, Fail(413, f"Content Too Large: a message may have {most} bytes"))
        if service.dispatch.rules and getattr(self.parser, "in_body", False):
            try:
                if self._start_upload(request):
                    return b""
            except Fail as fail:
                return self._refuse(request, fail)
        if not getattr(self.parser, "expects_continue", False):
            return b""
        self.parser.expects_continue = False
        try:
            service.handle(request).close()  # is anybody there who wants the body?
        except Fail as fail:
            return self._refuse(request, fail)
        return CONTINUE

    def _rest_deadline(self) -> float:
        """When the message in hand has to be complete."""
        limits = self.service.limits
        if not self._is_reading():
            return self.service.idle_deadline
        if getattr(self.parser, "in_body", True):
            return self.since + limits.body_timeout + self.fed / limits.body_rate
        return self.since + limits.head_timeout

    def _wait_for_handler(self, request: Request, task: Any, data: bytes) -> None:
        self.state = BUSY
        self.request = request
        self.task = task
        self.watch_client()
        if data:
            self.hold(data)
        task.add_done_callback(self._handler_done)

    def _handler_done(self, task: Any) -> None:
        request, self.request, self.task = self.request, None, None
        assert request is not None
        if self.state is CLOSED:
            self.service.unanswered(self, request, task)
            return
        self.state = IDLE
        if self.upload is not None:
            # A rest of the body, or what came in its place, is not the start of the next message.
            self.close_after = self.close_after or not self.upload.ended or self.upload.error is not None
            self.upload = None
        try:
            result = task.result()
        except BaseException as error:
            result = self.service.failure(request, error)
            task = None  # the error holds this frame: no cycle by way of it
        self._flush(answer(self, request, result))
        if self.state is IDLE:
            self._go_on()

    def _refuse(self, request: Request, error: Exception) -> bytes:
        """The answer to a message that cannot be read; the connection ends with it."""
        service = self.service
        if not isinstance(error, Fail):
            service.log.warning(f"{type(self.parser).__name__} cannot read a message: {error!r}")
            error = Fail(400, "Bad Request")
        self.close_after = True
        self.request = None
        for name in ("method", "path"):
            request.__dict__.setdefault(name, "-")  # it did not come so far; the log must not say "GET /"
        return answer(self, request, service.failure(request, error))

    # A body that its handler takes as it comes

    def _start_upload(self, request: Request) -> bool:
        """Heed what the route says of bodies, and start its handler if it wants this one as it comes.

        Raises `Fail`: 413 if the route allows less.
        """
        service = self.service
        target = service.dispatch.find(request)
        if service.parser_limits_body:
            self.parser.limit_body(target.max_body if target is not None else service.limits.max_body)
        if target is None or not target.stream or not service.parser_streams:
            return False
        upload = self.upload = request._upload = Upload(self, request)
        upload.feed(self.parser.take_body())
        task = service.spawn(upload.serve(service.handle(request)))
        self._wait_for_handler(request, task, b"")
        return True

    # Answers that take the wire

    def await_stream(self, stream: Stream) -> None:
        """Let `_flush` start the stream that answers."""
        self.state = BUSY  # until the first piece is there
        self.stream = stream

    def await_upgrade(self, protocol: Any) -> None:
        """Let `_flush` hand the connection over."""
        self.state = UPGRADED
        self.protocol = protocol
        self.close_after = False  # that was about HTTP: what is behind the head is to be looked at

    def _hand_over(self) -> None:
        self.parser = None
        self.deadline = NEVER
        self.resume_reading()  # first, for the protocol may pause it
        self.protocol.connection_made(self.transport)
        data, self.pending = self.pending, b""
        if data:
            self.protocol.data_received(data)
        if self.eof:
            self.protocol.eof_received()

    def send(self, data: bytes) -> None:
        """The next bytes of an answer that streams."""
        self.state = STREAMING
        self.transport.write(data)

    def _stream_done(self, task: Any) -> None:
        assert self.stream is not None
        service, stream, request = self.service, self.stream, self.stream.request
        self.stream = self.task = None
        if self.state is CLOSED:
            service.unanswered(self, request, task)
            return
        data = b""
        try:
            task.result()
        except BaseException as error:
            failure = service.failure(request, error)
            task = None  # the error holds this frame: no cycle by way of it
            if self.state is STREAMING:
                service.cut(self, request)  # half a body must not pass for a whole one
                return
            data = answer(self, request, failure)
        else:
            if service.answered is not None:
                service.answered.append((request, stream.response.status, stream.size, self.started))
        self.state = IDLE
        self._flush(data)
        self._go_on()

    # The connection

    def hold(self, data: bytes) -> None:
        """Keep what came while an answer is awaited, and let no more come."""
        if self.state is CLOSING or self.state is CLOSED:
            return
        if self.state is UPGRADED and self.parser is None:
            self.protocol.data_received(data)
            return
        if self.upload is not None and not self.upload.ended:
            self.upload.take(data)
            return
        if not self.pending:
            self.arrived = self.service.clock()
        self.pending += data
        self.pause_reading()
        self.watch_client()

    def pause_reading(self) -> None:
        if self.reading:
            self.reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.reading:
            self.reading = True
            self.transport.resume_reading()

    def _flush(self, data: bytes) -> float:
        """Write `data`, and start the stream that follows, if one does. Gives the time then."""
        if data:
            self.transport.write(data)
        service = self.service
        now = service.clock()
        if service.answered:
            service.log.answered(service.answered, now)
        if self.afters is not None:
            self._run_afters()
        if self.state is not IDLE:
            self._give_the_wire()
        return now

    def _give_the_wire(self) -> None:
        """To an answer that takes it, if the one that has just gone out was the last before it."""
        if self.stream is not None and self.task is None:
            self.watch_client()
            self.task = self.service.spawn(self.stream.run())
            self.task.add_done_callback(self._stream_done)
        elif self.state is UPGRADED and self.parser is not None:
            self._hand_over()

    def after(self, request: Request, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Call `function(*arguments)` once `request` is answered."""
        self.afters = [*(self.afters or ()), (request, function, arguments)]

    def _run_afters(self) -> None:
        in_hand = self.stream.request if self.stream is not None else self.request
        afters, self.afters = self.afters or [], None
        for request, function, arguments in afters:
            if request is in_hand:
                self.after(request, function, arguments)
            else:
                self.service.run_after(request, function, arguments)

    def _go_on(self) -> None:
        """The answer is out, or the client takes it again: now for what was held."""
        data, self.pending = self.pending, b""
        if data and not self.close_after:
            self.data_received(data)
        else:
            self._settle()
        if not self.pending:
            self.arrived = 0.0
        if self.state is IDLE and self.writable:
            self.resume_reading()

    def _settle(self) -> None:
        """Nothing is in hand, or half a message: wait for more, or end."""
        if self.close_after:
            self._close()
        elif not self.writable:
            return
        elif not self.eof:
            self.deadline = self._rest_deadline()
        elif not self._is_reading():
            self._close()
        elif self.service.parser_reads_eof:
            self.data_received(b"")
        else:
            assert self.request is not None
            self._flush(self._wait_for_rest(self.request, 0))
            self._close()

    def _close(self) -> None:
        """Say no more; read on until the client ends too, so that no reset overtakes the last answer."""
        self.state = CLOSING
        self.pending = b""
        self.request = self.parser = None
        transport = self.transport
        self._watch_writing()
        if self.eof or not transport.can_write_eof():
            transport.close()
            return
        try:
            transport.write_eof()
        except OSError:  # the client has broken the connection, and we have yet to be told
            transport.abort()
            return
        self.resume_reading()

    def watch_client(self) -> None:
        """What is not read tells nothing: a client that breaks the connection must be looked for."""
        if not self.writable or self.state not in (BUSY, STREAMING):
            return
        if not self.reading or self.eof:
            self.deadline = self.service.time() + 1
        elif self.upload is None or self.upload.ended or getattr(self.parser, "expects_continue", False):
            self.deadline = NEVER
        else:
            self.deadline = self._rest_deadline()

    def _watch_writing(self) -> None:
        self.unsent = self.transport.get_write_buffer_size()
        limits, all_out = self.service.limits, self.state is CLOSING and not self.unsent
        self.deadline = self.service.time() + (limits.linger_timeout if all_out else limits.write_timeout)
