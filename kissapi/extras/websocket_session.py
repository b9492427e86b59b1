"""Session: the connection of a WebSocket: messages in and out, pings, and the closing handshake.

Back-pressure works both ways. A handler that does not take its messages pauses reading; a client that does
not take what it is sent pauses `send`; of many pings only the last is answered. wsproto makes and checks the
frames. The rest is as in every connection: it is BUSY as long as the WebSocket is open, then CLOSING, then
CLOSED. The handshake makes it; `WebSocket` is what the handler sees of it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from kissapi.awaitables import running_loop, sleep
from kissapi.connection import Connection
from kissapi.core import BUSY, CLOSED
from kissapi.extras.websocket_inbox import Inbox

if TYPE_CHECKING:
    from kissapi.extras.websocket_deflate import Payloads
    from kissapi.extras.websocket_handshake import Terms

TURN = 0.005  # seconds for which frames are taken in before others have a turn: a read may hold ten thousand
BURST = 32  # messages sent before others have a turn

# RFC 6455 §7.4.1
NORMAL, GOING_AWAY, NO_CODE, BROKEN, TOO_BIG, FAILED = 1000, 1001, 1005, 1006, 1009, 1011


class Closed(Exception):
    """The WebSocket has ended: nothing more can be sent or received; `ws.close_code` says why.

    A handler need not catch it: one that ends with it has ended well.
    """

    def __init__(self, ws: Any) -> None:
        super().__init__(f"the WebSocket has ended: {ws.close_code} {ws.close_reason}".rstrip())


class Session(Connection):
    """One client, in the place of the `Connection` it came by. `serve` makes the coroutine of its handler."""

    __slots__ = (  # noqa: RUF023  # by use
        "origin",  # the request it came with, until its handler has ended
        "serve",
        "terms",
        "payloads",
        "frames",  # wsproto's
        "handler",  # the task of the handler at work
        "timer",  # cancels a handler that does not notice that the client has left
        # what comes
        "inbox",
        "behind",  # frames have come that were not looked at
        "scheduled",  # they will be, in the next turn of the loop
        # what goes
        "burst",
        "pong",  # the last ping, if the client does not take its pong
        # time
        "heard",  # when something came
        "pinged",  # when a ping went out that has not been answered; None if there is none
        "latency",
        # the end
        "close_code",
        "close_reason",
    )  # fmt: skip

    def __init__(self, connection: Connection, terms: Terms, payloads: Payloads) -> None:
        super().__init__(connection.service, connection.peer)
        self.context = connection.context
        self.origin: Any = connection.request
        self.serve: Callable[[], Coroutine[Any, Any, Any]] | None = None
        self.terms = terms
        self.payloads = payloads
        self.frames: Any = Frames(ConnectionType.SERVER, [payloads])
        self.handler: Any = None
        self.timer: Any = None
        self.inbox = Inbox(self.service.loop)
        self.behind = False
        self.scheduled = False
        self.burst = 0
        self.pong: Ping | None = None
        self.heard = self.service.clock()
        self.pinged: float | None = None
        self.latency: float | None = None
        self.close_code: int | None = None
        self.close_reason = ""

    @property
    def closed(self) -> bool:
        return self.close_code is not None

    def in_its_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call `function` here and now, or from another thread or loop as soon as can be."""
        try:
            here = running_loop() is self.service.loop
        except RuntimeError:  # a worker thread
            here = False
        if here:
            function(*arguments)
            return
        try:
            self.service.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            pass  # that loop has been closed, and all its clients have left

    # Called by the transport

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.become(BUSY)
        # In the next turn: its context is that of the task that hands the connection over.
        self.service.loop.call_soon(self._start)

    def data_received(self, data: bytes) -> None:
        if self.state is not BUSY:
            return
        self.heard = self.service.clock()
        self.frames.receive_data(data)
        if not self.behind:
            self._look()
        self.share_turn(len(data))

    def eof_received(self) -> bool:
        self.eof = True
        self._end(BROKEN)  # without a close frame it is no end, but a breach (RFC 6455 §7.1.5)
        if self.state is BUSY:
            self.linger()
        else:
            self.transport.close()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        context = self.context
        super().connection_lost(error)
        if self.origin is not None:
            self.context = context  # the handler is at work, or will be
        self._end(BROKEN)
        if self.payloads.deaf:
            self.frames, self.behind = None, False
        if self.handler is not None:
            patience = self.service.limits.shutdown_timeout
            self.timer = self.service.loop.call_later(patience, self.service.cancel, self.handler)

    def resume_writing(self) -> None:
        if self.pong is not None and not self.closed:
            self._write(self.pong.response())
        self.pong = None
        self.since = self.service.clock()  # from here on the client's close is waited for, if it is
        super().resume_writing()

    def continue_reading(self) -> None:
        if not self.behind:
            super().continue_reading()

    # Called by the service

    def has_in_hand(self, request: Any) -> bool:
        return self.origin is not None  # its handler is at work

    def tick(self, now: float) -> None:
        terms = self.terms
        if self.state is not BUSY or not self.writable:
            super().tick(now)
        elif self.closed:
            if now > self.since + self.service.limits.linger_timeout:
                self.transport.abort()
        elif not self.reading:
            self.heard = now  # while reading is paused, the time of the next bytes is unknown
            super().tick(now)
        elif terms.ping_interval is None:
            pass
        elif self.pinged is not None and self.pinged > self.heard:
            if now > self.pinged + terms.ping_timeout:
                self.close(FAILED, "no answer to a ping")
        elif now > self.heard + terms.ping_interval:
            self._write(Ping())
            self.pinged = now

    def drain(self) -> None:
        self.close(GOING_AWAY, "the server stops")

    # The handler

    def _start(self) -> None:
        assert self.serve is not None
        serve, self.serve = self.serve, None  # it knows this session: no cycle
        self.handler = self.service.spawn(self._run(serve), self.context)
        # The drain waits for the tasks in `background`, and cancels them after `shutdown_timeout`.
        self.service.background.add(self.handler)
        self.handler.add_done_callback(self._served)
        if self.state is CLOSED:
            patience = self.service.limits.shutdown_timeout
            self.timer = self.service.loop.call_later(patience, self.service.cancel, self.handler)

    async def _run(self, serve: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        code = FAILED
        try:
            await serve()
            code = NORMAL
        except Closed:
            if not self.closed:  # that of another client, which is a mistake
                raise
        finally:
            self.close(code)

    def _served(self, task: Any) -> None:
        self.service.background.discard(task)
        self.handler = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        origin, self.origin = self.origin, None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.service.report(origin, error)
        if self.afters is not None:
            self.service.flushed(self, self.service.clock())
        self.context = None

    # What comes

    async def receive(self) -> str | bytes:
        while not self.inbox:
            if self.closed and not self.behind:
                raise Closed(self)
            await self.inbox.wait()
        message = self.inbox.pop()
        if self.behind and self.inbox.is_half_empty:
            self._look_soon()
        return message

    def _look(self) -> None:
        """Take in the frames that have come, as many as the handler has room for."""
        self.scheduled = False
        if self.frames is None:
            return
        self.behind = True
        out = bytearray()
        over = False
        ends = self.service.clock() + TURN
        for event in self.frames.events():
            if isinstance(event, CloseConnection):
                out += self._hear_close(event)
                over = True
            elif not self.payloads.deaf:
                out += self._take(event)
            if self.inbox.is_full and not self.payloads.deaf:
                break
            if self.service.clock() > ends:
                self._look_soon()
                break
        else:
            self.behind = False
        if self.state is BUSY:
            if out:
                self.transport.write(out)
            if over:
                self.linger()
            elif self.behind:
                self.pause_reading()
            else:
                self.resume_reading()
        if self.closed:
            self.inbox.wake()

    def _look_soon(self) -> None:
        if not self.scheduled:
            self.scheduled = True
            self.service.loop.call_soon(self._look)

    def _take(self, event: Event) -> bytes:
        """Take in what is no close. Gives what is to be sent at once."""
        if isinstance(event, (TextMessage, BytesMessage)):
            self.inbox.put(event)
        elif isinstance(event, Ping) and not self.closed:
            if self.writable:
                return bytes(self.frames.send(event.response()))
            self.pong = event  # the last one is enough (RFC 6455 §5.5.3)
        elif isinstance(event, Pong) and self.pinged is not None:
            self.latency = self.heard - self.pinged
            self.pinged = None
        return b""

    # What goes

    async def send(self, event: Event) -> None:
        await self._room()
        self._write(event)
        self.burst += 1
        if self.burst % BURST == 0:
            await sleep(0)  # a client that takes all at once must not make a loop of sends hold up the others

    def push(self, event: Event) -> None:
        """Send without waiting, or cut off a client that is too far behind."""
        if self.closed:
            return
        if self.transport.get_write_buffer_size() > self.terms.max_message:
            self._end(BROKEN)
            self.transport.abort()
        else:
            self._write(event)

    async def ping(self, payload: bytes) -> None:
        await self._room()
        self._write(Ping(payload))
        self.pinged = self.service.clock()

    def _write(self, event: Event) -> None:
        data = self.frames.send(event)
        # A transport that breaks in a burst says so only after it; asyncio logs each write until then.
        if not self.transport.is_closing():
            self.transport.write(data)
            if not self.writable:
                self.owed += len(data)  # so that `tick` sees what the client takes meanwhile

    async def _room(self) -> None:
        """Wait until the client takes what it is sent. Raises `Closed`."""
        if running_loop() is not self.service.loop:
            raise RuntimeError("this WebSocket is served by another event loop: use broadcast([ws], message)")
        if not self.closed:
            await self.drained()
        if self.closed:
            raise Closed(self)

    # The end

    def close(self, code: int, reason: str = "") -> None:
        """End it from our side, if it has not ended, and wait for the client's close."""
        if self.closed:
            return
        data = self.frames.send(CloseConnection(code, reason))
        self.payloads.deaf = True  # messages that still come are dropped: they are not even inflated
        self._end(code, reason)
        self.transport.write(data)
        self.since = self.service.clock()
        if self.behind:
            self._look_soon()  # the client's close stands behind what it has sent

    def _hear_close(self, event: CloseConnection) -> bytes:
        """The client ends it; or wsproto does, for the client broke its rules. Gives what is said to that."""
        if self.closed:
            return b""
        code, reason = self.payloads.close_code(int(event.code)), event.reason or ""
        if code == TOO_BIG and self.frames.state is ConnectionState.OPEN:  # wsproto says so, not the client
            reason = f"a message may have {self.terms.max_message} bytes"
        data: bytes = self.frames.send(CloseConnection(code, reason))
        self._end(code, reason)
        return data

    def _end(self, code: int, reason: str = "") -> None:
        """From now on nothing is sent."""
        if self.closed:
            return
        self.close_code, self.close_reason = code, reason
        self.pong = None
        self.wake()
        self.inbox.wake()


def event_of(message: str | bytes) -> TextMessage | BytesMessage:
    """A message in wsproto's words."""
    return TextMessage(message) if isinstance(message, str) else BytesMessage(message)
