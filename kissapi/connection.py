"""Connection: the connection of the core, with deadlines.

Deadlines are a function of the state: the service calls `tick` a few times a second, which looks up what the
connection waits for and since when. Nothing else knows a deadline, and no request has a timer.

    waits for                                    for at most                            then
    the client to take what it is sent           write_timeout, and what write_rate     aborted
                                                 allows for what it took
    the client's end, after the last answer      linger_timeout                         aborted
    a request                                    idle_timeout; at stop drain_timeout    closed
    the rest of a head                           head_timeout                           408
    the rest of a body                           body_timeout, and what body_rate       408
                                                 allows for what came
    its own handler, while nothing is read       as long as the client is there         aborted
    its own handler                              for ever

The bytes that a client sends or takes extend its deadline by their number divided by the rate. The extension
never reaches beyond the present: a client cannot save up time by having been fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi import core
from kissapi.core import CLOSED, CLOSING, IDLE, Fail
from kissapi.threads import copy_context

if TYPE_CHECKING:
    from kissapi.service import Service


class Connection(core.Connection):
    """One client of a `Service`; `peer` is the address that a proxy tells; () if it knows none."""

    __slots__ = (  # noqa: RUF023  # by use
        "ending",  # for the log: why the server ended it; "" if the client did
        "on_stop",  # functions that are called when the server stops
        "peer",
        "sent_until",  # the time up to which the bytes of a body that have come suffice, at `body_rate`
        # Under back-pressure, and during the lingering close:
        "taken_until",  # the time up to which the bytes that the client has taken suffice, at `write_rate`
        "owed",  # bytes that were not sent yet at the last `tick`
    )  # fmt: skip

    service: Service

    def __init__(self, service: Service, peer: tuple[Any, ...] | None = None) -> None:
        super().__init__(service)
        self.ending = ""
        self.on_stop: list[Any] = []
        self.peer = peer
        self.sent_until = 0.0
        self.taken_until = 0.0
        self.owed = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state}{' close_after' if self.close_after else ''}>"

    def connection_made(self, transport: Any) -> None:
        if self.peer is None:  # asked now: a closed socket does not know it any more
            self.peer = transport.get_extra_info("peername")
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        if self.task is None:
            self.context = None  # it may hold a request, which holds this: no cycle

    def pause_writing(self) -> None:
        super().pause_writing()
        self._block()

    def resume_writing(self) -> None:
        self.since = self.service.clock()
        super().resume_writing()

    def linger(self) -> None:
        super().linger()
        self._block()

    def _block(self) -> None:
        self.taken_until = self.since = self.service.clock()
        self.owed = self.transport.get_write_buffer_size()

    def got(self, size: int) -> None:
        """`size` bytes of a body have come."""
        self.sent_until = min(self.service.clock(), self.sent_until + size / self.service.limits.body_rate)

    def progress(self, size: int) -> None:
        """The client has taken `size` bytes."""
        self.since = self.service.clock()
        self.taken_until = min(self.since, self.taken_until + size / self.service.limits.write_rate)

    def share_turn(self, size: int) -> None:
        """After a read of more than `read_size` bytes, pause reading for one turn of the loop.

        uvloop reads up to 32 times 256,000 bytes from one client before it turns to the next: 8 s were seen.
        """
        if size > self.service.limits.read_size:
            self.pause_reading()
            self.service.loop.call_soon(self.continue_reading)

    def continue_reading(self) -> None:
        """Resume reading after the other clients' turn."""
        if self.state is not CLOSED and not self.pending:
            self.resume_reading()

    def after(self, request: Any, function: Any, arguments: tuple[Any, ...]) -> None:
        """Call `function(*arguments)` after the answer to `request`; never, if the client left before it."""
        if self.has_in_hand(request):
            self.afters = [*(self.afters or ()), (request, function, arguments, self.context)]
        elif not request._lost:
            # It is answered already. In the next turn, for this may be the context of `request`.
            run = self.service.run_after
            self.service.loop.call_soon(run, request, function, arguments, copy_context())

    def has_in_hand(self, request: Any) -> bool:
        """Whether `request` is not answered yet."""
        return request is self.request

    def hand_over(self, successor: Any) -> None:
        """Give `successor` the transport, the pending bytes and the calls that are due after the answer."""
        data = self.pending
        transport = self.transport
        self.pending = b""
        self.become(CLOSED)
        self.parser = None
        self.service.connections.discard(self)
        successor.afters, self.afters = self.afters, None
        self.request._connection = successor
        self.resume_reading()  # before the successor has the transport: it may pause reading
        transport.set_protocol(successor)
        successor.connection_made(transport)
        if not self.writable:
            successor.pause_writing()
        if data:
            successor.data_received(data)
        if self.eof:
            successor.eof_received()

    def abort(self, why: str) -> None:
        """End at once; `why` is for the log, if a request is in hand."""
        self.ending = why
        if self.transport is not None:  # else `connection_made` has not been called yet
            self.transport.abort()

    def drain(self) -> None:
        """The server stops: an idle client may send one more request within `drain_timeout`."""
        for stop in tuple(self.on_stop):
            stop()
        if self.state is IDLE and (self.request is None or not self.parser.begun):
            self.since = self.service.clock()

    def tick(self, now: float) -> None:
        """Enforce the deadline of the present state."""
        service, limits = self.service, self.service.limits
        reader = self.request._reader if self.request is not None else None
        if not self.writable or self.state is CLOSING:
            self._watch_writing(now)
        elif self.state is IDLE:
            if self.request is None or not self.parser.begun:
                patience = limits.drain_timeout if service.stopping else limits.idle_timeout
                # A request may be in the socket already.
                if now > self.since + patience and not service.has_input(self.transport):
                    self.linger()
                    if not self.owed:  # the last answer has arrived: no lingering close is needed for it
                        self.transport.close()
            elif (
                now > self.sent_until + limits.body_timeout
                if self.parser.in_body
                else now > self.since + limits.head_timeout
            ):
                request, self.request = self.request, None
                self.close_after = True
                self.flush(self.answer(request, service.refuse(request, Fail(408, "Request Timeout"))))
                self.go_on()
        elif not self.reading or self.eof:
            # While nothing is read, no end of the connection is seen either: ask the socket.
            if service.is_gone(self.transport):
                self.transport.abort()
        elif reader is None or reader.ended or self.parser.expects_continue:
            pass  # it waits for its own handler
        elif now > self.sent_until + limits.body_timeout:
            reader.end(Fail(408, "Request Timeout"))

    def _watch_writing(self, now: float) -> None:
        limits = self.service.limits
        owed = self.transport.get_write_buffer_size()
        if owed < self.owed:
            self.progress(self.owed - owed)
        self.owed = owed
        if self.state is CLOSING and not owed:
            due = self.since + limits.linger_timeout
        else:
            due = self.taken_until + limits.write_timeout
        if now > due:
            self.abort("client takes nothing")
