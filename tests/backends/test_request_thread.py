"""Request thread: what may block for one request runs in one worker thread, and never on the loop.

So what is bound to a thread, as sqlite3 is, works from the handler to the closing of its generator. Threads
are shared: a client that takes nothing holds none.
"""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from kissapi import Request, Response, Router, sleep
from kissapi.backends import awaitables
from kissapi.backends.threads import Place, Threads
from kissapi.extras.sse import sse
from tests import peer
from tests.peer import connect, until
from tests.serving import THREE, make, running

Noted = list[tuple[str, threading.Thread]]


def text_of(server: Any, path: str) -> str:
    status, body = peer.get(server.port, path)
    assert status in (200, 204), body
    return body.decode()


class Database:
    """One connection a request; sqlite3 raises `ProgrammingError` in any other thread."""

    def __init__(self) -> None:
        self.closed = 0
        self.router = router = Router()

        def connect() -> sqlite3.Connection:
            database = sqlite3.connect(":memory:")
            database.execute("CREATE TABLE t (n)")
            database.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(50)])
            return database

        def rows(database: sqlite3.Connection) -> Iterator[str]:
            try:
                for (number,) in database.execute("SELECT n FROM t"):
                    yield f"{number}\n"
            finally:
                database.close()
                self.closed += 1

        @router.get("/handler")
        def from_handler(req: Request) -> Any:
            return rows(connect())

        @router.get("/response")
        def from_response(req: Request) -> Any:
            return Response(rows(connect()), content_type="text/csv")

        @router.get("/drawn")
        def drawn(req: Request) -> Any:
            """It has begun, so that it must be closed even where nothing of it is sent."""
            made = rows(connect())
            next(made)
            return made

        @router.get("/sse")
        def from_sse(req: Request) -> Any:
            return sse(rows(connect()))

        @router.get("/generator")
        def generator(req: Request) -> Iterator[str]:
            yield from rows(connect())

        @router.get("/async")
        async def from_async(req: Request) -> Any:
            def lazily() -> Iterator[str]:
                yield from rows(connect())

            return lazily()

        @router.get("/after")
        def after(req: Request) -> str:
            database = connect()

            def close() -> None:
                database.close()
                self.closed += 1

            req.after(close)
            return str(database.execute("SELECT count(*) FROM t").fetchone()[0])


