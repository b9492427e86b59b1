"""Anything in any state: a Hypothesis machine drives a connection and checks the laws after every step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kissapi import HttpParser
from kissapi.core import BUSY, CLOSED, CLOSING, IDLE, LEGAL, STREAMING
from kissapi.http.pure import PureHttpParser
from tests.app import router
from tests.wire import Wire, parse_answers

HOST = b" HTTP/1.1\r\nHost: a\r\n"
GOOD = {  # request: status
    b"GET /" + HOST + b"\r\n": 200,
    b"GET /sleep/0.7" + HOST + b"\r\n": 200,
    b"GET /stream" + HOST + b"\r\n": 200,
    b"GET /big/3000" + HOST + b"\r\n": 200,
    b"GET /error" + HOST + b"\r\n": 500,
    b"GET /nope" + HOST + b"\r\n": 404,
    b"POST /echo" + HOST + b"Content-Length: 5\r\n\r\nhello": 200,
    b"POST /echo" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n": 200,
}
LAST = {
    b"GET /" + HOST + b"Connection: close\r\n\r\n": 200,
    b"GET / HTTP/1.0\r\n\r\n": 200,
    b"NONSENSE\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\n\r\n": 400,
    b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n": 501,
}

# What a step may lead to: any number of changes, each of which the connection itself checks.
REACHED = {state: {state} for state in LEGAL}
for _ in LEGAL:
    for reached in REACHED.values():
        reached.update(*(LEGAL[state] for state in tuple(reached)))


class Client(RuleBasedStateMachine):
    parser_class: Any = HttpParser

    @initialize(room=st.sampled_from([float("inf"), 100, 4000]))
    def connect(self, room: float) -> None:
        self.wire = Wire(router, self.parser_class, room=room, idle_timeout=1000)
        self.expected: list[int] = []
        self.over = False  # the client has sent its last request, or cannot know
        self.before = IDLE

    @rule(request=st.sampled_from(list(GOOD)), cuts=st.lists(st.integers(1, 60), max_size=4))
    def send_good(self, request: bytes, cuts: list[int]) -> None:
        self._send(request, cuts)
        if not self.over:
            self.expected.append(GOOD[request])

    @rule(request=st.sampled_from(list(LAST)), cuts=st.lists(st.integers(1, 60), max_size=4))
    def send_last(self, request: bytes, cuts: list[int]) -> None:
        self._send(request, cuts)
        if not self.over:
            self.expected.append(LAST[request])
            self.over = True

    @rule(seconds=st.sampled_from([0.01, 0.5, 3.0]))
    def wait(self, seconds: float) -> None:
        self.wire.wait(seconds)

    @rule(size=st.integers(1, 5000))
    def read(self, size: int) -> None:
        self.wire.take(size)

    @rule()
    def half_close(self) -> None:
        self.wire.send_eof()
        self.over = True

    @rule()
    def vanish(self) -> None:
        self.wire.lose()
        self.over = True

    def _send(self, request: bytes, cuts: list[int]) -> None:
        chunks = []
        for cut in cuts:
            chunks.append(request[:cut])
            request = request[cut:]
        self.wire.send(*[chunk for chunk in [*chunks, request] if chunk])

    @invariant()
    def the_laws_hold(self) -> None:
        if not hasattr(self, "wire"):
            return
        connection, transport = self.wire.connection, self.wire.transport
        assert connection.state in REACHED[self.before]
        self.before = connection.state
        if connection.state is CLOSED:
            assert connection not in self.wire.service.connections
            assert connection.parser is None
            assert not connection.pending
            self.over = True
        elif connection.state in (BUSY, STREAMING):
            assert connection.task is not None
        elif connection.state is CLOSING:
            assert transport.closing or transport.eof_sent
        else:
            assert connection.task is None
            assert connection.request is not None or transport.reading or not connection.writable

    def teardown(self) -> None:
        if not hasattr(self, "wire"):
            return
        lost = self.wire.transport.lost
        for _ in range(40):
            self.wire.take().wait(1)
        if not lost and not self.wire.transport.aborted:
            answers = [status for status, _, _ in parse_answers(self.wire.received)]
            assert answers[: len(self.expected)] == self.expected[: len(answers)]
            if not self.wire.closed:
                assert answers == self.expected
        self.wire.wait(2000)
        assert self.wire.connection.state is CLOSED or self.wire.closed


class PureClient(Client):
    parser_class = PureHttpParser


@pytest.mark.parametrize("machine", [Client, PureClient])
def test_anything_in_any_state_keeps_the_laws(machine: Any) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=150,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
