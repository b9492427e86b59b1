"""The time in the client: it goes on when it is told to, or when all that is under way waits for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from kissapi import Request, Router, clock, sleep, to_thread
from tests.extras.testing.app import told

if TYPE_CHECKING:
    from kissapi.extras.testing import Client
    from tests.extras.testing.app import Make


def test_a_handler_that_sleeps_answers_at_once(client: Client) -> None:
    began, now = time.monotonic(), client.loop.now
    assert client.get("/sleep/3000.5").text == "slept"
    assert client.loop.now == now + 3000.5
    assert time.monotonic() - began < 2


def test_time_passes_when_it_is_told_to(client: Client) -> None:
    client.get("/after")
    assert told == ["at once"]
    client.wait(4.9)
    assert told == ["at once"]
    client.wait(0.2)
    assert told == ["at once", "later"]


def test_a_handler_that_never_answers_is_told_of(client: Client) -> None:
    with pytest.raises(TimeoutError, match=r"^GET /never: nothing has come of it in 3600 s"):
        client.get("/never")
    assert client.get("/who").status == 200
    assert any("GET /never → client left" in line for line in client.log)


def test_the_same_comes_out_each_time(client: Client) -> None:
    def run() -> list[float]:
        start, moments = client.loop.now, []
        with client.stream("GET", "/count") as one, client.stream("GET", "/count") as other:
            for a, b, _ in zip(one, other, range(5), strict=False):
                assert a == b
                moments.append(client.loop.now - start)
        return moments

    first = run()
    assert first == [0, 1, 2, 3, 4]
    assert all(run() == first for _ in range(50))


def test_the_clock_of_an_app_is_that_of_the_client(make: Make, backend: str) -> None:
    app = Router()

    @app.get("/async")
    async def of_a_coroutine(req: Request) -> list[float]:
        before = clock()
        await sleep(90)
        return [clock() - before, await to_thread(clock) - before]

    @app.get("/plain")
    def of_a_thread(req: Request) -> float:
        return clock()

    client = make(app, backend)
    assert client.get("/async").json == [90, 90]
    now = client.get("/plain").json
    client.wait(60)
    assert client.get("/plain").json == now + 60 == client.clock.time()
    assert clock() < now, "outside of the client it is the real one"


def test_a_clock_never_goes_back(make: Make, backend: str) -> None:
    app = Router()
    seen = [clock()]

    @app.get("/")
    async def look(req: Request) -> None:
        seen.append(clock())

    for _ in range(3):
        client = make(app, backend)
        client.get("/")
        client.wait(100.5)
        client.get("/")
    assert seen == sorted(seen)
    assert seen[1].is_integer()
    assert seen[-1] - seen[1] >= 301.5


def test_without_a_client_the_clock_is_real() -> None:
    off = time.monotonic() - clock()
    assert 0 <= time.monotonic() - clock() - off < 0.1


def test_with_the_real_clock_it_is_real_as_well(make: Make, backend: str) -> None:
    app = Router()

    @app.get("/")
    def look(req: Request) -> float:
        return clock()

    before = clock()
    assert before <= make(app, backend, clock="real").get("/").json <= clock()
