"""Links: state of a client, its notices, pushes to it: their order, their bounds, idle clients, the drain."""

from __future__ import annotations

import gc
import random
import threading
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kissapi import Fail, HttpParser, Link, Request, Response, Router, sleep, spawn
from kissapi.http.upgrade import Upgrade
from tests.certificates import trusting
from tests.peer import connect, until
from tests.serving import THREE, make, running
from tests.wire import Wire

told: list[Any] = []
clients: list[Client] = []


@pytest.fixture(autouse=True)
def _empty() -> None:
    told.clear()
    clients.clear()


class Client(Link):
    name = "a guest"

    def connected(self) -> None:
        told.append(("connected", self.client))
        clients.append(self)

    def stopping(self) -> None:
        self.push("bye")

    def lost(self, why: str) -> None:
        told.append(("lost", why))
        clients.remove(self)


class Call(Request):
    link: Client


class Line:
    """`path` a line; answers are lines, too."""

    link_class: type[Link] = Client

    def __init__(self, request: Call) -> None:
        self.request, self.held, self.unread, self.finished = request, b"", b"", False

    def feed_data(self, data: bytes) -> None:
        line, end, self.unread = (self.held + data).partition(b"\n")
        self.held = line
        if end:
            self.request.method, self.request.path, self.finished = "GET", f"/{line.decode()}", True

    def encode(self, response: Response) -> bytes:
        return b"%d %b\n" % (response.status, response.body)

    def encode_piece(self, piece: str) -> bytes:
        return f"> {piece}\n".encode()


router = Router()


@router.get("/hello")
async def hello(req: Call) -> str:
    return "world"


@router.get("/iam/{name}")
async def iam(req: Call) -> str:
    before, req.link.name = req.link.name, req.params["name"]
    return before


@router.get("/say")
async def say(req: Call) -> str:
    for client in clients:
        client.push(f"{req.link.name} speaks")
    return "said"


@router.get("/thread")
def from_a_thread(req: Call) -> str:
    for client in clients:
        client.push(threading.current_thread() is not threading.main_thread())
    return "said"


@router.get("/count")
async def count(req: Call) -> AsyncIterator[str]:
    for number in "123":
        yield number
        await sleep(1)


@router.get("/wait")
async def wait(req: Call) -> str:
    await sleep(5)
    return "waited"


@router.get("/close")
async def close(req: Call) -> str:
    req.link.push("the last")
    req.link.close()
    assert req.link.closed
    req.link.push("not sent")
    return "closed"


@router.get("/quit")
def quit_(req: Call) -> str:
    req.link.close()
    return "bye"


def wire_to(parser_class: Any = Line, **options: Any) -> Wire:
    return Wire(router, parser_class, Call, **options)


def test_a_client_has_state_from_its_first_moment_to_its_last() -> None:
    one, other = wire_to(), wire_to()
    assert told == [("connected", ("127.0.0.1", 50000))] * 2
    assert one.send(b"iam/ann\niam/eve\n").received == b"200 a guest\n200 ann\n"
    assert other.send(b"iam/bob\n").received == b"200 a guest\n"
    assert one.connection.link.name == "eve"
    link = one.connection.link
    assert not link.closed
    one.lose()
    assert told[2:] == [("lost", "client left")]
    assert link.closed
    link.push("nothing comes of it")
    link.close()


@pytest.mark.parametrize("state", ["idle", "half a message", "busy"])
def test_a_push_goes_out_at_once_whatever_the_client_does(state: str) -> None:
    wire = wire_to().send(
        {"idle": b"hello\n", "half a message": b"hello\nhel", "busy": b"hello\nwait\n"}[state]
    )
    for number in range(3):
        wire.loop.do(clients[0].push, number)
    assert wire.received == b"200 world\n> 0\n> 1\n> 2\n"
    assert (
        wire.send(b"lo\n" if state == "half a message" else b"hello\n")
        .wait(6)
        .received.endswith(b"200 world\n")
    )


