"""asyncio: the backend that hands accepted sockets to asyncio, or to a loop with its methods (uvloop)."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from kissapi.backends.poll import make_selector

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


def limit_read_size(transport: Any, read_size: int) -> None:
    """Let `transport` read at most `read_size` bytes at once."""
    # Not documented, so guarded. asyncio asks for 256 KiB a read, and pays for it in the allocator.
    if hasattr(transport, "max_size"):
        transport.max_size = read_size


def break_cycle(transport: Any) -> None:
    """Free what is left of a transport whose connection has ended."""
    # asyncio's transport holds a method of its own: a cycle, kilobytes until the collector runs.
    # From 3.12 on `close` breaks it, which has not been called where the client reset the connection.
    if transport is None:  # the client has gone before there was one
        return
    transport.close()
    if hasattr(transport, "_read_ready_cb"):
        transport._read_ready_cb = None


def adopter(loop: asyncio.AbstractEventLoop, service: Host, connect: Connect) -> Callable[..., None]:
    """The function that is called with each accepted socket, and the client's address if a proxy tells it."""
    adoptions: set[asyncio.Task[Any]] = set()  # the loop itself keeps no strong reference to a task
    service.release_transport = break_cycle

    async def adopt(sock: socket.socket, protocol: Any) -> None:
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock)
        except OSError:  # the client has gone already
            sock.close()
            service.remove(protocol)
        else:
            limit_read_size(transport, service.limits.read_size)  # the first read comes later in this turn

    def start(sock: socket.socket, peer: Peer = None) -> None:
        protocol = connect(peer)
        service.connections.add(protocol)  # asyncio needs two turns more, but `max_connections` holds now
        task = loop.create_task(adopt(sock, protocol))
        adoptions.add(task)
        task.add_done_callback(adoptions.discard)

    return start
