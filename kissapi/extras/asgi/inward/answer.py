"""Answer: what an ASGI app sends in answer to one request, as bytes or as a `Response`.

An answer that is complete before the app first waits goes out in one write, with its length. Any other is a
`Response` whose body is this object: `BodyWriter` sees to framing, back-pressure and lengths, and `send`
gives it the pieces. Hooks get a `Response` in either case.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import sleep
from kissapi.core import BUSY, CLOSED
from kissapi.extras.asgi.inward.bell import Bell
from kissapi.extras.asgi.inward.fields import as_text, encode_fields, encode_hints
from kissapi.extras.files.sendfile import OpenFile
from kissapi.http.head import BODYLESS, NUMBERS, WHOLE, is_bodyless
from kissapi.http.response import Response

if TYPE_CHECKING:
    from kissapi.http.body_writer import BodyWriter

ENOUGH = 64 * 1024  # bytes that may wait for the connection; of a body that is not sent, those that are taken
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class ClientGone(OSError):
    """The client has left: nothing can be sent to it. Since ASGI 2.4 that is an OSError."""


class Dropped:
    """Takes the pieces of a body that is not sent, such as that of a HEAD, up to `ENOUGH`."""

    __slots__ = ("_size",)

    def __init__(self) -> None:
        self._size = 0

    def put(self, piece: bytes) -> bool:
        self._size += len(piece)
        return True

    async def taken(self) -> None:
        if self._size > ENOUGH:
            raise ClientGone("the client does not want the body")
        await sleep(0)


class Answer(Bell):
    """One answer."""

    # Slots that are all set, and no defaults of the class: reading one that an object has not set costs 40 ns
    # as soon as any other object has.
    __slots__ = (
        "_callbacks",
        "_connection",
        "_ends",
        "_error",
        "_head",
        "_headers",
        "_length",
        "_unsent",
        "_writer",
        "begun",
        "complete",
        "failed",
        "gone",
        "request",
        "status",
    )

    def __init__(self, request: Any) -> None:
        self.request = request
        self._connection = request._connection
        self.status = 0  # until the app has said it
        self.begun = False  # whether the app has begun the body
        self.complete = False  # whether the app has said all of it
        self.failed = False  # whether it is not sent, or not to its end
        self.gone = False  # whether the client has left
        self._callbacks: tuple[Callable[[Any], object], ...] = ()
        self._waiters = ()  # as `Bell` does, without a call
        self._error: BaseException | None = None  # why there is none, until `check` has raised it
        self._unsent: Any = b""  # of the body: bytes that the connection has not got yet; an `OpenFile`
        self._writer: BodyWriter | Dropped | None = None  # what takes the pieces, once they are taken
        # Set by http.response.start
        self._head: bytes  # status line and fields
        self._headers: list[tuple[bytes, bytes]]
        self._length: int | None  # of the body, if the app has said it
        self._ends: bool  # whether the app asks for the connection to end

    # The connection's side

    def done(self) -> bool:
        """Whether there is an answer, or a part of it, or there will be none."""
        return self.complete or self.begun or self.failed or self.gone

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Call `callback(self)` in the turn after this is done."""
        if self.done():
            self._connection.service.loop.call_soon(callback, self)
        else:
            self._callbacks += (callback,)

    def encode_answer(self, connection: Any, request: Any, tail: bytes) -> bytes | Response:
        """The bytes of an answer that is whole and of the usual kind; else a `Response`."""
        body, status, service = self._unsent, self.status, connection.service
        if (
            not self.complete
            or type(body) is not bytes
            or (size := len(body)) > WHOLE
            or service.has_headers
            or status in BODYLESS
            or request.method == "HEAD"
        ):
            return self.response()
        if self._ends:
            connection.close_after = True
            tail = service.tail_close
        request._sent = size
        if service.answered is not None:
            service.answered.append((request, status, size, connection.received_at))
        number = NUMBERS[size] if size < 1024 else b"%d" % size
        return b"".join((self._head, b"\r\nContent-Length: ", number, tail, body))

    def response(self) -> Response:
        """The answer, as far as there is one; its body is this object if more may follow."""
        response = Response(None, self.status, as_text(self._headers))
        response._body = self._unsent if self.complete else self
        return response

    async def send_to(self, writer: BodyWriter) -> None:
        """Give `writer` what the app sends, until it has said all. Raises what the app raises before that."""
        try:
            if self._unsent:
                writer.put(self._unsent)
                self._unsent = b""
            else:
                writer.send_head()
            self._writer = writer
            self.changed()
            while not self.complete and not self.failed:
                await self.change()
            self.check()
        except BaseException:
            self.leave()
            raise
        finally:
            self._writer = None

    async def aclose(self) -> None:
        """The body is not sent, or not any more."""
        self._writer = Dropped()
        self._unsent = b""
        self.changed()

    def check(self) -> None:
        """Raise why there is no answer, once."""
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback has this frame: no cycle

    def fail(self, error: BaseException) -> None:
        """There is no answer, or no end of it."""
        self.failed = True
        self._error = error
        self.settle()

    def leave(self) -> None:
        """The client has left."""
        self.gone = True
        self.settle()

    def settle(self) -> None:
        """It is done, or has changed: tell all that wait for it."""
        callbacks, self._callbacks = self._callbacks, ()
        for callback in callbacks:
            self._connection.service.loop.call_soon(callback, self)
        self.changed()

    # The app's side

    async def send(self, message: Any) -> None:
        """Take an event of the app. Raises `ClientGone`; `RuntimeError`, `ValueError` for what is wrong."""
        kind = message["type"]
        if self.gone or self.failed or self._connection.state is CLOSED:
            raise ClientGone("the client has left")
        if kind == "http.response.start" and not self.status:
            headers, status = message.get("headers", ()), message["status"]
            if type(headers) is not list:
                headers = list(headers)
            self._head, self._length, self._ends = encode_fields(status, headers)
            self._headers, self.status = headers, status
        elif kind == "http.response.body" and self.status and not self.complete:
            body = message.get("body", b"")
            if type(body) is not bytes:
                body = bytes(memoryview(body))
            if message.get("more_body"):
                await self._send_piece(body)
                return
            if self._writer is not None:
                self._put(body)
            else:
                if self._unsent:
                    body = self._unsent + body
                length, self._unsent = self._length, body
                if length is not None and length != len(body) and not is_bodyless(self.request, self.status):
                    raise RuntimeError(f"the body has {len(body)} bytes, its Content-Length says {length}")
            self.complete = True
            if self._waiters or self._callbacks:
                self.settle()
        elif kind == "http.response.pathsend" and self.status and not self.begun and not self.complete:
            self._send_file(message["path"])
        elif kind == "http.response.early_hint" and not self.begun and not self.complete:
            hints = encode_hints(message.get("links", ()))
            self._connection.service.loop.call_soon(self._send_hints, hints)
        else:
            when = "once the answer is started" if self.status else "before the answer is started"
            if self.complete:
                when = "after the answer is complete"
            raise RuntimeError(f"{kind!r} cannot be sent {when}")

    async def _send_piece(self, body: bytes) -> None:
        if self._writer is not None:
            if self._put(body):  # enough has been sent in this turn of the loop
                await self._writer.taken()
        else:
            self._unsent += body
            if not self.begun:
                self.begun = True
                # In the next turn: if the app fails at once, nothing has gone out, and it is a clean 500.
                self._connection.service.loop.call_soon(self.settle)
            # Another piece, or the end, may follow at once, and goes out with it.
            while len(self._unsent) > ENOUGH and not self.gone and not self.failed:
                await self.change()
        if self.gone:
            raise ClientGone("the client has left")

    def _put(self, body: bytes) -> bool:
        """Send the next piece; True if `taken` is to be awaited before the one after it."""
        assert self._writer is not None
        try:
            return self._writer.put(body)
        except RuntimeError as error:  # it is more than its Content-Length says
            self.fail(error)
            raise

    def _send_file(self, path: str) -> None:
        """The body is the file as it is now: the app may remove it at once."""
        opened = OpenFile(os.open(path, _FLAGS))
        if self._length is None:
            self._headers = [*self._headers, (b"content-length", b"%d" % opened.size)]
        elif self._length != opened.size:
            opened.close()
            raise RuntimeError(f"the file has {opened.size} bytes, its Content-Length says {self._length}")
        self._unsent = opened
        self.complete = True
        self.settle()

    def _send_hints(self, hints: bytes) -> None:
        """In the turn after they were sent: what is answered before this request is out then."""
        request, connection = self.request, self._connection
        in_hand = connection.state is BUSY and connection.request is request
        if in_hand and not self.begun and not self.complete and request.http_version != "1.0":
            connection.transport.write(hints)