@pytest.fixture(params=THREE)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_database_that_is_bound_to_its_thread_works_in_a_generator(loop: str) -> None:
    database = Database()
    with running(make(loop, database.router)) as server:

        def check(count: int) -> None:
            for _ in range(count):
                for path in ("/handler", "/response", "/generator", "/async", "/sse"):
                    lines = [line.removeprefix("data: ") for line in text_of(server, path).split("\n")]
                    assert [int(line) for line in lines if line] == list(range(50)), path
                assert text_of(server, "/after") == "50"

        crowd = [threading.Thread(target=check, args=(3,)) for _ in range(4)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(20)
        until(lambda: database.closed == 4 * 3 * 6)


@pytest.mark.parametrize("path", ["/handler", "/generator", "/async", "/sse"])
def test_it_is_closed_there_when_the_client_leaves(loop: str, path: str) -> None:
    database = Database()
    with running(make(loop, database.router, write_timeout=60)) as server:
        with connect(server.port) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            received = b""
            while b"0\n" not in received:  # the generator has begun: only then is there a `finally` to run
                received += client.recv(10)
        until(lambda: database.closed == 1)


def test_what_head_does_not_send_is_closed_there_too(loop: str) -> None:
    database = Database()
    with running(make(loop, database.router)) as server:
        request = urllib.request.Request(server.url + "/drawn", method="HEAD")
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 200
        until(lambda: database.closed == 1)


@pytest.mark.parametrize("kind", ["generator", "sse"])
def test_all_of_it_runs_in_one_thread_that_is_not_the_loops(loop: str, kind: str) -> None:
    noted: Noted = []
    loops: list[threading.Thread] = []
    router = Router()

    def note(what: str) -> None:
        noted.append((what, threading.current_thread()))

    @router.get("/")
    def handler(req: Request) -> Any:
        note("handler")

        def pieces() -> Iterator[str]:
            try:
                for _ in range(5):
                    note("piece")
                    yield "x"
            finally:
                note("finally")

        def after() -> None:
            note("after")

        req.after(after)
        return sse(pieces()) if kind == "sse" else pieces()

    @router.get("/loop")
    async def of_loop(req: Request) -> None:
        loops.append(threading.current_thread())

    @router.get("/other")
    def other(req: Request) -> None: ...

    with running(make(loop, router)) as server:
        text_of(server, "/loop")
        text_of(server, "/other")
        text_of(server, "/")
        until(lambda: len(noted) == 8)
    assert [what for what, _ in noted] == ["handler", *["piece"] * 5, "finally", "after"]
    assert len({thread for _, thread in noted}) == 1
    assert noted[0][1] not in loops


@pytest.mark.parametrize("kind", ["generator", "sse"])
def test_a_finally_that_blocks_holds_up_no_other_request(loop: str, kind: str) -> None:
    begun, ended = threading.Event(), threading.Event()
    router = Router()

    @router.get("/endless")
    async def endless(req: Request) -> Any:
        def pieces() -> Iterator[str]:
            try:
                while True:
                    yield "x" * 1000
            finally:
                begun.set()
                time.sleep(1)
                ended.set()

        return sse(pieces()) if kind == "sse" else pieces()

    @router.get("/")
    async def hello(req: Request) -> str:
        return "hello"

    with running(make(loop, router)) as server:
        with connect(server.port) as client:
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            received = b""
            while b"xx" not in received:
                received += client.recv(2000)
        assert begun.wait(5)
        assert text_of(server, "/") == "hello"
        assert not ended.is_set()
        assert ended.wait(5)


def test_clients_that_take_nothing_hold_no_thread(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaitables, "threads", Threads(2))
    router = Router()
    blocked = threading.Semaphore(0)

    @router.get("/endless")
    def endless(req: Request) -> Iterator[bytes]:
        blocked.release()
        while True:
            yield b"x" * 100_000

    @router.get("/")
    def hello(req: Request) -> str:
        return "hello"

    with running(make(loop, router)) as server, ExitStack() as opened:
        clients = [opened.enter_context(connect(server.port)) for _ in range(6)]
        for client in clients:
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in clients:
            assert blocked.acquire(timeout=5)
        for _ in range(4):
            assert text_of(server, "/") == "hello"
        assert awaitables.threads._alive <= 2


def test_streams_that_block_go_on_side_by_side(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream gets the thread with the fewest of them: here one of its own."""
    monkeypatch.setattr(awaitables, "threads", Threads())
    together = threading.Barrier(4, timeout=5)
    router = Router()

    @router.get("/")
    def meet(req: Request) -> Any:
        def pieces() -> Iterator[str]:
            yield "first "  # it is out before the next client comes
            together.wait()
            yield "second"

        return pieces()

    with running(make(loop, router)) as server:
        clients = {connect(server.port): b"" for _ in range(4)}
        for client in clients:
            client.sendall(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            while b"first" not in clients[client]:
                clients[client] += client.recv(1000)
        for client, received in clients.items():
            with closing(client):
                rest = b"".join(iter(lambda: client.recv(1000), b""))  # noqa: B023
                assert (received + rest).endswith(b"first second")


# Threads and places


def test_a_place_is_where_its_first_call_ran() -> None:
    threads = Threads(3)
    where: list[threading.Thread] = []
    done = threading.Semaphore(0)

    def call() -> None:
        where.append(threading.current_thread())
        done.release()

    places = [Place() for _ in range(3)]
    for place in places:
        place.stay()
    for _ in range(3):
        for place in places:
            threads.submit(call, place)
            assert done.acquire(timeout=5)
    assert where[:3] * 3 == where
    assert len(set(where)) == 3
    for place in places:
        place.leave()
        assert place.worker is not None
        assert not place.worker.places


def test_the_least_loaded_takes_the_next() -> None:
    threads = Threads(2)
    done = threading.Semaphore(0)
    places: list[Place] = []

    def add(*, stays: bool) -> Place:
        place = Place()
        if stays:
            place.stay()
        threads.submit(done.release, place)
        assert done.acquire(timeout=5)
        until(lambda: len(threads._waiting) == threads._alive)
        places.append(place)
        return place

    first, second = add(stays=True), add(stays=True)
    assert first.worker is not second.worker
    third = add(stays=True)
    fourth = add(stays=True)
    assert {third.worker, fourth.worker} == {first.worker, second.worker}
    first.leave()
    (third if third.worker is first.worker else fourth).leave()
    for _ in range(3):
        assert add(stays=False).worker is first.worker
    assert threads._alive == 2


def test_a_stream_without_a_thread_of_its_own_waits_for_the_first_that_is_free() -> None:
    threads = Threads(1)
    go, done = threading.Event(), threading.Semaphore(0)
    threads.submit(go.wait)
    place = Place()
    place.stay()
    threads.submit(done.release, place)
    assert place.worker is None
    go.set()
    assert done.acquire(timeout=5)
    assert place.worker is not None
    assert place.worker.places == {place}
    place.leave()
    assert not place.worker.places


def test_one_that_is_cancelled_while_it_waits_is_closed_nevertheless(loop: str) -> None:
    """The client leaves while a step is under way: the closing comes behind it, in the same thread."""
    noted: Noted = []
    go = threading.Event()
    router = Router()

    @router.get("/")
    async def handler(req: Request) -> Any:
        def pieces() -> Iterator[str]:
            try:
                noted.append(("step", threading.current_thread()))
                go.wait(5)
                yield "x"
            finally:
                noted.append(("finally", threading.current_thread()))

        return pieces()

    @router.get("/sleep")
    async def hello(req: Request) -> str:
        await sleep(0.05)
        return "hello"

    with running(make(loop, router)) as server:
        with connect(server.port) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            until(lambda: noted)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        text_of(server, "/sleep")
        assert len(noted) == 1
        go.set()
        until(lambda: len(noted) == 2)
    assert [what for what, _ in noted] == ["step", "finally"]
    assert noted[0][1] is noted[1][1]
