"""Peer: the other end of a server, over plain sockets: requests as bytes, answers as bytes.

`connect` remembers what it opens, and tests/conftest.py closes it when the test is over: a test that fails
leaves no socket behind. `talk` is a whole conversation, `ask` one answer on a connection that goes on.
"""

from __future__ import annotations

import http.client
import random
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

_opened: list[socket.socket] = []


def connect(
    address: int | str,
    host: str = "127.0.0.1",
    *,
    source: str = "",
    receive_buffer: int | None = None,
    seconds: float = 10,
    tls: ssl.SSLContext | None = None,
) -> socket.socket:
    """A socket connected to a port of `host`, or to a Unix socket by its path (`\\0name` is an abstract one).

    With `tls` it has shaken hands, as a client that wants to talk to localhost. `source` is
    the client's own address, `receive_buffer` its SO_RCVBUF in bytes. What takes longer than `seconds` raises
    TimeoutError.
    """
    tcp = socket.AF_INET6 if ":" in host else socket.AF_INET
    _opened.append(sock := socket.socket(socket.AF_UNIX if isinstance(address, str) else tcp))
    sock.settimeout(seconds)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        sock.bind((source, 0))
    sock.connect(address if isinstance(address, str) else (host, address))
    if tls is not None:
        _opened.append(sock := tls.wrap_socket(sock, server_hostname="localhost"))
    return sock


def close_all() -> None:
    """Close what `connect` has opened."""
    while _opened:
        _opened.pop().close()


def read_all(sock: socket.socket) -> bytes:
    """What comes until the server ends its side; then `sock` is closed. Raises ConnectionResetError."""
    with sock:
        return b"".join(iter(lambda: sock.recv(1 << 18), b""))


def talk(address: int | str, *chunks: bytes, end: bool = False) -> bytes:
    """What a new client gets that sends `chunks`, until the server ends; with `end` the client ends first."""
    sock = connect(address)
    for chunk in chunks:
        sock.sendall(chunk)
    if end:
        sock.shutdown(socket.SHUT_WR)
    return read_all(sock)


def ask(sock: socket.socket, request: bytes = GET) -> bytes:
    """The answer to one request on an open connection, read to its Content-Length, or to the end."""
    sock.sendall(request)
    answer = sock.recv(65536)
    while answer:
        head, found, body = answer.partition(b"\r\n\r\n")
        if found:
            _, named, length = head.lower().partition(b"\r\ncontent-length:")
            if head[9:12] == b"204" or (named and len(body) >= int(length.partition(b"\r")[0])):
                break
        piece = sock.recv(65536)
        if not piece:
            break
        answer += piece
    return answer


def reset(sock: socket.socket) -> None:
    """Close with a RST: the client is gone without a word."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def until(fact: Callable[[], Any], seconds: float = 10) -> Any:
    """The first true value of `fact()`, asked every 2 ms; AssertionError when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.002)
    return found


@contextmanager
def client_of(port: int, seconds: float = 10) -> Iterator[http.client.HTTPConnection]:
    """A client of the standard library, with one connection; closed at the end of the block."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        yield client
    finally:
        client.close()


def get(port: int, path: str, fields: dict[str, str] | None = None, seconds: float = 10) -> tuple[int, bytes]:
    """Status and body of one GET on a connection of its own."""
    with client_of(port, seconds) as client:
        client.request("GET", path, headers=fields or {})
        answer = client.getresponse()
        return answer.status, answer.read()


def free_port() -> int:
    """A port that is free now, and that the kernel gives to no client: it takes those from 32768 on."""
    while True:
        port = random.randrange(20000, 30000)
        with suppress(OSError), socket.create_server(("", port)):
            return port
