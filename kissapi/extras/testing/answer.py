"""Answer: what a client gets, and the connection that it comes over.

Law: nothing is sent before the server reads, and nothing is read before the test wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kissapi import codec
from kissapi.extras.testing.reply import Reply
from kissapi.extras.testing.wire import Wire
from kissapi.limits import Limits

if TYPE_CHECKING:
    from kissapi.extras.testing.client import Client
    from kissapi.headers import Headers

Body = str | bytes | bytearray | memoryview | Iterable[str | bytes]

ROOM = 64 * 1024  # bytes on their way to a client that does not read


class Line:
    """One connection of a client, and what is still to be sent over it."""

    def __init__(self, client: Client, room: float = ROOM) -> None:
        client._check_outside()
        self.client = client
        self.wire = Wire(client.service, room=room, facts=client._facts)
        self.chunks: Iterator[bytes] | None = None  # of the body that is to be sent
        self.feed: Callable[[bytes], None] | None = None  # who gets what comes, if nobody reads
        client._lines.append(self)

    @property
    def over(self) -> bool:
        """Whether the server has said its last, and all of it has arrived."""
        return self.wire.closed and not self.wire.transport.unsent

    def read(self) -> bytes:
        """What has come; it makes room for more."""
        data = self.wire.received
        self.wire.transport.sent.clear()
        if data:
            self.wire.take(len(data))
        return data

    def send(self, data: bytes) -> None:
        """Send `data`, if anybody is there to get it."""
        if not self.wire.transport.closing:
            self.wire.send(data)

    def push(self) -> None:
        """Send what the server reads, and hand on what has come."""
        while self.can_push():
            if self.feed is not None and self.wire.transport.sent:
                self.feed(self.read())
            elif self.wire.can_deliver():
                self.wire.send()
            else:
                chunks, self.chunks = self.chunks, None  # what makes them may use the client itself
                chunk = next(chunks or iter(()), None)
                if chunk is not None:
                    self.chunks = chunks
                    self.wire.send(chunk)

    def can_push(self) -> bool:
        """Whether there is anything for `push` to do."""
        wire = self.wire
        if wire.transport.sent:
            return self.feed is not None  # else it is to be read first: the server may want no more
        return wire.can_deliver() or (self.chunks is not None and wire.transport.reading and not wire.closed)

    def leave(self) -> None:
        """Close the connection."""
        if self in self.client._lines:
            self.client._lines.remove(self)
            self.wire.lose()


class Answer:
    """What a client gets: `status`, `reason`, `headers`, `http_version`, and the body.

    `body`, `text` and `json` wait for all of it. Iterating takes it in pieces, as they come: where it is sent
    in chunks, a piece is a chunk. As a context manager it ends the connection.
    """

    def __init__(
        self, client: Client, method: str, path: str, head: bytes, chunks: Iterator[bytes], *, waits: bool
    ) -> None:
        self._what = f"{method} {path}"
        self._reply = Reply(method)
        self._body: list[bytes] = []
        self._line = Line(client)
        try:
            self._line.wire.send(head)
            if waits:  # a client that expects 100 gives it a second (RFC 9110 §10.1.1)
                sent = self._line.wire.transport.sent
                client.loop.run_until(lambda: bool(sent), client.loop.now + 1)
                self._reply.feed(self._line.read())
            self._line.chunks = chunks
            self._pull(lambda: bool(self._reply.status))
        except BaseException:
            self.close()
            raise
        self.status = self._reply.status
        self.reason = self._reply.reason
        self.headers = self._reply.headers
        self.http_version = self._reply.http_version
        self.informational = self._reply.informational  # the statuses of 1xx that came before

    def __repr__(self) -> str:
        return f"<Answer {self._what} → {self.status} {self.reason}>"

    def __iter__(self) -> Iterator[bytes]:
        reply = self._reply
        while True:
            self._pull(lambda: bool(reply.pieces) or reply.ended)
            if not reply.pieces:
                return
            piece = reply.pieces.popleft()
            self._body.append(piece)
            yield piece

    def read(self) -> bytes:
        """The whole body, what was taken in pieces before included.

        Raises `TimeoutError` if it has not ended after an hour of virtual or half a minute of real time.
        """
        loop, patience = self._line.client.loop, self._line.client.clock.patience
        end = loop.now + patience
        for _ in self:
            if loop.now > end:
                raise TimeoutError(
                    f"{self._what}: the body has not ended in {patience:g} s of the clock of the client; "
                    "the pieces of one without an end are taken one by one: client.stream()"
                )
        return b"".join(self._body)

    @property
    def body(self) -> bytes:
        """The whole body, as bytes."""
        return self.read()

    @property
    def text(self) -> str:
        """The whole body, as text in UTF-8."""
        return self.read().decode()

    @property
    def json(self) -> Any:
        """The value of the JSON body. Raises `ValueError` if it is not JSON."""
        try:
            return codec.from_json(self.read())
        except Exception:
            raise ValueError(f"{self!r} has no JSON, but {self.body[:200]!r}") from None

    def close(self) -> None:
        """Leave; the body ends where it is."""
        self._line.leave()

    def hand_over(self, feed: Callable[[bytes], None]) -> tuple[Line, bytes]:
        """The connection behind a 101, and what has come over it already; `feed` gets the rest."""
        self._line.feed = feed
        return self._line, bytes(self._reply.rest)

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pull(self, done: Callable[[], bool]) -> None:
        """Read until `done()`."""
        reply, line = self._reply, self._line
        while not done():
            line.client._until(lambda: bool(line.wire.transport.sent) or line.over, self._what)
            data = line.read()
            if data:
                reply.feed(data)
            elif line.wire.transport.aborted or line not in line.client._lines or not reply.feed_eof():
                raise ConnectionResetError(
                    f"{self._what}: the connection has ended in the middle of the answer; see client.log"
                )


def framed(method: str, body: Body | None, fields: Headers) -> Iterator[bytes]:
    """The body as it goes out, in reads; `fields` come to say how long it is (RFC 9112 §6)."""
    if body is None:
        if method in ("POST", "PUT", "PATCH"):
            fields.setdefault("content-length", "0")
        return iter(())
    if isinstance(body, Mapping):
        raise TypeError("a mapping is json= or form=; body is text, bytes, or pieces of them")
    if isinstance(body, (str, bytes, bytearray, memoryview)):
        data = _bytes(body)
        if "transfer-encoding" not in fields:
            fields.setdefault("content-length", str(len(data)))
        return (data[start : start + Limits.read_size] for start in range(0, len(data), Limits.read_size))
    pieces = (_bytes(piece) for piece in iter(body))
    if "content-length" in fields:
        return filter(None, pieces)
    fields["transfer-encoding"] = "chunked"
    return _chunks(pieces)


def _bytes(data: str | bytes | bytearray | memoryview) -> bytes:
    if not isinstance(data, (str, bytes, bytearray, memoryview)):  # of a number, bytes() makes so many zeros
        raise TypeError(f"a body is text, bytes, or pieces of them, not {data!r}")
    return data.encode() if isinstance(data, str) else bytes(data)


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"
