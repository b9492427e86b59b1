"""Site: one life of an app under an ASGI server, in one event loop: its service, its start and its end.

It starts with the lifespan of the server, or with the first request where the server has no lifespan. Such a
server, an adapter for Lambda for example, tells no end either: `on_stop` is not called there.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import threads
from kissapi.extras.asgi.outward.service import Service
from kissapi.server.assembly import service_of
from kissapi.server.event_loop import import_backend
from kissapi.server.life import Life

if TYPE_CHECKING:
    from kissapi.extras.asgi.outward.transport import Receive, Send
    from kissapi.server import Server


class Site:
    """What serves `server` in `loop`."""

    def __init__(self, server: Server, loop: Any) -> None:
        self.loop = loop
        self.serves = False  # the start is over
        self.ended = False  # it starts no more
        self._server = server
        self._starting: Any = None  # the task of the start, if the first request began it

    async def started(self) -> None:
        """Start, unless that is done. Raises what prevents it, to each request that waits for it."""
        if self._starting is None:
            self._starting = self.loop.create_task(self._start())
        await _shielded(self.loop, self._starting)

    async def live(self, receive: Receive, send: Send) -> None:
        """The lifespan: start, serve, stop."""
        await receive()
        try:
            await self._start()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            return
        await send({"type": "lifespan.startup.complete"})
        try:
            await receive()
        finally:  # a server that cancels this has its reasons, and the app still gets its end
            failure = await self._stop()
        if failure is not None:
            raise failure
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> None:
        """Start. Raises what prevents it; the next request, or lifespan, tries again with a new site."""
        try:
            await self._begin()
        except BaseException:
            self.ended = True
            raise
        self.serves = True

    async def _begin(self) -> None:
        settings = self._server.settings
        threads.limit = settings.limits.max_threads
        service = self.service = service_of(settings, self.loop, Service)
        self._life = Life(self._server.steps, service, import_backend("asyncio"))
        settings.router.count_servers(1)  # what is registered from here on would not be served
        try:
            await self._life.start()
        except BaseException as error:
            settings.router.count_servers(-1)
            service.log.error(f"{self._server.settings.router!r} cannot start", error)
            await self._life.stop()  # what was opened is closed
            service.log.finish()
            raise

    async def _stop(self) -> BaseException | None:
        """The end; gives the first error that ends more than a function of it."""
        self.serves = False
        self.ended = True
        try:
            await self.service.shut_down(lambda: False)
        finally:
            self._server.settings.router.count_servers(-1)
            error = await self._life.stop()
            self.service.log.finish()
        return error


async def _shielded(loop: Any, task: Any) -> None:
    """Wait for `task`, and leave it alone if this is cancelled: others wait for it, too."""
    waiter = loop.create_future()
    wake = partial(_wake, waiter)
    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        task.remove_done_callback(wake)
    task.result()


def _wake(waiter: Any, task: Any) -> None:
    if not waiter.done():
        waiter.set_result(None)
