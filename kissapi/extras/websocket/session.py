"""Session: the connection of a WebSocket: messages in and out, pings, and the closing handshake.

Back-pressure works in both directions. Reading pauses while the handler does not ask for messages. `send`
waits while the client does not take what it is sent; of the pings of that time only the last is answered.
A session is BUSY while the WebSocket is open, then CLOSING, then CLOSED. `upgrade.py` makes it; it gets the
transport of the HTTP connection. The handler's `WebSocket` sends by it; `frames.py` has the bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop, sleep
from kissapi.core import BUSY, CLOSED
from kissapi.extras.websocket.closing import BROKEN, FAILED, GOING_AWAY, Closed, Violation
from kissapi.extras.websocket.deflate import SMALL
from kissapi.extras.websocket.frames import (
    PING,
    PONG,
    Close,
    FrameReader,
    Part,
    Ping,
    Pong,
    close_frame,
    frame,
)
from kissapi.extras.websocket.heartbeat import Heartbeat
from kissapi.extras.websocket.inbox import Inbox
from kissapi.http.connection import Connection

if TYPE_CHECKING:
    from kissapi.extras.websocket.deflate import Deflate
    from kissapi.extras.websocket.handler_task import HandlerTask
    from kissapi.extras.websocket.handshake import Terms

_FULL_READ = 250_000  # bytes; uvloop reads on and on from one client, but only after reads of 256,000
TURN = 0.005  # seconds of reading frames before other clients have a turn: a read may hold ten thousand
BURST = 32  # messages sent before other clients have a turn


class Session(Connection):
    """The connection of one WebSocket; its handler starts in the next turn of the loop."""

    __slots__ = (  # noqa: RUF023  # by use
        "handler", "heartbeat",
        # Incoming
        "reader",  # of the frames
        "inbox", "behind",  # whether frames have come that are not read yet
        "scheduled",  # whether they are read in the next turn of the loop
        # Outgoing
        "deflate",  # None: messages are not compressed
        "burst",  # the number of messages sent
        "pong",  # the last ping, while the client does not take its pong
        "close_code", "close_reason",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, terms: Terms, deflate: Deflate | None, handler: HandlerTask
    ) -> None:
        super().__init__(connection.service, connection.peer)
        self.context = connection.context
        self.handler = handler
        self.heartbeat = Heartbeat(terms.ping_interval, terms.ping_timeout, self.service.clock())
        self.reader = FrameReader(terms.max_message, deflate)
        self.inbox = Inbox(self.service.loop)
        self.behind = False
        self.scheduled = False
        self.deflate: Any = deflate
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
        self.reader.feed(data)
        if not self.behind:
            self._read_frames()
        if len(data) >= _FULL_READ:
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
        if self.reader.dropping:
            self.reader.end()
            self.behind = False
        self.handler.cancel_later()

    def resume_writing(self) -> None:
        if self.pong is not None and not self.closed:
            self._write(frame(PONG, self.pong.payload))
        self.pong = None
        self.since = self.service.clock()  # if the client's close is awaited, its deadline runs from now
        super().resume_writing()

    def continue_reading(self) -> None:
        if not self.behind:
            super().continue_reading()

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
            self._write(frame(PING, b""))
            heartbeat.pinged = now

    def drain(self) -> None:
        self.close(GOING_AWAY, "the server stops")

    # The handler

    def _start(self) -> None:
        self.handler.start(self, self.context, self._handler_ended)
        if self.state is CLOSED:
            self.handler.cancel_later()

    def _handler_ended(self, task: Any) -> None:
        if self.after_calls is not None:
            self.service.flushed(self, self.service.clock())
        self.context = None

    # Incoming

    async def receive(self, at_end: type[Exception] | None = None) -> str | bytes:
        """The next message. After the last one, raises `at_end`, by default `Closed`."""
        inbox = self.inbox
        while not inbox.messages:
            if self.closed and not self.behind:
                raise at_end or Closed(self.close_code, self.close_reason)
            await inbox.wait()
        message = inbox.pop()
        if self.behind and inbox.is_half_empty:
            self._read_frames_soon()
        return message

    def _read_frames(self) -> None:
        """Read the frames that have come, as many as the inbox has room for."""
        self.scheduled = False
        reader, inbox, clock = self.reader, self.inbox, self.service.clock
        ends = clock() + TURN
        out = b""
        self.behind = False
        try:
            while not inbox.is_full or reader.dropping:
                item = reader.read()
                if item is None:
                    break
                if isinstance(item, (str, bytes)):
                    if not reader.dropping:
                        inbox.put(item)
                elif not isinstance(item, Part):
                    out += self._receive_control(item)
                if clock() > ends:
                    self._read_frames_soon()
                    break
            else:
                self.behind = reader.has_data
        except Violation as error:
            out += self._receive_control(Close(error.code, error.reason))
        if self.state is BUSY:
            if out:
                self.transport.write(out)
            if reader.ended:
                self.linger()
            elif self.behind:
                self.pause_reading()
            elif not self.reading:
                self.resume_reading()
        if self.closed:
            inbox.wake()

    def _read_frames_soon(self) -> None:
        self.behind = True
        if not self.scheduled:
            self.scheduled = True
            self.service.loop.call_soon(self._read_frames)

    def _receive_control(self, item: Ping | Pong | Close) -> bytes:
        """Handle a control frame. Returns the bytes to send at once."""
        if isinstance(item, Pong):
            self.heartbeat.note_pong()
        elif isinstance(item, Close):
            self.reader.end()
            if not self.closed:
                self._end(item.code, item.reason)
                return close_frame(item.code, item.reason)
        elif not self.closed:
            if self.writable:
                return frame(PONG, item.payload)
            self.pong = item  # to answer the last ping is enough (RFC 6455 §5.5.3)
        return b""

    # Outgoing

    async def send(self, opcode: int, payload: bytes) -> None:
        if not self.writable or self.close_code is not None or running_loop() is not self.service.loop:
            await self._wait_for_room()  # else nothing is to be waited for
        if self.deflate is None or len(payload) < SMALL:
            self._write(frame(opcode, payload))
        else:
            self._write(frame(opcode, self.deflate.compress(payload), deflated=True))
        self.burst += 1
        if self.burst % BURST == 0:
            await sleep(0)  # a loop of sends to a fast client must not hold up the other clients

    def send_now(self, data: bytes, deflated: bool) -> None:
        """Send a frame that others get, too, without waiting; a client that is too far behind is cut off."""
        if self.close_code is not None:
            return
        if not self.writable and self.transport.get_write_buffer_size() > self.reader.max_message:
            self._end(BROKEN)
            self.transport.abort()
            return
        if deflated:
            self.deflate.forget()
        self._write(data)

    async def ping(self, payload: bytes) -> None:
        await self._wait_for_room()
        self._write(frame(PING, payload))
        self.heartbeat.pinged = self.service.clock()

    def _write(self, data: bytes) -> None:
        # asyncio logs each write to a transport that has failed, until it calls `connection_lost`.
        if not self.transport.is_closing():
            if not self.writable:
                self.unsent += len(data)  # so that `tick` notices what the client takes meanwhile
            self.transport.write(data)

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
        self.reader.dropping = True
        self._end(code, reason)
        self.transport.write(close_frame(code, reason))
        self.since = self.service.clock()
        if self.behind:
            self._read_frames_soon()  # the client's close comes after its unread messages

    def _end(self, code: int, reason: str = "") -> None:
        """Note the end: after it no messages are sent."""
        if self.closed:
            return
        self.close_code, self.close_reason = code, reason
        self.pong = None
        self.wake()
        self.inbox.wake()
