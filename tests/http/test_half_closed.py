"""A client that sends no more, and takes a large answer slowly, leaves no error of the loop behind."""

from __future__ import annotations

import socket
import time

import pytest

from kissapi import Request, Router
from tests.peer import connect
from tests.serving import THREE, make, running

LARGE = b"x" * (4 << 20)
router = Router()


@router.get("/")
async def large(req: Request) -> bytes:
    return LARGE


@pytest.mark.parametrize("loop", THREE)
def test_a_large_answer_to_a_half_closed_client(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    with running(make(loop, router)) as server:
        for _ in range(3):
            with connect(server.port) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                time.sleep(0.05)
                client.shutdown(socket.SHUT_WR)
                time.sleep(0.1)
                received = b"".join(iter(lambda: client.recv(1 << 16), b""))
            assert received.endswith(LARGE)
    assert not caplog.records
