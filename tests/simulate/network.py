"""Network: sockets, a selector, a clock and worker threads for the loop of our own, all of them made of dice.

What the kernel may do is done here: it takes a part of what is sent, tells of sockets in any order and
of some of them only, forgets what was on its way when one side resets. What it never does is not done.
"""

from __future__ import annotations

import errno
import random
import socket
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from kissapi.backends import transport as backend
from kissapi.backends.loop import Loop, running
from kissapi.backends.poll import READ, WRITE
from kissapi.backends.threads import Threads


class FakeSocket:
    """The server's end of a connection; `room` bytes more fit into the kernel before the client reads."""

    family = socket.AF_INET

    def __init__(self, client: Any, room: float, dice: random.Random) -> None:
        self.client = client
        self.room = room
        self.dice = dice
        self.inbox = bytearray()
        self.reset = False  # by the client
        self.shut = False
        self.closed = False
        self.lingers = True
        self.full = False
        self.transport: Any = None

    def setblocking(self, blocking: bool) -> None:
        assert not blocking

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        self._check_open()
        if name == socket.SO_LINGER:
            self.lingers = False

    def getpeername(self) -> tuple[str, int]:
        if self.closed or self.reset:
            raise OSError(errno.ENOTCONN, "not connected")
        return ("127.0.0.1", 50000 + self.client.number)

    def fileno(self) -> int:
        return -1 if self.closed else 1000 + self.client.number

    def events(self) -> int:
        if self.reset:
            return READ | WRITE
        readable = bool(self.inbox) or self.client.end_arrived
        return READ * readable | WRITE * (self.room > 0)

    def recv(self, size: int) -> bytes:
        self._check_open()
        if self.reset:
            raise ConnectionResetError(errno.ECONNRESET, "reset by the client")
        if not self.inbox:
            if self.client.end_arrived:
                return b""
            raise BlockingIOError
        if self.dice.random() < 0.02:
            raise InterruptedError
        data = bytes(self.inbox[:size])
        del self.inbox[:size]
        self.client.read += len(data)
        return data

    def send(self, data: Any) -> int:
        self._check_open()
        if self.shut:
            self.client.fail("sends after its end")
        if self.reset:
            raise BrokenPipeError(errno.EPIPE, "nobody there")
        size = int(min(self.room, len(data)))
        if size > 1 and self.dice.random() < 0.2:
            size = self.dice.randint(1, size)
        if not self.full:
            self.client.taken_at = self.client.world.now
        self.full = size < len(data)
        if not size:
            raise BlockingIOError
        self.room -= size
        self.client.took(bytes(data[:size]))
        return size

    def shutdown(self, how: int) -> None:
        if self.closed:
            raise OSError(errno.EBADF, "closed")
        if self.reset:
            raise OSError(errno.ENOTCONN, "not connected")
        if self.client.written:
            self.client.fail("shut down before all was sent")
        self.shut = True

    def close(self) -> None:
        if self.closed:
            self.client.fail("closed twice")
        self.closed = True
        client = self.client
        if self.reset or client.ended == "abort":
            return
        if self.inbox:
            client.fail(f"closed over {len(self.inbox)} unread bytes: a reset takes the last answer away")
        if client.written:
            client.fail("closed before all was sent")
        if client.ended is None:
            client.fail("the socket is closed, but nobody closed the connection")

    def _check_open(self) -> None:
        if self.closed:
            raise OSError(errno.EBADF, "closed")


