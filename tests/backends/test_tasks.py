"""Future and Task: what the loop of our own promises. Where asyncio promises it too, both are asked."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest

from kissapi import sleep, to_thread
from kissapi.backends.awaitables import running_loop
from kissapi.backends.loop import Loop
from kissapi.backends.tasks import CancelledError, Future
from tests.backends.playing import On, play, run, turns


def test_a_future_gives_its_result_to_all_that_wait_in_their_order(backend: str) -> None:
    async def scenario(on: On) -> None:
        future, got = on.loop.create_future(), []

        async def wait(name: str) -> None:
            got.append((name, await future))

        tasks = [on.spawn(wait(name)) for name in "abc"]
        await turns()
        assert not future.done()
        future.set_result(7)
        await turns()
        assert got == [("a", 7), ("b", 7), ("c", 7)]
        assert all(task.done() for task in tasks)
        assert await future == 7  # and to those who come late

    play(backend, scenario)


def test_a_future_raises_what_it_was_given(backend: str) -> None:
    async def scenario(on: On) -> None:
        future = on.loop.create_future()
        future.set_exception(LookupError("gone"))
        with pytest.raises(LookupError, match="gone"):
            await future
        assert isinstance(future.exception(), LookupError)

    play(backend, scenario)


def test_a_future_is_settled_once(backend: str) -> None:
    async def scenario(on: On) -> None:
        future = on.loop.create_future()
        future.set_result(1)
        assert not future.cancel()
        with pytest.raises((RuntimeError, asyncio.InvalidStateError)):
            future.set_result(2)
        with pytest.raises((RuntimeError, asyncio.InvalidStateError)):
            future.set_exception(ValueError())
        assert future.result() == 1

    play(backend, scenario)


def test_a_result_that_is_not_there_cannot_be_had(backend: str) -> None:
    async def scenario(on: On) -> None:
        with pytest.raises((RuntimeError, asyncio.InvalidStateError)):
            on.loop.create_future().result()

    play(backend, scenario)


def test_callbacks_run_from_the_loop_never_inside_the_call_that_settles(backend: str) -> None:
    async def scenario(on: On) -> None:
        future = on.loop.create_future()
        called: list[Any] = []
        future.add_done_callback(called.append)
        future.set_result(None)
        future.add_done_callback(called.append)
        assert called == []
        await turns(2)
        assert called == [future, future]

    play(backend, scenario)


def test_a_future_shows_its_state() -> None:
    loop = Loop()
    future = Future(loop)
    assert repr(future) == "<Future PENDING>"
    future.cancel()
    assert repr(future) == "<Future CANCELLED>"
    with pytest.raises(CancelledError):
        future.exception()
    loop.close()


# Task


def test_a_task_takes_its_first_step_when_it_is_made() -> None:
    async def main() -> None:
        steps = []

        async def work() -> str:
            steps.append(1)
            return "done"

        task = running_loop().create_task(work())
        assert steps == [1]
        assert task.done()
        assert task.result() == "done"
        assert repr(task) == "<Task DONE>"

    run(main())


def test_a_task_gives_what_its_coroutine_returns_or_raises(backend: str) -> None:
    async def scenario(on: On) -> None:
        async def fine() -> int:
            await sleep(0)
            return 3

        async def wrong() -> None:
            await sleep(0)
            raise ValueError("wrong")

        assert await on.spawn(fine()) == 3
        with pytest.raises(ValueError, match="wrong"):
            await on.spawn(wrong())

    play(backend, scenario)


def test_cancelling_runs_finally_blocks_that_may_wait(backend: str) -> None:
    async def scenario(on: On) -> None:
        seen = []

        async def work() -> None:
            try:
                await sleep(60)
            finally:
                await sleep(0.001)
                seen.append("cleaned")

        task = on.spawn(work())
        await turns()
        assert task.cancel()
        assert not task.done()
        with pytest.raises(on.cancelled):
            await task
        assert seen == ["cleaned"]
        assert task.cancelled()
        assert not task.cancel()  # too late

    play(backend, scenario)


def test_cancelling_before_the_first_wait_takes_effect_at_it(backend: str) -> None:
    async def scenario(on: On) -> None:
        seen: list[str] = []

        async def work() -> None:
            await sleep(0)  # until `task` is known
            task.cancel()  # while it runs, as by a call of its own
            seen.append("goes on")
            try:
                await sleep(60)
            except on.cancelled:
                seen.append("then not")
                raise

        task = on.spawn(work())
        await turns()
        assert seen == ["goes on", "then not"]
        assert task.cancelled()

    play(backend, scenario)


def test_cancelling_twice_is_cancelling_once(backend: str) -> None:
    async def scenario(on: On) -> None:
        seen = []

        async def work() -> None:
            try:
                await sleep(60)
            except on.cancelled:
                seen.append("cancelled")
                await sleep(0.001)  # the second one must not strike here
                seen.append("cleaned")
                raise

        task = on.spawn(work())
        await turns()
        assert task.cancel()
        assert task.cancel()
        with pytest.raises(on.cancelled):
            await task
        assert seen == ["cancelled", "cleaned"]

    play(backend, scenario)


def test_a_cancellation_that_is_swallowed_leaves_the_task_its_result(backend: str) -> None:
    async def scenario(on: On) -> None:
        async def work() -> str:
            try:
                await sleep(60)
            except on.cancelled:
                pass
            await sleep(0)
            return "all the same"

        task = on.spawn(work())
        await turns()
        task.cancel()
        assert await task == "all the same"
        assert not task.cancelled()

    play(backend, scenario)


def test_cancelling_a_task_that_waits_for_another_cancels_the_other_first(backend: str) -> None:
    async def scenario(on: On) -> None:
        order = []

        async def inner() -> None:
            try:
                await sleep(60)
            finally:
                order.append("inner")

        async def outer() -> None:
            try:
                await on.spawn(inner())
            finally:
                order.append("outer")

        task = on.spawn(outer())
        await turns()
        task.cancel()
        with pytest.raises(on.cancelled):
            await task
        assert order == ["inner", "outer"]

    play(backend, scenario)


def test_context_variables_stay_in_their_task(backend: str) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def scenario(on: On) -> None:
        seen = []

        async def work(name: str) -> None:
            seen.append(variable.get())
            variable.set(name)
            await sleep(0)
            seen.append(variable.get())
            assert await to_thread(variable.get) == name

        tasks = [on.spawn(work(name)) for name in "ab"]
        for task in tasks:
            await task
        assert sorted(seen) == ["a", "b", "unset", "unset"]
        assert variable.get() == "unset"

    play(backend, scenario)


def test_an_async_generator_that_is_dropped_is_finished(backend: str) -> None:
    async def scenario(on: On) -> None:
        seen = []

        async def numbers() -> AsyncIterator[int]:
            try:
                yield 1
                yield 2
            finally:
                await sleep(0.001)
                seen.append("finished")

        async for number in numbers():
            assert number == 1
            break
        gc.collect()
        await sleep(0.01)
        assert seen == ["finished"]

    play(backend, scenario)


def test_no_cycle_is_left_by_a_task_that_fails(backend: str) -> None:
    async def scenario(on: On) -> None:
        async def work() -> None:
            await sleep(0)
            raise ValueError

        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                task = on.spawn(work())
                await turns()
                assert task.exception() is not None
            del task
            await turns()
            if backend == "selectors":  # asyncio's own are not ours to answer for
                assert gc.collect() == 0
        finally:
            gc.enable()

    play(backend, scenario)
