"""asyncio: hands sockets to asyncio, or to a loop that looks like it (uvloop)."""

from __future__ import annotations

import asyncio
import selectors
import socket
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from kissapi.connection import Connection

if sys.platform == "linux":
    from kissapi.backends.epoll import make_selector
else:
    make_selector = selectors.DefaultSelector

if TYPE_CHECKING:
    from kissapi.service import Service
    from kissapi.tls import Tls

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


def tame(read_size: int, transport: Any) -> None:
    """Let it read at most so much at once."""
    # Not documented, so guarded. asyncio asks for 256 KiB a read, and pays for it in the allocator.
    if hasattr(transport, "max_size"):
        transport.max_size = read_size


def let_go(transport: Any) -> None:
    """Free what is left of it."""
    # asyncio's transport holds a method of its own: a cycle, kilobytes until the collector comes round.
    # From 3.12 on `close` lets go of it, which nobody has called where the client reset the connection.
    if transport is None:  # it has been accepted, and gone before it was one
        return
    transport.close()
    if hasattr(transport, "_read_ready_cb"):
        transport._read_ready_cb = None


def adopter(loop: asyncio.AbstractEventLoop, service: Service, tls: Tls | None = None) -> Callable[..., None]:
    """What makes a connection of an accepted socket, and of the address that a proxy tells of its client."""
    adoptions: set[asyncio.Task[Any]] = set()  # the loop itself keeps no strong reference to a task
    service.tame = partial(tame, service.limits.read_size)
    service.release = let_go
    make: Callable[..., Any] = partial(Connection, service)
    if tls is not None:
        from kissapi.backends.tls import TlsTransport

        make = partial(TlsTransport.welcome, service, tls)

    async def adopt(sock: socket.socket, protocol: Any) -> None:
        try:
            await loop.connect_accepted_socket(lambda: cast(asyncio.Protocol, protocol), sock)
        except OSError:  # the client has gone already
            sock.close()
            service.closed(protocol)

    def start(sock: socket.socket, peer: tuple[Any, ...] | None = None) -> None:
        protocol = make(peer)
        service.connections.add(protocol)  # asyncio needs two turns more, but `max_connections` holds now
        task = loop.create_task(adopt(sock, protocol))
        adoptions.add(task)
        task.add_done_callback(adoptions.discard)

    return start
