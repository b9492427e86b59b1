"""Grounds: where clients meet connections: over the fake transport of tests/wire.py, or in a whole Server.

Both are driven by the same words, so one plan runs on either.
"""

from __future__ import annotations

import io
import random
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi import Request, Server
from kissapi.backends import awaitables
from kissapi.backends.loop import running
from kissapi.backends.poll import READ
from kissapi.backends.tasks import Task
from kissapi.http.service import Service
from kissapi.log import Log
from kissapi.routing.dispatch import Dispatch
from kissapi.server.listening import Bound, ListeningSockets
from tests import wire
from tests.simulate.network import FakeListener, FakeSocket, SimulatedLoop

if TYPE_CHECKING:
    from tests.simulate.client import Client

MANY_TURNS = 20_000


class Link:
    """A ground's end of one client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.reading = True
        self.connection: Any = None
        self.transport: Any = None

    def paused(self, paused: bool) -> None:
        if self.reading != paused:
            self.client.fail("paused twice" if paused else "resumed twice")
        self.reading = not paused

    def unsent(self) -> int:
        return int(self.transport.get_write_buffer_size()) if self.transport is not None else 0


# Over the fake transport


class WireTransport(wire.FakeTransport):
    """The fake transport, overheard."""

    client: Any = None

    def write(self, data: bytes) -> None:
        if self.aborted:
            return  # as the real ones have it
        if not self.unsent:
            self.client.taken_at = self.client.world.now
        self.client.wrote(data)
        super().write(data)

    def _send(self) -> None:
        before = len(self.sent)
        super()._send()
        if len(self.sent) > before:
            self.client.took(bytes(self.sent[before:]))

    def write_eof(self) -> None:
        self.client.ends()
        super().write_eof()

    def close(self) -> None:
        self.client.ends()
        super().close()

    def abort(self) -> None:
        self.client.aborted()
        super().abort()


class WireLoop(wire.FakeLoop):
    """The fake loop, with the threads that are made of dice."""

    def submit(self, call: Callable[[], None]) -> None:
        awaitables.threads.submit(call)


class Backlog(deque[bytes]):
    """What a client has sent and the server not yet read."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def popleft(self) -> bytes:
        data = super().popleft()
        self.client.read += len(data)
        return data


class WireGround:
    """Connections over the fake transport: what is said is read at once, unless time goes first."""

    name = "wire"

    def __init__(self, world: Any, settings: Any) -> None:
        self.world = world
        self.loop = WireLoop()
        self.loop.clock.now = 0.0
        self.service = Service(
            loop=self.loop,
            spawn=partial(Task, self.loop),
            dispatch=Dispatch(world.app.router, world.limits.max_body),
            parser_class=settings.parser_class,
            request_class=Request,
            limits=world.limits,
            log=Log(io.StringIO()),
            clock=self.loop.time,
        )
        self.service.has_input = self._has_input
        self.service.is_gone = lambda transport: bool(transport.lost)
        self.wires: dict[int, wire.Wire] = {}

    def start(self) -> None:
        pass

    def now(self) -> float:
        return self.loop.now

    def _has_input(self, transport: Any) -> bool:
        return bool(self.wires[transport.client.number].backlog)

    def connect(self, client: Client, room: float) -> None:
        if self.service.stopping:
            client.gone = True
            return
        link = client.link = Link(client)
        one = self.wires[client.number] = wire.Wire(self.world.app.router, service=self.service, room=room)
        one.backlog = Backlog(client)
        one.transport.client = client  # type: ignore[attr-defined]
        one.connection.client = client  # type: ignore[attr-defined]
        link.connection, link.transport = one.connection, one.transport

    def carry(self, client: Client, data: bytes, late: bool) -> None:
        one = self.wires[client.number]
        size = self.world.limits.read_size
        chunks = [data[index : index + size] for index in range(0, len(data), size)]
        if late:
            one.backlog.extend(chunks)
        else:
            for chunk in chunks:
                one.send(chunk)

    def end(self, client: Client, late: bool) -> None:
        one = self.wires[client.number]
        one.backlog.append(b"")
        if not late:
            one.send()

    def reset(self, client: Client) -> None:
        client.gone = True
        self.wires[client.number].lose(ConnectionResetError("reset by the client"))

    def take(self, client: Client, size: float) -> None:
        self.wires[client.number].take(size)

    def turn(self, turns: int) -> None:
        before, running.loop = running.loop, self.loop  # type: ignore[assignment]
        try:
            self.loop.run()
            for _ in range(MANY_TURNS):
                if not self.world.threads.work():
                    break
                self.loop.run()
        finally:
            running.loop = before
        for one in self.wires.values():
            one.send()

    def wait(self, seconds: float) -> None:
        end = self.loop.now + seconds
        while self.world.threads.calls and self.world.threads.calls[0][0] <= end:
            self._advance(max(0.0, self.world.threads.calls[0][0] - self.loop.now))
            self.turn(1)
        self._advance(end - self.loop.now)
        self.turn(1)

    def _advance(self, seconds: float) -> None:
        before, running.loop = running.loop, self.loop  # type: ignore[assignment]
        try:
            self.loop.advance(seconds)
        finally:
            running.loop = before

    def settled(self) -> bool:
        return not self.loop.calls

    def stop(self) -> None:
        before, running.loop = running.loop, self.loop  # type: ignore[assignment]
        try:
            self.service.stop()
            self.loop.run()
        finally:
            running.loop = before

    def force(self) -> None:
        for connection in tuple(self.service.connections):
            connection.transport.abort()
        self.turn(1)

    def finished(self) -> bool:
        return not self.service.connections

    def main(self) -> Any:
        return io.StringIO()  # nothing to be closed

    def leftovers(self) -> list[str]:
        live = [timer for _, _, timer in self.loop.timers if timer.callback is not None]
        return [f"timer {timer.callback}" for timer in live]

    def forget(self) -> None:
        for one in self.wires.values():
            one.transport.connection = None  # as real transports do
        self.wires.clear()


