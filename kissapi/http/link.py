"""Link: one client of a protocol that is not HTTP, as the app sees it: its state, its notices, pushes to it.

A parser names the class, a subclass of `Link`, by `link_class`. The service makes a link when a client
connects; a request has it as `req.link`. All writing is done in a later turn of the loop, where no answer is
half written: so a push never stands before the answer to an earlier request, or inside of one that streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kissapi.backends.awaitables import running_loop, sleep
from kissapi.core import BUSY, CLOSED, CLOSING, STREAMING
from kissapi.http.pieces import encoded_by


class Link:
    """One client, from its connection to its end. A subclass has the state of a client, and the notices.

    class Client(Link):
        name = "a guest"

        def connected(self) -> None:
            clients.add(self)

        def lost(self, why: str) -> None:
            clients.discard(self)

    class ChatParser:
        link_class = Client

    class Message(Request):
        link: Client  # `message.link.name` is a str for type checkers
    """

    client: tuple[str, int] | None = None  # its address and port; None for a Unix socket
    # Seconds between two messages, or pushes, after which the connection is closed. None: the server's.
    idle_timeout: float | None = None
    max_unsent: int = 1 << 20  # bytes that wait for a slow client; with more, the next push ends it

    _connection: Any = None  # the `kissapi.http.connection.Connection`, until it has ended
    _waiting: list[bytes] | None = None  # pushes of this turn of the loop, or that wait for a stream
    _size = 0  # bytes of them
    _due = False  # whether `_flush` will be called
    _over = False  # whether the client is too far behind
    _ends = False  # whether `close` has been called
    _begun = False  # whether `connected` has returned

    # Notices: a subclass replaces what it needs. They must not block; `kissapi.spawn` starts what takes time.

    def connected(self) -> None:
        """The client has connected. A `Fail` refuses it: it is answered, and the connection closes."""

    def stopping(self) -> None:
        """The server stops, and closes connections that are idle: a last push arrives."""

    def lost(self, why: str) -> None:
        """The connection has ended, for whatever reason: once, unless `connected` has raised.

        `why` is for people: "client left", "closed", "client takes nothing" …
        """

    # For the app, in any thread

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, or is about to: a push goes nowhere."""
        connection = self._connection
        return connection is None or self._ends or connection.state in (CLOSING, CLOSED)

    def push(self, result: Any) -> None:
        """Send what the parser's `encode_piece` makes of `result`, without waiting; nothing if `closed`.

        It may be called at any time, in any thread. It goes out behind the answers that are due: that of an
        `async def` handler which pushes and returns, and the whole of one that streams. For a client that
        takes less than it is pushed, about `max_unsent` bytes are kept; then the connection ends: the
        alternatives are memory without bound, and gaps. Raises what `encode_piece` raises, and `TypeError`
        for a parser without one.

            for client in clients:
                client.push(f"{name} has come")
        """
        connection = self._connection
        parser = None if connection is None or self.closed else connection.parser
        if connection is None or parser is None:
            return
        if not hasattr(parser, "encode_piece"):
            raise TypeError(f"{type(parser).__name__} has no encode_piece(self, piece), which makes a push")
        self._in_loop(self._put, connection, encoded_by(parser, "encode_piece", result))

    async def send(self, result: Any) -> None:
        """`push`, and wait while the client does not take what it is sent: in the loop of its connection."""
        self.push(result)
        await sleep(0)
        if self._connection is not None:
            await self._connection.drained()

    def close(self) -> None:
        """End the connection behind the answer in hand and all pushes. No later message is answered."""
        connection = self._connection
        if connection is not None:
            self._ends = True
            self._in_loop(self._close, connection)

    # In the loop

    def _in_loop(self, function: Callable[..., None], connection: Any, *arguments: Any) -> None:
        loop = connection.service.loop
        try:
            here = running_loop() is loop
        except RuntimeError:  # a worker thread
            here = False
        if here:
            function(connection, *arguments)
            return
        try:
            loop.call_soon_threadsafe(function, connection, *arguments)
        except RuntimeError:
            pass  # that loop is closed, and all its clients have left

    def _close(self, connection: Any) -> None:
        connection.close_after = True  # at once: messages behind the one in hand are not answered
        self._call_flush(connection)

    def _put(self, connection: Any, data: bytes) -> None:
        if self._over or self._connection is None:
            return
        if self._size + connection.unsent_size() > self.max_unsent:
            self._over = True
            connection.service.loop.call_soon(connection.abort, "client takes nothing")
            return
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(data)
        self._size += len(data)
        self._call_flush(connection)

    def _call_flush(self, connection: Any) -> None:
        if not self._due:
            self._due = True
            connection.service.loop.call_soon(self._in_next_turn)

    def _in_next_turn(self) -> None:
        connection = self._connection
        if connection is not None and connection.state is BUSY:
            # The handler may be the one that pushes, and done: its answer goes out in this turn.
            connection.service.loop.call_soon(self._flush)
        else:
            self._flush()

    def _flush(self, *outcome: Any) -> None:
        """Write what waits; if an answer streams, when that has ended."""
        self._due = False
        connection = self._connection
        if connection is None or connection.transport.is_closing() or connection.state is CLOSING:
            return
        if connection.state is STREAMING:
            self._due = True
            connection.after(connection.request, self._flush, None)
        else:
            self.write()
            if self._ends:
                connection.resume()

    # Called by the connection and its service

    def begin(self, connection: Any, client: tuple[str, int] | None) -> None:
        """The client has connected. Raises what `connected` raises."""
        self._connection = connection
        self.client = client
        connection.on_stop += (self._tell_of_stop,)
        connection.service.context.copy().run(self.connected)
        self._begun = True

    def write(self) -> None:
        """Write the pushes that wait: no answer is half written."""
        connection = self._connection
        if self._waiting and connection is not None:
            data = b"".join(self._waiting)
            self._waiting = None
            self._size = 0
            connection.transport.write(data)
            connection.since = connection.service.clock()  # it is not idle

    def end(self, why: str) -> None:
        """The connection has ended."""
        if self._begun:
            self._tell(self.lost, why)
        self._connection = None  # which refers to this: no cycle
        self._waiting = None

    def _tell_of_stop(self) -> None:
        self._tell(self.stopping)

    def _tell(self, notice: Callable[..., None], *arguments: Any) -> None:
        assert self._connection is not None
        service = self._connection.service
        try:
            service.context.copy().run(notice, *arguments)
        except Exception as error:  # of one client must not harm the others
            service.log.error(f"{type(self).__name__}.{notice.__name__} failed", error)


class OfLink:
    """The default of `Request.link`: the link of the connection that the request came over."""

    def __get__(self, request: Any, owner: type) -> Any:
        if request is None:
            return self
        link = request._connection.link if request._connection is not None else None
        if link is None:
            raise AttributeError(
                "req.link needs a parser_class that names a link_class, a subclass of kissapi.Link; "
                "HTTP has none: state of HTTP belongs to a session or to the app"
            )
        return link
