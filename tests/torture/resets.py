"""Resets: a client that vanishes, or says no more, at every point of the exchange."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.peer import ask, read_all, reset
from tests.torture.client import connect, get, post, status
from tests.torture.victim import Victim, time_until

if TYPE_CHECKING:
    from tests.torture.scale import Scale

QUESTION = post("/size", b"0123456789")
CHUNKED = b"POST /size HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
ENDS: list[Callable[[socket.socket], None]] = [reset, socket.socket.close]


def resets(backend: str, scale: Scale) -> str:
    with Victim(backend, access_log=True) as victim:
        victim.get("/")  # uvloop opens one at the first connection
        base = victim.descriptors()
        exchanges = halves = 0
        for _ in range(scale.resets):
            for question in (QUESTION, CHUNKED):
                for cut in range(len(question) + 1):
                    for end in ENDS:
                        sock = connect(victim.port)
                        sock.sendall(question[:cut])
                        end(sock)
                        exchanges += 1
                    with connect(victim.port) as sock:  # half-closed: whoever still listens gets an answer
                        sock.sendall(question[:cut])
                        sock.shutdown(socket.SHUT_WR)
                        due = 0 if cut == 0 else 200 if cut == len(question) else 400
                        answer = read_all(sock)
                        assert status(answer) == due, (question[:cut], answer)
                        halves += 1
            for path in (
                "/big/1000000",
                "/stream",
            ):  # inside the answer, before it is read and after a part of it
                for taken in (0, 1, 20, 200, 10_000, 100_000):
                    for end in ENDS:
                        sock = connect(victim.port, 4096)
                        sock.sendall(get(path))
                        got = 0
                        while got < taken:
                            got += len(sock.recv(min(taken - got, 65536)))
                        end(sock)
                        exchanges += 1
            for end in ENDS:  # after the answer
                sock = connect(victim.port)
                ask(sock)
                end(sock)
                exchanges += 1

        number = 20 * scale.resets
        socks = [connect(victim.port) for _ in range(number)]
        for sock in socks:
            sock.sendall(get("/patient"))
        time_until(lambda: victim.counts()["patient"] == number, "the handlers are at work")
        for sock in socks:
            reset(sock)
        took = time_until(
            lambda: victim.counts()["cancelled"] == number, "they are cancelled, `finally` and all"
        )
        time_until(lambda: victim.descriptors() <= base, "no descriptor is left")
        # Not each of them has begun: a reset behind a request may take it away before it is read.
        time_until(
            lambda: (seen := victim.counts())["closed"] == seen["opened"] > 0, "every generator is closed"
        )
        time.sleep(0.05)
    left = victim.output.count("GET /patient → client left")
    assert left == number, f"{left} lines of {number} say that the client left"
    assert "Traceback" not in victim.output, victim.output[-3000:]
    return (
        f"{exchanges} broken off at every byte, {halves} half-closed and answered; "
        f"{number} handlers left alone: all cancelled within {took * 1000:.0f} ms, "
        f"{left} log lines; no traceback, no descriptor left"
    )
