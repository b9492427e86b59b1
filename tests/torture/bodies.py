"""Bodies: over the limit, declared or chunked, they are refused unread, and memory stays flat."""

from __future__ import annotations

import socket
import time

from tests.peer import read_all
from tests.torture.client import connect, status
from tests.torture.scale import MIB, Scale
from tests.torture.victim import Victim

CHUNKED = b"POST /size HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"


def upload(sock: socket.socket, size: int) -> int:
    """Send chunks until `size` bytes are out or the other side will have no more; how many it was."""
    sent = 0
    try:
        sock.sendall(CHUNKED)
        while sent < size:
            sock.sendall(CHUNK)
            sent += 65536
    except OSError:
        pass
    return sent


def bodies(backend: str, scale: Scale) -> str:
    limit = scale.max_body
    with Victim(backend, max_body=limit) as victim:
        head = b"POST /size HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n"
        start = time.monotonic()
        for expect in (b"", b"Expect: 100-continue\r\n"):
            with connect(victim.port) as sock:
                sock.sendall(head % (expect, limit + 1))
                assert status(read_all(sock)) == 413
        declared = time.monotonic() - start
        assert declared < 1, "a declared body is refused before it is read"

        with connect(victim.port) as sock:  # one that sends it all the same still gets to know
            sock.sendall(head % (b"", limit + 1) + b"x" * (limit + 1))
            assert status(read_all(sock)) == 413

        victim.forget_peak()
        base = victim.peak()
        with connect(victim.port) as sock:
            sent = upload(sock, scale.upload)
            try:
                answer = status(read_all(sock))
            except ConnectionResetError:
                answer = 0  # it went on long after the answer, and never looked
        grown = victim.peak() - base
        assert grown <= 2.25 * limit + MIB, f"{grown / MIB:.1f} MiB for a body of at most {limit / MIB:.0f}"
        assert answer in (413, 0)
        with connect(victim.port) as sock:  # one that looks while it sends
            sock.sendall(CHUNKED)
            sock.settimeout(0.001)
            answer = b""
            for _ in range(limit // 65536 + 32):
                sock.sendall(CHUNK)
                try:
                    answer = sock.recv(4096)
                    break
                except TimeoutError:
                    sock.settimeout(0.001)
            assert status(answer) == 413, answer
        return (
            f"declared: 413 in {declared / 2 * 1000:.1f} ms, nothing read; chunked: {sent / MIB:.0f} of "
            f"{scale.upload / MIB:.0f} MiB sent, memory grew {grown / MIB:.1f} MiB (limit {limit / MIB:.0f})"
        )
