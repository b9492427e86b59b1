"""Drive: clients in Python, for what wrk cannot ask: WebSocket, events, a fixed rate.

They are slower than wrk, which does not matter: what counts is the server's processor time for one unit. What
is set up before (connections, handshakes) is not measured. Each answer is compared whole, or by its number.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.load import Load, LoadError

if TYPE_CHECKING:
    from tests.bench.server import Server

PATIENCE = 5  # seconds without an answer
MASK = b"\x37\xfa\x21\x3d"
HANDSHAKE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


@dataclass(frozen=True)
class _Driven:
    connections: int = 32
    path: str = "/"
    idle: int = 0

    @property
    def question(self) -> Load:
        return Load()


@dataclass(frozen=True)
class Echo(_Driven):
    """Messages of `size` bytes, each answered by itself; `to_all`: each client gets those of the first."""

    path: str = "/ws"
    size: int = 32
    binary: bool = False
    to_all: bool = False

    def press(self, server: Server, seconds: float) -> dict[str, float]:
        payload = (b"abcdefghijklmnopqrstuvwxyz" * (self.size // 26 + 1))[: self.size]
        opcode = 2 if self.binary else 1
        ours, theirs = frame(opcode, payload, MASK), frame(opcode, payload)
        with _opened(server, self.connections, self.path, HANDSHAKE, b"HTTP/1.1 101") as (socks, poll):
            if self.to_all:
                time.sleep(0.3)  # until all of them are in the set that it goes to
            before, start = server.cpu(), time.perf_counter()
            for sock in [next(iter(socks.values()))] if self.to_all else socks.values():
                sock.sendall(ours)
            total = self._exchange(socks, poll, ours, theirs, start + seconds)
            return server.figures(before, total, time.perf_counter() - start)

    def _exchange(
        self, socks: dict[int, socket.socket], poll: select.epoll, ours: bytes, theirs: bytes, end: float
    ) -> int:
        pieces: dict[int, bytes] = {}
        total, every = 0, len(socks) if self.to_all else 1
        speaker = next(iter(socks.values()))
        while time.perf_counter() < end:
            for number in _ready(poll):
                sock = socks[number]
                data = pieces.pop(number, b"") + sock.recv(1 << 20)
                if data == theirs:
                    total += 1
                    if every == 1:
                        sock.sendall(ours)
                    elif total % every == 0:
                        speaker.sendall(ours)
                elif data and theirs.startswith(data):
                    pieces[number] = data
                else:
                    raise LoadError(f"the answer to a message of {self.size} bytes is {data[:40]!r}")
        if not total:
            raise LoadError("no message was answered")
        return total


@dataclass(frozen=True)
class Events(_Driven):
    """Server-sent events that come of themselves; the numbers of each client's follow one another."""

    connections: int = 2000
    path: str = "/sse"

    def press(self, server: Server, seconds: float) -> dict[str, float]:
        with _opened(server, self.connections, self.path, b"", b"HTTP/1.1 200") as (socks, poll):
            last: dict[int, int] = {}
            rest: dict[int, bytes] = {}
            self._read(socks, poll, last, rest, time.perf_counter() + seconds)
            # Such a server is nearly idle, and its processor time is counted in steps of 10 ms.
            before, start = server.cpu(), time.perf_counter()
            total = self._read(socks, poll, last, rest, start + 3 * seconds)
            return server.figures(before, total, time.perf_counter() - start)

    def _read(
        self,
        socks: dict[int, socket.socket],
        poll: select.epoll,
        last: dict[int, int],
        rest: dict[int, bytes],
        end: float,
    ) -> int:
        total = 0
        while time.perf_counter() < end:
            for number in _ready(poll):
                data = rest.pop(number, b"") + socks[number].recv(1 << 16)
                lines, _, rest[number] = data.rpartition(b"\n")
                for tick in map(int, re.findall(rb'^data: \{"tick": ?(\d+)\}', lines, re.MULTILINE)):
                    if tick != last.get(number, tick - 1) + 1:
                        raise LoadError(f"event {tick} follows {last[number]}")
                    last[number] = tick
                    total += 1
                if not data:
                    raise LoadError("a stream of events has ended")
        if not total or len(last) < len(socks):
            raise LoadError(f"{len(last)} of {len(socks)} clients have got events")
        return total


