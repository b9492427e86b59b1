"""WebSocket: a WebSocket of the client (RFC 6455).

It behaves as a browser: pings and a close are answered, whether the test reads or not.
"""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from kissapi.extras.websocket import BROKEN, NORMAL, Closed
from kissapi.extras.websocket.closing import Violation
from kissapi.extras.websocket.frames import (
    PING,
    PONG,
    Close,
    FrameReader,
    Ping,
    close_frame,
    frame,
    payload_of,
)
from kissapi.extras.websocket.handshake import accept_of

if TYPE_CHECKING:
    from kissapi.extras.testing.answer import Answer
    from kissapi.extras.testing.network import Network
    from kissapi.http.headers import Headers


class Refused(Exception):
    """The server has refused the handshake: `answer` is not a 101."""

    def __init__(self, answer: Answer) -> None:
        try:
            text = answer.text
        except (TimeoutError, ConnectionError):
            text = "a body that does not end"
        super().__init__(f"{answer!r}: {text}")
        self.answer = answer


class WebSocket:
    """The result of `client.websocket(path)`; as a context manager it is closed at the end of the block.

    `answer` is the answer to the handshake, `subprotocol` the one that was agreed on, or None. `close_code`
    and `close_reason` are those of the server's close; 1006 if it sent none; None while it is open.
    """

    def __init__(
        self,
        network: Network,
        path: str,
        ask: Callable[[Headers], Answer],
        fields: Headers,
        subprotocols: Iterable[str],
    ) -> None:
        self.subprotocol: str | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self._network = network
        self._path = path
        self._messages: deque[str | bytes] = deque()
        self._reader = FrameReader(sys.maxsize, masked=False)
        self._has_sent_close = False
        fields.setdefault("upgrade", "websocket")
        fields.setdefault("connection", "Upgrade")
        fields.setdefault("sec-websocket-version", "13")
        fields.setdefault("sec-websocket-key", b64encode(os.urandom(16)).decode())
        offered = ", ".join(subprotocols)
        if offered:
            fields.setdefault("sec-websocket-protocol", offered)
        self.answer = ask(fields)
        if self.answer.status != 101:
            with self.answer:
                raise Refused(self.answer)
        if self.answer.headers.get("sec-websocket-accept") != accept_of(fields["sec-websocket-key"]):
            self.answer.close()
            raise ValueError(f"{self.answer!r} has a wrong Sec-WebSocket-Accept")
        self.subprotocol = self.answer.headers.get("sec-websocket-protocol")
        self._connection, rest = self.answer.hand_over(self._feed)
        self._feed(rest)

    def __repr__(self) -> str:
        state = "open" if self.close_code is None else f"closed: {self.close_code}"
        return f"<WebSocket {self._path} {state}>"

    def send(self, message: str | bytes) -> None:
        """Send a message, a `str` as text. Raises `Closed` if the server has ended it."""
        if self.close_code is not None:
            raise self._closed()
        self._send(*payload_of(message))

    def receive(self, seconds: float | None = None) -> str | bytes:
        """The next message. Raises `Closed` after the last one, `TimeoutError` if none comes in `seconds`.

        They are seconds of the client's clock, by default as many as for an answer; with 0 only a message
        that has come already counts.
        """
        self._network.run_until(lambda: bool(self._messages) or self._over, f"{self!r}.receive()", seconds)
        if not self._messages:
            raise self._closed()
        return self._messages.popleft()

    def __iter__(self) -> Iterator[str | bytes]:
        """The messages, until the server ends it."""
        while True:
            try:
                yield self.receive()
            except Closed:
                return

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping."""
        self._send(PING, payload)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send a close, and wait for the server's; messages from before it can still be received."""
        if self.close_code is None:
            self._send_close(code, reason)
            self._network.run_until(lambda: self._over, f"{self!r}.close()")
        self._connection.leave()

    def leave(self) -> None:
        """Break the connection without a close."""
        self._connection.leave()
        self._end(BROKEN, "")

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.leave()

    @property
    def _over(self) -> bool:
        """Whether no more messages will come."""
        if self._connection.over and not self._connection.has_data:
            self._end(BROKEN, "")
        return self.close_code is not None

    def _closed(self) -> Closed:
        return Closed(self.close_code, self.close_reason)

    def _end(self, code: int, reason: str) -> None:
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason

    def _send(self, opcode: int, payload: bytes) -> None:
        self._connection.send(frame(opcode, payload, key=os.urandom(4)))

    def _send_close(self, code: int, reason: str) -> None:
        if not self._has_sent_close:
            self._has_sent_close = True
            self._connection.send(close_frame(code, reason, key=os.urandom(4)))

    def _feed(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (item := self._reader.read()) is not None:
                if isinstance(item, Ping):
                    self._send(PONG, item.payload)
                elif isinstance(item, Close):
                    self._receive_close(item.code, item.reason)
                elif isinstance(item, (str, bytes)):
                    self._messages.append(item)
        except Violation as error:
            self._receive_close(error.code, error.reason)

    def _receive_close(self, code: int, reason: str) -> None:
        self._reader.end()
        self._send_close(code, reason)
        self._end(code, reason)
