"""gather, timeout, Event and Queue: asyncio's semantics, on each loop and in the time of the test client.

Each case is a coroutine that is run by each of them; on asyncio, asyncio's own are the referee.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import ref

import pytest

import kissapi
from kissapi import Event, Queue, Router, gather, sleep, timeout
from kissapi.backends import selectors
from kissapi.backends.awaitables import running_loop
from kissapi.backends.gather import begin, keep
from kissapi.extras.testing import Client

Case = Callable[[], Coroutine[Any, Any, Any]]
WAYS = ["asyncio", "selectors", "uvloop", "client-asyncio", "client-selectors"]


@pytest.fixture(params=WAYS)
def run(request: pytest.FixtureRequest) -> Callable[[Case], Any]:
    """What runs a case in a loop, and gives what it returned."""
    way = str(request.param)
    if way.startswith("client-"):
        return lambda case: Client(Router(), way.removeprefix("client-")).run(case())
    factory: Any = None
    if way == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    def in_loop(case: Case) -> Any:
        results = []

        async def main() -> None:
            results.append(await case())

        if way == "selectors":
            selectors.run(main())
        else:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(main())
        return results[0]

    return in_loop


Run = Callable[[Case], Any]


async def slow(value: Any, seconds: float = 0.01) -> Any:
    await sleep(seconds)
    if isinstance(value, BaseException):
        raise value
    return value


def start(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return keep(begin(running_loop(), coroutine))


# gather


def test_gather_gives_results_in_order(run: Run) -> None:
    async def case() -> Any:
        one = slow(1, 0.02)
        return await gather(one, slow(2, 0.01), one), await gather()

    assert run(case) == ([1, 2, 1], [])


def test_gather_awaits_at_the_same_time(run: Run) -> None:
    async def case() -> float:
        begun = running_loop().time()
        await gather(*(slow(each, 0.05) for each in range(20)))
        return float(running_loop().time() - begun)

    assert 0.049 <= run(case) < 0.5


def test_the_first_error_is_raised_at_once_and_the_others_go_on(run: Run) -> None:
    async def case() -> list[str]:
        said: list[str] = []

        async def other() -> None:
            await sleep(0.03)
            said.append("other")

        with pytest.raises(KeyError, match="first"):
            await gather(other(), slow(KeyError("first")), slow(ValueError("second"), 0.02))
        said.append("raised")
        await sleep(0.05)
        return said

    assert run(case) == ["raised", "other"]


def test_errors_may_be_results(run: Run) -> None:
    async def case() -> Any:
        cancelled = start(slow(3, 60))
        running_loop().call_soon(cancelled.cancel)
        return await gather(slow(1), slow(KeyError(2)), cancelled, return_exceptions=True)

    one, two, three = run(case)
    assert (one, type(two), type(three).__name__) == (1, KeyError, "CancelledError")


def test_a_gather_that_is_cancelled_cancels_all(run: Run) -> None:
    async def case() -> list[str]:
        said: list[str] = []

        async def child(name: str) -> None:
            try:
                await sleep(60)
            finally:
                said.append(name)

        task = start(gather(child("a"), child("b")))
        await sleep(0.01)
        task.cancel()
        with pytest.raises(BaseException, match=r"^$"):
            await task
        assert task.cancelled()
        await sleep(0)
        return said

    assert run(case) == ["a", "b"]


def test_a_gather_that_is_cancelled_waits_for_what_it_cancels(run: Run) -> None:
    async def case() -> list[str]:
        said: list[str] = []

        async def child(name: str) -> None:
            try:
                await sleep(60)
            finally:
                await sleep(0.01)  # a connection is given back
                said.append(name)

        try:
            async with timeout(0.01):
                await gather(child("a"), child("b"), return_exceptions=True)
        except TimeoutError:
            said.append("over")
        return said

    assert run(case) == ["a", "b", "over"]


def test_one_that_was_cancelled_before_it_began_leaves_no_warning(run: Run) -> None:
    async def case() -> None:
        task = start(slow(1))
        task.cancel()
        with pytest.raises(BaseException, match=r"^$"):
            await task
        await sleep(0)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(case)
        gc.collect()


# timeout


async def fails_in_time() -> None:
    async with timeout(60):
        raise KeyError


def test_a_block_that_takes_too_long_is_ended(run: Run) -> None:
    async def case() -> Any:
        said: list[str] = []
        limit = timeout(0.01)

        async def work() -> None:
            async with limit:
                try:
                    await sleep(60)
                finally:
                    said.append("cleaned up")

        with pytest.raises(TimeoutError, match=r"longer than 0\.01 s"):
            await work()
        await sleep(0)
        return said, limit.expired()

    assert run(case) == (["cleaned up"], True)


def test_a_block_that_does_not_goes_on(run: Run) -> None:
    async def case() -> list[bool]:
        expired = []
        for seconds in (60, None):
            async with timeout(seconds) as limit:
                await sleep(0.001)
            expired.append(limit.expired())
        with pytest.raises(KeyError):
            await fails_in_time()
        return expired

    assert run(case) == [False, False]


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_time_at_all(run: Run, seconds: float) -> None:
    async def case() -> None:
        with pytest.raises(TimeoutError):
            async with timeout(seconds):
                await sleep(60)

    run(case)


@pytest.mark.parametrize(("outer", "inner", "who"), [(0.01, 60, "outer"), (60, 0.01, "inner")])
def test_of_nested_ones_the_one_that_is_over_raises(run: Run, outer: float, inner: float, who: str) -> None:
    async def case() -> str:
        async with timeout(60):
            try:
                async with timeout(outer):
                    try:
                        async with timeout(inner):
                            await sleep(60)
                    except TimeoutError:
                        return "inner"
            except TimeoutError:
                return "outer"
        return "none"

    assert run(case) == who


def test_a_cancellation_by_others_is_none_of_its_business(run: Run) -> None:
    async def case() -> list[str]:
        said: list[str] = []

        async def work() -> None:
            try:
                async with timeout(60):
                    await sleep(60)
            except TimeoutError:
                said.append("TimeoutError")

        task = start(work())
        await sleep(0.01)
        task.cancel()
        with pytest.raises(BaseException, match=r"^$"):
            await task
        said.append(f"cancelled: {task.cancelled()}")
        return said

    assert run(case) == ["cancelled: True"]


def test_a_cancellation_at_the_same_moment_goes_on(run: Run) -> None:
    async def case() -> bool:
        async def work() -> None:
            async with timeout(0.01):
                try:
                    await sleep(60)
                finally:
                    task.cancel()

        task = start(work())
        with pytest.raises(BaseException, match=r"^$"):
            await task
        return bool(task.cancelled())

    assert run(case) is True


def test_what_makes_no_sense(run: Run) -> None:
    async def case() -> None:
        limit = timeout(60)
        async with limit:
            pass
        with pytest.raises(RuntimeError, match="for one block"):
            await limit.__aenter__()

    run(case)
    with pytest.raises(ValueError, match="NaN"):
        timeout(float("nan"))


class Thing:
    """What frames hold."""


async def missing() -> None:
    await sleep(0.001)
    raise KeyError


def test_errors_leave_no_cycle(run: Run) -> None:
    async def case() -> list[str]:
        things: list[Any] = []

        async def late() -> None:
            thing = Thing()
            things.append(ref(thing))
            async with timeout(0):
                await sleep(60)

        async def fails() -> None:
            thing = Thing()
            things.append(ref(thing))
            await gather(missing(), slow(1))

        for work in (late, fails):
            try:
                await work()
            except (TimeoutError, KeyError):
                pass
        await sleep(0.03)
        return [repr(each()) for each in things]

    gc.collect()
    gc.disable()
    try:
        assert run(case) == ["None", "None"]
    finally:
        gc.enable()


# Event


def test_an_event_wakes_all_that_wait(run: Run) -> None:
    async def case() -> Any:
        event = Event()
        assert "not set, 0 waiting" in repr(event)
        running_loop().call_later(0.01, event.set)
        first = await gather(event.wait(), event.wait())
        assert event.is_set()
        assert await event.wait()
        event.clear()
        with pytest.raises(TimeoutError):
            async with timeout(0.01):
                await event.wait()
        return first, event.is_set(), repr(event)

    assert run(case) == ([True, True], False, "<Event not set, 0 waiting>")


# Queue


def test_a_queue_gives_items_in_order(run: Run) -> None:
    async def case() -> list[int]:
        queue: Queue[int] = Queue(2)
        got: list[int] = []

        async def consume() -> None:
            while True:
                got.append(await queue.get())
                queue.task_done()

        consumer = start(consume())
        for number in range(5):
            await queue.put(number)
            assert queue.qsize() <= 2
        async with timeout(5):
            await queue.join()
        consumer.cancel()
        return got

    assert run(case) == [0, 1, 2, 3, 4]


def test_a_queue_without_waiting(run: Run) -> None:
    async def case() -> None:
        queue: Queue[int] = Queue(1)
        with pytest.raises(Queue.Empty):
            queue.get_nowait()
        queue.put_nowait(1)
        assert (queue.full(), queue.empty(), queue.qsize(), queue.maxsize) == (True, False, 1, 1)
        with pytest.raises(Queue.Full, match="1 items"):
            queue.put_nowait(2)
        assert queue.get_nowait() == 1
        queue.task_done()
        with pytest.raises(ValueError, match="more often"):
            queue.task_done()
        await queue.join()

    run(case)


def test_a_waiter_that_is_cancelled_takes_nothing(run: Run) -> None:
    async def case() -> Any:
        queue: Queue[int] = Queue(1)
        with pytest.raises(TimeoutError):
            async with timeout(0.01):
                await queue.get()
        first, second = start(queue.get()), start(queue.get())
        await sleep(0.01)
        queue.put_nowait(7)  # wakes the first, which is cancelled before it runs
        first.cancel()
        async with timeout(5):
            got = await second
        await queue.put(8)
        third, fourth = start(queue.put(9)), start(queue.put(10))
        await sleep(0.01)
        assert queue.get_nowait() == 8
        third.cancel()
        async with timeout(5):
            await fourth
        return got, queue.get_nowait(), queue.empty()

    assert run(case) == (7, 10, True)


# One loop


@pytest.mark.parametrize("make", [Event, Queue])
def test_another_loop_gets_an_error(make: Any) -> None:
    thing = make()
    use = thing.wait if make is Event else thing.get
    ready, over = threading.Event(), threading.Event()

    async def first() -> None:
        task = start(use())
        await sleep(0.01)
        ready.set()
        while not over.is_set():
            await sleep(0.01)
        task.cancel()

    async def second() -> None:
        with pytest.raises(RuntimeError, match=f"this {make.__name__} belongs to another event loop"):
            await use()

    thread = threading.Thread(target=lambda: selectors.run(first()))
    thread.start()
    assert ready.wait(5)
    try:
        selectors.run(second())
        asyncio.run(second())
        with pytest.raises(RuntimeError, match="the event loop of another thread"):
            thing.set() if make is Event else thing.put_nowait(1)
    finally:
        over.set()
        thread.join(5)


def test_the_next_loop_may_have_it_when_the_first_is_closed(run: Run) -> None:
    queue: Queue[int] = Queue()

    async def waits() -> None:
        start(queue.get())
        await sleep(0.01)

    async def case() -> int:
        await queue.put(3)
        return await queue.get()

    asyncio.run(waits())
    assert run(case) == 3
    selectors.run(waits())
    assert run(case) == 3


def test_without_a_loop() -> None:
    with pytest.raises(RuntimeError, match="no event loop runs here"):
        gather().send(None)
    coroutine = slow(1)
    with pytest.raises(RuntimeError, match="no event loop runs here"):
        kissapi.spawn(coroutine)
