"""The time in the client: it goes on when it is told to, or when all that is under way waits for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.extras.testing.app import told

if TYPE_CHECKING:
    from kissapi.extras.testing import Client


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
