"""Loop threads: event loops in one process, each in a thread of its own, and which gets the next client.

One acceptor owns the listening sockets; a connection belongs to one loop for good, the least loaded one when
it came. A handler that holds up its loop holds up the clients of that loop, and no others. Each loop makes
its own service in its own thread, for on free-threaded Python objects that another thread made cost 2.5 times
as much to touch; and it starts and ends the app for itself, for a pool belongs to the loop that made it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from kissapi.backends.awaitables import running_loop, sleep
from kissapi.backends.threads import copy_context
from kissapi.http.roster import CLEANUP
from kissapi.http.service import Service
from kissapi.server.life import Life

Adopt = Callable[[socket.socket], None]
Make = Callable[[Any], tuple[Service, Adopt]]
MakeLife = Callable[[Service], Life]

_BLOCKED = 1.0 + CLEANUP  # seconds beyond its time that a loop has to end; its thread keeps no process
_LOOK = 0.01  # seconds between two looks at threads that are to end


class LoopThread:
    """One event loop, from `start` to `stop`; `make(loop)` gives what it serves, `make_life` the app there.

    `load` and `adopt` are for the acceptor's thread, which alone counts what it has dealt.
    """

    def __init__(
        self,
        number: int,
        make: Make,
        make_life: MakeLife,
        run: Callable[[Any], None],
        on_closed: Callable[[], None],
    ) -> None:
        self.error: BaseException | None = None  # why it could not start, or what the end of the app raised
        self.service: Service | None = None
        self.forced = False
        self.drained = False  # it has no clients any more
        self.held_up = False  # it has not come to that in its time
        self._make = make
        self._make_life = make_life
        self._run = run
        self._on_closed = on_closed
        self._dealt = 0  # connections, by the acceptor's thread
        self._received = 0  # of them, by this thread
        self._ended = 0  # of those, at the last look
        self._tell: Callable[[], object] = _nothing  # from its thread: it has begun, or has failed to
        self._loop: Any = None
        self._adopt: Any = None
        self._stop: Any = None
        self._task: Any = None
        self._starting = True
        self._stopping = False
        # Its requests begin with the context variables of the thread that makes it, too.
        work = partial(copy_context().run, self._work)
        self.thread = threading.Thread(target=work, name=f"kissapi-loop-{number}", daemon=True)

    @property
    def load(self) -> int:
        """How many connections it has, those on their way to it included."""
        return self._dealt - self._ended

    async def start(self) -> None:
        """Begin, and wait until it can have connections. Raises what keeps it from that."""
        loop = running_loop()
        begun = loop.create_future()

        def tell() -> None:
            try:
                loop.call_soon_threadsafe(_settle, begun)
            except RuntimeError:
                pass  # closed: the acceptor did not wait

        self._tell = tell
        self.thread.start()
        await begun
        if self.error is not None:
            raise self.error

    def adopt(self, sock: socket.socket) -> None:
        """Serve the client of `sock`."""
        self._dealt += 1
        self._loop.call_soon_threadsafe(self._receive, sock)

    def stop(self) -> None:
        """Begin to end: answer what is in hand; if the app has not started, cancel that."""
        self._stopping = True
        loop = self._loop
        if loop is not None:  # else it has not even begun, and will see it
            try:
                loop.call_soon_threadsafe(self._ask_to_stop)
            except RuntimeError:
                pass  # it has ended by itself

    def _receive(self, sock: socket.socket) -> None:
        self._received += 1
        self._adopt(sock)
        self._count()

    def _count(self) -> None:
        # One store: the acceptor's thread looks at any moment, and must see each connection once.
        assert self.service is not None
        self._ended = self._received - len(self.service.connections)

    def _closed(self) -> None:
        self._count()
        self._on_closed()

    def _ask_to_stop(self) -> None:
        if self._stop.done():
            return
        self._stop.set_result(None)
        if self._starting:
            self._task.cancel()

    def _work(self) -> None:
        try:
            self._run(self._serve())
        except BaseException as error:
            self.error = error
        finally:
            self.drained = True
            self._tell()

    async def _serve(self) -> None:
        loop = running_loop()
        self._stop = loop.create_future()
        self._loop = loop
        # A task of its own: it can be cancelled, and is the same for the start of the app and for its end.
        self._task = loop.create_task(self._live(loop))
        if self._stopping:
            self._ask_to_stop()
        await self._task

    async def _live(self, loop: Any) -> None:
        service, self._adopt = self._make(loop)
        service.on_closed = self._closed
        life = self._make_life(service)
        try:
            try:
                await life.start()
            finally:
                self._starting = False
        except BaseException:
            await life.stop()
            service.log.finish()
            raise
        self.service = service
        self._tell()
        error: BaseException | None = None
        try:
            await self._stop
            await service.shut_down(lambda: self.forced)
        finally:
            self.drained = True
            try:
                error = await life.stop()
            finally:
                service.log.finish()
        if error is not None:
            raise error


class LoopThreads:
    """`count` loops, and the acceptor's way to them."""

    def __init__(
        self,
        count: int,
        make: Make,
        make_life: MakeLife,
        run: Callable[[Any], None],
        on_closed: Callable[[], None],
    ) -> None:
        self.members = [LoopThread(number, make, make_life, run, on_closed) for number in range(1, count + 1)]

    def count(self) -> int:
        """How many connections there are."""
        return sum(member.load for member in self.members)

    def adopt(self, sock: socket.socket) -> None:
        """Give a client to the least loaded loop."""
        min(self.members, key=_load).adopt(sock)

    async def start(self) -> None:
        """Start them, one after the other. Raises what keeps one from that."""
        for member in self.members:
            await member.start()

    async def shut_down(self, forced: Callable[[], bool]) -> None:
        """Tell all of them to stop, and wait until none has clients any more."""
        loop = running_loop()
        for member in self.members:
            member.stop()
        limits = self.members[0].service.limits  # type: ignore[union-attr]
        deadline = loop.time() + limits.shutdown_timeout + _BLOCKED
        while not all(member.drained for member in self.members) and loop.time() < deadline:
            if forced():
                for member in self.members:
                    member.forced = True
            await sleep(_LOOK)
        for member in self.members:
            member.held_up = not member.drained

    async def stop(self) -> BaseException | None:
        """Wait until the app has ended in each loop, but for loops that are held up.

        Gives the first error that ended more than a function of the app, if there was one.
        """
        begun = [member for member in self.members if member.thread.ident is not None]
        for member in begun:
            member.stop()
        while any(member.thread.is_alive() and not member.held_up for member in begun):
            await sleep(_LOOK)
        return next((member.error for member in begun if member.error is not None), None)


def _load(member: LoopThread) -> int:
    return member.load


def _settle(future: Any) -> None:
    if not future.done():
        future.set_result(None)


def _nothing() -> None:
    pass
