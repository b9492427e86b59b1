"""WorkerFactory: forks workers, and makes a forked process a worker.

The master has no threads and none of asyncio's loops: a fork would copy them in the middle of what they do.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from kissapi.backends.loop import running
from kissapi.process import signals
from kissapi.process.accept_balance import Slots
from kissapi.process.line import FAILED
from kissapi.process.worker import Worker
from kissapi.process.worker_handle import WorkerHandle

if TYPE_CHECKING:
    from kissapi.http.interfaces import Log
    from kissapi.process.accept_balance import Slot
    from kissapi.server import Server
    from kissapi.server.listening import ListeningSockets


class WorkerFactory:
    """Forks workers of `servers`, at most `most` at once; each accepts from the sockets of `listening`."""

    def __init__(
        self,
        servers: list[Server],
        listening: list[ListeningSockets],
        most: int,
        max_requests: int | None,
        loop: Any,
    ) -> None:
        self._servers = servers
        self._listening = listening
        self._slots = [Slots(most) for _ in servers]
        self._max_requests = max_requests
        self._loop = loop

    def prepare(self, log: Log) -> None:
        """Warn of threads that no worker will have, and keep what there is in memory that all will share."""
        if len(others := threading.enumerate()) > 1:
            names = ", ".join(each.name for each in others if each is not threading.current_thread())
            log.warning(
                f"workers are forked without the threads that run here ({names}): start them in on_start"
            )
        # A collection writes to every object it visits, and a page that is written to is no longer shared. So
        # it runs now, and the objects of this moment are exempt from all later ones.
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        """No worker is forked any more."""
        gc.unfreeze()

    def fork(self, others: list[WorkerHandle], on_message: Callable[[WorkerHandle], None]) -> WorkerHandle:
        """A new worker beside `others`; `on_message(worker)` is called when it says something.

        Raises `OSError` if the system has no room for one more process.
        """
        ours, theirs = socket.socketpair()
        slots = [each.assign() for each in self._slots]
        _flush()  # or both would write what is still in the buffers
        # None may come while the child still has the master's handlers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            self._release(slots)
            raise
        else:
            if not pid:
                ours.close()
                self._work(theirs, slots, others, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        worker = WorkerHandle(pid, ours, self._loop.time(), slots)
        self._loop.add_reader(ours, on_message, worker)
        return worker

    def bury(self, worker: WorkerHandle) -> None:
        """Close what the master has of a worker that has ended."""
        while worker.receive():
            pass  # its last words
        self._loop.remove_reader(worker.line)
        worker.line.close()
        self._release(worker.slots)

    def _release(self, slots: list[Slot | None]) -> None:
        for each, slot in zip(self._slots, slots, strict=True):
            each.release(slot)

    def _work(
        self, line: socket.socket, slots: list[Slot | None], others: list[WorkerHandle], mask: Iterable[int]
    ) -> NoReturn:
        """Be a worker, to the end of this process.

        It runs on top of the frames of the master, which are never returned to: leaving them by an exception
        would run all that is there for the end of the master.
        """
        code, reason = 1, ""
        try:
            self._reset_after_fork(others, mask)
            Worker(self._servers, self._listening, slots, line, self._max_requests).run()
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

    def _reset_after_fork(self, others: list[WorkerHandle], mask: Iterable[int]) -> None:
        """Give up what is the master's."""
        atexit._clear()  # what it registered is for its end: to remove its temporary files, for example
        running.loop = None
        self._loop.close()  # which puts back SIGCHLD, too
        # Before it has its own handlers, it would be killed by a signal that is for the master.
        signals.defer_restarts()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.setpgid(0, 0)  # or Ctrl-C would reach it twice: from the terminal, and from the master
        for worker in others:
            worker.line.close()  # or it would never hear that the master has died
        os.environ.pop("NOTIFY_SOCKET", None)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # closed, or never there
