"""Client: a socket that does what no library would."""

from __future__ import annotations

import socket

from tests.peer import GET


def connect(
    port: int, receive_buffer: int | None = None, source: str = "", seconds: float = 10
) -> socket.socket:
    sock = socket.socket()
    try:
        sock.settimeout(seconds)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.connect(("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock


def get(path: str) -> bytes:
    return GET.replace(b" / ", b" %b " % path.encode(), 1)


def post(path: str, body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)


def status(answer: bytes) -> int:
    """The status of an answer; 0 if there is none."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