class FakeListener:
    """The listening socket."""

    family = socket.AF_INET

    def __init__(self, world: Any) -> None:
        self.world = world
        self.queue: deque[FakeSocket] = deque()
        self.exhausted_until = 0.0
        self.closed = False

    def events(self) -> int:
        return READ * bool(self.queue)

    def accept(self) -> tuple[FakeSocket, tuple[str, int]]:
        if not self.queue:
            raise BlockingIOError
        if self.world.now < self.exhausted_until:
            raise OSError(errno.EMFILE, "Too many open files")
        return self.queue.popleft(), ("127.0.0.1", 50000)

    def setsockopt(self, *_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")  # no packet filters here

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 8000)

    def fileno(self) -> int:
        return -1 if self.closed else 3

    def close(self) -> None:
        self.closed = True
        for sock in self.queue:
            sock.client.gone = True  # refused by the kernel
            sock.closed = True
        self.queue.clear()


class FakePoll:
    """Tells what is ready, in any order, and not always of all."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.map: dict[Any, tuple[int, Any]] = {}

    def watch(self, sock: Any, events: int, callback: Any) -> None:
        if events:
            assert not sock.closed, "a closed socket is watched"
            self.map[sock] = (events, callback)
        elif sock in self.map:
            assert not sock.closed, "closed while it is watched"
            del self.map[sock]

    def ready(self) -> list[tuple[Any, int]]:
        found = []
        for sock, (events, data) in self.map.items():
            happened = sock.events() & events
            if happened:
                found.append((data, happened))
        return found

    def wait(self, timeout: float | None) -> list[tuple[Any, int]]:
        found = self.ready()
        if len(found) > 1:
            self.dice.shuffle(found)
            if self.dice.random() < 0.3:
                found = found[: self.dice.randint(1, len(found))]
        return found

    def close(self) -> None:
        self.map.clear()


class FakeThreads(Threads):
    """Calls are made one after the other, each when the dice say that its thread would have come to it."""

    def __init__(self, world: Any, dice: random.Random) -> None:
        self.world = world
        self.dice = dice
        self.calls: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0

    def submit(self, call: Callable[[], None], place: list[Any] | None = None) -> None:
        self.count += 1
        seconds = self.dice.choice((0.0, 0.0, 0.0, 0.001, 0.01, 0.3, 3.0))
        self.calls.append((self.world.now + seconds, self.count, call))
        self.calls.sort()

    def work(self) -> bool:
        """Make one call that is due, if there is one."""
        if not self.calls or self.calls[0][0] > self.world.now:
            return False
        self.call()
        return True

    def call(self) -> None:
        """Make the next call, whenever it is due."""
        _, _, call = self.calls.pop(0)
        before, running.loop = running.loop, None  # no loop runs in a worker thread
        try:
            call()
        finally:
            del call  # an error may hold this frame: no cycle by way of it
            running.loop = before


class SimulatedLoop(Loop):
    """The real loop over a selector that is none."""

    def __init__(self, world: Any, dice: random.Random) -> None:
        super().__init__()
        self.close()  # gives back what it has of the kernel's
        self._closed = False
        self._poll: Any = FakePoll(dice)
        self._wake_writer: Any = SimpleNamespace(send=lambda data: None)
        self.time: Any = lambda: world.now

    def next_time(self) -> float:
        """When something is due of its own accord."""
        live = [when for when, _, timer in self._timers if timer.callback is not None]
        return min(live, default=float("inf"))

    def busy(self) -> bool:
        return bool(self._ready) or bool(self._poll.ready())


class SimulatedTransport(backend.Transport):
    """The real transport, overheard."""

    _sock: Any

    def write(self, data: bytes) -> None:
        client = self._sock.client
        if not data:
            client.fail("an empty write is a system call for nothing")
        if self._connection is not None:
            client.wrote(data)
        super().write(data)

    def write_eof(self) -> None:
        self._sock.client.ends()
        super().write_eof()

    def close(self) -> None:
        if self._connection is not None:
            self._sock.client.ends()
        super().close()

    def abort(self) -> None:
        if self._connection is not None:
            self._sock.client.aborted()
        super().abort()

    def pause_reading(self) -> None:
        self._sock.client.link.paused(True)
        super().pause_reading()

    def resume_reading(self) -> None:
        self._sock.client.link.paused(False)
        super().resume_reading()