def test_pushes_of_one_turn_are_one_write() -> None:
    wire = wire_to()
    wire.loop.do(lambda: [clients[0].push(number) for number in range(100)])
    assert wire.received.count(b"\n") == 100
    assert wire.transport.writes == 1


def test_a_push_is_behind_the_answers_before_it_and_before_what_comes_next() -> None:
    wire = wire_to().send(b"hello\nsay\n")
    assert wire.received == b"200 world\n200 said\n> a guest speaks\n"
    assert wire.send(b"thread\nhello\n").received.count(b"\n") == 6


def test_a_push_is_not_inside_of_an_answer_that_streams() -> None:
    wire = wire_to().send(b"count\nhello\n").wait(1)
    wire.loop.do(clients[0].push, "news")
    assert wire.received == b"> 1\n> 2\n"
    wire.wait(5)
    assert wire.received.startswith(b"> 1\n> 2\n> 3\n")
    assert sorted(wire.received.split(b"\n")[3:5]) == [b"200 world", b"> news"]


@pytest.mark.parametrize("path", ["hello", "count"])
def test_what_is_pushed_to_a_slow_client_is_bounded(path: str) -> None:
    wire = wire_to(room=10).send(f"{path}\n".encode())
    link = clients[0]
    link.max_unsent = 10_000
    for _ in range(1000):
        wire.loop.do(link.push, "x" * 97)
        assert len(wire.transport.unsent) + link._size <= 10_000 + 200
        if wire.transport.aborted:
            break
    assert wire.transport.aborted
    assert told[-1] == ("lost", "client takes nothing")
    assert not clients


def test_one_large_push_to_a_client_that_takes_it_is_no_slowness() -> None:
    wire = wire_to()
    clients[0].max_unsent = 1000
    for _ in range(3):
        wire.loop.do(clients[0].push, "x" * 100_000)
    assert len(wire.received) > 300_000


def test_send_waits_for_a_client_that_does_not_take_what_it_is_sent() -> None:
    wire, sent = wire_to(room=1000), []

    async def produce() -> None:
        for number in range(10):
            await clients[0].send("x" * 600)
            sent.append(number)

    wire.loop.do(wire.loop.create_task, produce())
    wire.wait(1)
    assert len(sent) == 1
    wire.take(600)
    wire.wait(1)
    assert len(sent) == 2
    wire.take().wait(1)
    assert len(sent) == 10


def test_send_ends_with_the_client() -> None:
    wire, ended = wire_to(room=10), []

    async def produce() -> None:
        await clients[0].send("x" * 600)
        ended.append(True)

    wire.loop.do(wire.loop.create_task, produce())
    assert not ended
    wire.lose().wait(1)
    assert ended


def test_close_ends_behind_the_answer_and_the_pushes() -> None:
    wire = wire_to().send(b"close\nhello\n")
    assert wire.received == b"200 closed\n> the last\n"
    assert wire.closed
    wire = wire_to().send(b"wait\n")
    wire.loop.do(clients[-1].close)
    assert not wire.closed
    assert wire.wait(6).received == b"200 waited\n"
    assert wire.closed


@pytest.mark.parametrize("what", ["half a message", "idle"])
def test_close_needs_no_answer(what: str) -> None:
    wire = wire_to().send(b"hel" if what == "half a message" else b"hello\n")
    wire.loop.do(clients[0].close)
    assert wire.closed
    wire.send_eof().wait(1)
    assert told[-1] == ("lost", "closed")


def test_an_idle_client_is_left_by_its_own_patience() -> None:
    wire = wire_to(idle_timeout=10)
    assert wire.wait(12).closed
    wire = wire_to(idle_timeout=10)
    clients[-1].idle_timeout = 100
    assert not wire.wait(99).closed
    wire.loop.do(clients[-1].push, "not idle")
    assert not wire.wait(99).closed
    assert wire.wait(5).closed
    wire = wire_to(idle_timeout=10)
    clients[-1].idle_timeout = float("inf")
    assert not wire.wait(10_000).closed


def test_a_client_that_is_pushed_to_and_takes_nothing_is_left() -> None:
    wire = wire_to(room=10, write_timeout=5)
    wire.loop.do(clients[0].push, "x" * 600)
    wire.wait(10)
    assert told[-1] == ("lost", "client takes nothing")


