"""Threads of the app's own, and the clock of the client: virtual and real."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from kissapi import Request, Router, Server, sleep
from kissapi.backends.awaitables import running_loop
from kissapi.extras.testing import Client, clock
from tests.extras.testing.app import Make, router


class Library:
    """What aiosqlite is: a thread with a queue, which settles futures of the loop that asked."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Any] = SimpleQueue()
        self.free = threading.Event()  # while it is not set the thread is at work, for ever
        self.free.set()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self) -> None:
        while (call := self.calls.get()) is not None:
            loop, future, seconds = call
            time.sleep(seconds)
            self.free.wait()
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(lambda future=future: future.done() or future.set_result("row"))

    async def ask(self, seconds: float = 0.0) -> str:
        loop = running_loop()
        future = loop.create_future()
        self.calls.put((loop, future, seconds))
        return str(await future)

    def close(self) -> None:
        self.free.set()
        self.calls.put(None)
        self.thread.join()


@pytest.fixture
def libraries() -> Iterator[list[Library]]:
    """Those that a test has started; closed after it."""
    made: list[Library] = []
    yield made
    for library in made:
        library.close()


@pytest.fixture
def server(backend: str, libraries: list[Library]) -> Server:
    app = Router()
    server = Server(router=app, backend=backend)

    @server.on_start
    async def connect() -> None:
        libraries.append(Library())
        await libraries[-1].ask()

    @app.get("/row")
    async def row(req: Request) -> str:
        return await libraries[-1].ask((req.query.get("work") and float(req.query["work"])) or 0.0)

    return server


async def spawn(coroutine: Coroutine[Any, Any, Any]) -> None:
    background.append(running_loop().create_task(coroutine))


background: list[Any] = []  # asyncio itself keeps no task


def grace(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(clock, "GRACE", seconds)


def test_a_thread_that_answers_soon_is_waited_for(
    server: Server, libraries: list[Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    grace(monkeypatch, 20)
    with Client(server) as client:
        client.run(spawn(sleep(1)))  # a timer that is due before the thread has answered
        now = client.loop.now
        assert client.get("/row?work=0.05").text == "row"
        assert client.run(libraries[-1].ask(0.05)) == "row"
        assert client.loop.now == now


def test_what_a_timer_wakes_may_ask_a_thread(
    server: Server, libraries: list[Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    grace(monkeypatch, 0.3)
    with Client(server) as client:
        start, seen = client.loop.now, []

        async def sweep() -> None:
            while True:
                await sleep(60)
                seen.append((await libraries[-1].ask(), client.loop.now - start))

        client.run(spawn(sweep()))
        client.wait(125)
        assert seen == [("row", 60), ("row", 120)]


def test_a_thread_that_is_long_at_work_is_told_of_at_once(
    server: Server, libraries: list[Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(server) as client:
        grace(monkeypatch, 0.02)
        libraries[-1].free.clear()
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r'^GET /row: nothing .* Client\(app, clock="real"\)'):
            client.get("/row")
        assert time.monotonic() - began < 5
        libraries[-1].free.set()


def test_an_idle_thread_costs_a_moment_and_no_more(
    server: Server, libraries: list[Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(server, idle_timeout=4000) as client:
        grace(monkeypatch, 0.05)
        waits: list[float] = []
        real = client.clock.go_on

        def go_on(until: float, wait: Callable[[float], bool], *, watched: bool) -> None:
            def count(seconds: float) -> bool:
                waits.append(seconds)
                return wait(seconds)

            real(until, count, watched=watched)

        monkeypatch.setattr(client.clock, "go_on", go_on)
        with client.stream("GET", "/row"):
            client.wait(3600)  # with a tick in each second
            assert waits.count(0.05) <= 2


def test_a_thread_of_a_module_outlives_its_client(
    backend: str, libraries: list[Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    grace(monkeypatch, 20)
    app = Router()

    @app.get("/")
    async def row(req: Request) -> str:
        libraries or libraries.append(Library())
        return await libraries[0].ask(0.05)

    for _ in range(2):
        client = Client(app, backend)
        assert client.get("/").text == "row"
        client.close()


def test_in_real_time_a_thread_is_waited_for(
    server: Server, libraries: list[Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    grace(monkeypatch, 0.001)
    with Client(server, clock="real") as client:
        client.run(spawn(sleep(0.01)))
        assert client.get("/row?work=0.1").text == "row"


def test_in_real_time_a_second_takes_a_second(make: Make, backend: str) -> None:
    client = make(router, backend, clock="real")
    began = time.monotonic()
    assert client.get("/sleep/0.05").text == "slept"
    assert time.monotonic() - began >= 0.05
    client.wait(0.05)
    assert time.monotonic() - began >= 0.1
    with client.stream("GET", "/count") as answer:
        assert next(iter(answer)) == b"0"
    client.wait(0)
    client.close()
    assert time.monotonic() - began < 5


def test_in_real_time_patience_is_short(make: Make, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clock.Clock.patience <= 60
    monkeypatch.setattr(clock.Clock, "patience", 0.05)
    with pytest.raises(TimeoutError, match=r"GET /never: nothing has come of it in 0.05 s .* never comes\?$"):
        make(router, backend, clock="real").get("/never")


def test_there_are_two_clocks() -> None:
    with pytest.raises(ValueError, match='clock must be "virtual" or "real", not \'fast\''):
        Client(router, clock="fast")


@pytest.mark.parametrize("kind", ["virtual", "real"])
def test_on_asyncio_a_process_is_waited_for(make: Make, kind: str) -> None:
    app = Router()

    @app.get("/")
    async def run(req: Request) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", "print('from afar')", stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(20):
            said, _ = await process.communicate()
        return said.decode()

    assert make(app, "asyncio", clock=kind).get("/").text == "from afar\n"