# Through a whole Server


class Silent:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str, *arguments: Any, **more: Any) -> None:
        pass

    def warning(self, text: str, *arguments: Any, **more: Any) -> None:
        pass

    error = warning


class ServerGround:
    """A real Server on the selectors backend, from accept to the end."""

    name = "selectors"

    def __init__(self, world: Any, settings: Any) -> None:
        self.world = world
        self.time = 0.0
        self.dice = random.Random(f"{settings.seed} kernel")
        self.loop = SimulatedLoop(world, self.dice)
        self.loop.on_error = self._error
        self.listener = FakeListener(world)
        self.server = Server(
            "127.0.0.1",
            8000,
            router=world.app.router,
            backend="selectors",
            parser_class=settings.parser_class,
            logger=Silent(),  # type: ignore[arg-type]
            **settings.limits,
        )
        self.task: Any = None

    def _error(self, error: BaseException) -> None:
        self.world.fail(f"a callback raised {error!r}", error)

    def start(self) -> None:
        running.loop = self.loop
        try:
            bound = Bound(self.server.addresses[0], [self.listener], None)  # type: ignore[list-item]
            self.task = self.server.begin(listening=ListeningSockets([bound])).life
        finally:
            running.loop = None
        service = self.server.service
        if service is None:
            self.task.result()  # raises
        assert service is not None
        self.service = service
        service.clock = self.loop.time
        service.has_input = lambda transport: bool(transport.get_extra_info("socket").events() & READ)

        service.is_gone = lambda transport: bool(transport.get_extra_info("socket").reset)

    def now(self) -> float:
        return self.time

    def connect(self, client: Client, room: float) -> None:
        if self.listener.closed:
            client.gone = True
            return
        client.link = Link(client)
        client.link.sock = FakeSocket(client, room, self.dice)
        self.listener.queue.append(client.link.sock)

    def exhaust(self, seconds: float) -> None:
        self.listener.exhausted_until = self.time + seconds

    def carry(self, client: Client, data: bytes, late: bool) -> None:
        if not client.link.sock.closed:
            client.link.sock.inbox += data

    def end(self, client: Client, late: bool) -> None:
        pass  # the socket looks at the client

    def reset(self, client: Client) -> None:
        client.gone = client.link.sock.reset = True
        client.link.sock.inbox.clear()

    def take(self, client: Client, size: float) -> None:
        client.link.sock.room += size

    def turn(self, turns: int) -> None:
        """That many turns of the loop; 0: until nothing is left to do."""
        hooks = _hooks(self.loop)
        running.loop = self.loop
        try:
            for _ in range(turns or MANY_TURNS):
                worked = self.world.threads.work()
                if not worked and not turns and not self._due():
                    break
                self.loop._turn()
            else:
                if not turns:
                    self.world.fail("the loop goes round and round")
        finally:
            running.loop = None
            _hooks(*hooks)

    def _due(self) -> bool:
        return self.loop.busy() or self.loop.next_time() <= self.time

    def wait(self, seconds: float) -> None:
        end = self.time + seconds
        self.turn(0)
        while True:
            calls = self.world.threads.calls
            moment = min(self.loop.next_time(), calls[0][0] if calls else float("inf"))
            if moment > end:
                break
            self.time = max(self.time, moment)
            self.turn(0)
        self.time = end

    def settled(self) -> bool:
        return not self._due()

    def stop(self) -> None:
        self.server.stop()

    def force(self) -> None:
        self.server.stop()  # the second time

    def finished(self) -> bool:
        return bool(self.task.done())

    def main(self) -> Any:
        return self.task._coroutine

    def leftovers(self) -> list[str]:
        self.task.result()
        left = [f"{timer.callback}" for _, _, timer in self.loop._timers if timer.callback is not None]
        return left + [f"watched: {sock}" for sock in self.loop._poll.map]

    def forget(self) -> None:
        self.loop._timers.clear()


def _hooks(*arguments: Any) -> tuple[Any, Any]:
    """Have async generators finished by a loop, or by what did it before; gives what did it until now."""
    before = sys.get_asyncgen_hooks()
    if len(arguments) == 1:
        sys.set_asyncgen_hooks(finalizer=arguments[0]._finish_generator)
    else:
        sys.set_asyncgen_hooks(*arguments)
    return before[0], before[1]
