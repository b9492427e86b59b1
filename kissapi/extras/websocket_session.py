"""Session: the protocol that a connection is handed over to: frames in and out, pings, and how it ends.

Law: neither side can make the other keep more than it asked for. A handler that does not take its messages
pauses reading; a client that does not take what it is sent pauses `send`; a pong is owed once, not a thousand
times. wsproto frames and judges what comes; flow, deadlines and endings are what it leaves to us.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from kissapi.awaitables import running_loop, sleep
from kissapi.connection import UPGRADED
from kissapi.extras.websocket_inbox import Inbox

if TYPE_CHECKING:
    from kissapi.connection import Connection
    from kissapi.extras.websocket_deflate import Payloads
    from kissapi.extras.websocket_handshake import Terms
    from kissapi.request import Request

TURN = 256  # frames that are taken in before others have a turn: a read may hold ten thousand
BURST = 32  # messages sent before others have a turn

# RFC 6455 §7.4.1
NORMAL, GOING_AWAY, NO_CODE, BROKEN, TOO_BIG, FAILED = 1000, 1001, 1005, 1006, 1009, 1011


class Closed(Exception):
    """The WebSocket has ended: nothing more can be sent or received; `ws.close_code` says why.

    A handler need not catch it: one that ends with it has ended well.
    """

    def __init__(self, ws: Any) -> None:
        super().__init__(f"the WebSocket has ended: {ws.close_code} {ws.close_reason}".rstrip())


class Session:
    """One client. `serve` makes the coroutine that is its handler at work."""

    __slots__ = (  # noqa: RUF023  # by use
        "serve",
        "request",
        "terms",
        "connection",
        "service",
        "frames",  # wsproto's
        "payloads",
        "task",  # the handler at work
        "timer",  # for one that does not notice that the client has left
        # what comes
        "inbox",
        "behind",  # frames have come that were not looked at
        "scheduled",  # they will be, in the next turn of the loop
        "deaf",  # we have ended it: what messages still come are dropped
        # what goes
        "senders",  # futures that wait for room
        "burst",
        "owed",  # the last ping, if the client does not take its pong
        # time, in the service's seconds
        "heard",  # when something came
        "pinged",  # when a ping went out that has not been answered; None if there is none
        "until",  # when a client that does not close is left; 0 before we have told it to
        "latency",
        # the end
        "close_code",
        "close_reason",
    )  # fmt: skip

    def __init__(self, request: Request, terms: Terms, payloads: Payloads) -> None:
        assert request._connection is not None
        self.serve: Callable[[], Coroutine[Any, Any, Any]] | None = None
        self.request = request
        self.terms = terms
        self.connection: Connection = request._connection
        self.service = self.connection.service
        self.frames = Frames(ConnectionType.SERVER, [payloads])
        self.payloads = payloads
        self.task: Any = None
        self.timer: Any = None
        self.inbox = Inbox(self.service.loop)
        self.behind = False
        self.scheduled = False
        self.deaf = False
        self.senders: list[Any] = []
        self.burst = 0
        self.owed: Ping | None = None
        self.heard = self.service.time()
        self.pinged: float | None = None
        self.until = 0.0
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

    # What the connection says

    def connection_made(self, transport: Any) -> None:
        self.heard = self.service.time()
        if self.terms.ping_interval is not None:
            self.connection.deadline = self.heard + self.terms.ping_interval
        self.task = self.service.spawn(self._run())
        # The server waits for those when it stops, and cancels them if it cannot wait any longer.
        self.service.afters.add(self.task)
        self.task.add_done_callback(self._served)

    def data_received(self, data: bytes) -> None:
        self.heard = self.service.time()
        self.frames.receive_data(data)
        if not self.behind:
            self._look()

    def eof_received(self) -> bool:
        self._end(BROKEN)  # without a close frame it is no end, but a breach (RFC 6455 §7.1.5)
        self.connection._close()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._end(BROKEN)
        if self.task is not None:
            self.timer = self.service.loop.call_later(
                self.service.limits.shutdown_timeout, self.service.cancel, self.task
            )

    def tick(self, now: float) -> None:
        connection, terms = self.connection, self.terms
        if self.closed:
            self._wait_for_close(now)
            if now >= self.until:
                connection.transport.abort()
        elif not connection.reading:
            # What is not read tells nothing, and nobody is to blame for an answer that is not read.
            self.heard = now
            connection.deadline = now + 1
            if self.service.is_gone(connection.transport):
                connection.transport.abort()
        elif terms.ping_interval is None:
            pass
        elif self.pinged is not None and self.pinged > self.heard:
            connection.deadline = self.pinged + terms.ping_timeout
            if now >= connection.deadline:
                self.close(FAILED, "no answer to a ping")
        else:
            connection.deadline = self.heard + terms.ping_interval
            if now >= connection.deadline:
                self._write(Ping())
                self.pinged = now
                connection.deadline = now + terms.ping_timeout

    def stop(self) -> None:
        self.close(GOING_AWAY, "the server stops")

    # The handler

    async def _run(self) -> None:
        assert self.serve is not None
        serve, self.serve = self.serve, None  # it knows this session: no cycle
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
        self.service.afters.discard(task)
        self.task = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.service.log.failure(self.request, self.service.name_of(self.request), error)

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
        self.behind = True
        connection, out = self.connection, bytearray()
        over = False
        left = TURN
        for event in self.frames.events():
            left -= 1
            if isinstance(event, CloseConnection):
                out += self._hear_close(event)
                over = True
            elif not self.deaf:
                out += self._take(event)
            if not left or (self.inbox.is_full and not self.deaf):
                break
        else:
            self.behind = False
        if connection.state is UPGRADED:
            if out:
                connection.transport.write(out)
            if over:
                connection._close()
            elif self.behind:
                self._pause()
            else:
                connection.resume_reading()
        if not left:
            self._look_soon()
        if self.closed:
            self.inbox.wake()

    def _look_soon(self) -> None:
        if not self.scheduled:
            self.scheduled = True
            self.service.loop.call_soon(self._look)

    def _pause(self) -> None:
        connection = self.connection
        connection.pause_reading()
        if connection.writable:  # else its deadline is for writing
            connection.deadline = min(connection.deadline, self.service.time() + 1)

    def _take(self, event: Event) -> bytes:
        """Take in what is no close. Gives what is to be sent at once."""
        if isinstance(event, (TextMessage, BytesMessage)):
            self.inbox.put(event)
        elif isinstance(event, Ping) and not self.closed:
            if self.connection.writable:
                return self.frames.send(event.response())
            self.owed = event  # the last one is enough (RFC 6455 §5.5.3)
            self._watch_room()
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
        if self.connection.transport.get_write_buffer_size() > self.terms.max_message:
            self._end(BROKEN)
            self.connection.transport.abort()
        else:
            self._write(event)

    async def ping(self, payload: bytes) -> None:
        await self._room()
        self._write(Ping(payload))
        self.pinged = self.service.time()

    def _write(self, event: Event) -> None:
        data = self.frames.send(event)
        # One that broke in a burst tells us only after it, and asyncio logs each write until then.
        if not self.connection.transport.is_closing():
            self.connection.transport.write(data)

    async def _room(self) -> None:
        """Wait until the client takes what it is sent. Raises `Closed`."""
        if running_loop() is not self.service.loop:
            raise RuntimeError("this WebSocket is served by another event loop: use broadcast([ws], message)")
        while not self.closed and not self.connection.writable:
            sender = self.service.loop.create_future()
            self.senders.append(sender)
            self._watch_room()
            await sender
        if self.closed:
            raise Closed(self)

    def _watch_room(self) -> None:
        if self.connection.on_writable is None:
            self.connection.on_writable = self.service.loop.create_future()
            self.connection.on_writable.add_done_callback(self._has_room)

    def _has_room(self, future: Any) -> None:
        self.connection.on_writable = None
        if self.owed is not None and not self.closed and self.connection.writable:
            self._write(self.owed.response())
            self.owed = None
        self._wake_senders()

    def _wake_senders(self) -> None:
        """All of them: who comes too late for the room that there is waits again, in the same order."""
        senders, self.senders = self.senders, []
        for sender in senders:
            if not sender.done():
                sender.set_result(None)

    # The end

    def close(self, code: int, reason: str = "") -> None:
        """End it from our side, if it has not ended, and wait for the client's close."""
        if self.closed:
            return
        connection = self.connection
        data = self.frames.send(CloseConnection(code, reason))
        self.deaf = True
        self._end(code, reason)
        connection.transport.write(data)
        if connection.writable:  # else its deadline is for writing, and `tick` is called after that
            self._wait_for_close(self.service.time())
        if self.behind:
            self._look_soon()  # the client's close stands behind what it has sent

    def _wait_for_close(self, now: float) -> None:
        """Only so long: its side of the connection may be gone."""
        if not self.until:
            self.until = now + self.service.limits.linger_timeout
        self.connection.deadline = self.until

    def _hear_close(self, event: CloseConnection) -> bytes:
        """The client ends it; or wsproto does, for the client broke its rules. Gives what is said to that."""
        if self.closed:
            return b""
        code, reason = self.payloads.close_code(int(event.code)), event.reason or ""
        if code == TOO_BIG and self.frames.state is ConnectionState.OPEN:  # it is not the client who says so
            reason = f"a message may have {self.terms.max_message} bytes"
        data = self.frames.send(CloseConnection(code, reason))
        self._end(code, reason)
        return data

    def _end(self, code: int, reason: str = "") -> None:
        """From now on nothing is sent."""
        if self.closed:
            return
        self.close_code, self.close_reason = code, reason
        self.owed = None
        self.connection.on_writable = None
        self._wake_senders()
        self.inbox.wake()


def event_of(message: str | bytes) -> TextMessage | BytesMessage:
    """A message in wsproto's words."""
    return TextMessage(message) if isinstance(message, str) else BytesMessage(message)
