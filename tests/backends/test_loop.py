"""The loop of our own: timers, threads, signals, polls. Where asyncio promises it too, both are asked."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from typing import Any

import pytest

from kissapi import Router, sleep
from kissapi.backends import poll
from kissapi.backends.awaitables import running_loop
from kissapi.backends.loop import Loop
from tests.backends.playing import On, play, run, turns
from tests.wire import Wire


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
    loop.close()


def test_one_may_sleep_for_ever(backend: str) -> None:
    async def scenario(on: On) -> None:
        task = on.spawn(sleep(float("inf")))
        await sleep(0.005)
        assert not task.done()
        task.cancel()
        await turns()
        assert task.cancelled()

    play(backend, scenario)


def test_a_sleep_of_nan_seconds_is_refused(backend: str) -> None:
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
    loop.close()
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


def test_an_exception_in_a_callback_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        running_loop().call_soon(int, "x")
        await sleep(0)
        await sleep(0)

    run(main())
    printed = capfd.readouterr().err
    assert printed.startswith("Traceback (most recent call last):")
    assert printed.endswith("ValueError: invalid literal for int() with base 10: 'x'\n")


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


def test_a_callback_that_calls_itself_again_does_not_starve_timers_and_sockets(backend: str) -> None:
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


@pytest.mark.parametrize("kind", [poll.SelectorPoll, poll.Poll])
def test_a_poll_tells_which_socket_is_ready_for_what(kind: Any) -> None:
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
        if isinstance(waiting, poll.EpollPoll):
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
    monkeypatch.setattr("kissapi.backends.loop.Poll", poll.SelectorPoll)
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
