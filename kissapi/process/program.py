"""Program: the servers of a process, from their start to the end of the process, with signals and restarts.

It begins and stops `Member`s: running servers, or one master with its workers. `signals.py` has the table of
signals, `restart.py` and `handover.py` have the successors. `serve` and `Server.loop` make a program.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop
from kissapi.process import import_guard, signals
from kissapi.process.handover import Handed, InheritedSockets, close_in_fork, inherited
from kissapi.process.restart import Restarts
from kissapi.process.systemd import notify
from kissapi.server.event_loop import import_backend

if TYPE_CHECKING:
    from kissapi.http.interfaces import Log
    from kissapi.process.member import Member
    from kissapi.server import Server

# Seconds from the second signal to an end without clean-up. `kissapi.http.roster.CLEANUP` takes one of them.
_PATIENCE = 2.0
_running: set[Program] = set()  # in this process


def serve(*servers: Server) -> None:
    """Serve several servers, each with its address, protocol and router, on one event loop, until a signal.

    SIGINT (Ctrl-C) and SIGTERM stop all of them gracefully, a second one at once; SIGHUP and SIGUSR2
    restart the program, and hand the listening sockets over: see `kissapi.process.restart`.

    Raises `ValueError` for servers that need different event loops or numbers of workers, and `SystemExit`
    with one line that says what to do if one of them cannot listen.

        serve(Server(port=8000, router=router), Server("127.0.0.1", 9000, router=admin))
    """
    Program(list(servers)).run()


class Program:
    """What serves `servers` in this process: `run` returns when they have ended."""

    _is_worker = False

    def __init__(self, servers: list[Server]) -> None:
        if not servers:
            raise ValueError("there is nothing to serve: serve(Server(…))")
        if len({(server.backend, server.loop_factory) for server in servers}) > 1:
            raise ValueError("servers that run together have one backend and one loop_factory")
        asked = {server.workers for server in servers if server.workers is not None}
        if len(asked) > 1:
            raise ValueError(f"servers that run together have the same workers: one number, not {asked}")
        self.servers = servers
        self.serving = False  # True once all of them serve, and after their end
        self._workers = asked.pop() if asked else None
        self._members: list[Member] = []  # those that have begun
        # Of several programs in the threads of a process, only the one that gets the signals is restarted.
        self._inherited = inherited if signals.in_main_thread() else InheritedSockets("")
        self._restarts: Restarts | None = None
        self._signalled = False  # a signal to end has come
        self._replaced = False  # another process serves in place of this successor
        self._loop: Any = None
        self._exit_timer: threading.Timer | None = None

    def run(self) -> None:
        """Serve, and return at the end.

        Raises `SystemExit` if it cannot begin, or with the exit code of the successor that has taken over.
        """
        try:
            running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("server.loop() starts an event loop, and one runs here: await server.run()")
        if signals.in_main_thread():
            import_guard.check()
        _running.add(self)
        signals.defer_restarts()  # importing asyncio takes 40 ms, more on a busy machine: a signal may come
        try:
            self._run()
        except OSError as error:
            if not hasattr(error, "cannot_listen"):
                raise
            if not signals.in_main_thread():
                raise  # SystemExit would end a thread without a word
            raise SystemExit(f"kissapi: {error.strerror}") from None
        finally:
            if self._exit_timer is not None:
                self._exit_timer.cancel()
            if signals.in_main_thread():
                signals.restore()
            if self._restarts is not None:
                self._restarts.close_handed()
            _running.discard(self)
        if self._restarts is not None and (code := self._restarts.exit_code()):
            raise SystemExit(code)

    def request_restart(self, why: str) -> bool:
        """Log `why` and restart the program, from any thread; end a successor that does not serve yet.

        Returns False and does nothing if the program does not run, if it ends, or if another process serves
        in its place. A successor that ends before it serves is a line in the log.

            program.request_restart("app.py changed")
        """
        restarts = self._restarts
        if self._signalled or self._replaced or (restarts is not None and restarts.successor is not None):
            return False
        if restarts is None and self._inherited.line is None:
            return False
        log = self.servers[0].settings.make_log()  # a new one: that of a server belongs to its loop
        log.info(f"{why}: restarting")
        log.finish()
        if self._inherited.ask_for_new():
            return True
        try:
            if restarts is not None:
                self._loop.call_soon_threadsafe(restarts.request_new)
        except RuntimeError:  # closed: the program has just ended
            return False
        return restarts is not None

    def _run(self) -> None:
        try:
            backend = import_backend(self.servers[0].backend)
        except ImportError as error:
            if not signals.in_main_thread():
                raise
            raise SystemExit(f"kissapi: {error}") from None
        if self._workers is None:
            backend.run(self._serve(), self.servers[0].loop_factory)
            return
        if not signals.in_main_thread():
            raise RuntimeError("workers need signals, which reach the main thread alone: serve there")
        from kissapi.backends.loop import Loop

        Loop().run_until_complete(self._serve())

    async def _serve(self) -> None:
        loop = self._loop = running_loop()
        self._restarts = Restarts(loop, self._sockets, self._stop_accepting, self._first_log)
        if not signals.in_main_thread():
            await self._serve_all()
            return
        handlers = {signals.END: self._on_end, signals.RESTART: self._on_restart, signals.IGNORE: _ignore}
        actions = signals.actions(self._is_worker)
        for number, action in actions.items():
            signals.install(number, handlers[action], loop)
        for each in signals.deferred:
            handlers[actions.get(each, signals.IGNORE)](each, None)
        try:
            await self._serve_all()
        finally:
            signals.restore(loop)

    async def _serve_all(self) -> None:
        assert self._restarts is not None
        try:
            begin_each = self._begin_each()
            while not self._signalled and (member := next(begin_each, None)) is not None:
                self._members.append(member)
                if not await member.begun:
                    await self._members.pop().life  # raises the reason, unless it was told to stop
        except BaseException:
            for member in reversed(self._members):
                member.stop()
                await _end_of(member.life)
            raise
        if self._members and not self._signalled:
            self.serving = True
            self._report_serving()
            self._restarts.enable()
        for member in self._members:  # all of them, before one that failed ends the loop
            await _end_of(member.life)
        await self._restarts.wait()
        for member in self._members:
            member.life.result()

    def _begin_each(self) -> Iterator[Member]:
        if self._workers is not None:
            from kissapi.process.master import Master

            master = Master(self.servers, self._workers, self._inherited.claim)
            master.begin()
            yield master
            return
        for server in self.servers:
            yield server.begin(claim=self._inherited.claim)

    def _report_serving(self) -> None:
        """All serve: tell the supervisor, or systemd."""
        self._inherited.report_ready()
        if self._inherited.line is not None:
            self._loop.add_reader(self._inherited.line, self._on_supervisor)
        else:  # for a successor, its supervisor tells systemd
            notify("READY=1")

    def _stop_all(self) -> None:
        for member in self._members:
            member.stop()

    def _stop_accepting(self) -> None:
        for member in self._members:
            member.stop_accepting()

    def _close_inherited(self) -> None:
        """In a process that was forked from this one: close what it must not keep open.

        Otherwise, once this process has ended, clients would still connect and get no answer, and the
        supervisor would not notice the end.
        """
        if self._workers is None:  # else the listening sockets are for the workers
            for member in self._members:
                for sock in member.listening.all if member.listening is not None else ():
                    close_in_fork(sock)
        if self._restarts is not None:
            self._restarts.close_inherited()
        self._inherited.close_inherited()

    # Signals. Python calls these between two steps of the main thread, even while a handler blocks the loop.

    def _on_end(self, number: int, frame: object) -> None:
        assert self._restarts is not None
        self._restarts.end(number)
        # Members are stopped in the loop. The second `stop` is at once.
        self._loop.call_soon_threadsafe(self._stop_all)
        if not self._signalled:
            self._signalled = True
            if self._inherited.line is None:  # else the supervisor tells systemd
                notify("STOPPING=1")
            return
        if self._exit_timer is None:
            # A thread, for the loop may be blocked; `_exit`, for Python waits for executors at exit.
            self._exit_timer = threading.Timer(_PATIENCE, os._exit, (1,))
            self._exit_timer.daemon = True
            self._exit_timer.start()

    def _on_restart(self, number: int, frame: object) -> None:
        assert self._restarts is not None
        self._loop.call_soon_threadsafe(self._restarts.request)

    def _sockets(self) -> Handed:
        """Copies of the listening sockets, for successors."""
        groups = [group for each in self._members if each.listening for group in each.listening.groups]
        return [(str(group.address), [sock.dup() for sock in group.sockets], group.file) for group in groups]

    def _first_log(self) -> Log:
        """The log of the first server; a new one, if that server has ended."""
        server = self.servers[0]
        return server.service.log if server.service is not None else server.settings.make_log()

    def _on_supervisor(self) -> None:
        """The supervisor has sent something, or has ended."""
        line = self._inherited.line
        told = self._inherited.is_told_to_stop_accepting()
        if told is None:
            self._loop.remove_reader(line)
        elif told:
            self._replaced = True
            self._stop_accepting()


async def _end_of(life: Any) -> None:
    """Wait until the task is done, however it ends."""
    if not life.done():
        ended = running_loop().create_future()
        life.add_done_callback(lambda _: ended.done() or ended.set_result(None))
        await ended


def _ignore(number: int, frame: object) -> None:
    pass


def _forked() -> None:
    for program in tuple(_running):
        program._close_inherited()
    _running.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)
