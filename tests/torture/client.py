"""Client: a socket that does what no library would."""

from __future__ import annotations

import socket
import struct

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


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


def ask(sock: socket.socket, question: bytes = GET) -> bytes:
    """Send a request; its answer, read to its Content-Length, or to the end."""
    sock.sendall(question)
    data = sock.recv(65536)
    while data:
        head, found, body = data.partition(b"\r\n\r\n")
        if found:
            _, named, length = head.lower().partition(b"\r\ncontent-length:")
            if head[9:12] == b"204" or (named and len(body) >= int(length.partition(b"\r")[0])):
                break
        piece = sock.recv(65536)
        if not piece:
            break
        data += piece
    return data


def status(answer: bytes) -> int:
    """The status of an answer; 0 if there is none."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


def read_all(sock: socket.socket) -> bytes:
    """What comes until the server ends. Raises ConnectionResetError."""
    return b"".join(iter(lambda: sock.recv(1 << 18), b""))


def reset(sock: socket.socket) -> None:
    """Vanish: close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
