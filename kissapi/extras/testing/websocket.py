"""A WebSocket of the client that tests have (RFC 6455). It needs wsproto.

Law: it keeps the rules of a browser: pings are answered and a close is answered, whether a test reads or not.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import generate_accept_token, generate_nonce

from kissapi.extras.websocket import BROKEN, NO_CODE, NORMAL, Closed
from kissapi.extras.websocket_deflate import Payloads
from kissapi.headers import Headers

if TYPE_CHECKING:
    from kissapi.extras.testing.answer import Answer
    from kissapi.extras.testing.client import Client, Fields, Query


class Refused(Exception):
    """The server answered something else than 101; `answer` is what."""

    def __init__(self, answer: Answer) -> None:
        try:
            text = answer.text
        except (TimeoutError, ConnectionError):
            text = "a body that does not end"
        super().__init__(f"{answer!r}: {text}")
        self.answer = answer


class WebSocket:
    """What `client.websocket(path)` gives; as a context manager it is closed at the end, and waits for that.

    `answer` is that to the handshake, `subprotocol` the one that was agreed on, or None. `close_code` and
    `close_reason` are what the server has said at the end, 1006 if nothing; None while it is open.
    """

    def __init__(
        self, client: Client, path: str, headers: Fields, subprotocols: Iterable[str], query: Query | None
    ) -> None:
        self.subprotocol: str | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self._client = client
        self._path = path
        self._messages: deque[str | bytes] = deque()
        self._parts: list[Any] = []
        self._payloads = Payloads(sys.maxsize)  # as they are, for its close codes
        self._frames = Frames(ConnectionType.CLIENT, [self._payloads])
        key = generate_nonce()
        fields = Headers(headers)
        fields.setdefault("upgrade", "websocket")
        fields.setdefault("connection", "Upgrade")
        fields.setdefault("sec-websocket-version", "13")
        fields.setdefault("sec-websocket-key", key.decode())
        offered = ", ".join(subprotocols)
        if offered:
            fields.setdefault("sec-websocket-protocol", offered)
        self.answer = client.stream("GET", path, headers=fields, query=query)
        if self.answer.status != 101:
            with self.answer:
                raise Refused(self.answer)
        accept = generate_accept_token(fields["sec-websocket-key"].encode()).decode()
        if self.answer.headers.get("sec-websocket-accept") != accept:
            self.answer.close()
            raise ValueError(f"{self.answer!r} has a wrong Sec-WebSocket-Accept")
        self.subprotocol = self.answer.headers.get("sec-websocket-protocol")
        self._line, rest = self.answer.hand_over(self._feed)
        self._feed(rest)

    def __repr__(self) -> str:
        state = "open" if self.close_code is None else f"closed: {self.close_code}"
        return f"<WebSocket {self._path} {state}>"

    def send(self, message: str | bytes) -> None:
        """Send a message, a `str` as text. Raises `Closed` if the server has ended it."""
        if self.close_code is not None:
            raise self._closed()
        event = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
        self._line.send(self._frames.send(event))

    def receive(self, seconds: float | None = None) -> str | bytes:
        """The next message. Raises `Closed` if there will be none, `TimeoutError` if none comes in `seconds`.

        Those are of the clock of the client, by default as many as for an answer; 0 is for what is there
        already.
        """
        self._client._until(lambda: bool(self._messages) or self._over, f"{self!r}.receive()", seconds)
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
        self._line.send(self._frames.send(Ping(payload)))

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """End it, and wait until the server has; what it has sent before that can still be received."""
        if self.close_code is None:
            self._line.send(self._frames.send(CloseConnection(code, reason)))
            self._client._until(lambda: self._over, f"{self!r}.close()")
        self._line.leave()

    def leave(self) -> None:
        """Break the connection, without a word."""
        self._line.leave()
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
        """Whether nothing more will come."""
        if self._line.over and not self._line.wire.transport.sent:
            self._end(BROKEN, "")
        return self.close_code is not None

    def _closed(self) -> Closed:
        return Closed(cast(Any, self))

    def _end(self, code: int, reason: str) -> None:
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason

    def _feed(self, data: bytes) -> None:
        frames = self._frames
        if frames.state is ConnectionState.CLOSED:
            return
        frames.receive_data(data)
        for event in frames.events():
            if isinstance(event, Ping):
                self._line.send(frames.send(event.response()))
            elif isinstance(event, CloseConnection):
                code = self._payloads.close_code(event.code or NO_CODE)
                if frames.state is ConnectionState.REMOTE_CLOSING:
                    self._line.send(frames.send(CloseConnection(code, event.reason)))
                self._end(code, event.reason or "")
            elif isinstance(event, (TextMessage, BytesMessage)):
                self._parts.append(event.data)
                if event.message_finished:
                    empty = "" if isinstance(event, TextMessage) else b""
                    self._messages.append(empty.join(self._parts))
                    self._parts.clear()