def test_a_server_that_stops_says_bye_and_closes_those_that_are_idle() -> None:
    wire = wire_to()
    wire.loop.do(wire.service.stop)
    assert wire.received == b"> bye\n"
    wire.wait(1)
    assert wire.closed
    assert told[-1] == ("lost", "closed")


def test_what_a_client_gets_that_sends_no_more() -> None:
    assert wire_to().send(b"say\n").send_eof().received == b"200 said\n> a guest speaks\n"


class Refusing(Client):
    def connected(self) -> None:
        super().connected()
        raise Fail(403, "not you")


class Failing(Client):
    def connected(self) -> None:
        super().connected()
        raise ZeroDivisionError


class Loud(Client):
    def lost(self, why: str) -> None:
        raise ZeroDivisionError

    def stopping(self) -> None:
        if self is clients[-2]:
            raise ZeroDivisionError
        super().stopping()


def test_connected_may_refuse() -> None:
    wire = wire_to(type("Parser", (Line,), {"link_class": Refusing}))
    assert wire.received == b"403 not you\n"
    assert wire.closed
    assert wire.lines[0].endswith(" [INFO] - - → 403 12B 0.0ms")
    wire.send_eof().wait(1)
    assert ("lost", "closed") not in told


def test_a_notice_that_fails_is_in_the_log_and_harms_no_other() -> None:
    wire = wire_to(type("Parser", (Line,), {"link_class": Failing}))
    assert (wire.received, wire.transport.aborted) == (b"", True)
    assert any("Parser cannot welcome a client" in line for line in wire.lines)
    wire = wire_to(type("Parser", (Line,), {"link_class": Loud}))
    other = Wire(router, Line, Call, service=wire.service)
    wire.loop.do(wire.service.stop)
    other.loop.run()
    assert other.received == b"> bye\n"
    wire.lose()
    assert any("Loud.stopping failed" in line for line in wire.lines)
    assert any("Loud.lost failed" in line for line in wire.lines)


def test_connected_may_start_a_task() -> None:
    class Ticking(Link):
        def connected(self) -> None:
            spawn(self.tick())

        async def tick(self) -> None:
            while not self.closed:
                await sleep(1)
                await self.send("tick")

    wire = wire_to(type("Parser", (Line,), {"link_class": Ticking}), idle_timeout=5).wait(20.5)
    assert wire.received == b"> tick\n" * 20
    wire.lose().wait(2)


def test_what_cannot_be_pushed_is_an_error_where_it_is_pushed() -> None:
    class Typed(Line):
        def encode_piece(self, piece: Any) -> Any:
            return {"a": 1}[piece]

    wire_to(Typed)
    with pytest.raises(KeyError):
        clients[0].push("b")
    with pytest.raises(TypeError, match=r"Typed\.encode_piece must return bytes, not 1"):
        clients[0].push("a")
    silent = type("Silent", (Line,), {"encode_piece": property()})
    wire_to(silent)
    with pytest.raises(TypeError, match="Silent has no encode_piece"):
        clients[1].push("a")


def test_whatever_happens_frames_are_whole_and_in_order() -> None:
    for seed in range(150):
        dice = random.Random(seed)
        wire = wire_to(room=dice.choice((20, 1000, float("inf"))), write_timeout=10_000, idle_timeout=10_000)
        link, pushed = clients[-1], 0
        asked: list[str] = []
        expected = {"hello": ["200 world"], "count": ["> 1", "> 2", "> 3"], "wait": ["200 waited"]}
        for _ in range(30):
            step = dice.choice(("ask", "ask", "half", "push", "push", "wait", "take"))
            if step in ("ask", "half"):
                asked.append(dice.choice(list(expected)))
                data = asked[-1].encode() + b"\n"
                at = dice.randrange(len(data)) if step == "half" else 0
                wire.send(*(part for part in (data[:at], data[at:]) if part))
            elif step == "push":
                for _ in range(dice.choice((1, 1, 5))):
                    wire.loop.do(link.push, f"push {pushed}")
                    pushed += 1
            elif step == "wait":
                wire.wait(dice.choice((0, 0.5, 3)))
            else:
                wire.take(dice.choice((7, 100)))
        for _ in range(40):
            wire.take().wait(6)
        lines = wire.received.decode().splitlines()
        assert [line for line in lines if "push" in line] == [
            f"> push {number}" for number in range(pushed)
        ], seed
        answers = [line for path in asked for line in expected[path]]
        assert [line for line in lines if "push" not in line] == answers, seed
        for at, line in enumerate(lines):
            if line == "> 1":
                assert lines[at : at + 3] == expected["count"], seed
        wire.lose()


