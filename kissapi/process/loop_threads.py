"""Loop threads: event loops in one process, each in a thread of its own, and which gets the next client.

One acceptor owns the listening sockets. It gives each connection to the loop with the fewest, where it stays.
A handler that holds up its loop holds up the clients of that loop, and no others. Each loop makes
its own service, in its own thread: on free-threaded Python, objects that another thread made cost 2.5 times
as much to touch.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from kissapi.backends.awaitables import running_loop, sleep
from kissapi.http.roster import CLEANUP
from kissapi.http.service import Service

Adopt = Callable[[socket.socket], None]
Make = Callable[[Any], tuple[Service, Adopt]]

_BLOCKED = 1.0 + CLEANUP  # seconds beyond its time that a loop has to end; its thread keeps no process


class LoopThread:
    """One event loop, from `start` to `stop`; `make(loop)` gives what it serves.

    `load` and `adopt` are for the acceptor's thread, which alone counts what it has dealt.
    """

    def __init__(
        self, number: int, make: Make, run: Callable[[Any], None], on_closed: Callable[[], None]
    ) -> None:
        self.error: BaseException | None = None  # why it could not start
        self.service: Service | None = None
        self.forced = False
        self._make = make
        self._run = run
        self._on_closed = on_closed
        self._dealt = 0
        self._received = 0
        self._begun = threading.Event()
        self._loop: Any = None
        self._adopt: Any = None
        self._stop: Any = None
        self.thread = threading.Thread(target=self._work, name=f"kissapi-loop-{number}", daemon=True)

    @property
    def load(self) -> int:
        """How many connections it has, those on their way to it included."""
        assert self.service is not None
        return len(self.service.connections) + self._dealt - self._received

    def start(self) -> None:
        """Begin, and wait until it can have connections. Raises what keeps it from that."""
        self.thread.start()
        self._begun.wait()
        if self.error is not None:
            raise self.error

    def adopt(self, sock: socket.socket) -> None:
        """Serve the client of `sock`."""
        self._dealt += 1
        self._loop.call_soon_threadsafe(self._receive, sock)

    def stop(self) -> None:
        """Begin to end: answer what is in hand."""
        if self.service is not None:  # else it has not even begun
            try:
                self._loop.call_soon_threadsafe(self._ask_to_stop)
            except RuntimeError:
                pass  # it has ended by itself

    def _receive(self, sock: socket.socket) -> None:
        self._received += 1
        self._adopt(sock)

    def _ask_to_stop(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)

    def _work(self) -> None:
        try:
            self._run(self._serve())
        except BaseException as error:
            self.error = error
        finally:
            self._begun.set()

    async def _serve(self) -> None:
        loop = self._loop = running_loop()
        service, self._adopt = self._make(loop)
        service.on_closed = self._on_closed
        self._stop = loop.create_future()
        self.service = service
        self._begun.set()
        try:
            await self._stop
            await service.shut_down(lambda: self.forced)
        finally:
            service.log.finish()


class LoopThreads:
    """`count` loops, and the acceptor's way to them."""

    def __init__(
        self, count: int, make: Make, run: Callable[[Any], None], on_closed: Callable[[], None]
    ) -> None:
        self.members = [LoopThread(number, make, run, on_closed) for number in range(1, count + 1)]
        try:
            for member in self.members:
                member.start()
        except BaseException:
            for member in self.members:
                member.stop()
            raise

    def count(self) -> int:
        """How many connections there are."""
        return sum(member.load for member in self.members)

    def adopt(self, sock: socket.socket) -> None:
        """Give a client to the least loaded loop."""
        min(self.members, key=_load).adopt(sock)

    async def shut_down(self, forced: Callable[[], bool]) -> None:
        """Stop all of them, and wait until they have ended."""
        loop = running_loop()
        for member in self.members:
            member.stop()
        limits = self.members[0].service.limits  # type: ignore[union-attr]
        deadline = loop.time() + limits.shutdown_timeout + _BLOCKED
        while any(member.thread.is_alive() for member in self.members) and loop.time() < deadline:
            if forced():
                for member in self.members:
                    member.forced = True
            await sleep(0.01)


def _load(member: LoopThread) -> int:
    return member.load
