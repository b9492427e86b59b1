"""Bare loops: what is left when nothing is served but constant bytes. The first rungs of the ladder.

python bare.py PORT asyncio|uvloop|selectors constant|httptools|stand-in|HttpParser|PureHttpParser

`httptools` and `stand-in` feed what comes to a parser, and take from it what any server must have: target,
fields, the end of the message. The last two feed it to kissapi's own, as its connections do.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from selectors import EVENT_READ, DefaultSelector
from typing import Any

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
    b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nHello, world!"
)


class Constant(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        if hasattr(transport, "max_size"):
            transport.max_size = 65536  # as kissapi sets it: a fair race
        self.write: Callable[[bytes], object] = transport.write

    def data_received(self, data: bytes) -> None:
        self.write(ANSWER)


class Parsed(Constant):
    library: Any

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.feed = self.library.HttpRequestParser(self).feed_data
        self.fields: list[tuple[bytes, bytes]] = []

    def data_received(self, data: bytes) -> None:
        self.feed(data)

    def on_url(self, url: bytes) -> None:
        self.url = url
        self.fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_message_complete(self) -> None:
        self.write(ANSWER)


class Requested(Constant):
    parser_class: Any
    request_class: Any

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.parser = self.parser_class(self.request_class())

    def data_received(self, data: bytes) -> None:
        parser = self.parser
        parser.reset(self.request_class())
        parser.feed_data(data)
        if parser.finished:
            self.write(ANSWER)


def protocol(name: str) -> type[Constant]:
    """What a connection is made of; only that is imported which it needs."""
    if name == "constant":
        return Constant
    if name == "httptools":
        import httptools

        Parsed.library = httptools
        return Parsed
    if name == "stand-in":
        from kissapi.compat import httptools as stand_in

        Parsed.library = stand_in
        return Parsed
    from kissapi import HttpParser, Request
    from kissapi.http.pure import PureHttpParser

    Requested.parser_class = {"HttpParser": HttpParser, "PureHttpParser": PureHttpParser}[name]
    Requested.request_class = Request
    return Requested


class Socket:
    """The one word of a transport that is spoken here."""

    def __init__(self, sock: socket.socket) -> None:
        self.write = sock.send


def serve_selectors(port: int, make: type[Constant]) -> None:
    selector = DefaultSelector()

    def accept(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = make()
        connection.connection_made(Socket(sock))
        received, receive = connection.data_received, sock.recv

        def read(sock: socket.socket) -> None:
            try:
                data = receive(65536)
            except ConnectionError:
                data = b""
            if data:
                received(data)
            else:
                selector.unregister(sock)
                sock.close()

        selector.register(sock, EVENT_READ, read)

    selector.register(socket.create_server(("127.0.0.1", port), backlog=2048), EVENT_READ, accept)
    while True:
        for key, _ in selector.select():
            key.data(key.fileobj)


async def serve_asyncio(port: int, make: type[Constant]) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(make, "127.0.0.1", port, backlog=2048)
    await loop.create_future()


def main(port: str, loop: str, name: str) -> None:
    make = protocol(name)
    if loop == "selectors":
        serve_selectors(int(port), make)
        return
    factory = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve_asyncio(int(port), make))


if __name__ == "__main__":
    main(*sys.argv[1:])