def test_a_link_goes_with_its_connection_when_that_is_upgraded() -> None:
    class Linked(HttpParser):
        link_class = Client

    class Echo:
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

        def connection_lost(self, error: Exception | None) -> None: ...

    up = Router()

    @up.get("/")
    async def front(req: Call) -> Response:
        assert req.link is clients[0]
        with pytest.raises(TypeError, match="has no encode_piece"):
            req.link.push("not over HTTP")
        return Upgrade("echo", Echo())

    wire = Wire(up, Linked, Call)
    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").send(b"x")
    assert wire.received.endswith(b"\r\n\r\nx")
    assert clients
    wire.lose()
    assert told[-1] == ("lost", "client left")


def test_nothing_is_left_of_a_client_that_has_left() -> None:
    wire = wire_to().send(b"say\nhello\n")
    link = weakref.ref(clients[0])
    connection = weakref.ref(wire.connection)
    gc.collect()
    gc.disable()
    try:
        wire.lose().wait(1)
        wire.transport.connection = None
        del wire
        assert (link(), connection()) == (None, None)
    finally:
        gc.enable()


@pytest.mark.parametrize("loop", THREE)
def test_over_sockets(loop: str) -> None:
    server = make(loop, router, parser_class=Line, request_class=Call)
    with running(server), connect(server.port) as one, connect(server.port) as other:
        one.sendall(b"iam/ann\n")
        assert one.recv(100) == b"200 a guest\n"
        until(lambda: len(clients) == 2)
        one.sendall(b"say\n")
        assert other.recv(100) == b"> ann speaks\n"
        received = b""
        while received.count(b"\n") < 2:
            received += one.recv(100)
        assert received == b"200 said\n> ann speaks\n"
        other.sendall(b"thread\n")
        assert one.recv(100) == b"> True\n"
        clients[0].push("from afar")  # this is another thread
        assert one.recv(100) == b"> from afar\n"
        other.close()
        until(lambda: len(clients) == 1)
        assert told[-1] == ("lost", "client left")
        server.stop()
        assert one.recv(100) == b"> bye\n"
        assert one.recv(100) == b""
        one.close()
    assert not clients


@pytest.mark.parametrize("loop", THREE)
def test_nothing_behind_a_close_is_answered_though_it_came_in_one_packet(loop: str) -> None:
    with running(make(loop, router, parser_class=Line, request_class=Call)) as server:
        for line in b"close", b"quit":  # on the loop; in a worker thread
            with connect(server.port) as client:
                client.sendall(line + b"\nhello\nhello\n")
                assert b"world" not in b"".join(iter(lambda: client.recv(100), b""))


@pytest.mark.parametrize("loop", THREE)
def test_over_tls_a_greeting_a_push_and_a_goodbye(loop: str, pems: Path) -> None:
    class Greeting(Line):
        def greeting(self) -> bytes:
            return b"welcome\n"

    tls = {"certfile": pems / "cert.pem", "keyfile": pems / "key.pem"}
    server = make(loop, router, parser_class=Greeting, request_class=Call, **tls)
    with running(server), connect(server.port, tls=trusting(pems)) as client:
        assert client.recv(100) == b"welcome\n"
        clients[0].push("news")
        assert client.recv(100) == b"> news\n"
        server.stop()
        assert client.recv(100) == b"> bye\n"
        assert client.recv(100) == b""
        client.close()
