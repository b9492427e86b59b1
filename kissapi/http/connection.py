"""Connection: the connection of the core, with deadlines and a few words for senders.

Backends make it. The senders of HTTP see it as an `Outlet`; a WebSocket is a subclass, to which `hand_over`
gives the transport.

Deadlines are a function of the state: the service calls `tick` a few times a second, which looks up what the
connection waits for and since when. Nothing else knows a deadline, and no request has a timer.

    waits for                                    for at most                            then
    the client to take what it is sent           write_timeout, extended by what        aborted
                                                 it took, see below
    the client's end, after the last answer      linger_timeout                         aborted
    a request                                    idle_timeout, the link's if it has     closed
                                                 one; at stop drain_timeout
    the rest of a head                           head_timeout                           408
    the rest of a body                           body_timeout, extended by what         408
                                                 came, see below
    its own handler, while nothing is read       as long as the client is there         aborted
    its own handler                              for ever

Bytes that a client sends or takes extend the deadline by their number divided by `body_rate` or `write_rate`,
but never to more than the timeout from now: a client that was fast cannot be slow for longer. One byte a
minute does not keep a connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi import core
from kissapi.backends.threads import copy_context
from kissapi.core import CLOSED, CLOSING, IDLE, Fail

if TYPE_CHECKING:
    from kissapi.http.link import Link
    from kissapi.http.roster import Roster


class Connection(core.Connection):
    """One client of a `Service`.

    `peer` is the address that a proxy has told, () if it told none. Without a proxy it is None, and the
    transport is asked.
    """

    __slots__ = (  # by use
        "abort_reason",  # why the server ended it; "" if the client did
        "link",  # the app's view of the client, where the parser names a class for that
        "notes",  # what a handler keeps for as long as the client is there
        "on_stop",  # functions that are called when the server stops
        "peer",
        "sent_until",  # `body_timeout` runs from this time; bytes of the body move it on, see above
        # Under back-pressure, and during the lingering close:
        "taken_until",  # `write_timeout` runs from this time; bytes that the client takes move it on
        "unsent",  # bytes that were not sent yet at the last `tick`
    )  # fmt: skip

    service: Roster

    def __init__(self, service: Roster, peer: tuple[Any, ...] | None = None) -> None:
        super().__init__(service)
        self.abort_reason = ""
        self.link: Link | None = None
        self.notes: Any = None
        self.on_stop: tuple[Any, ...] = ()
        self.peer = peer
        self.sent_until = 0.0
        self.taken_until = 0.0
        self.unsent = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state}{' close_after' if self.close_after else ''}>"

    def connection_made(self, transport: Any) -> None:
        if self.peer is None:  # asked now: a closed socket does not tell it
            self.peer = transport.get_extra_info("peername")
        super().connection_made(transport)
        if self.service.welcome is not None:
            self.service.welcome(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        if self.link is not None:
            self.link.end(self.abort_reason or "client left")
        if self.task is None:
            self.context = None  # no cycle: it may hold a request, which holds this

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_from_now()

    def resume_writing(self) -> None:
        self.since = self.service.clock()
        super().resume_writing()

    def linger(self) -> None:
        if self.link is not None:
            self.link.write()
        if not self.eof:
            self.abort_reason = "closed"
        super().linger()
        self._watch_from_now()

    def _watch_from_now(self) -> None:
        """The client has bytes to take: its deadline runs from now."""
        self.taken_until = self.since = self.service.clock()
        self.unsent = self.unsent_size()

    def count_received(self, size: int) -> None:
        """`size` bytes of a body have come."""
        self.sent_until = min(self.service.clock(), self.sent_until + size / self.service.limits.body_rate)

    def progress(self, size: int) -> None:
        """The client has taken `size` bytes."""
        self.since = self.service.clock()
        self.taken_until = min(self.since, self.taken_until + size / self.service.limits.write_rate)

    def yield_turn(self, size: int) -> None:
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

    def after(self, request: Any, function: Any, arguments: tuple[Any, ...] | None) -> None:
        """Call `function(*arguments)` after the answer to `request`; never, if the client left before it.

        If `arguments` is None, call it with the outcome and the bytes sent, whatever the outcome is.
        """
        if self.has_in_hand(request):
            self.after_calls = [*(self.after_calls or ()), (request, function, arguments, self.context)]
        elif arguments is None or not request._outcome:
            # It is answered already. In the next turn, for this may be the context of `request`.
            run = self.service.run_after
            self.service.loop.call_soon(run, request, function, arguments, copy_context())

    def has_in_hand(self, request: Any) -> bool:
        """Whether `request` is not answered yet."""
        return request is self.request

    # For senders; see `Outlet`

    @property
    def takes(self) -> bool:
        """Whether the client is there, and takes what it is sent."""
        return self.writable and self.state is not CLOSED

    @property
    def gone(self) -> bool:
        """Whether the client has left, or the server has ended the connection."""
        return self.state is CLOSED or bool(self.transport.is_closing())

    def forget(self, function: Any) -> None:
        """Call `function` no more when the client sends no more, or the server stops."""
        for name in ("on_eof", "on_stop"):
            functions = list(getattr(self, name))
            if function in functions:
                functions.remove(function)
                setattr(self, name, tuple(functions))

    def plain_socket(self) -> Any:
        """The client's socket, for a sender that writes to it itself; None if the connection is encrypted."""
        encrypted = self.transport.get_extra_info("sslcontext") is not None
        return None if encrypted else self.transport.get_extra_info("socket")

    def unsent_size(self) -> int:
        """Bytes that the transport has yet to send."""
        return int(self.transport.get_write_buffer_size())

    # The end

    def hand_over(self, successor: Any) -> None:
        """Give `successor` the transport, the pending bytes and the calls that are due after the answer."""
        data = self.pending
        transport = self.transport
        self.pending = b""
        self.become(CLOSED)
        self.parser = None
        self.service.connections.discard(self)
        successor.after_calls, self.after_calls = self.after_calls, None
        self.request._connection = successor
        successor.link, self.link = self.link, None
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
        """End at once; `why` is for the log, if a request is in hand, and for the link."""
        if self.state is not CLOSING:
            self.abort_reason = why
        if self.transport is not None:  # else `connection_made` has not been called yet
            self.transport.abort()

    def refuse(self, error: Exception) -> None:
        """Answer `error` in place of the message that is half read, and end."""
        request, self.request = self.request, None
        self.close_after = True
        self.flush(self.answer(request, self.service.refuse(request, error)))
        self.resume()

    def drain(self) -> None:
        """The server stops: an idle client may send one more request within `drain_timeout`."""
        for stop in self.on_stop:
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
                patience = limits.idle_timeout
                if service.stopping:
                    patience = limits.drain_timeout
                elif self.link is not None and self.link.idle_timeout is not None:
                    patience = self.link.idle_timeout
                # A request may have come that is not read yet.
                if now > self.since + patience and not service.has_input(self.transport):
                    self.linger()
                    if not self.unsent:  # the last answer has arrived, and needs no lingering close
                        self.transport.close()
            elif (
                now > self.sent_until + limits.body_timeout
                if self.parser.in_body
                else now > self.since + limits.head_timeout
            ):
                self.refuse(Fail(408, "Request Timeout"))
        elif not self.reading or self.eof:
            # While reading is paused, the end of the connection goes unnoticed: ask the socket.
            if service.is_gone(self.transport):
                self.transport.abort()
        elif reader is None or reader.ended or self.parser.expects_continue:
            pass  # it waits for its own handler
        elif now > self.sent_until + limits.body_timeout:
            reader.end(Fail(408, "Request Timeout"))

    def _watch_writing(self, now: float) -> None:
        limits = self.service.limits
        before, self.unsent = self.unsent, self.unsent_size()
        if self.unsent < before:
            self.progress(before - self.unsent)
        if self.state is CLOSING and not self.unsent:
            due = self.since + limits.linger_timeout
        else:
            due = self.taken_until + limits.write_timeout
        if now > due:
            self.abort("client takes nothing")
