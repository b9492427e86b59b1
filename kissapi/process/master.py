"""Master: looks after several worker processes that serve the same sockets.

The master serves no client and runs nothing of the app, so nothing of the app can break it. It binds, forks,
and reads what its workers send. A worker that ends is replaced, after a pause if it has served only briefly.
A worker that does not answer is killed. A worker that has reached a limit stops accepting only when another
serves in its place. To a `Program`, master and workers together are one `Member`, like a running server.

All workers accept from the same sockets. With SO_REUSEPORT each would have its own, and the kernel would deal
clients evenly but blindly: also to a worker that is held up, and when a worker dies, the clients in its queue
are reset. See `kissapi.process.accept_balance` for how the clients of one queue are dealt evenly.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop, sleep
from kissapi.log import escape
from kissapi.process.line import ENOUGH, READY, STOP, STOP_ACCEPTING
from kissapi.process.watchdog import Watchdog
from kissapi.process.worker_factory import WorkerFactory
from kissapi.process.worker_handle import WorkerHandle, describe_exit
from kissapi.server.announcement import announce
from kissapi.server.event_loop import import_backend
from kissapi.server.listening import ListeningSockets

if TYPE_CHECKING:
    from kissapi.server import Server
    from kissapi.server.listening import Claim

_YOUNG = 10.0  # seconds; what ends a worker so early will most likely end the next one
_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds until the next fork, doubled each time a worker ends young
_LAST = 1.5  # seconds from SIGTERM to SIGKILL in an end at once; longer than `roster.CLEANUP`


class Master:
    """`count` processes that serve `servers`; `claim` finds sockets that were handed over."""

    def __init__(self, servers: list[Server], count: int, claim: Claim) -> None:
        self.servers = servers
        self.count = count
        self.workers: list[WorkerHandle] = []
        self.life: Any = None  # the task that serves
        self.listening = ListeningSockets([])  # of all servers
        self.log = servers[0].settings.make_log()
        self._claim = claim
        self._loop: Any = running_loop()
        self.begun: Any = self._loop.create_future()  # whether they serve, once that is known
        # Done once all are ready, one has failed, or `stop` was called.
        self._all_ready = self._loop.create_future()
        self._gone = self._loop.create_future()  # done when the last has ended
        self._each: list[ListeningSockets] = []  # of each server, in their order
        limits = [server.limits for server in servers]
        self._max_requests = _least(each.max_requests for each in limits)
        # More slots than workers: many may still drain while their successors serve.
        self._factory = WorkerFactory(servers, self._each, 4 * count + 16, self._max_requests, self._loop)
        self._watchdog = Watchdog(
            self.workers,
            self._loop,
            self.log,
            min(each.worker_timeout for each in limits),
            _least(each.max_memory for each in limits),
            self._replace,
        )
        self._pause = 0.0  # seconds
        self._paused: Any = None  # the timer of a pause in forking
        self._failed = ""  # why they cannot begin
        self._serving = self._stopping = False
        self._told = False  # `stop` was called before they served

    def begin(self) -> None:
        """Serve in a task, `life`, from the start to the end; it can be stopped from now on."""
        self.life = self._loop.create_task(self._live())

    async def _live(self) -> None:
        try:
            await self._start()
            try:
                self.begun.set_result(True)
                await self._gone
            finally:
                await self._finish()
        finally:
            if not self.begun.done():
                self.begun.set_result(False)

    async def _start(self) -> None:
        self._watchdog.check_own_memory()
        try:
            self._bind()
            self._factory.prepare(self.log)
            self._loop.add_signal_handler(signal.SIGCHLD, self._reap)
            for _ in range(self.count):
                self._fork()
            self._watchdog.ping()
            await self._all_ready
        except OSError as error:
            if hasattr(error, "cannot_listen"):
                raise
            raise SystemExit(f"kissapi: a worker cannot be forked: {error.strerror}") from None
        finally:
            if not self._all_ready.done() or self._failed:
                await self._abandon()
        if self._failed:
            raise SystemExit(f"kissapi: {self._failed}")
        self._serving = True
        if all(worker.ready for worker in self.workers):  # else `stop` was called first
            self.log.info(
                f"{self.count} workers are ready: {', '.join(str(each.pid) for each in self.workers)}"
            )
            for server, listening in zip(self.servers, self._each, strict=True):
                announce(server.settings, listening, self.log)
        if self._told:
            self._end(STOP)
        self._watchdog.check_memory()
        self._restore_count()  # if one has ended meanwhile

    def _bind(self) -> None:
        for server in self.servers:
            listening = server.bind(self._claim)
            self._each.append(listening)
            self.listening.groups += listening.groups
            import_backend(server.backend)  # once for all workers

    # The end

    def stop(self) -> None:
        """Stop all workers gracefully; the second time at once."""
        if not self._serving:
            self._told = True
            if not self._all_ready.done():
                self._all_ready.set_result(None)
        elif not self._stopping:
            self._end(STOP)
        else:
            self._end_at_once()

    def stop_accepting(self) -> None:
        """Stop all workers, and leave the sockets to other processes that have them."""
        if not self._stopping:
            self.listening.shared = True
            self._end(STOP_ACCEPTING)

    async def _finish(self) -> None:
        if not self._stopping:
            self._end(STOP)
        await self._gone
        if not self.listening.shared:
            self.listening.remove_files()
        self._shut_down()

    def _end(self, word: bytes) -> None:
        self._stopping = True
        self._watchdog.all_end()
        self.listening.close()  # listening ends once the last worker has closed its copy
        for worker in self.workers:
            worker.tell(word)
            worker.silent = 0  # a slow start is not a hang
        self._check_gone()

    def _end_at_once(self) -> None:
        for number, seconds in ((signal.SIGTERM, 0.0), (signal.SIGKILL, _LAST)):
            self._loop.call_later(seconds, self._send_all, number)

    def _send_all(self, number: int) -> None:
        for worker in self.workers:
            os.kill(worker.pid, number)  # not waited for yet: the system has not given the number away

    async def _abandon(self) -> None:
        self._stopping = True
        self._watchdog.all_end()
        self.listening.close()
        self._end_at_once()
        while self.workers:
            await sleep(0.01)
        self.listening.abandon()
        self._shut_down()

    def _shut_down(self) -> None:
        self._watchdog.stop()
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_signal_handler(signal.SIGCHLD)
        self._factory.close()
        self.log.finish()

    def _check_gone(self) -> None:
        if not self.workers and not self._gone.done():
            self._gone.set_result(None)

    # The workers

    def _on_message(self, worker: WorkerHandle) -> None:
        words = worker.receive()
        if words is None:
            # If the process is still alive, the watchdog takes it for one that hangs.
            self._loop.remove_reader(worker.line)
            return
        if READY in words:
            self._on_ready(worker)
        if ENOUGH in words:
            self._replace(worker, f"has had {self._max_requests} requests")

    def _on_ready(self, worker: WorkerHandle) -> None:
        worker.ready = True
        if not self._serving:
            if all(each.ready for each in self.workers) and not self._all_ready.done():
                self._all_ready.set_result(None)
            return
        self.log.info(f"worker {worker.pid} serves")
        for each in self.workers:
            if each.successor is worker:
                each.leaving = True
                each.tell(STOP_ACCEPTING)
        self._restore_count()

    def _replace(self, worker: WorkerHandle, why: str) -> None:
        if not worker.enough:
            worker.enough = why
            self._restore_count()

    def _restore_count(self) -> None:
        """Fork workers that are missing; replace those that have had enough, one at a time."""
        if not self._serving or self._stopping or self._paused is not None:
            return
        try:
            while sum(not each.leaving and each.successor is None for each in self.workers) < self.count:
                self._fork()
            if any(each.successor is not None and not each.leaving for each in self.workers):
                return
            for worker in self.workers:
                if worker.enough and not worker.leaving:
                    self.log.info(f"worker {worker.pid} {worker.enough}: another takes its place")
                    worker.successor = self._fork()
                    return
        except OSError as error:
            self.log.error(f"a worker cannot be forked: {error.strerror}")
            self._pause_forking()

    def _fork(self) -> WorkerHandle:
        worker = self._factory.fork(self.workers, self._on_message)
        self.workers.append(worker)
        return worker

    def _pause_forking(self) -> None:
        self._pause = min(max(_PAUSE, 2 * self._pause), _LONGEST_PAUSE)
        if self._paused is None:
            self._paused = self._loop.call_later(self._pause, self._resume_forking)

    def _resume_forking(self) -> None:
        self._paused = None
        self._restore_count()

    def _reap(self) -> None:
        for worker in tuple(self.workers):
            code = worker.reap()
            if code is not None:
                self._factory.bury(worker)
                self.workers.remove(worker)
                self._on_end(worker, code)

    def _on_end(self, worker: WorkerHandle, code: int) -> None:
        for each in self.workers:
            if each.successor is worker:
                each.successor = None
        end = f"worker {worker.pid} ended {describe_exit(code)}"
        reason = worker.failure[1:].decode("utf-8", "replace").rstrip("\n")
        if reason:
            end += "".join(f"\n{escape(line)}" for line in reason.split("\n"))
        if self._stopping:
            if code and not self._failed:
                self.log.error(end)
            self._check_gone()
        elif not self._serving:
            if not self._all_ready.done():
                self.log.error(end)
                self._failed = f"worker {worker.pid} ended {describe_exit(code)} before it served"
                self._all_ready.set_result(None)
        elif worker.leaving and not code:
            self._restore_count()
        else:
            self.log.error(end) if code else self.log.info(end)
            if self._loop.time() - worker.born < _YOUNG:
                self._pause_forking()
            else:
                self._pause = 0.0
            self._restore_count()


def _least(numbers: Iterable[int | None]) -> int | None:
    return min((number for number in numbers if number is not None), default=None)
