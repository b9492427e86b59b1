"""Wire: an exchange with a real `Connection`, over a fake transport, loop and clock: bytes in, bytes out.

No socket, no thread, no sleep. Time stands still until `Wire.wait` moves it. What is fake is that of
`kissapi.extras.testing`; here it lets no mistake of a connection pass, which a real transport might.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi import HttpParser, Request, Router
from kissapi.backends.tasks import Task
from kissapi.extras.testing import transport
from kissapi.extras.testing.loop import FakeLoop
from kissapi.extras.testing.raw_client import RawClient
from kissapi.http.connection import Connection
from kissapi.http.limits import Limits
from kissapi.http.service import Service
from kissapi.log import Log
from kissapi.routing.dispatch import Dispatch

if TYPE_CHECKING:
    from kissapi.http.server_headers import ServerHeaders

__all__ = ["Answer", "FakeLoop", "FakeTransport", "Wire", "exchange", "fetch", "parse_answers", "split"]

Answer = tuple[int, dict[str, str], bytes]  # status, fields by lower-case name, body


class FakeTransport(transport.FakeTransport):
    """A fake transport that is strict."""

    writes = 0

    def write(self, data: bytes) -> None:
        assert data, "an empty write is a system call for nothing"
        assert not self.closing, "written after close"
        assert not self.eof_sent, "written after write_eof"
        self.writes += 1
        super().write(data)

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        super().pause_reading()

    def resume_reading(self) -> None:
        assert not self.reading, "resumed twice"
        super().resume_reading()


class Wire(RawClient):
    """One client of a router.

    wire = Wire(router)
    wire.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    assert wire.received.endswith(b"Hello")
    """

    transport: FakeTransport

    def __init__(
        self,
        router: Router,
        parser_class: Callable[[Any], Any] = HttpParser,
        request_class: type[Request] = Request,
        *,
        room: float = float("inf"),
        service: Service | None = None,
        headers: ServerHeaders | None = None,
        **limits: float | None,
    ) -> None:
        self.log = io.StringIO()
        if service is None:
            loop = FakeLoop()
            numbers = Limits(**limits)
            service = Service(
                loop=loop,
                spawn=partial(Task, loop),
                dispatch=Dispatch(router, numbers.max_body),
                parser_class=parser_class,
                request_class=request_class,
                limits=numbers,
                log=Log(self.log),
                headers=headers,
                clock=loop.time,
            )
        super().__init__(service, room=room)

    def _connect(self, room: float, facts: Mapping[str, Any] | None) -> tuple[Connection, FakeTransport]:
        return Connection(self.service), FakeTransport(self.loop, room, facts)

    def _deliver_backlog(self) -> None:
        """As the client does it, but the loop is entered once for all chunks: bytes come one by one here."""
        if self.can_deliver():
            with self.loop.running():
                while self.can_deliver():
                    self._deliver(self.backlog.popleft())
                    self.loop._run_due()

    @property
    def lines(self) -> list[str]:
        """The log so far."""
        self.service.log.flush()
        return self.log.getvalue().splitlines()


def exchange(
    router: Router, *chunks: bytes, parser_class: Callable[[Any], Any] = HttpParser, **limits: Any
) -> bytes:
    """What a client receives that sends `chunks`, ends its side, and waits for the server to end."""
    wire = Wire(router, parser_class, **limits).send(*chunks).send_eof().wait(120)
    return wire.received


def fetch(router: Router, path: str, *fields: str, method: str = "GET", **options: Any) -> Answer:
    """The one answer to a request for `path`; `options` are those of `exchange`."""
    message = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()
    (answer,) = parse_answers(exchange(router, message, **options), [method])
    return answer


def split(data: bytes) -> list[list[bytes]]:
    """The ways to feed `data` that must not matter: whole, byte by byte, in halves, in threes."""
    return [
        [data],
        [data[index : index + 1] for index in range(len(data))],
        [data[: len(data) // 2], data[len(data) // 2 :]],
        [data[index : index + 3] for index in range(0, len(data), 3)],
    ]


def parse_answers(data: bytes, methods: Iterable[str] = ()) -> list[Answer]:
    """The HTTP answers in `data`. Fails if they are malformed.

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
