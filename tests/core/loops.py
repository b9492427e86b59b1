"""The two loops that the core is served on here: asyncio's, and a small one over `selectors`.

    python loops.py asyncio|small lines|http

reads what a client says, in hexadecimal, a line for each packet; says what it gets, and what the seams told.
"""

from __future__ import annotations

import heapq
import selectors
import socket
import sys
import threading
import time
from collections import deque
from contextvars import copy_context
from functools import partial
from typing import Any

import protocols

from kissapi.core import Connection

# A loop in a hundred lines: futures, tasks, timers, and a transport


class Future:
    """A result that is not there yet."""

    def __init__(self, loop: Small) -> None:
        self.loop = loop
        self.outcome: Any = None
        self.callbacks: list[Any] = []

    def __await__(self) -> Any:
        if self.outcome is None:
            yield self
        return self.result()

    def done(self) -> bool:
        return self.outcome is not None

    def result(self) -> Any:
        value, error = self.outcome
        if error is not None:
            raise error
        return value

    def set_result(self, value: Any, error: BaseException | None = None) -> None:
        self.outcome = value, error
        for callback in self.callbacks:
            self.loop.call_soon(callback, self)

    def add_done_callback(self, callback: Any) -> None:
        if self.outcome is None:
            self.callbacks.append(callback)
        else:
            self.loop.call_soon(callback, self)


class Cancelled(BaseException):
    """Thrown where a task waits."""


class Task(Future):
    """A coroutine at work; its first step is taken when it is made."""

    def __init__(self, loop: Small, coroutine: Any, context: Any) -> None:
        super().__init__(loop)
        self.coroutine = coroutine
        self.context = context
        self.step(coroutine.send, None)

    def step(self, resume: Any, value: Any) -> None:
        if self.done():
            return
        try:
            waits_for = self.context.run(resume, value)
        except StopIteration as stop:
            self.set_result(stop.value)
        except BaseException as error:
            self.set_result(None, error)
        else:
            waits_for.add_done_callback(lambda _: self.step(self.coroutine.send, None))

    def cancel(self) -> None:
        self.loop.call_soon(self.step, self.coroutine.throw, Cancelled())


class Small:
    """Sockets, timers, and calls that are due."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.ready: deque[Any] = deque()
        self.timers: list[Any] = []

    def call_soon(self, function: Any, *arguments: Any) -> None:
        self.ready.append(partial(function, *arguments))

    def create_future(self) -> Future:
        return Future(self)

    def sleep(self, seconds: float) -> Future:
        future = Future(self)
        heapq.heappush(self.timers, (time.monotonic() + seconds, id(future), future))
        return future

    def run_until(self, done: Any) -> None:
        while not done():
            timeout: float | None = self.timers[0][0] - time.monotonic() if self.timers else 0.05
            for key, _ in self.selector.select(0 if self.ready else max(timeout or 0, 0)):
                key.data()
            while self.timers and self.timers[0][0] <= time.monotonic():
                heapq.heappop(self.timers)[2].set_result(None)
            for _ in range(len(self.ready)):
                self.ready.popleft()()


class Transport:
    """What a connection writes to."""

    def __init__(self, loop: Small, sock: socket.socket, connection: Connection) -> None:
        self.loop, self.sock, self.connection = loop, sock, connection
        self.resume_reading()
        connection.connection_made(self)

    def resume_reading(self) -> None:
        self.loop.selector.register(self.sock, selectors.EVENT_READ, self.read)

    def pause_reading(self) -> None:
        self.loop.selector.unregister(self.sock)

    def read(self) -> None:
        data = self.sock.recv(65536)
        if data:
            self.connection.data_received(data)
        else:
            self.pause_reading()
            self.connection.reading = False  # there is no more
            if not self.connection.eof_received():
                self.close()

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)  # little enough here

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if self.sock in self.loop.selector.get_map():
            self.pause_reading()
        self.sock.close()
        self.loop.call_soon(self.connection.connection_lost, None)

    abort = close


def on_small_loop(protocol: str, sock: socket.socket, finished: threading.Event) -> list[str]:
    loop = Small()

    def spawn(coroutine: Any, context: Any) -> Task:
        return Task(loop, coroutine, context or copy_context())

    service = protocols.service(protocol, loop, spawn, loop.sleep)
    Transport(loop, sock, Connection(service))
    loop.run_until(lambda: finished.is_set() and not service.connections)
    return service.told


def on_asyncio(protocol: str, sock: socket.socket, finished: threading.Event) -> list[str]:
    import asyncio

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()

        def spawn(coroutine: Any, context: Any) -> Any:
            return asyncio.Task(coroutine, loop=loop, context=context)

        service = protocols.service(protocol, loop, spawn, asyncio.sleep)
        connection: Any = Connection(service)
        await loop.connect_accepted_socket(lambda: connection, sock)
        while service.connections or not finished.is_set():  # noqa: ASYNC110  # a thread sets it
            await asyncio.sleep(0.005)
        return service.told

    return asyncio.run(main())


def main(loop: str, protocol: str, packets: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(5)
    finished = threading.Event()
    got = bytearray()

    def client() -> None:
        for packet in packets:
            theirs.sendall(packet)
            time.sleep(0.003)
        theirs.shutdown(socket.SHUT_WR)
        try:
            while piece := theirs.recv(65536):
                got.extend(piece)
        except ConnectionError:
            pass
        finished.set()

    thread = threading.Thread(target=client)
    thread.start()
    told = {"asyncio": on_asyncio, "small": on_small_loop}[loop](protocol, ours, finished)
    thread.join()
    theirs.close()
    sys.stdout.buffer.write(bytes(got) + b"\n--\n" + "\n".join(told).encode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [bytes.fromhex(line) for line in sys.stdin])
