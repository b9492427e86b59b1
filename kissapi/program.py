"""Program: a process that serves until it is told to stop: its servers, its signals, its restart, its end."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from kissapi import signals
from kissapi.awaitables import running_loop
from kissapi.notify import notify
from kissapi.restart import Handed, Heir, inheritance, let_go

if TYPE_CHECKING:
    from kissapi.log import Log
    from kissapi.server import Server
    from kissapi.workers import Workers

importing = ""  # the module that the command line imports, while it does: what it has is served afterwards
# Seconds from a second signal to an end without further ado; `kissapi.service.CLEANUP` is one of them.
_PATIENCE = 2.0
_running: set[Program] = set()  # in this process


def serve(*servers: Server) -> None:
    """Serve several servers, each with its address, protocol and router, on one event loop, until a signal.

    SIGINT (Ctrl-C) and SIGTERM stop all of them gracefully, a second one at once; SIGHUP and SIGUSR2 start
    the program anew and hand the listening sockets over: see `kissapi.restart`.

    Raises `ValueError` for servers that need different event loops, and `SystemExit` with one line that says
    what to do if one of them cannot listen.

        serve(Server(port=8000, router=router), Server("127.0.0.1", 9000, router=admin))
    """
    Program(list(servers)).run()


class Program:
    """The servers of this process, and what becomes of them."""

    def __init__(self, servers: list[Server]) -> None:
        if not servers:
            raise ValueError("there is nothing to serve: serve(Server(…))")
        if len({(server.backend, server.loop_factory) for server in servers}) > 1:
            raise ValueError("servers that run together have one backend and one loop_factory")
        asked = {server.workers for server in servers if server.workers is not None}
        if len(asked) > 1:
            raise ValueError(f"servers that run together have the same workers: one number, not {asked}")
        self.servers = servers
        self._workers = asked.pop() if asked else None
        self._members: list[Server] | list[Workers] = servers  # who begins, stops and leaves
        self.heir: Heir | None = None  # who has taken over
        self._next: Heir | None = None  # who is about to
        self._handed: Handed = []  # the listening sockets, for heirs
        self._serving = False
        self._signalled = False
        self._again = False  # a restart is to follow as soon as there can be one
        self._loop: Any = None
        self._ended: Any = None  # a future: the heir has ended, or there is none
        self._watchdog: threading.Timer | None = None

    def run(self) -> None:
        """Serve, and return at the end. Raises `SystemExit` if it cannot begin, or as its heir ended."""
        try:
            running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("server.loop() starts an event loop, and one runs here: await server.run()")
        if importing and signals.in_main_thread():
            raise RuntimeError(
                f"the command line imports {importing}, and serves what is in it: "
                'there, what starts a server stands below if __name__ == "__main__":'
            )
        first = self.servers[0]
        _running.add(self)
        signals.keep()  # importing asyncio takes 40 ms, and more on a busy machine
        try:
            try:
                backend = first._backend()
            except ImportError as error:
                if not signals.in_main_thread():
                    raise
                raise SystemExit(f"kissapi: {error}") from None
            if self._workers is not None:
                self._run_master(self._workers)
            else:
                backend.run(self._serve(), first.loop_factory)
        except OSError as error:
            if not hasattr(error, "cannot_listen"):
                raise
            if not signals.in_main_thread():
                raise  # SystemExit would end a thread without a word
            raise SystemExit(f"kissapi: {error.strerror}") from None
        finally:
            if self._watchdog is not None:
                self._watchdog.cancel()
            if signals.in_main_thread():
                signals.give_back()
            self._close_handed()
            _running.discard(self)
        if self.heir is not None and (code := self.heir.ended()):
            raise SystemExit(code)

    def _run_master(self, count: int) -> None:
        if not signals.in_main_thread():
            raise RuntimeError("workers need signals, which reach the main thread alone: serve there")
        from kissapi.backends.loop import Loop
        from kissapi.workers import Workers

        self._members = [Workers(self.servers, count)]
        Loop().run_until_complete(self._serve())

    async def _serve(self) -> None:
        loop = self._loop = running_loop()
        if not signals.in_main_thread():
            await self._serve_all(loop)
            return
        for number in signals.ends():
            signals.take(number, self._on_end, loop)
        for number in signals.restarts():
            signals.take(number, self._on_restart, loop)
        for each in signals.early:
            self._on_restart(each, None)
        try:
            await self._serve_all(loop)
        finally:
            signals.give_back(loop)

    async def _serve_all(self, loop: Any) -> None:
        self._ended = loop.create_future()
        lives: list[tuple[Any, Any]] = []  # members and their tasks
        try:
            for member in self._members:
                if self._signalled:
                    break
                lives.append((member, member._begin()))
                if not await member.begun:
                    await lives.pop()[1]  # raises why, unless it was told to stop
        except BaseException:
            for member, life in reversed(lives):
                member.stop()
                await _end_of(life)
            raise
        if lives and not self._signalled:
            self._begun()
            self._serving = True
            if self._again:
                self.restart()
        for _, life in lives:  # all of them, before one that failed ends the loop
            await _end_of(life)
        if self.heir is not None or self._next is not None:
            await self._ended  # as its guardian
        for _, life in lives:
            life.result()

    def _begun(self) -> None:
        """All serve: tell whoever waits for that."""
        inheritance.ready()
        if inheritance.line is not None:
            self._loop.add_reader(inheritance.line, self._hear_guardian)
        else:  # of an heir, its guardian says so
            notify("READY=1")

    def _stop_all(self) -> None:
        for member in self._members:
            member.stop()

    def _leave_all(self) -> None:
        for member in self._members:
            member._leave()

    def _disown(self) -> None:
        """In a process that was forked from this one: close what it must not keep open.

        Or its clients would wait for nobody once we have ended, and a guardian would not hear of our end.
        """
        if self._members is self.servers:  # else what listens is for the workers
            for server in self.servers:
                for _, socks, _ in server._bound:
                    for sock in socks:
                        let_go(sock)
        for heir in (self.heir, self._next):
            if heir is not None:
                heir.disown()
        inheritance.disown()
        self._close_handed()

    # Signals: Python calls these between two steps of whatever runs, even of a handler that holds up the
    # loop.

    def _on_end(self, number: int, frame: object) -> None:
        self._close_handed()  # or who connects would wait for nobody
        for heir in (self.heir, self._next):
            if heir is not None:
                heir.signal(number)
        # By way of the loop: there, whatever has begun can be stopped. The second time it is at once.
        self._loop.call_soon_threadsafe(self._stop_all)
        if not self._signalled:
            self._signalled = True
            if inheritance.line is None:  # else its guardian says so
                notify("STOPPING=1")
            return
        if self._watchdog is None:
            # Not the loop's business: it may be held up, and at exit Python joins the threads of executors.
            self._watchdog = threading.Timer(_PATIENCE, os._exit, (1,))
            self._watchdog.daemon = True
            self._watchdog.start()

    def _on_restart(self, number: int, frame: object) -> None:
        self._loop.call_soon_threadsafe(self.restart)

    # Restart

    def restart(self) -> None:
        """Start the program anew, and leave once that one serves."""
        if self._ends():
            return
        # One that has begun already may have read the old version of the program: so another will follow.
        self._again = self._next is not None or not self._serving
        if self._again:
            return
        if not self._handed:
            self._handed = [
                (name, [sock.dup() for sock in socks], file)
                for member in self._members
                for name, socks, file in member._bound
            ]
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            self._next = Heir(self._handed, self._loop, self._hear_heir)
        except (OSError, ValueError) as error:  # ValueError: the sockets have been closed by a signal to end
            if not self._ends():
                self._stay(f"a new process cannot be started: {error}")
        else:
            if self._ends():  # since it was being made, and did not hear of that
                self._next.signal(signal.SIGTERM)

    def _ends(self) -> bool:
        """Whether a signal to end has come, which may be at any moment."""
        return self._signalled

    def _hear_heir(self, heir: Heir) -> None:
        code = heir.ended()
        if heir is self._next and code is not None:
            self._next = None
            if not self._signalled:
                self._stay(f"the new process ended with exit code {code} before it served")
                if self._again:
                    self.restart()
            elif self.heir is None:
                self._ended.set_result(None)
        elif heir is self._next and heir.ready and not self._signalled:
            before, self.heir, self._next = self.heir, heir, None
            notify("READY=1", f"STATUS=process {heir.process.pid} serves")
            self._say().info(f"process {heir.process.pid} has taken over")
            if before is not None:
                before.leave()
            else:
                self._leave_all()
            if self._again:
                self.restart()
        elif heir is self.heir and code is not None and not self._ended.done():
            self._ended.set_result(None)

    def _stay(self, why: str) -> None:
        notify("READY=1")
        log = self._say()
        log.error(f"{why}; the old one goes on")
        log.flush()

    def _say(self) -> Log:
        """The log of the first server, which after its end has one no more."""
        server = self.servers[0]
        return server.service.log if server.service is not None else server._make_log()

    def _hear_guardian(self) -> None:
        line = inheritance.line
        told = inheritance.told_to_leave()
        if told is None:
            self._loop.remove_reader(line)
        elif told:
            self._leave_all()

    def _close_handed(self) -> None:
        for _, socks, _ in self._handed:
            for sock in socks:
                sock.close()


async def _end_of(life: Any) -> None:
    """Wait until the task is done, however it ends."""
    if not life.done():
        ended = running_loop().create_future()
        life.add_done_callback(lambda _: ended.done() or ended.set_result(None))
        await ended


def _forked() -> None:
    for program in tuple(_running):
        program._disown()
    _running.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)
