"""The seams of the core, each by itself: senders, `take`, ends of input, room, batches, turns, states."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from kissapi.backends.tasks import Task
from kissapi.backends.threads import copy_context
from kissapi.core import (
    BUSY,
    CLOSED,
    CLOSING,
    IDLE,
    LEGAL,
    SENT,
    STREAMING,
    Connection,
    Fail,
    Request,
    Service,
)
from kissapi.core.connection import BATCH, TURN
from kissapi.extras.testing.loop import FakeLoop
from tests.core.protocols import LineParser, Route, Table, encode_line
from tests.wire import FakeTransport


class Lines:
    """A client of lines: each is a request for the path of that name; handlers by their names."""

    def __init__(self, room: float = float("inf"), **handlers: Callable[..., Any]) -> None:
        self.loop = FakeLoop()
        routes = [Route("GET", f"/{name}", handler) for name, handler in handlers.items()]
        self.service = Service(
            Table(routes).handle,
            LineParser,
            loop=self.loop,
            spawn=partial(Task, self.loop),
            clock=self.loop.time,
            context=copy_context(),
        )
        self.service.encode = encode  # type: ignore[method-assign]
        self.connection = Connection(self.service)
        self.transport = FakeTransport(self.loop, room)
        self.transport.connection = self.connection
        self.loop.do(self.connection.connection_made, self.transport)

    def send(self, data: bytes) -> Lines:
        self.loop.do(self.connection.data_received, data)
        return self

    def end(self) -> Lines:
        self.loop.do(self.connection.eof_received)
        return self

    @property
    def got(self) -> bytes:
        return bytes(self.transport.sent)


def encode(connection: Any, request: Request, result: Any) -> Any:
    """A callable result is a sender."""
    return result if callable(result) else encode_line(connection, request, result)


def test_a_sender_begins_when_all_before_it_is_out_and_holds_what_is_behind_it() -> None:
    seen: list[Any] = []

    async def one(request: Request) -> str:
        return "1"

    async def long(request: Request) -> Any:
        async def send(connection: Connection) -> Any:
            seen.append((bytes(lines.transport.sent), connection.state))
            connection.write(b"a")
            seen.append(connection.state)
            future = lines.loop.create_future()
            lines.loop.call_later(5, future.set_result, None)
            await future
            connection.write(b"b\n")
            return SENT

        return send

    lines = Lines(one=one, long=long)
    lines.send(b"one\nlong\none\n")
    assert seen == [(b"200 1\n", BUSY), STREAMING]
    assert lines.got == b"200 1\na"
    assert lines.connection.pending == b"one\n"
    assert not lines.transport.reading
    lines.loop.advance(6)
    assert lines.got == b"200 1\nab\n200 1\n"
    assert (lines.connection.state, lines.transport.reading) == (IDLE, True)


def test_what_a_sender_returns_or_raises_before_its_first_byte_is_answered() -> None:
    async def gives(request: Request) -> Any:
        async def send(connection: Connection) -> Any:
            return "another"

        return send

    async def raises(request: Request) -> Any:
        async def send(connection: Connection) -> Any:
            raise KeyError

        return send

    assert Lines(gives=gives, raises=raises).send(b"gives\nraises\ngives\n").got == (
        b"200 another\n500 Internal Server Error\n200 another\n"
    )


def test_take_gets_what_comes_while_the_handler_and_then_its_sender_are_at_work() -> None:
    taken: list[tuple[str, bytes]] = []

    async def duplex(request: Request) -> Any:
        connection = lines.connection
        connection.take = lambda data: taken.append((connection.state, data))
        future = lines.loop.create_future()
        lines.loop.call_later(1, future.set_result, None)
        await future

        async def send(connection: Connection) -> Any:
            connection.write(b"begun\n")
            future = lines.loop.create_future()
            lines.loop.call_later(1, future.set_result, None)
            await future
            connection.take = None
            return SENT

        return send

    lines = Lines(duplex=duplex)
    lines.send(b"duplex\n").send(b"x")
    lines.loop.advance(1.5)
    lines.send(b"y")
    lines.loop.advance(1)
    assert taken == [(BUSY, b"x"), (STREAMING, b"y")]
    assert lines.connection.state is IDLE


def test_what_is_not_taken_to_its_end_ends_the_connection() -> None:
    async def leaves(request: Request) -> str:
        lines.connection.take = lambda data: None
        future = lines.loop.create_future()
        lines.loop.call_later(1, future.set_result, None)
        await future
        return "done"

    lines = Lines(leaves=leaves)
    lines.send(b"leaves\n").send(b"rest")
    lines.loop.advance(2)
    assert lines.got == b"200 done\n"
    assert lines.connection.state is CLOSING
    assert lines.transport.eof_sent


@pytest.mark.parametrize("state", [BUSY, STREAMING])
def test_the_end_of_what_comes_is_told_at_once(state: str) -> None:
    told: list[str] = []

    async def slow(request: Request) -> Any:
        async def send(connection: Connection) -> Any:
            connection.on_eof += (lambda: told.append(connection.state),)
            if state is STREAMING:
                connection.write(b"x")
            await lines.loop.create_future()

        return send

    lines = Lines(slow=slow)
    lines.send(b"slow\n").end()
    assert told == [state]
    assert lines.connection.state is state  # it still gets its answer


def test_all_that_wait_for_room_go_on_when_there_is_some_or_the_client_has_left() -> None:
    went: list[str] = []

    async def wait(name: str) -> None:
        await lines.connection.drained()
        went.append(name)

    async def big(request: Request) -> str:
        return "x" * 100

    for leave in (False, True):
        went.clear()
        lines = Lines(room=10, big=big)
        lines.send(b"big\n")
        for name in ("a", "b"):
            lines.loop.do(lines.loop.create_task, wait(name))
        assert went == []
        if leave:
            lines.loop.do(lines.connection.connection_lost, None)
        else:
            lines.loop.do(lines.transport.take)
        assert went == ["a", "b"]


def test_answers_to_pipelined_requests_are_one_write_up_to_a_bound() -> None:
    async def short(request: Request) -> str:
        return "x"

    lines = Lines(short=short)
    lines.send(b"short\n" * 100)
    assert (lines.got, lines.transport.writes) == (b"200 x\n" * 100, 1)

    async def long(request: Request) -> str:
        return "x" * (BATCH // 2)

    lines = Lines(long=long)
    lines.send(b"long\n" * 7)
    assert lines.transport.writes == 4  # two in each turn, and the last
    assert lines.got.count(b"200 x") == 7


def test_a_client_that_pipelines_lets_others_have_a_turn() -> None:
    async def tick(request: Request) -> str:
        lines.loop.clock.now += TURN / 3
        order.append("ours")
        return "x"

    order: list[str] = []
    lines = Lines(tick=tick)
    lines.loop.calls.append((order.append, ("others",)))
    lines.loop.do(lines.connection.data_received, b"tick\n" * 10)
    assert order.index("others") < 5
    assert order.count("ours") == 10
    assert lines.transport.reading


def test_a_parser_that_refuses_a_whole_message_keeps_its_connection() -> None:
    class Choosy(LineParser):
        def feed_data(self, data: bytes) -> None:
            super().feed_data(data)
            if self.request.path == "/no":
                raise Fail(403, "no")

    async def one(request: Request) -> str:
        return "1"

    lines = Lines(one=one)
    lines.service.make_parser = Choosy
    lines.send(b"one\nno\non").send(b"e\nno\n")
    assert lines.got == b"200 1\n403 no\n" * 2
    assert (lines.connection.state, lines.connection.close_after) == (IDLE, False)


def test_a_state_that_may_not_follow_is_a_mistake() -> None:
    lines = Lines()
    for state in LEGAL:
        for after in LEGAL:
            lines.connection.state = state
            if after in LEGAL[state]:
                lines.connection.become(after)
                assert lines.connection.state is after
            else:
                with pytest.raises(RuntimeError, match=f"{state}.* cannot become {after}"):
                    lines.connection.become(after)
    lines.connection.state = CLOSED
