"""Answer: the answer to one request, and the connection that it comes over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kissapi.extras.testing.answer_parser import AnswerParser
from kissapi.http import json_codec

if TYPE_CHECKING:
    from kissapi.extras.testing.connection import ClientConnection
    from kissapi.extras.testing.network import Network


class Answer:
    """An answer: `status`, `reason`, `headers`, `http_version`, and the body.

    `method` and `path` are those of its request; `history` has the redirects that have led to it.
    `body`, `text` and `json` wait for the whole body. Iterating gives it piece by piece as it comes; of a
    chunked body, a piece is a chunk. As a context manager it closes the connection.
    """

    def __init__(
        self, network: Network, method: str, path: str, head: bytes, chunks: Iterator[bytes], *, expects: bool
    ) -> None:
        self.method, self.path = method, path
        self.history: tuple[Answer, ...] = ()
        self._what = f"{method} {path}"
        self._parser = AnswerParser(method)
        self._body: list[bytes] = []
        self._network = network
        self._connection = connection = network.connect()
        try:
            connection.raw.send(head)
            if expects:  # a client that expects 100 waits a second for it (RFC 9110 §10.1.1)
                network.loop.run_until(lambda: connection.has_data, network.loop.now + 1)
                self._parser.feed(connection.read())
            connection.chunks = chunks
            self._read_until(lambda: bool(self._parser.status))
        except BaseException:
            self.close()
            raise
        self.status = self._parser.status
        self.reason = self._parser.reason
        self.headers = self._parser.headers
        self.http_version = self._parser.http_version
        self.informational = self._parser.informational  # the statuses of the 1xx answers before it

    def __repr__(self) -> str:
        return f"<Answer {self._what} → {self.status} {self.reason}>"

    def __iter__(self) -> Iterator[bytes]:
        parser = self._parser
        while True:
            self._read_until(lambda: bool(parser.pieces) or parser.ended)
            if not parser.pieces:
                return
            piece = parser.pieces.popleft()
            self._body.append(piece)
            yield piece

    def read(self) -> bytes:
        """The whole body, with the pieces that were read before.

        Raises `TimeoutError` if it has not ended after an hour of virtual or half a minute of real time.
        """
        loop, patience = self._network.loop, self._network.clock.patience
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
            return json_codec.from_json(self.read())
        except Exception:
            raise ValueError(f"{self!r} has no JSON, but {self.body[:200]!r}") from None

    def close(self) -> None:
        """Close the connection; the rest of the body is not read."""
        self._connection.leave()

    def hand_over(self, feed: Callable[[bytes], None]) -> tuple[ClientConnection, bytes]:
        """The connection after a 101, and the bytes that have come after its head; `feed` gets the rest."""
        self._connection.feed = feed
        return self._connection, bytes(self._parser.rest)

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_until(self, done: Callable[[], bool]) -> None:
        parser, connection = self._parser, self._connection
        while not done():
            self._network.run_until(lambda: connection.has_data or connection.over, self._what)
            data = connection.read()
            if data:
                parser.feed(data)
            elif connection.raw.transport.aborted or connection.left or not parser.feed_eof():
                raise ConnectionResetError(
                    f"{self._what}: the connection has ended in the middle of the answer; see client.log"
                )
