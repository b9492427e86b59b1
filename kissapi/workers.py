"""Workers: several processes that serve the same sockets, and the master that looks after them.

Law: the master serves nobody and runs nothing of the app, so nothing of the app can break it: it binds,
forks, listens to its workers, and ends whom it must. A worker that ends is replaced, after a pause if it died
young; one that does not answer is killed; one that has had enough leaves only when another serves in its
place. The master has no threads and none of asyncio's loops: a fork would copy them in the middle of what
they do.

All workers accept from the same sockets. With SO_REUSEPORT each would have its own, and the kernel would deal
clients evenly but blindly: also to a worker that is held up; and who waits at one that dies is reset. See
`kissapi.share` for how the clients of one queue are dealt evenly.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from kissapi import signals
from kissapi.awaitables import running_loop, sleep
from kissapi.backends.loop import running
from kissapi.log import escape
from kissapi.share import Shares
from kissapi.worker import ENOUGH, FAILED, LEAVE, PING, READY, STOP, Worker, WorkerProcess, how, memory_of

if TYPE_CHECKING:
    from kissapi.restart import Handed
    from kissapi.server import Server
    from kissapi.share import Share

_YOUNG = 10.0  # seconds; what kills one so early will most likely kill the next
_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds until the next is forked, doubled each time one dies young
_PINGS = 3  # that are not answered: it hangs
_LOOK = 1.0  # seconds between two looks at the memory of the workers
_LAST = 1.5  # seconds from SIGTERM to SIGKILL, where all is to end at once; CLEANUP of them for handlers


class Workers:
    """`count` processes that serve `servers`: for a `Program`, all together are like one server."""

    def __init__(self, servers: list[Server], count: int) -> None:
        self.servers = servers
        self.count = count
        self.workers: list[WorkerProcess] = []
        limits = [server.limits for server in servers]
        self._timeout = min(each.worker_timeout for each in limits)
        self._max_requests = _least(each.max_requests for each in limits)
        self._max_memory = _least(each.max_memory for each in limits)
        # Of each server; many may be leaving while others have begun.
        self._shares = [Shares(4 * count + 16) for _ in servers]
        self._listening: list[list[socket.socket]] = []
        self._pause = 0.0
        self._paused: Any = None  # a timer, while nobody is forked
        self._timers: dict[str, Any] = {}
        self._failed = ""  # why they cannot begin
        self._loop: Any = None
        self._serving = self._stopping = self._leaving = False
        self._told = False  # to stop, before they serve

    # What a program asks of a server

    @property
    def _bound(self) -> Handed:
        return [entry for server in self.servers for entry in server._bound]

    def _begin(self) -> Any:
        """A task that serves, from the start to the end; it can be stopped from now on."""
        self._loop = running_loop()
        self.begun = self._loop.create_future()  # whether they serve, once that is known
        return self._loop.create_task(self._live())

    async def _live(self) -> None:
        try:
            async with self:
                self.begun.set_result(True)
                await self._gone
        finally:
            if not self.begun.done():
                self.begun.set_result(False)

    async def __aenter__(self) -> Workers:
        self._begun = self._loop.create_future()  # done once all are ready, or it has come to nothing
        self._gone = self._loop.create_future()  # done when the last has ended
        self.log = self.servers[0]._make_log()
        self._check_memory()
        try:
            for server in self.servers:
                self._listening.append(server._bind())
                server._locate(self._listening[-1])
                server._backend()  # imported once for all
            if len(others := threading.enumerate()) > 1:
                names = ", ".join(each.name for each in others if each is not threading.current_thread())
                self.log.warning(
                    f"workers are forked without the threads that run here ({names}): start them in on_start"
                )
            # A collection writes to all it looks at, and what is written is shared no more; so it is done
            # now, and what there is then is never looked at again.
            gc.collect()
            gc.freeze()
            self._loop.add_signal_handler(signal.SIGCHLD, self._reap)
            for _ in range(self.count):
                self._fork()
            self._ping()
            await self._begun
        except OSError as error:
            if hasattr(error, "cannot_listen"):
                raise
            raise SystemExit(f"kissapi: a worker cannot be forked: {error.strerror}") from None
        finally:
            if not self._begun.done() or self._failed:
                await self._abandon()
        if self._failed:
            raise SystemExit(f"kissapi: {self._failed}")
        self._serving = True
        if all(worker.ready for worker in self.workers):  # else it is to end before it has begun
            self.log.info(
                f"{self.count} workers are ready: {', '.join(str(each.pid) for each in self.workers)}"
            )
            for server in self.servers:
                server._announce(self.log)
        if self._told:
            self._end(STOP)
        if self._max_memory is not None:
            self._look()
        self._mend()  # if one has ended this very moment
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._stopping:
            self._end(STOP)
        await self._gone
        if not self._leaving:
            for server in self.servers:
                server._remove_files()
        self._quiet()

    def stop(self) -> None:
        """Stop all of them; the second time at once."""
        if self._loop is not None:  # else they have not begun
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        if not self._serving:
            self._told = True
            if not self._begun.done():
                self._begun.set_result(None)
        elif not self._stopping:
            self._end(STOP)
        else:
            self._end_at_once()

    def _leave(self) -> None:
        if not self._stopping:
            self._leaving = True
            self._end(LEAVE)

    # The end

    def _end(self, word: bytes) -> None:
        self._stopping = True
        self._close()  # the last worker that closes its own then ends the listening
        for worker in self.workers:
            worker.tell(word)
            worker.silent = 0  # it may have been slow to begin, which is no crime
        if not self.workers and not self._gone.done():
            self._gone.set_result(None)

    def _end_at_once(self) -> None:
        for number, seconds in ((signal.SIGTERM, 0.0), (signal.SIGKILL, _LAST)):
            self._loop.call_later(seconds, self._send_all, number)

    def _send_all(self, number: int) -> None:
        for worker in self.workers:
            os.kill(worker.pid, number)  # our children, not yet waited for: these are no one else's numbers

    async def _abandon(self) -> None:
        self._stopping = True
        self._close()
        self._end_at_once()
        while self.workers:
            await sleep(0.01)
        for server in self.servers:
            server._remove_files()
        self._quiet()

    def _close(self) -> None:
        for listening in self._listening:
            for sock in listening:
                sock.close()

    def _quiet(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._loop.remove_signal_handler(signal.SIGCHLD)
        gc.unfreeze()
        self.log.finish()

    # Looking after them

    def _hear(self, worker: WorkerProcess) -> None:
        words = worker.heard()
        if words is None:
            self._loop.remove_reader(worker.line)  # should it be alive after all, it hangs
            return
        if READY in words:
            self._is_ready(worker)
        if ENOUGH in words:
            self._replace(worker, f"has had {self._max_requests} requests")

    def _is_ready(self, worker: WorkerProcess) -> None:
        worker.ready = True
        if not self._serving:
            if all(each.ready for each in self.workers) and not self._begun.done():
                self._begun.set_result(None)
            return
        self.log.info(f"worker {worker.pid} serves")
        for each in self.workers:
            if each.successor is worker:
                each.leaving = True
                each.tell(LEAVE)
        self._mend()

    def _replace(self, worker: WorkerProcess, why: str) -> None:
        if not worker.enough:
            worker.enough = why
            self._mend()

    def _mend(self) -> None:
        """Fork whom we miss, and a successor of one that has had enough: of one at a time."""
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
            self._wait()

    def _wait(self) -> None:
        self._pause = min(max(_PAUSE, 2 * self._pause), _LONGEST_PAUSE)
        if self._paused is None:
            self._paused = self._timers["pause"] = self._loop.call_later(self._pause, self._go_on)

    def _go_on(self) -> None:
        self._paused = None
        self._mend()

    def _reap(self) -> None:
        for worker in tuple(self.workers):
            code = worker.take_up()
            if code is not None:
                while worker.heard():
                    pass  # its last words
                self._loop.remove_reader(worker.line)
                worker.line.close()
                self.workers.remove(worker)
                for place, share in zip(self._shares, worker.shares, strict=True):
                    place.give_back(share)
                self._ended(worker, code)

    def _ended(self, worker: WorkerProcess, code: int) -> None:
        for each in self.workers:
            if each.successor is worker:
                each.successor = None
        end = f"worker {worker.pid} ended {how(code)}"
        reason = worker.failure[1:].decode("utf-8", "replace").rstrip("\n")
        if reason:
            end += "".join(f"\n{escape(line)}" for line in reason.split("\n"))
        if self._stopping:
            if code and not self._failed:
                self.log.error(end)
            if not self.workers and not self._gone.done():
                self._gone.set_result(None)
        elif not self._serving:
            if not self._begun.done():
                self.log.error(end)
                self._failed = f"worker {worker.pid} ended {how(code)} before it served"
                self._begun.set_result(None)
        elif worker.leaving and not code:
            self._mend()
        else:
            self.log.error(end) if code else self.log.info(end)
            if self._loop.time() - worker.born < _YOUNG:
                self._wait()
            else:
                self._pause = 0.0
            self._mend()

    def _ping(self) -> None:
        period = max(0.02, self._timeout / _PINGS)
        self._timers["ping"] = self._loop.call_later(period, self._ping)
        for worker in self.workers:
            # Its start may take as long as it likes; but when all end, nobody is waited for.
            if worker.silent >= _PINGS and (worker.ready or self._stopping):
                self.log.error(f"worker {worker.pid} has not answered for {self._timeout:g} s: killed")
                os.kill(worker.pid, signal.SIGKILL)
            elif worker.silent == _PINGS:
                self.log.warning(f"worker {worker.pid} has not begun to serve for {self._timeout:g} s")
            worker.silent += 1
            if worker.silent <= _PINGS:
                worker.tell(PING)

    def _check_memory(self) -> None:
        if self._max_memory is None:
            return
        memory = memory_of(os.getpid())
        if memory is None:
            raise SystemExit("kissapi: max_memory needs /proc, which is not there; max_requests does not")
        if memory >= self._max_memory:
            raise SystemExit(
                f"kissapi: max_memory={self._max_memory} is less than this program has at its start: {memory}"
            )

    def _look(self) -> None:
        assert self._max_memory is not None
        self._timers["look"] = self._loop.call_later(_LOOK, self._look)
        for worker in tuple(self.workers):
            memory = memory_of(worker.pid) or 0
            if worker.ready and memory > self._max_memory:
                self._replace(worker, f"has {memory / (1 << 20):.0f} MiB of memory")

    # Forking

    def _fork(self) -> WorkerProcess:
        ours, theirs = socket.socketpair()
        shares = [each.take() for each in self._shares]
        _flush()  # or both would write what is still in the buffers
        # None may come while the child still has the master's handlers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            for place, share in zip(self._shares, shares, strict=True):
                place.give_back(share)
            raise
        else:
            if not pid:
                ours.close()
                self._work(theirs, shares, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        worker = WorkerProcess(pid, ours, self._loop.time(), shares)
        self.workers.append(worker)
        self._loop.add_reader(ours, self._hear, worker)
        return worker

    def _work(self, line: socket.socket, shares: list[Share | None], mask: Iterable[int]) -> NoReturn:
        """Be a worker, to the end of this process.

        It runs on top of the frames of the master, which are never returned to: leaving them by an exception
        would run all that is there for the end of the master.
        """
        code, reason = 1, ""
        try:
            self._forget(mask)
            for server, listening, share in zip(self.servers, self._listening, shares, strict=True):
                server.workers = None
                server._shared, server._share = listening, share
                server._files = {}  # the master removes them
            Worker(self.servers, line, self._max_requests).run()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
            reason = error.code if isinstance(error.code, str) else ""
        except BaseException:
            import traceback

            reason = traceback.format_exc()
        finally:
            try:
                atexit._run_exitfuncs()
                if reason:
                    line.setblocking(True)
                    line.sendall(FAILED + reason.encode("utf-8", "backslashreplace"))
                _flush()
            finally:
                os._exit(code)

    def _forget(self, mask: Iterable[int]) -> None:
        """Let go of what is the master's."""
        atexit._clear()  # what it registered is for its end: to remove its temporary files, for example
        running.loop = None
        self._loop._close()  # which puts back SIGCHLD, too
        signals.keep()  # before it has its own handlers, it would be killed by one that is for the master
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.setpgid(0, 0)  # or Ctrl-C would reach it twice: from the terminal, and from the master
        for worker in self.workers:
            worker.line.close()  # or it would never hear that the master has died
        os.environ.pop("NOTIFY_SOCKET", None)


def _least(numbers: Iterable[int | None]) -> int | None:
    return min((number for number in numbers if number is not None), default=None)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # closed, or never there
