"""Session: the connection of a WebSocket: messages in and out, pings, and the closing handshake.

Back-pressure works in both directions. Reading pauses while the handler does not ask for messages. `send`
waits while the client does not take what it is sent; of the pings of that time only the last is answered.
wsproto makes and checks the frames. A session is BUSY while the WebSocket is open, then CLOSING, then CLOSED.
`upgrade.py` makes it; it gets the transport of the HTTP connection. The handler's `WebSocket` sends by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from kissapi.backends.awaitables import running_loop, sleep
from kissapi.core import BUSY, CLOSED
from kissapi.extras.websocket.closing import BROKEN, FAILED, GOING_AWAY, NORMAL, Closed
from kissapi.extras.websocket.heartbeat import Heartbeat
from kissapi.extras.websocket.inbox import Inbox
from kissapi.http.connection import Connection

if TYPE_CHECKING:
    from kissapi.extras.websocket.handler_task import HandlerTask
    from kissapi.extras.websocket.handshake import Terms
    from kissapi.extras.websocket.payload_codec import PayloadCodec

TURN = 0.005  # seconds of reading frames before other clients have a turn: a read may hold ten thousand
BURST = 32  # messages sent before other clients have a turn


class Session(Connection):
    """The connection of one WebSocket; its handler starts in the next turn of the loop."""

    __slots__ = (  # noqa: RUF023  # by use
        "handler",
        "heartbeat",
        # Incoming
        "payloads",
        "frames",  # of wsproto; None once nothing more is read
        "inbox",
        "behind",  # whether frames have come that are not read yet
        "scheduled",  # whether they are read in the next turn of the loop
        # Outgoing
        "burst",  # the number of messages sent
        "pong",  # the last ping, while the client does not take its pong
        "close_code",
        "close_reason",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, terms: Terms, payloads: PayloadCodec, handler: HandlerTask
    ) -> None:
        super().__init__(connection.service, connection.peer)
        self.context = connection.context
        self.handler = handler
        self.heartbeat = Heartbeat(terms.ping_interval, terms.ping_timeout, self.service.clock())
        self.payloads = payloads
        self.frames: Any = Frames(ConnectionType.SERVER, [payloads])
        self.inbox = Inbox(self.service.loop)
        self.behind = False
        self.scheduled = False
        self.burst = 0
        self.pong: Ping | None = None
        self.close_code: int | None = None
        self.close_reason = ""

    @property
    def closed(self) -> bool:
        return self.close_code is not None

    # Called by the transport

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.become(BUSY)
        # In the next turn: this call runs in the context of the task that hands the connection over.
        self.service.loop.call_soon(self._start)

    def data_received(self, data: bytes) -> None:
        if self.state is not BUSY:
            return
        self.heartbeat.received = self.service.clock()
        self.frames.receive_data(data)
        if not self.behind:
            self._read_frames()
        self.yield_turn(len(data))

    def eof_received(self) -> bool:
        self.eof = True
        self._end(BROKEN)  # without a close frame the connection is broken (RFC 6455 §7.1.5)
        if self.state is BUSY:
            self.linger()
        else:
            self.transport.close()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        context = self.context
        super().connection_lost(error)
        if self.handler.request is not None:
            self.context = context  # the handler is at work, or is about to start
        self._end(BROKEN)
        if self.payloads.dropping:
            self.frames, self.behind = None, False
        self.handler.cancel_later()

    def resume_writing(self) -> None:
        if self.pong is not None and not self.closed:
            self._write(self.pong.response())
        self.pong = None
        self.since = self.service.clock()  # if the client's close is awaited, its deadline runs from now
        super().resume_writing()

    def continue_reading(self) -> None:
        if not self.behind:
            super().continue_reading()

    # Called by the service

    def has_in_hand(self, request: Any) -> bool:
        return self.handler.request is not None

    def tick(self, now: float) -> None:
        heartbeat = self.heartbeat
        if self.state is not BUSY or not self.writable:
            super().tick(now)
        elif self.closed:
            if now > self.since + self.service.limits.linger_timeout:
                self.transport.abort()
        elif not self.reading:
            heartbeat.received = now  # while reading is paused, an answer to a ping would not be seen
            super().tick(now)
        elif heartbeat.is_overdue(now):
            self.close(FAILED, "no answer to a ping")
        elif heartbeat.is_ping_due(now):
            self._write(Ping())
            heartbeat.pinged = now

    def drain(self) -> None:
        self.close(GOING_AWAY, "the server stops")

    # The handler

    def _start(self) -> None:
        self.handler.start(self._run(), self.context, self._handler_ended)
        if self.state is CLOSED:
            self.handler.cancel_later()

    async def _run(self) -> None:
        code = FAILED
        try:
            await self.handler.serve(self)
            code = NORMAL
        except Closed:
            if not self.closed:  # another WebSocket's, which is a bug of the handler
                raise
        finally:
            self.close(code)

    def _handler_ended(self, task: Any) -> None:
        if self.after_calls is not None:
            self.service.flushed(self, self.service.clock())
        self.context = None

    # Incoming

    async def receive(self) -> str | bytes:
        while not self.inbox:
            if self.closed and not self.behind:
                raise Closed(self.close_code, self.close_reason)
            await self.inbox.wait()
        message = self.inbox.pop()
        if self.behind and self.inbox.is_half_empty:
            self._read_frames_soon()
        return message

    def _read_frames(self) -> None:
        """Read the frames that have come, as many as the inbox has room for."""
        self.scheduled = False
        if self.frames is None:
            return
        self.behind = True
        out = bytearray()
        over = False
        ends = self.service.clock() + TURN
        for event in self.frames.events():
            if isinstance(event, CloseConnection):
                out += self._receive_close(event)
                over = True
            elif not self.payloads.dropping:
                out += self._receive_event(event)
            if self.inbox.is_full and not self.payloads.dropping:
                break
            if self.service.clock() > ends:
                self._read_frames_soon()
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

    def _read_frames_soon(self) -> None:
        if not self.scheduled:
            self.scheduled = True
            self.service.loop.call_soon(self._read_frames)

    def _receive_event(self, event: Event) -> bytes:
        """Handle anything but a close. Returns the bytes to send at once."""
        if isinstance(event, (TextMessage, BytesMessage)):
            self.inbox.put(event)
        elif isinstance(event, Ping) and not self.closed:
            if self.writable:
                return bytes(self.frames.send(event.response()))
            self.pong = event  # to answer the last ping is enough (RFC 6455 §5.5.3)
        elif isinstance(event, Pong):
            self.heartbeat.note_pong()
        return b""

    # Outgoing

    async def send(self, event: Event) -> None:
        await self._wait_for_room()
        self._write(event)
        self.burst += 1
        if self.burst % BURST == 0:
            await sleep(0)  # a loop of sends to a fast client must not hold up the other clients

    def send_now(self, event: Event) -> None:
        """Send without waiting; a client that is too far behind is cut off."""
        if self.closed:
            return
        if self.transport.get_write_buffer_size() > self.payloads.max_message:
            self._end(BROKEN)
            self.transport.abort()
        else:
            self._write(event)

    async def ping(self, payload: bytes) -> None:
        await self._wait_for_room()
        self._write(Ping(payload))
        self.heartbeat.pinged = self.service.clock()

    def _write(self, event: Event) -> None:
        data = self.frames.send(event)
        # asyncio logs each write to a transport that has failed, until it calls `connection_lost`.
        if not self.transport.is_closing():
            self.transport.write(data)
            if not self.writable:
                self.unsent += len(data)  # so that `tick` notices what the client takes meanwhile

    async def _wait_for_room(self) -> None:
        """Wait until the client has taken most of what was sent. Raises `Closed`."""
        if running_loop() is not self.service.loop:
            raise RuntimeError("this WebSocket is served by another event loop: use broadcast([ws], message)")
        if not self.closed:
            await self.drained()
        if self.closed:
            raise Closed(self.close_code, self.close_reason)

    # The end

    def close(self, code: int, reason: str = "") -> None:
        """Send a close and await the client's, unless the WebSocket has ended already."""
        if self.closed:
            return
        data = self.frames.send(CloseConnection(code, reason))
        self.payloads.dropping = True
        self._end(code, reason)
        self.transport.write(data)
        self.since = self.service.clock()
        if self.behind:
            self._read_frames_soon()  # the client's close comes after its unread messages

    def _receive_close(self, event: CloseConnection) -> bytes:
        """Handle a close of the client, or of wsproto if the client broke the rules. Returns the answer."""
        if self.closed:
            return b""
        code, reason = self.payloads.close_of(event)
        self._end(code, reason)
        return bytes(self.frames.send(CloseConnection(code, reason)))

    def _end(self, code: int, reason: str = "") -> None:
        """Note the end: after it no messages are sent."""
        if self.closed:
            return
        self.close_code, self.close_reason = code, reason
        self.pong = None
        self.wake()
        self.inbox.wake()
