"""Running: one life of a server in this process, from its start to its end.

    bind → on_start → serve → stop accepting → drain → on_stop

`Server` makes one each time it is started, and `begin` gives it a task of its own. A program, a master and a
worker (`kissapi.process`) use only the public names. A `Running` that has ended is not started again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop, sleep, threads
from kissapi.net.listener import HANDSHAKE, Listener
from kissapi.server.announcement import announce
from kissapi.server.assembly import Handle, make_service
from kissapi.server.event_loop import import_backend
from kissapi.server.life import Life, Steps
from kissapi.server.listening import bind

if TYPE_CHECKING:
    from kissapi.http.service import Service
    from kissapi.server.interfaces import Clients, Lives, Loops, Slot
    from kissapi.server.listening import Claim, ListeningSockets
    from kissapi.server.settings import Settings


class Running:
    """A server that starts, serves or stops, in the event loop that runs here.

    `steps()` gives what `on_start`, `on_stop` and `lifespan` have registered. `claim` finds sockets that were
    handed over; `listening` are some that are bound already, as a worker's are. `slot` deals clients evenly
    among workers. `around(handle)` takes the place of what handles each request.
    """

    def __init__(
        self,
        settings: Settings,
        steps: Steps,
        *,
        claim: Claim | None = None,
        listening: ListeningSockets | None = None,
        slot: Slot | None = None,
        around: Callable[[Handle], Handle] | None = None,
    ) -> None:
        self.settings = settings
        self.loop: Any = running_loop()
        self.life: Any = None  # the task that serves, if `begin` has made one
        self.begun: Any = self.loop.create_future()  # whether it serves, once that is known
        self.ended = False
        self.listening = listening
        self.listeners: list[Listener] = []
        self.service: Service | None = None  # while it serves
        self.clients: Clients | None = None
        self._steps = steps
        self._life: Lives | None = None  # of the app, in the loop or the loops that serve
        self._claim = claim
        self._slot = slot
        self._around = around
        self._backend = import_backend(settings.backend)
        self._stop_asked = self.loop.create_future()
        self._starting = True
        self._start_cancelled = False  # by a stop that came while it started
        self._forced = False

    # From other threads, or from a program

    def begin(self) -> None:
        """Serve in a task, `life`, from the start to the end; it can be stopped from now on."""
        self.life = self.loop.create_task(self._live())

    def stop(self) -> None:
        """Stop gracefully, from any thread; the second time at once."""
        if not self.ended:
            try:
                self.loop.call_soon_threadsafe(self._ask_to_stop)
            except RuntimeError:
                pass  # closed: it has just stopped

    def stop_accepting(self) -> None:
        """Stop gracefully, and leave the sockets and their queues to processes that have them, too."""
        if self.listening is not None:
            self.listening.shared = True
        if not self.ended:
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        if self._stop_asked.done():
            self._forced = True
        else:
            self._stop_asked.set_result(None)
            if self._starting and self.life is not None:
                self._start_cancelled = True
                self.life.cancel()

    async def _live(self) -> None:
        try:
            await self.start()
            try:
                self.begun.set_result(True)
                await self._stop_asked
            finally:
                await self.finish()
        except self._backend.CancelledError:
            # One cancellation may be that of `_ask_to_stop`. Any other is not ours to swallow.
            if not self._start_cancelled or self._backend.cancelling() > 1:
                raise
        finally:
            if not self.begun.done():
                self.begun.set_result(False)

    # The start

    async def start(self) -> None:
        """Bind, start the app, and serve. Raises the error that prevents it."""
        try:
            await self._start()
        except BaseException:
            self.ended = True
            raise
        finally:
            self._starting = False

    async def _start(self) -> None:
        settings, loop = self.settings, self.loop
        is_worker = self.listening is not None and self.listening.shared
        self._check(is_worker)
        threads.limit = settings.limits.max_threads
        listening = self.listening = self.listening or bind(settings, self._claim)
        service: Service | None = None
        settings.router.count_servers(1)  # what is registered from here on would not be served
        try:
            # With several loops, this one only accepts; its service has no connections, and the app no life.
            service, adopt = self._make_service(loop)
            service.on_closed = self._accept_again
            clients: Clients = service
            life: Lives = self._make_life(service)
            if settings.loops > 1:
                life = clients = loops = self._make_loops()
                adopt = loops.adopt
            self._life = life
            await life.start()
        except BaseException:
            self._starting = False
            settings.router.count_servers(-1)
            listening.abandon()
            if service is not None:
                if self._life is not None:  # what was opened is closed; why it could not start is what counts
                    await self._life.stop()
                service.log.finish()
            raise
        self.clients = clients
        self.listeners = [
            Listener(sock, loop, adopt, self._has_room, service.log.warning) for sock in listening.all
        ]
        self.settings = listening.located(settings)
        self.service = service  # last: whatever sees the service also sees the port
        if not is_worker:
            announce(self.settings, listening, service.log)

    def _check(self, is_worker: bool) -> None:
        settings = self.settings
        if settings.workers is not None and not is_worker:
            raise RuntimeError(
                "workers are started by server.loop() or serve(…); this call serves in one process"
            )
        for name in ("max_requests", "max_memory"):
            if getattr(settings.limits, name) is not None and not is_worker:
                raise ValueError(f"{name} is for workers, which can be replaced: Server(workers=1, {name}=…)")
        if not isinstance(self.loop, self._backend.Loop):
            raise RuntimeError(
                f"this server has backend={settings.backend!r}, and the loop here is of another backend: "
                "use server.loop()"
            )

    def _make_service(self, loop: Any) -> tuple[Service, Callable[[Any], None]]:
        return make_service(self.settings, loop, around=self._around)

    def _make_life(self, service: Service) -> Life:
        return Life(self._steps, service, self._backend)

    def _make_loops(self) -> Loops:
        from kissapi.process.loop_threads import LoopThreads

        counted = self.settings.limits.max_connections is not None or self._slot is not None

        def closed() -> None:
            if counted:
                self.loop.call_soon_threadsafe(self._accept_again)

        run = partial(_run, self._backend, self.settings)
        return LoopThreads(self.settings.loops, self._make_service, self._make_life, run, closed)

    # Accepting

    def _has_room(self) -> bool:
        assert self.clients is not None
        most = self.settings.limits.max_connections
        if most is None and self._slot is None:
            return True
        count = self.clients.count()
        if most is not None and count >= most:
            return False
        if self._slot is None or self._slot.may_accept(count):
            return True
        self.loop.call_later(self._slot.PAUSE, self._accept_again)
        return False

    def _accept_again(self) -> None:
        if self._slot is not None and self.clients is not None:
            self._slot.record(self.clients.count())
        for listener in self.listeners:
            listener.resume()

    # The end

    async def finish(self) -> None:
        """Stop: answer what is in hand, let idle clients deliver one more request, then close."""
        service, listening, clients = self.service, self.listening, self.clients
        assert service is not None
        assert listening is not None
        assert clients is not None
        assert self._life is not None
        try:
            try:
                own = listening.own
                refused = [each.refuse_handshakes() for each in self.listeners if each.sock in own]
                if any(refused):
                    await sleep(HANDSHAKE)
            finally:
                for listener in self.listeners:
                    if listening.shared:
                        listener.leave()
                    else:
                        listener.close()
                if self._slot is not None:
                    self._slot.vacate()
                    self._slot = None
            await sleep(0)  # what was just accepted becomes a connection
            await clients.shut_down(lambda: self._forced)
        finally:
            self.settings.router.count_servers(-1)
            self.service = None
            self.ended = True
            if not listening.shared:
                listening.remove_files()
            try:
                error = await self._life.stop()
            finally:
                service.log.finish()
        if error is not None:
            raise error


def _run(backend: Any, settings: Settings, main: Any) -> None:
    backend.run(main, settings.loop_factory)
