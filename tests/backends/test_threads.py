"""Threads: `to_thread` on both loops: results, errors, context, cancelling; and never too many threads."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import pytest

from kissapi import Fail, Server, to_thread
from kissapi.backends import awaitables
from kissapi.backends.loop import Loop
from kissapi.backends.tasks import CancelledError, Task
from kissapi.backends.threads import Place, Threads

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture
def run(backend: str) -> Callable[[Any], Any]:
    """Runs a coroutine on the loop of the backend."""
    return asyncio.run if backend == "asyncio" else lambda main: Loop().run_until_complete(main)


def test_it_gives_what_the_function_returns(run: Any) -> None:
    assert run(to_thread(lambda *args: (args, threading.current_thread().name[:8]), 1, 2)) == (
        (1, 2),
        "kissapi-",
    )


def failing() -> None:
    raise Fail(403)


def raising(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error", [ValueError("x"), Fail(403, "no"), KeyError()])
def test_it_raises_what_the_function_raises(run: Any, error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        run(to_thread(raising, error))
    assert raised.value is error


def test_stop_iteration_is_an_error_that_says_where_it_came_from(run: Any) -> None:
    with pytest.raises(RuntimeError, match="<built-in function next> raised StopIteration") as raised:
        run(to_thread(next, iter(())))
    assert isinstance(raised.value.__cause__, StopIteration)


def test_what_the_function_raises_leaves_no_cycle(run: Any) -> None:
    async def main() -> int:
        await to_thread(gc.collect)  # what starting left behind
        gc.collect()
        for _ in range(3):
            try:
                await to_thread(failing)
            except Fail:
                pass
            try:
                await to_thread(next, iter(()))
            except RuntimeError:
                pass
        return gc.collect()

    gc.disable()
    try:
        assert run(main()) == 0
    finally:
        gc.enable()


def test_context_variables_go_in_and_stay_in(run: Any) -> None:
    def function() -> str:
        before = variable.get()
        variable.set("inside")
        return before

    async def main() -> None:
        variable.set("outside")
        assert await to_thread(function) == "outside"
        assert await to_thread(variable.get) == "outside"
        assert variable.get() == "outside"

    run(main())


def test_calls_run_side_by_side(run: Any) -> None:
    barrier = threading.Barrier(3, timeout=5)

    async def main() -> None:
        loop = awaitables.running_loop()
        tasks = [loop.create_task(to_thread(barrier.wait)) for _ in range(3)]
        assert sorted([await task for task in tasks]) == [0, 1, 2]

    run(main())


def test_a_task_that_waits_may_be_cancelled_and_the_thread_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaitables.threads, "limit", 2)  # whatever the last server in this process has set
    begun, go, done = threading.Event(), threading.Event(), threading.Event()

    def function() -> None:
        begun.set()
        go.wait(5)
        done.set()

    async def main() -> None:
        task = Task(awaitables.running_loop(), to_thread(function))
        assert await to_thread(begun.wait, 5)  # one that has not begun is not made at all
        task.cancel()
        with pytest.raises(CancelledError):
            await task
        go.set()
        assert await to_thread(done.wait, 5)
        assert await to_thread(int, "7") == 7  # the late result of the first has done no harm

    Loop().run_until_complete(main())


def test_a_task_that_waits_may_be_timed_out_by_asyncio() -> None:
    go = threading.Event()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(to_thread(go.wait, 5), 0.001)
        go.set()
        assert await to_thread(int, "7") == 7

    asyncio.run(main())


def test_a_loop_that_is_closed_meanwhile_is_left_alone(run: Any) -> None:
    go, done = threading.Event(), threading.Event()

    def function() -> None:
        go.wait(5)

    async def main() -> None:
        awaitables.running_loop().create_task(to_thread(function))
        await awaitables.sleep(0)

    run(main())
    go.set()
    awaitables.threads.submit(done.set)
    assert done.wait(5)


def test_outside_of_a_loop_it_says_where_to_await_it() -> None:
    coroutine = to_thread(int)
    with pytest.raises(RuntimeError, match="no event loop runs here: await this in a handler"):
        coroutine.send(None)


def test_the_limit_of_a_server_is_that_of_the_threads(
    run: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with Server("127.0.0.1", 0, backend=backend, max_threads=3):
            assert awaitables.threads.limit == 3

    monkeypatch.setattr(awaitables.threads, "limit", 40)
    run(main())


# The threads themselves


class Worker:
    """Calls that wait until they are let go."""

    def __init__(self, threads: Threads, count: int) -> None:
        self.running = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        for _ in range(count):
            threads.submit(self.call)

    def call(self) -> None:
        self.running.release()
        self.let_go.acquire(timeout=5)
        self.ended.release()


def test_never_more_threads_than_the_limit_and_the_rest_wait_their_turn() -> None:
    threads = Threads(2)
    worker = Worker(threads, 5)
    for _ in range(2):
        assert worker.running.acquire(timeout=5)
    assert not worker.running.acquire(timeout=0.01)
    assert threads._alive == 2
    for _ in range(5):
        worker.let_go.release()
        assert worker.ended.acquire(timeout=5)
    assert threads._alive == 2


def test_a_free_thread_is_used_again() -> None:
    threads = Threads(10)
    for _ in range(5):
        worker = Worker(threads, 1)
        worker.let_go.release()
        assert worker.ended.acquire(timeout=5)
        while not threads._waiting:  # it is on its way back
            pass
    assert threads._alive == 1


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


def test_where_there_can_be_no_threads_a_call_runs_here_and_now(
    no_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaitables, "threads", Threads())
    for _ in range(2):
        assert Loop().run_until_complete(to_thread(threading.current_thread)) is threading.current_thread()
    with pytest.raises(ValueError, match="x"):
        Loop().run_until_complete(to_thread(raising, ValueError("x")))


def test_where_there_can_be_no_more_threads_a_call_waits_for_those_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = Threads(2)
    first = Worker(threads, 1)
    assert first.running.acquire(timeout=5)
    with monkeypatch.context() as patch:
        error = RuntimeError("can't start new thread")
        patch.setattr(threading.Thread, "start", lambda thread: raising(error))
        second = Worker(threads, 1)
    for worker in (first, second):
        worker.let_go.release()
        assert worker.ended.acquire(timeout=5)
    assert threads._alive == 1


@pytest.mark.parametrize("module", ["asyncio", "kissapi.backends.loop"])
def test_a_module_that_another_thread_is_importing_runs_no_loop_here(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    with pytest.raises(RuntimeError, match="no event loop runs here"):
        awaitables.running_loop()


def test_one_thread_is_woken_at_a_time_and_none_waits_behind_a_long_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, late = threading.Thread.start, list[threading.Thread]()

    def start_later(thread: threading.Thread) -> None:
        late.append(thread)

    monkeypatch.setattr(threading.Thread, "start", start_later)
    threads, together = Threads(limit=10), threading.Barrier(4)
    for _ in range(3):  # each goes on once all of them run
        threads.submit(lambda: together.wait(10) and None)
    assert len(late) == 1, "two calls wait for the thread that is about to begin"
    monkeypatch.setattr(threading.Thread, "start", start)
    late[0].start()
    together.wait(10)
    done = threading.Event()
    threads.submit(done.set)
    assert done.wait(10)


def test_two_calls_of_a_place_that_wait_get_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    start, late = threading.Thread.start, list[threading.Thread]()

    def start_later(thread: threading.Thread) -> None:
        late.append(thread)

    monkeypatch.setattr(threading.Thread, "start", start_later)
    threads, place, ran = Threads(limit=10), Place(), list[str]()
    begun, done = threading.Event(), threading.Event()
    threads.submit(lambda: begun.wait(10) and None)
    for number in range(2):  # the first thread is about to begin: both wait for another
        threads.submit(lambda number=number: ran.append(f"{number} {threading.get_ident()}"), place)  # type: ignore[misc]
    threads.submit(lambda: None)
    monkeypatch.setattr(threading.Thread, "start", start)
    late[0].start()
    threads.submit(done.set, place)
    assert done.wait(10)
    begun.set()
    assert [each.split()[0] for each in ran] == ["0", "1"]
    assert len({each.split()[1] for each in ran}) == 1
