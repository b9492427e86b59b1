"""TLS without a socket: a client's TLS in memory, over the fake transport of tests/wire.py."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Self

from kissapi import HttpParser, Router
from kissapi.backends.tls_handshake import TlsHandshake
from kissapi.http.connection import Connection
from tests.wire import FakeTransport, Wire, split

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class TlsWire(Wire):
    """A client that talks TLS: `send` takes what it says, `received` is what it was told."""

    def __init__(
        self,
        router: Router,
        parser_class: Callable[[Any], Any] = HttpParser,
        *,
        server: ssl.SSLContext,
        client: ssl.SSLContext,
        way: int = 0,
        shake: bool = True,
        **options: Any,
    ) -> None:
        self.context = server
        self.way = way  # how the bytes arrive: see `split`
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.plain = b""
        self.ended = False  # the server has said that no more will come
        super().__init__(router, parser_class, **options)
        if shake:
            self.shake_hands()

    def _connect(self, room: float, facts: Mapping[str, Any] | None) -> tuple[Any, FakeTransport]:
        return TlsHandshake(self.service, Connection(self.service), self.context), FakeTransport(
            self.loop, room, facts
        )

    def shake_hands(self) -> Self:
        for _ in range(4):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.post()
                self.collect()
            else:
                break
        self.post()
        return self

    def send(self, *chunks: bytes) -> Self:
        for chunk in chunks:
            self.tls.write(chunk)
        return self.post()

    def say_goodbye(self) -> Self:
        """The client ends its side as TLS wants it."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.post()

    def post(self) -> Self:
        """What the client's TLS has made goes over the wire."""
        data = self.outgoing.read()
        return super().send(*split(data)[self.way]) if data else self

    def collect(self) -> None:
        """The client takes what has arrived."""
        self.incoming.write(bytes(self.transport.sent))
        self.transport.sent.clear()

    @property
    def received(self) -> bytes:
        self.collect()
        try:
            while data := self.tls.read(1 << 20):
                self.plain += data
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return self.plain

    @property
    def inner(self) -> Connection:
        """The connection above TLS."""
        connection = self.connection._connection  # type: ignore[attr-defined]
        assert isinstance(connection, Connection)
        return connection


STRANGERS = {
    "plain HTTP": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "plain HTTP through a proxy": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SSLv2": b"\x80\x2e\x01\x00\x02" + bytes(43),
    "noise": bytes(range(256)),
    "an empty record": b"\x16\x03\x01\x00\x00",
    "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(1000),
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "nothing": b"",
    "a beginning": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
