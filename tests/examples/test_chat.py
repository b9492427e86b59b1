"""The chat example: over two workers of one Redis, and in one process without it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.chat import server
from kissapi.extras.testing import Client
from tests.frames import TEXT, frame, handshake, parse
from tests.peer import ask, connect
from tests.process.family import needs_fork
from tests.serving import Served, environment

if TYPE_CHECKING:
    from tests.redis_server import RedisServer

# A client asks for the worker first, on the connection that becomes its WebSocket.
PROGRAM = """
import os
from examples.chat import router
from kissapi import Request, Server

@router.get("/pid")
async def pid(req: Request):
    return str(os.getpid())

Server(bind="127.0.0.1:0", router=router, workers=2, loop={loop!r}).loop()
"""


class Member:
    """A client of the chat; `worker` serves it."""

    def __init__(self, port: int, name: str) -> None:
        self.socket = connect(port)
        self.worker = ask(self.socket, b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n").rpartition(b"\n")[2]
        self.socket.sendall(handshake(f"/chat?name={name}"))
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.data += self.socket.recv(65536)
        self.data = self.data.partition(b"\r\n\r\n")[2]

    def say(self, text: str) -> None:
        self.socket.sendall(frame(TEXT, text.encode()))

    def hear(self, text: str) -> None:
        """Wait until `text` was said; what another client says may come in the same piece, behind it."""
        while text.encode() not in [message.payload for message in parse(self.data)]:
            piece = self.socket.recv(65536)
            assert piece, parse(self.data)
            self.data += piece


@needs_fork
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_messages_cross_workers(loop: str, redis_server: RedisServer, tmp_path: Path) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    program = tmp_path / "app.py"
    program.write_text(PROGRAM.format(loop=None if loop == "asyncio" else loop))
    with Served([sys.executable, program], env=environment(REDIS_URL=redis_server.url)) as served:
        redis_server.wait_for("chat", 2)
        members = [Member(served.port, "0")]
        while len({member.worker for member in members}) < 2:
            assert len(members) < 50
            members.append(Member(served.port, str(len(members))))
        members[-1].say("hello ☕")
        for member in members:
            member.hear(f"{len(members) - 1}: hello ☕")
        members[0].say("hi")
        for member in members:
            member.hear("0: hi")
        members[0].socket.close()
        members[-1].hear("0 has left")
    redis_server.wait_for("chat", 0)


def test_in_one_process_it_needs_no_redis(backend: str) -> None:
    with Client(server, backend) as client:
        ann, bob = client.websocket("/chat?name=ann"), client.websocket("/chat?name=bob")
        with ann, bob:
            assert [ann.receive(), ann.receive(), bob.receive()] == ["ann has come", *["bob has come"] * 2]
            ann.send("hi")
            assert [ann.receive(), bob.receive()] == ["ann: hi"] * 2
