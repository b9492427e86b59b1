"""World: one run of a plan: what happens, and the laws that hold after each step.

The first failure ends a run. The laws are in `check` and `check_end`, and in client.py those of bytes.
"""

from __future__ import annotations

import gc
import random
import sys
import weakref
from collections import Counter
from contextlib import ExitStack
from typing import Any, NamedTuple
from unittest.mock import patch

from kissapi import core
from kissapi.backends import awaitables
from kissapi.backends import transport as backend
from kissapi.core import BUSY, CLOSED, CLOSING, IDLE, LEGAL, STREAMING
from kissapi.core.connection import BATCH
from kissapi.http.connection import Connection
from kissapi.http.limits import Limits
from kissapi.server import assembly as server
from tests import wire
from tests.simulate.app import App
from tests.simulate.client import Client
from tests.simulate.grounds import Link, ServerGround, WireGround, WireTransport
from tests.simulate.network import FakeThreads, SimulatedTransport
from tests.simulate.plan import Plan, Step
from tests.simulate.traffic import NEVER as UNANSWERED

MOST_WRITTEN = 200_100 + 1000  # the largest answer, and its head
_state: Any = core.Connection.state


class Failed(Exception):
    """A law does not hold; `at` is the number of the step."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(why)
        self.at = at


class Outcome(NamedTuple):
    """What was seen in a run."""

    counts: Counter[str]
    changes: Counter[tuple[str, str]]


class InOrder(dict[Any, None]):
    """A set that gives its members in the order they came: that of a real one depends on addresses."""

    def add(self, member: Any) -> None:
        self[member] = None

    def discard(self, member: Any) -> None:
        self.pop(member, None)


class Watched(Connection):
    """The real connection, each change of its state looked at."""

    world: World
    client: Any = None

    @property
    def state(self) -> str:
        return str(_state.__get__(self))

    @state.setter
    def state(self, state: str) -> None:
        try:
            before = _state.__get__(self)
        except AttributeError:
            before = state  # it is being made
        if before is not state:
            self.world.changes[before, state] += 1
            if state not in LEGAL[before]:
                self.world.fail(f"{self.client!r} goes from {before} to {state}")
            if state is CLOSING and self.client is not None:
                self.client.closing_since = self.world.now
        _state.__set__(self, state)

    def connection_made(self, transport: Any) -> None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            self.client = sock.client
            self.client.link.connection, self.client.link.transport = self, transport
            self.client.opened_at = self.world.now
        self.world.alive.append(weakref.ref(self))
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.state is CLOSED:
            self.world.fail(f"{self.client!r} is lost twice")
        super().connection_lost(error)


class World:
    """All of one run. The steps of a plan are methods here."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.failure: str | None = None
        self.at = 0
        self.count: Counter[str] = Counter()
        self.changes: Counter[tuple[str, str]] = Counter()
        self.alive: list[weakref.ref[Connection]] = []
        self.tasks: list[Any] = []
        self.clients: dict[int, Client] = {}
        self.stopped_at = float("inf")
        self.forced = False
        self.limits = Limits(**plan.limits)
        self.app = App(
            self.fail, lambda number: self.clients[number].gone or bool(self.clients[number].ended)
        )
        self.threads = FakeThreads(self, random.Random(f"{plan.seed} threads"))
        self.ground: Any = None

    @property
    def now(self) -> float:
        return float(self.ground.now())

    @property
    def stopping(self) -> bool:
        return bool(self.ground.service.stopping)

    def fail(self, why: str, error: BaseException | None = None) -> None:
        """A law does not hold."""
        if self.failure is None:
            self.failure = why
            if error is not None and error.__traceback__ is not None:
                import traceback

                self.failure += "\n" + "".join(traceback.format_exception(error))

    def run(self, on_step: Any = None) -> Outcome:
        """Raises `Failed`."""
        collecting = gc.isenabled()
        gc.disable()  # what is not freed at once by counting is held by a cycle
        with ExitStack() as stack:
            for where, name, stand_in in (
                (wire, "Connection", Watched),
                (wire, "FakeTransport", WireTransport),
                (server, "Connection", Watched),
                (backend, "Transport", SimulatedTransport),
                (awaitables, "threads", self.threads),
                (sys, "unraisablehook", lambda it: self.fail(f"unraisable: {it.exc_value!r} {it.object!r}")),
            ):
                stack.enter_context(patch.object(where, name, stand_in))
            Watched.world = self
            try:
                self._run(on_step)
                return Outcome(self.count, self.changes)
            finally:
                self._abandon()
                del Watched.world
                self.ground = None
                self.clients.clear()
                if collecting:
                    gc.enable()

    def _abandon(self) -> None:
        """Whatever a failure has left in the middle of something."""
        for coroutine in [task._coroutine for task in self.tasks if not task.done()] + [self.ground.main()]:
            try:
                coroutine.close()
            except BaseException:
                pass  # it wanted to wait for something
        self.tasks.clear()

    def _run(self, on_step: Any) -> None:
        self.ground = (WireGround if self.plan.ground == "wire" else ServerGround)(self, self.plan)
        self.ground.start()
        service = self.ground.service
        service.connections = InOrder()
        spawn = service.spawn

        def spawn_and_note(coroutine: Any, context: Any = None) -> Any:
            self.tasks.append(
                spawn(coroutine, context)
            )  # in no local: an error would hold this frame, and that the task
            return self.tasks[-1]

        service.spawn = spawn_and_note
        steps = [*self.plan.steps, *self._last_steps()]
        for self.at, step in enumerate(steps):
            self.count["steps"] += 1
            try:
                self._do(getattr(self, step.what), step)
                self._do(self.check)
            finally:
                if on_step is not None:
                    on_step(self, step)
        self._do(self.check_end)

    def _do(self, function: Any, *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception as error:
            self.fail(f"{type(error).__name__}: {error}", error)
        if self.failure is not None:
            raise Failed(self.failure, self.at)

    def _last_steps(self) -> list[Step]:
        """All that is on its way arrives and is read; then the server stops."""
        steps = []
        for number in range(len(self.plan.rooms)):
            steps += [Step("carry", number, 1 << 30), Step("read", number, float("inf"))]
        steps += [Step("wait", size=1), Step("wait", size=8), Step("check_answers")]
        if self.plan.seed % 2:
            steps += [Step("wait", size=20), Step("wait", size=130)]
        return [*steps, Step("stop"), Step("wait", size=11), Step("wait", size=35)]

    # Steps

    def say(self, step: Step) -> None:
        client = self.clients.get(step.client)
        if client is None:
            client = self.clients[step.client] = Client(self, step.client)
            self.ground.connect(client, self.plan.rooms[step.client])
            self.count["clients"] += 1
        if client.gone or client.ending or step.item is None:
            return
        client.say(step.item)
        self.count["requests"] += 1

    def carry(self, step: Step) -> None:
        client = self.clients.get(step.client)
        if client is None or client.gone or client.end_arrived:
            return
        data = bytes(client.outgoing[: int(step.size)])
        del client.outgoing[: len(data)]
        if data:
            client.arrived += len(data)
            client.arrivals.append((client.arrived, self.now))
            self.ground.carry(client, data, step.late)
        if client.ending and not client.outgoing and not client.gone:
            client.end_arrived = True
            self.ground.end(client, step.late)

    def read(self, step: Step) -> None:
        client = self.clients.get(step.client)
        if client is not None and not client.gone:
            self.ground.take(client, step.size)

    def end(self, step: Step) -> None:
        client = self.clients.get(step.client)
        if client is not None and not client.gone:
            client.ending = True
            self.count["half-closes"] += 1

    def reset(self, step: Step) -> None:
        client = self.clients.get(step.client)
        if client is not None and not client.gone and client.ended != "abort":
            self.count["resets"] += 1
            client.gone_at = self.now
            self.ground.reset(client)

    def wait(self, step: Step) -> None:
        self.ground.wait(step.size)

    def turn(self, step: Step) -> None:
        self.ground.turn(int(step.size))

    def exhaust(self, step: Step) -> None:
        if self.plan.ground != "wire":
            self.count["times without descriptors"] += 1
            self.ground.exhaust(step.size)

    def stop(self, step: Step) -> None:
        if self.stopped_at == float("inf"):
            self.count["stops"] += 1
            self.count["stops under load"] += bool(self.ground.service.connections)
            self.stopped_at = self.now
            self.ground.stop()

    def force(self, step: Step) -> None:
        if self.stopping:
            self.forced = True
            self.ground.force()

    # Laws

    def check(self) -> None:
        if self.plan.ground == "wire":
            self._end_the_stop()
        settled = self.ground.settled()
        for client in self.clients.values():
            if client.link is None or client.link.connection is None:
                continue
            self._check_connection(client, client.link, client.link.connection, settled)

    def _end_the_stop(self) -> None:
        """What a server does at the end of its patience."""
        if self.stopping and self.now >= self.stopped_at + self.limits.shutdown_timeout:
            self.ground.force()

    def _check_connection(self, client: Client, link: Link, connection: Any, settled: bool) -> None:
        state, service = connection.state, self.ground.service
        law = _Law(client, connection)
        law(state is CLOSED or connection in service.connections, "is not among the connections")
        law(len(connection.pending) <= self.limits.read_size, f"holds {len(connection.pending)} bytes")
        law(link.unsent() <= backend.HIGH_WATER + 2 * BATCH + MOST_WRITTEN, f"{link.unsent()} bytes unsent")
        parser = connection.parser
        if parser is not None:
            law(
                len(getattr(parser, "_head", b"")) <= self.limits.max_head + self.limits.read_size,
                "long head",
            )
            body = getattr(parser, "_body", None)
            law(body is None or sum(map(len, body._pieces)) <= self.limits.max_body, "long body")
        if state is CLOSED:
            law(connection not in service.connections, "is closed, and still among the connections")
            law(not connection.pending and parser is None, "is closed, and keeps what came")
            if settled:
                task = connection.task
                # A plain generator is closed in its thread, which may have others to serve first.
                at_work = client.number in self._at_work() or bool(self.threads.calls)
                law(task is None or at_work, "is closed, and its task goes on")
                if link.connection is connection:
                    link.connection = link.transport = None
            return
        sock = getattr(link, "sock", None)
        if settled and sock is not None and client.ended == "end" and not client.written:
            law(client.gone or sock.shut or sock.closed, "has not let the client know that it ends")
        if client.gone and settled:
            law(
                self.now - client.gone_at < 2 + 2 * service._period, "has not noticed that the client is gone"
            )
        if client.ended == "abort" or client.gone or not settled:
            return
        reading = link.transport.reading if self.plan.ground == "wire" else link.reading
        law(connection.reading == reading, "is wrong about reading")
        late = 2 * service._period + 1e-6  # a deadline may come late, by a tick, but not by more
        waited = self.now - connection.since
        blocked = not connection.writable or (state is CLOSING and connection.unsent)
        law(
            not blocked or waited <= self.limits.write_timeout + late,
            f"waits {waited} s for what is not taken",
        )
        if state in (BUSY, STREAMING):
            law(connection.task is not None, "has no task")
            law(connection.request is not None, "has no request")
            waiting = any(not waiter.done() for waiter in connection.waiters)
            law(not waiting or not connection.writable, "waits for a client that waits for it")
        elif state is CLOSING:
            law(bool(client.ended), "says nothing of its end")
            law(blocked or waited <= self.limits.linger_timeout + late, "lingers for long")
            law(reading or client.end_arrived or link.transport.is_closing(), "does not read to the end")
        else:
            law(connection.task is None, "has a task")
            law(reading or not connection.writable, "does not read")
            law(not connection.pending or not connection.writable, "has something to do and does it not")
            if connection.writable and connection.request is not None and parser.begun:
                patience = self.limits.head_timeout
                if parser.in_body:
                    came = client.arrivals[-1][1] if client.arrivals else 0.0
                    silence = self.now - max(came, connection.since)
                    law(silence <= self.limits.body_timeout + late, f"hears nothing for {silence} s")
                    patience = self.limits.body_timeout + connection.request._received / self.limits.body_rate
                law(waited <= patience + late, f"waits {waited} s for the rest, more than {patience}")
            elif connection.writable and not self.stopping:
                law(waited <= self.limits.idle_timeout + late, f"waits {waited} s for a request")

    def _at_work(self) -> set[int]:
        return {number // 1000 for number in self.app.running}

    def check_answers(self, step: Step) -> None:
        """Whoever reads, and was not cut off, has all answers but those that their handlers keep back."""
        for client in self.clients.values():
            due = client.due()
            if client.gone or client.ended or due is None or client.link.connection is None:
                continue
            if client.link.connection.state is not IDLE:
                continue  # a handler is at it, and check_end sees to it that it ends
            if due.end <= client.read and due.exact and due.fate is not UNANSWERED and not client.last:
                self.fail(f"{client} is owed {due}")

    def check_end(self) -> None:
        """Nothing is left of anybody."""
        service = self.ground.service
        if not self.ground.finished():
            self.fail(f"the server has not ended: {list(service.connections)}")
            return
        if service.connections:
            self.fail(f"still there: {list(service.connections)}")
        while self.threads.calls:
            self.threads.call()  # threads go on when the loop has ended
        if self.app.running:
            self.fail(f"begun and not ended: {sorted(self.app.running)}")
        if len(set(self.app.begun)) != len(self.app.begun):
            self.fail("a request was handled twice")
        for task in self.tasks:
            if not task.done():
                self.fail(f"still at work: {task} {task._coroutine}")
            del task  # it holds all there was
        self.tasks.clear()
        for left in self.ground.leftovers():
            self.fail(f"left over: {left}")
        for client in self.clients.values():
            if not client.gone and not client.ended:
                self.fail(f"{client} is neither answered nor told of the end")
            sock = getattr(client.link, "sock", None)
            if sock is not None and not sock.closed:
                self.fail(f"the socket of {client} is open")
            client.link = None
        self.ground.forget()
        for ref in self.alive:
            connection = ref()
            if connection is not None:
                self.fail(f"{connection} of {connection.client} is held by {gc.get_referrers(connection)}")  # type: ignore[attr-defined]


class _Law:
    """Says of a connection what is wrong with it."""

    def __init__(self, client: Client, connection: Any) -> None:
        self.client = client
        self.connection = connection

    def __call__(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.client.fail(f"{self.connection!r} {otherwise}")
