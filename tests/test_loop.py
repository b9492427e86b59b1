"""The loop of our own: what Future, Task and Loop promise. Where asyncio promises it too, both are asked."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import ContextVar
from importlib import import_module
from typing import Any, NamedTuple

import pytest

from kissapi import Router, sleep, to_thread
from kissapi.awaitables import running_loop
from kissapi.backends import poll
from kissapi.backends.loop import CancelledError, Future, Loop
from tests.wire import Wire


class On(NamedTuple):
    """A backend at work, as a scenario sees it."""

    loop: Any
    spawn: Callable[[Coroutine[Any, Any, Any]], Any]
    cancelled: type[BaseException]


def play(backend: str, scenario: Callable[[On], Coroutine[Any, Any, None]]) -> None:
    """Run `scenario` to its end on `backend`."""
    module = import_module(f"kissapi.backends.{backend}")
    cancelled = asyncio.CancelledError if backend == "asyncio" else CancelledError

    async def main() -> None:
        loop = running_loop()
        await scenario(On(loop, module.spawner(loop), cancelled))

    module.run(main(), None)


async def turns(number: int = 5) -> None:
    """Let the loop go round."""
    for _ in range(number):
        await sleep(0)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return Loop().run_until_complete(main)


# Future


def test_a_future_gives_its_result_to_all_who_wait_in_their_order(backend: str) -> None:
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
    loop._close()


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


def test_cancelling_who_waits_for_a_task_cancels_that_task_first(backend: str) -> None:
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


def test_an_async_generator_nobody_goes_on_with_is_finished(backend: str) -> None:
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


# Timers


def test_timers_go_off_in_order_and_those_of_one_moment_in_theirs(backend: str) -> None:
    async def scenario(on: On) -> None:
        order: list[int] = []
        for delay, name in ((0.02, 3), (0.01, 1), (0.01, 2), (0.0, 0)):
            on.loop.call_later(delay, order.append, name)
        await sleep(0.03)
        assert order == [0, 1, 2, 3]

    play(backend, scenario)


def test_a_timer_never_goes_off_early(backend: str) -> None:
    async def scenario(on: On) -> None:
        for delay in (0.0004, 0.0016, 0.005):
            start = on.loop.time()
            await sleep(delay)
            assert on.loop.time() - start >= delay

    play(backend, scenario)


def test_a_cancelled_timer_does_not_go_off(backend: str) -> None:
    async def scenario(on: On) -> None:
        called: list[int] = []
        timer = on.loop.call_later(0.001, called.append, 1)
        timer.cancel()
        timer.cancel()
        await sleep(0.005)
        assert called == []

    play(backend, scenario)


def test_cancelled_timers_do_not_pile_up() -> None:
    loop = Loop()
    loop.call_later(0.5, print)  # keeps all the others from the head of the queue
    kept = [loop.call_later(3600, print) for _ in range(10)]
    for _ in range(10_000):
        loop.call_later(3600, print).cancel()
    assert len(loop._timers) < 200
    assert sum(timer.callback is not None for _, _, timer in loop._timers) == 1 + len(kept)
    loop._close()


def test_one_may_sleep_for_ever(backend: str) -> None:
    async def scenario(on: On) -> None:
        task = on.spawn(sleep(float("inf")))
        await sleep(0.005)
        assert not task.done()
        task.cancel()
        await turns()
        assert task.cancelled()

    play(backend, scenario)


def test_nobody_sleeps_for_nan_seconds(backend: str) -> None:
    async def scenario(on: On) -> None:
        with pytest.raises(ValueError, match="NaN"):
            await sleep(float("nan"))

    play(backend, scenario)


# Threads and signals


def test_a_call_from_another_thread_wakes_the_loop(backend: str) -> None:
    async def scenario(on: On) -> None:
        future = on.loop.create_future()
        on.loop.call_later(10, future.cancel)
        start = time.monotonic()
        thread = threading.Thread(target=lambda: on.loop.call_soon_threadsafe(future.set_result, "rung"))
        on.loop.call_later(0.005, thread.start)
        assert await future == "rung"
        assert time.monotonic() - start < 2
        thread.join()

    play(backend, scenario)


def test_no_call_of_many_threads_is_lost(backend: str) -> None:
    async def scenario(on: On) -> None:
        got: list[int] = []

        def ring() -> None:
            for number in range(2000):  # more rings than the bell holds
                on.loop.call_soon_threadsafe(got.append, number)

        threads = [threading.Thread(target=ring) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(1000):
            await sleep(0.002)
            if len(got) == 8000:
                break
        assert len(got) == 8000
        for thread in threads:
            thread.join()

    play(backend, scenario)


def test_a_closed_loop_takes_no_calls(backend: str) -> None:
    loops = []

    async def scenario(on: On) -> None:
        loops.append(on.loop)

    play(backend, scenario)
    with pytest.raises(RuntimeError, match="closed"):
        loops[0].call_soon_threadsafe(print)


def test_a_loop_closed_in_the_middle_of_a_ring_says_so_as_well() -> None:
    loop = Loop()
    loop._close()
    loop._closed = False  # as another thread may still see it
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon_threadsafe(print)


def test_a_signal_calls_back_and_what_stood_for_it_before_is_put_back(backend: str) -> None:
    before = signal.getsignal(signal.SIGUSR1)

    async def scenario(on: On) -> None:
        came = on.loop.create_future()
        on.loop.add_signal_handler(signal.SIGUSR1, came.set_result, "came")
        os.kill(os.getpid(), signal.SIGUSR1)
        assert await came == "came"
        on.loop.remove_signal_handler(signal.SIGUSR1)

    play(backend, scenario)
    assert signal.getsignal(signal.SIGUSR1) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_loop_that_ends_by_an_error_puts_signals_back(backend: str) -> None:
    before = signal.getsignal(signal.SIGUSR1)

    async def scenario(on: On) -> None:
        on.loop.add_signal_handler(signal.SIGUSR1, print)
        raise LookupError

    with pytest.raises(LookupError):
        play(backend, scenario)
    assert signal.getsignal(signal.SIGUSR1) == before
    assert signal.set_wakeup_fd(-1) == -1


# The loop


def test_an_exception_in_a_callback_does_not_end_the_loop() -> None:
    seen: list[BaseException] = []

    async def main() -> None:
        loop = running_loop()
        loop.on_error = seen.append
        loop.call_soon(int, "x")
        loop.call_later(0.001, int, "y")
        loop.call_soon_threadsafe(int, "z")
        await sleep(0.01)

    run(main())
    assert sorted(str(error)[-3:] for error in seen) == ["'x'", "'y'", "'z'"]


def test_an_idle_loop_sleeps_in_the_kernel(backend: str) -> None:
    async def scenario(on: On) -> None:
        on.loop.call_later(60, print)  # so that there is something to wait for
        await sleep(0.005)
        before = time.thread_time()
        await sleep(0.2)
        assert time.thread_time() - before < 0.02

    play(backend, scenario)


def test_the_loop_goes_round_only_when_there_is_something_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = []
    turn = Loop._turn

    def counted(loop: Loop) -> None:
        rounds.append(1)
        turn(loop)

    monkeypatch.setattr(Loop, "_turn", counted)

    async def main() -> None:
        await sleep(0.05)
        await sleep(0.05)

    run(main())
    assert len(rounds) <= 6


def test_who_calls_back_again_and_again_does_not_starve_timers_and_sockets(backend: str) -> None:
    async def scenario(on: On) -> None:
        count = 0

        def again() -> None:
            nonlocal count
            count += 1
            on.loop.call_soon(again) if not future.done() else None

        future = on.loop.create_future()
        on.loop.call_soon(again)
        on.loop.call_later(0.01, future.set_result, None)
        await future
        assert count > 10

    play(backend, scenario)


# What only asyncio can wait for


async def a_future(loop: asyncio.AbstractEventLoop) -> None:
    await loop.create_future()


FOREIGN = [
    pytest.param(a_future, "Future", id="Future"),
    pytest.param(lambda loop: asyncio.sleep(1), "asyncio.tasks.sleep", id="sleep"),
    pytest.param(lambda loop: asyncio.Queue().get(), "asyncio.queues.Queue.get", id="Queue.get"),
    pytest.param(lambda loop: asyncio.Event().wait(), "asyncio.locks.Event.wait", id="Event.wait"),
    pytest.param(lambda loop: asyncio.to_thread(print), "asyncio.threads.to_thread", id="to_thread"),
]


@pytest.mark.parametrize(("foreign", "name"), FOREIGN)
def test_waiting_for_what_is_asyncios_is_a_500_and_one_line(foreign: Any, name: str) -> None:
    router = Router()
    loop = asyncio.new_event_loop()

    @router.get("/")
    async def waits(req: Any) -> str:
        await foreign(loop)
        return "never"

    wire = Wire(router).send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    loop.close()
    assert wire.received.startswith(b"HTTP/1.1 500 ")
    line, answered = wire.lines
    assert "[ERROR]" in line
    assert "waits" in line.partition(" raised ")[0]
    assert name in line
    assert "needs asyncio" in line
    assert "kissapi.sleep" in line
    assert "→ 500" in answered


def test_a_coroutine_may_take_the_refusal_and_go_on() -> None:
    async def main() -> str:
        loop = asyncio.new_event_loop()
        try:
            await loop.create_future()
        except TypeError:
            await sleep(0)
            return "went on"
        finally:
            loop.close()
        return "never"

    assert run(main()) == "went on"


@pytest.mark.parametrize("kind", [poll.Selector, poll.Poll])
def test_a_poll_tells_who_is_ready_for_what(kind: Any) -> None:
    ours, theirs = socket.socketpair()
    seen: list[tuple[str, int]] = []

    def note(events: int) -> None:
        seen.append(("note", events))

    waiting = kind()
    with ours, theirs:
        assert waiting.wait(0) == []
        waiting.watch(ours, poll.READ, note)
        assert waiting.wait(0) == []
        theirs.send(b"x")
        assert waiting.wait(1) == [(note, poll.READ)]
        waiting.watch(ours, poll.READ | poll.WRITE, note)
        assert waiting.wait(1) == [(note, poll.READ | poll.WRITE)]
        waiting.watch(ours, poll.WRITE, print)
        assert waiting.wait(1) == [(print, poll.WRITE)]
        waiting.watch(ours, 0, note)
        waiting.watch(ours, 0, note)  # twice does no harm
        assert waiting.wait(0) == []
    waiting.close()
    assert seen == []  # it calls nobody itself


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_what_a_forked_child_watches_is_none_of_our_business() -> None:
    waiting = poll.Poll()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"x")
        if isinstance(waiting, poll.Epoll):
            waiting._epoll.register(ours.fileno(), poll.READ)  # as the child would
        assert waiting.wait(0) == []
    waiting.close()


def test_a_number_that_another_socket_had_is_watched_anew() -> None:
    waiting = poll.Poll()
    first, other = socket.socketpair()
    number = first.fileno()
    waiting.watch(first, poll.READ, print)
    first.close()  # behind the back of the poll
    ours, theirs = socket.socketpair()
    with other, ours, theirs:
        assert ours.fileno() == number
        waiting.watch(ours, poll.READ, repr)
        theirs.send(b"x")
        assert waiting.wait(1) == [(repr, poll.READ)]
    waiting.close()


def test_a_loop_without_epoll_serves_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kissapi.backends.loop.Poll", poll.Selector)
    loop = Loop()
    ours, theirs = socket.socketpair()
    got: list[bytes] = []

    async def main() -> None:
        future = loop.create_future()

        def read() -> None:
            got.append(ours.recv(10))
            loop.remove_reader(ours)
            future.set_result(None)

        loop.add_reader(ours, read)
        loop.call_later(0.001, theirs.send, b"later")
        await future

    with ours, theirs:
        loop.run_until_complete(main())
    assert got == [b"later"]
