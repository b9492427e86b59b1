"""Worker: a process that serves on the sockets of its master, and is told by a line from it when to stop.

It is a program like any other, except that it reports to its master, which stops it. The listening sockets
belong to all workers: it closes its copies, and refuses clients only if all workers stop together.

It answers PING, which shows that its loop turns. On STOP_ACCEPTING it leaves the sockets to the others, on
STOP it stops. It sends READY when it serves, ENOUGH when it has had `max_requests`, and FAILED and the reason
when it ends because of an error. `master.py` and `worker_handle.py` are the other end of the line.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kissapi.process.handover import close_in_fork
from kissapi.process.line import ENOUGH, PING, READY, STOP, STOP_ACCEPTING, hear, say
from kissapi.process.program import Program

if TYPE_CHECKING:
    from kissapi.process.accept_balance import Slot
    from kissapi.process.member import Member
    from kissapi.server import Server
    from kissapi.server.listening import ListeningSockets


class Worker(Program):
    """Serves `servers` in this process, each on the sockets in `listening`, and with its slot, if any."""

    _is_worker = True

    def __init__(
        self,
        servers: list[Server],
        listening: list[ListeningSockets],
        slots: list[Slot | None],
        line: socket.socket,
        max_requests: int | None,
    ) -> None:
        super().__init__(servers)
        self._workers = None  # it is a worker, and has none
        self._listening = listening
        self._slots = slots
        self._line = line
        self._left = max_requests or 0
        self._around = None if max_requests is None else self._counting

    def say(self, word: bytes) -> None:
        """Tell the master; from any thread."""
        say(self._line, word)

    async def _serve_all(self) -> None:
        self._line.setblocking(False)
        self._loop.add_reader(self._line, self._on_message)  # first: it may be told to stop while it begins
        await super()._serve_all()

    def _begin_each(self) -> Iterator[Member]:
        for server, listening, slot in zip(self.servers, self._listening, self._slots, strict=True):
            yield server.begin(listening=listening.for_worker(), slot=slot, around=self._around)

    def _report_serving(self) -> None:
        self.say(READY)

    def _close_inherited(self) -> None:
        super()._close_inherited()
        close_in_fork(self._line)

    def _on_message(self) -> None:
        words = hear(self._line)
        if words is None:
            return
        if not words:
            self._loop.remove_reader(self._line)
        if PING in words and self.serving:  # the master warns of one that takes long to begin
            self.say(PING)
        if STOP in words or not words:  # without a master, no worker takes the place of this one
            for member in self._members:
                if member.listening is not None:
                    member.listening.shared = False
        elif STOP_ACCEPTING not in words:
            return
        if not self._signalled:
            self._signalled = True
            self._stop_all()

    def _counting(self, handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def counted(request: Any) -> Any:
            self._left -= 1  # not exact with several loops: two may do it at once
            if self._left == 0:
                self.say(ENOUGH)
            return handle(request)

        return counted
