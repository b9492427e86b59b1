"""Wire: an exchange with a real `Connection`, over a fake transport, loop and clock: bytes in, bytes out.

Law: no socket, no thread, no sleep. Time stands still until `Wire.wait` moves it.
"""

from __future__ import annotations

import heapq
import io
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from kissapi import HttpParser, Request, Router
from kissapi.backends.loop import Future, Task, Timer, running
from kissapi.connection import Connection
from kissapi.limits import Limits
from kissapi.log import Log
from kissapi.service import Service


class FakeLoop:
    """The loop's words, with a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.timers: list[tuple[float, int, Timer]] = []
        self.order = itertools.count()

    def time(self) -> float:
        return self.now

    def create_future(self) -> Future:
        return Future(self)  # type: ignore[arg-type]

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> None:
        self.calls.append((callback, arguments))

    call_soon_threadsafe = call_soon

    def call_later(self, seconds: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        timer = Timer(self.now + seconds, callback, arguments)
        heapq.heappush(self.timers, (timer.when, next(self.order), timer))
        return timer

    def run(self) -> None:
        """Everything that is due now."""
        while self.calls:
            callback, arguments = self.calls.popleft()
            callback(*arguments)

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end = self.now + seconds
        self.run()
        while self.timers and self.timers[0][0] <= end:
            when, _, timer = heapq.heappop(self.timers)
            self.now = max(self.now, when)
            if timer.callback is not None:
                timer.callback(*timer.arguments)
            self.run()
        self.now = end


class FakeTransport:
    """Takes what is written; `room` bytes of it at once, the rest when the client reads."""

    def __init__(self, loop: FakeLoop, room: float = float("inf")) -> None:
        self.loop = loop
        self.connection: Any = None
        self.sent = bytearray()
        self.unsent = bytearray()
        self.room = room
        self.writes = 0
        self.reading = True
        self.closing = False  # close() or abort() was called
        self.aborted = False
        self.eof_sent = False
        self.lost = False

    def write(self, data: bytes) -> None:
        assert data, "an empty write is a system call for nothing"
        assert not self.closing, "written after close"
        assert not self.eof_sent, "written after write_eof"
        self.writes += 1
        self.unsent += data
        self._send()
        if self.unsent:
            self.connection.pause_writing()

    def _send(self) -> None:
        size = int(min(self.room, len(self.unsent)))
        self.sent += self.unsent[:size]
        del self.unsent[:size]
        self.room -= size

    def take(self, size: float = float("inf")) -> None:
        """The client reads `size` bytes more."""
        was_full = bool(self.unsent)
        self.room += size
        self._send()
        if was_full and not self.unsent and not self.lost:
            self.connection.resume_writing()
        self._end_if_done()

    def write_eof(self) -> None:
        self.eof_sent = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.closing = True
        self._end_if_done()

    def abort(self) -> None:
        self.closing = self.aborted = True
        self.unsent.clear()
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self.closing and not self.unsent and not self.lost:
            self.lost = True
            self.loop.call_soon(self.connection.connection_lost, None)

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed twice"
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50000) if name == "peername" else default


class Wire:
    """One client of a router.

    wire = Wire(router)
    wire.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    assert wire.received.endswith(b"Hello")
    """

    def __init__(
        self,
        router: Router,
        parser_class: Callable[[Any], Any] = HttpParser,
        request_class: type[Request] = Request,
        *,
        room: float = float("inf"),
        service: Service | None = None,
        **limits: float | None,
    ) -> None:
        self.log = io.StringIO()
        if service is None:
            loop = FakeLoop()
            service = Service(
                loop=loop,
                spawn=partial(Task, loop),
                router=router,
                parser_class=parser_class,
                request_class=request_class,
                limits=Limits(**limits),
                log=Log(self.log),
                clock=loop.time,
            )
        self.service = service
        self.loop: FakeLoop = service.loop
        self.transport = FakeTransport(self.loop, room)
        self.connection = Connection(service)
        self.backlog: deque[bytes] = (
            deque()
        )  # what the client has sent and the server not yet read; b"" is the end
        self.transport.connection = self.connection
        self._in_loop(self.connection.connection_made, self.transport)

    @property
    def received(self) -> bytes:
        """What the client has been sent so far."""
        return bytes(self.transport.sent)

    @property
    def closed(self) -> bool:
        """Whether the server has said its last: our side is shut, or the connection closed."""
        return self.transport.eof_sent or self.transport.closing

    @property
    def lines(self) -> list[str]:
        """The log so far."""
        self.service.log.flush()
        return self.log.getvalue().splitlines()

    def send(self, *chunks: bytes) -> Wire:
        """The client sends `chunks`; each is one read, delivered when the server reads."""
        self.backlog.extend(chunks)
        self._in_loop(_nothing)
        return self

    def send_eof(self) -> Wire:
        """The client sends no more."""
        self.backlog.append(b"")
        self._in_loop(_nothing)
        return self

    def lose(self, error: Exception | None = None) -> Wire:
        """The connection breaks."""
        if not self.transport.lost:
            self.transport.lost = self.transport.closing = True
            self._in_loop(self.connection.connection_lost, error)
        return self

    def take(self, size: float = float("inf")) -> Wire:
        """The client reads."""
        self._in_loop(self.transport.take, size)
        return self

    def wait(self, seconds: float) -> Wire:
        """Time passes."""
        self._in_loop(self.loop.advance, seconds)
        return self

    def _in_loop(self, function: Callable[..., object], *arguments: Any) -> None:
        before, running.loop = running.loop, self.loop  # type: ignore[assignment]
        try:
            function(*arguments)
            self.loop.run()
            while self.backlog and self.transport.reading and not self.transport.closing:
                chunk = self.backlog.popleft()
                if chunk:
                    self.connection.data_received(chunk)
                elif not self.connection.eof_received():
                    self.transport.close()
                self.loop.run()
        finally:
            running.loop = before


def _nothing() -> None:
    pass


def exchange(
    router: Router, *chunks: bytes, parser_class: Callable[[Any], Any] = HttpParser, **limits: Any
) -> bytes:
    """What a client receives that sends `chunks`, ends its side, and waits for the server to end."""
    wire = Wire(router, parser_class, **limits).send(*chunks).send_eof().wait(120)
    return wire.received


def split(data: bytes) -> list[list[bytes]]:
    """The ways to feed `data` that must not matter: whole, byte by byte, in halves, in threes."""
    return [
        [data],
        [data[index : index + 1] for index in range(len(data))],
        [data[: len(data) // 2], data[len(data) // 2 :]],
        [data[index : index + 3] for index in range(0, len(data), 3)],
    ]


def parse_answers(data: bytes, methods: Iterable[str] = ()) -> list[tuple[int, dict[str, str], bytes]]:
    """The HTTP answers in `data`: (status, fields by lower-case name, body). Fails if they are malformed.

    `methods` are those of the requests, as far as they are not all GET: an answer to HEAD has no body.
    """
    answers = []
    order = itertools.chain(methods, itertools.repeat("GET"))
    while data:
        head, blank, data = data.partition(b"\r\n\r\n")
        assert blank, f"no end of head in {head!r}"
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        fields: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(": ")
            assert colon, line
            assert name.lower() not in fields or name.lower() == "set-cookie", f"{name} twice"
            fields[name.lower()] = value
        if status == "100":
            answers.append((100, fields, b""))
            continue
        assert "date" in fields
        method = next(order)
        body = b""
        if method != "HEAD" and status not in ("204", "304"):
            assert ("content-length" in fields) + ("transfer-encoding" in fields) <= 1
            if "content-length" in fields:
                size = int(fields["content-length"])
                body, data = data[:size], data[size:]
                assert len(body) == size, "body cut short"
            elif "transfer-encoding" in fields:
                body, data = _dechunk(data)
            else:
                body, data = data, b""
        answers.append((int(status), fields, body))
    return answers


def _dechunk(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, crlf, data = data.partition(b"\r\n")
        assert crlf
        length = int(size, 16)
        assert data[length : length + 2] == b"\r\n"
        body += data[:length]
        data = data[length + 2 :]
        if not length:
            return body, data
