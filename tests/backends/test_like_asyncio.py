"""What kissapi awaits behaves as asyncio's own does: random programs, step by step, at every moment.

Each program runs three times in virtual time: by asyncio's functions, by kissapi's on asyncio, by kissapi's
on its own loop. The order within one moment is that of the turns of a loop, and is not compared.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple

import pytest

import kissapi
from kissapi.backends.awaitables import running_loop
from kissapi.backends.gather import begin
from kissapi.backends.tasks import CancelledError
from kissapi.extras.testing.asyncio import FakeAsyncioLoop
from kissapi.extras.testing.clock import VirtualClock
from kissapi.extras.testing.loop import FakeLoop


class Way(NamedTuple):
    """One of the three."""

    library: Any
    loop: Any
    spawn: Callable[[Coroutine[Any, Any, Any]], Any]
    cancelled: type[BaseException]


def begun(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return begin(running_loop(), coroutine)


WAYS = [
    Way(asyncio, FakeAsyncioLoop, asyncio.create_task, asyncio.CancelledError),
    Way(kissapi, FakeAsyncioLoop, begun, asyncio.CancelledError),
    Way(kissapi, FakeLoop, begun, CancelledError),
]
NESTED = ["gather", "timeout", "catch", "swallow", "spawn", "clean"]
SIMPLE = ["sleep", "sleep", "raise", "cancel", "wait", "set", "put", "get", "done", "join"]
Step = tuple[str, int, Any, Any]  # what, its number, blocks below, a number


def block(chance: random.Random, depth: int, numbers: Iterator[int]) -> list[Step]:
    steps = []
    for _ in range(chance.randint(1, 3)):
        what, number = chance.choice(SIMPLE + NESTED * (depth > 0)), next(numbers)
        below = [
            block(chance, depth - 1, numbers)
            for _ in range(chance.randint(0, 3) if what == "gather" else what in NESTED)
        ]
        steps.append((what, number, below, chance.choice([1, 2, 3, 5, 8]) + number / 1000))
    return steps


class Play:
    """A program at work; `seen` is what happens, and when."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.loop = way.loop(VirtualClock())
        self.start = self.loop.time()
        self.seen: list[tuple[float, str]] = []
        self.tasks: list[Any] = []

    def note(self, *what: Any) -> None:
        self.seen.append((round(self.loop.time() - self.start, 6), repr(what)))

    async def main(self, program: list[Step], end: float) -> None:
        self.event, self.queue = self.way.library.Event(), self.way.library.Queue(2)
        task = self.way.spawn(self.block(program))
        await self.way.library.sleep(end)
        self.note("cancelled", task.cancel())
        await self.way.library.sleep(30)
        error = task.done() and not task.cancelled() and task.exception()
        self.note("over", task.done(), task.done() and task.cancelled(), type(error).__name__)

    async def block(self, steps: list[Step]) -> str:
        await self.way.library.sleep(steps[0][1] / 100_000)  # none begins at the moment of another
        for step in steps:
            try:
                await self.step(*step)
            except BaseException as error:
                self.note(step[0], step[1], type(error).__name__)
                raise
        return "done"

    async def step(self, what: str, number: int, below: Any, amount: float) -> None:
        library, queue = self.way.library, self.queue
        pick = self.tasks[int(amount) % len(self.tasks)] if self.tasks else None
        if what == "sleep":
            await library.sleep(amount)
        elif what == "raise":
            raise ValueError
        elif what == "gather":
            parts = await library.gather(*map(self.block, below), return_exceptions=number % 2 == 0)
            self.note(number, [part if isinstance(part, str) else type(part).__name__ for part in parts])
        elif what == "timeout":
            async with library.timeout(None if number % 7 == 0 else amount) as limit:
                await self.block(below[0])
            self.note(number, limit.expired())
        elif what == "catch":
            try:
                await self.block(below[0])
            except (ValueError, TimeoutError) as error:
                self.note(number, "caught", type(error).__name__)
        elif what == "swallow":
            try:
                await self.block(below[0])
            except self.way.cancelled:
                self.note(number, "swallowed")
        elif what == "clean":
            try:
                await self.block(below[0])
            finally:
                await library.sleep(0.5 + number / 10_000)
                self.note(number, "cleaned")
        elif what == "spawn":
            self.tasks.append(self.way.spawn(self.block(below[0])))
        elif what == "cancel" and pick is not None:
            self.note(number, pick.cancel())
        elif what == "wait":
            self.note(number, await self.event.wait())
        elif what == "set":
            self.event.set()
        elif what == "put":
            await queue.put(number)
            self.note(number, queue.qsize(), queue.full())
        elif what == "get":
            self.note(number, await queue.get())
        elif what == "done":
            try:
                queue.task_done()
            except ValueError:
                self.note(number, "too often")
        elif what == "join":
            await queue.join()
            self.note(number, "joined")


def trace(way: Way, seed: int) -> list[tuple[float, str]]:
    chance = random.Random(seed)
    program = block(chance, 3, itertools.count(1))
    play = Play(way)
    if way.loop is FakeAsyncioLoop:
        play.loop.set_exception_handler(lambda loop, context: None)  # a task that fails is no news here
    made: list[Any] = []
    play.loop.do(
        lambda: made.append(play.loop.create_task(play.main(program, chance.choice([2.5, 7.5, 25.5]))))
    )
    play.loop.advance(100)
    seen = sorted(play.seen)
    assert made[0].done()
    play.loop.close()
    return seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seeds", [range(at, at + 40) for at in range(0, 120, 40)])
def test_it_does_what_asyncio_does(seeds: range) -> None:
    for seed in seeds:
        ours = [trace(way, seed) for way in WAYS]
        assert ours[1] == ours[0], seed
        assert ours[2] == ours[0], seed