@dataclass(frozen=True)
class Paced(_Driven):
    """So many plain GETs a second, whatever the server does; beside the usual figures their latency, in µs.

    It counts from when a request is due, so that a server that falls behind cannot hide it.
    """

    rate: int = 2000

    def press(self, server: Server, seconds: float) -> dict[str, float]:
        answer = self.question.answer
        request = f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        waits: list[float] = []
        due: dict[int, float] = {}
        pieces: dict[int, bytes] = {}  # some send a head alone
        clock = time.perf_counter
        with _opened(server, self.connections) as (socks, poll):
            free = deque(socks)
            before, start = server.cpu(), clock()
            asked = 0
            while len(waits) < (wanted := round(self.rate * seconds)):
                now = clock()
                if now > start + seconds + PATIENCE:
                    raise LoadError(f"{wanted - len(waits)} of {wanted} requests have got no answer")
                while free and asked < wanted and (at := start + asked / self.rate) <= now:
                    number = free.popleft()
                    due[number] = at
                    socks[number].sendall(request)
                    asked += 1
                for number, _ in poll.poll(0):  # never asleep: it is alone on its core
                    data = pieces.pop(number, b"") + socks[number].recv(65536)
                    if data.startswith(b"HTTP/1.1 200 ") and data.endswith(b"\r\n\r\n" + answer):
                        waits.append(clock() - due.pop(number))
                        free.append(number)
                    elif data.startswith(b"HTTP/1.1 200 ") and data.endswith(b"\r\n\r\n"):
                        pieces[number] = data
                    else:
                        raise LoadError(f"the answer is {data[:80]!r}")
            found = server.figures(before, len(waits), clock() - start)
        waits.sort()
        return found | {f" p{part} µs": waits[int(len(waits) * part / 100)] * 1e6 for part in (50, 99)}


def frame(opcode: int, payload: bytes, mask: bytes = b"") -> bytes:
    """A WebSocket frame (RFC 6455 §5.2), masked if there is a `mask`."""
    masked, size = 0x80 if mask else 0, len(payload)
    if size < 126:
        length = bytes([masked | size])
    elif size < 1 << 16:
        length = bytes([masked | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([masked | 127]) + size.to_bytes(8, "big")
    if mask:
        keys = (mask * (size // 4 + 1))[:size]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")
    return bytes([0x80 | opcode]) + length + mask + payload


@contextmanager
def _opened(
    server: Server, number: int, path: str = "", fields: bytes = b"", head: bytes = b""
) -> Iterator[tuple[dict[int, socket.socket], select.epoll]]:
    """So many connections by number, and what tells which can be read; with a `path` each has asked for it,
    and has got an answer that begins with `head`. Only the head is read.
    """
    socks = server.connect(number)
    try:
        with select.epoll() as poll:
            for sock in socks:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if path:
                    sock.sendall(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n" % (path.encode(), fields))
            for sock in socks if path else ():
                if not (got := _head(sock)).startswith(head):
                    raise LoadError(f"GET {path} gives {got[:80]!r}")
            for sock in socks:
                poll.register(sock, select.EPOLLIN)
            yield {sock.fileno(): sock for sock in socks}, poll
    finally:
        for sock in socks:
            sock.close()


def _head(sock: socket.socket) -> bytes:
    seen = b""
    while b"\r\n\r\n" not in seen:  # a look first, so that what follows it stays
        seen = sock.recv(65536, socket.MSG_PEEK)
        if not seen:
            break
    return sock.recv(seen.find(b"\r\n\r\n") + 4)


def _ready(poll: select.epoll) -> list[int]:
    ready = [number for number, _ in poll.poll(PATIENCE)]
    if not ready:
        raise LoadError(f"no answer for {PATIENCE} s")
    return ready
