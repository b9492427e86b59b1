"""Body: however a body of a known length is cut, and whenever it is taken, it is the same."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from kissapi.http.body import WHOLE, Body


def cut(data: bytes, dice: random.Random, most: int) -> list[bytes]:
    """`data` in pieces of random sizes."""
    pieces = []
    while data:
        size = dice.randint(1, most)
        pieces.append(data[:size])
        data = data[size:]
    return pieces


@pytest.mark.parametrize("size", [5, WHOLE - 1, WHOLE, 3 * WHOLE + 7])
@pytest.mark.parametrize("most", [3000, 70_000, 300_000, 2_000_000])
def test_it_is_the_same_however_it_is_cut(size: int, most: int) -> None:
    dice = random.Random(size + most)
    data = dice.randbytes(size)
    body = Body(size, size)
    *pieces, last = cut(data, dice, most)
    for piece in pieces:
        assert body.feed(piece) is None
    assert body.left() == len(last)
    assert body.feed(last + b"GET /next") == b"GET /next"
    taken = body.take()
    assert type(taken) is bytes
    assert taken == data
    assert body.take() == b""


@pytest.mark.parametrize("every", [1, 2, 5])
def test_it_may_be_taken_at_any_time(every: int) -> None:
    dice = random.Random(every)
    data = dice.randbytes(4 * WHOLE)
    body, taken = Body(len(data), len(data)), b""
    for count, piece in enumerate(cut(data, dice, 100_000)):
        body.feed(piece)
        if count % every == 0:
            taken += body.take()
    assert taken + body.take() == data


def test_no_client_has_memory_set_aside_by_a_number_that_it_sends() -> None:
    size = 1 << 26
    tracemalloc.start()
    try:
        bodies = [Body(size, size) for _ in range(4)]
        for body in bodies:
            for _ in range(20):
                body.feed(b"x" * 10_000)
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert used < 2 * 4 * 20 * 10_000
