"""asyncio: the backend that runs on asyncio's loop, or on one with its methods (uvloop).

On asyncio's own loop a socket has our `Transport`. Another one is handed the socket, for it has a transport
that is faster there.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from kissapi.backends import transport
from kissapi.backends.poll import READ, WRITE, make_selector

if TYPE_CHECKING:
    from kissapi.backends.host import Connect, Host, Peer

Loop = asyncio.AbstractEventLoop
CancelledError = asyncio.CancelledError


def cancelling() -> int:
    """How many times the running task has been asked to end."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def run(
    main: Coroutine[Any, Any, None], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None
) -> None:
    """Run `main` in a new loop."""
    with asyncio.Runner(loop_factory=loop_factory or make_loop) as runner:
        loop = runner.get_loop()
        task = loop.create_task(main)
        while not task.done():
            try:
                loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt):
                # asyncio lets one that a handler raises end the loop, and so every other request. Ctrl-C
                # comes another way: as a signal that `Server.loop` has taken over.
                if task.done():
                    raise


def make_loop() -> asyncio.AbstractEventLoop:
    """asyncio's loop that has add_reader, which the default on Windows has not."""
    return asyncio.SelectorEventLoop(make_selector())


def spawner(loop: asyncio.AbstractEventLoop) -> Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]:
    """Eager tasks where there are any: a handler that does not wait is then done when its task is made.

    A real task all the same, never a coroutine stepped by hand: `asyncio.timeout`, `TaskGroup` and
    `current_task()` need one. `loop.create_task` is not used, for uvloop's takes no `eager_start`.
    """
    if sys.version_info >= (3, 12):
        new, begin = asyncio.Task.__new__, asyncio.Task.__init__

        def spawn(coroutine: Coroutine[Any, Any, Any], context: Any = None) -> asyncio.Task[Any]:
            # An eager task that these two end raises them out of its constructor, which would lose the task.
            # Guarded here, and not wherever a task is made: it costs a request 0.1 µs, one percent.
            task: asyncio.Task[Any] = new(asyncio.Task)
            try:
                begin(task, coroutine, loop=loop, context=context, eager_start=True)
            except (SystemExit, KeyboardInterrupt):
                pass  # it has them: `task.result()` raises them
            return task

        return spawn

    def spawn_later(coroutine: Coroutine[Any, Any, Any], context: Any = None) -> asyncio.Task[Any]:
        return asyncio.Task(coroutine, loop=loop, context=context)

    return spawn_later


class Watches:
    """asyncio's loop as a `Transport` asks it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: dict[int, int] = {}  # descriptor: events
        self.call_soon = loop.call_soon

    def watch(self, sock: socket.socket, events: int, callback: Callable[[int], object]) -> None:
        """Call `callback(events)` whenever one of `events` happens on `sock`; 0 ends the watch."""
        descriptor, loop = sock.fileno(), self._loop
        before = self._watched.pop(descriptor, 0)
        if events:
            self._watched[descriptor] = events
        if events & READ:
            if not before & READ:
                loop.add_reader(descriptor, callback, READ)
        elif before & READ:
            loop.remove_reader(descriptor)
        if events & WRITE:
            if not before & WRITE:
                loop.add_writer(descriptor, callback, WRITE)
        elif before & WRITE:
            loop.remove_writer(descriptor)


def adopter(loop: asyncio.AbstractEventLoop, service: Host, connect: Connect) -> Callable[..., None]:
    """The function that is called with each accepted socket, and the client's address if a proxy tells it."""
    if isinstance(loop, asyncio.SelectorEventLoop):
        return transport.adopter(Watches(loop), service, connect)
    # uvloop: with its own transport a request costs 2 µs less.
    adoptions: set[asyncio.Task[Any]] = set()  # the loop itself keeps no strong reference to a task

    async def adopt(sock: socket.socket, protocol: Any) -> None:
        try:
            await loop.connect_accepted_socket(lambda: protocol, sock)
        except OSError:  # the client has gone already
            sock.close()
            service.remove(protocol)

    def start(sock: socket.socket, peer: Peer = None) -> None:
        protocol = connect(peer)
        service.connections.add(protocol)  # uvloop needs two turns more, but `max_connections` holds now
        task = loop.create_task(adopt(sock, protocol))
        adoptions.add(task)
        task.add_done_callback(adoptions.discard)

    return start
