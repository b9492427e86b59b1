"""Pieces: a worker thread draws for a moment, and what it has drawn is handed over together."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from kissapi import Request, Router, sleep
from kissapi.backends import pieces as module
from kissapi.backends import selectors
from kissapi.backends.pieces import ENOUGH, Pieces
from kissapi.extras.testing import Client

Run = Callable[[Coroutine[Any, Any, Any]], Any]
variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


@pytest.fixture(params=["asyncio", "selectors", "uvloop", "client-asyncio", "client-selectors"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine in a loop, and gives what it returned."""
    way = str(request.param)
    if way.startswith("client-"):
        return Client(Router(), way.removeprefix("client-")).run
    factory: Any = None
    if way == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    def in_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
        results = []

        async def main() -> None:
            results.append(await coroutine)

        if way == "selectors":
            selectors.run(main())
        else:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(main())
        return results[0]

    return in_loop


async def drawn(body: Any, most: float = float("inf")) -> list[Any]:
    """What is drawn of `body`, which is closed then."""
    found: list[Any] = []
    pieces = Pieces(body, Request())
    try:
        async for piece in pieces:
            found.append(bytes(piece) if isinstance(piece, bytearray) else piece)
            if len(found) >= most:
                break
    finally:
        await pieces.aclose()
    return found


def test_what_is_ready_is_handed_over_together(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    submit = module.submit
    monkeypatch.setattr(module, "submit", lambda *args: (steps.append(1), submit(*args)))
    assert run(drawn(b"%d" % number for number in range(1000))) == [b"%d" % number for number in range(1000)]
    assert len(steps) < 300  # a millisecond each; one, if nothing else runs here


def test_no_more_is_drawn_than_is_wanted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER", 60.0)  # seconds: the size alone ends the drawing
    made = []

    def endless() -> Iterator[bytes]:
        while True:
            made.append(1)
            yield b"x" * 1024

    assert len(run(drawn(endless(), most=3))) == 3
    assert len(made) <= ENOUGH // 1024


def test_a_piece_does_not_wait_for_one_that_blocks() -> None:
    go = threading.Event()

    def blocks() -> Iterator[str]:
        yield "first"
        assert go.wait(10)
        yield "second"

    async def main() -> list[Any]:
        pieces = Pieces(blocks(), Request())
        found = [await anext(pieces)]
        assert not go.is_set()
        go.set()
        found += [piece async for piece in pieces]
        await pieces.aclose()
        return found

    for run in (asyncio.run, selectors.run):
        go.clear()
        found: list[Any] = []

        async def noted(found: list[Any] = found) -> None:
            found += await main()

        run(noted())
        assert found == ["first", "second"]


@pytest.mark.parametrize(
    "make", [bytearray, lambda data: memoryview(bytearray(data)), lambda data: {"n": data}]
)
def test_what_the_next_step_may_change_is_handed_over_alone(run: Run, make: Any) -> None:
    made = []

    def steps() -> Iterator[Any]:
        for _ in range(3):
            made.append(1)
            yield make(b"x")

    async def main() -> list[int]:
        pieces = Pieces(steps(), Request())
        counts = [len(made) async for _ in pieces]
        await pieces.aclose()
        return counts

    assert run(main()) == [1, 2, 3]


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt, StopAsyncIteration])
def test_what_is_raised_comes_behind_the_pieces(run: Run, error: Any) -> None:
    class Body:
        count = 0

        def __next__(self) -> str:
            self.count += 1
            if self.count > 2:
                raise error
            return "x"

    async def main() -> list[str]:
        pieces, found = Pieces(Body(), Request()), []
        try:
            while True:
                found.append(await anext(pieces))
        except Exception as raised:
            found.append(type(raised).__name__)
        await pieces.aclose()
        return found

    name = error.__name__ if issubclass(error, Exception) else "RuntimeError"
    assert run(main()) == ["x", "x", name]


def test_one_context_for_all_steps(run: Run) -> None:
    def steps() -> Iterator[str]:
        for number in range(100):
            assert variable.get() == number
            variable.set(number + 1)
            yield "x" * 2000

    assert len(run(drawn(steps()))) == 100
    assert variable.get() == 0


def test_one_that_is_cancelled_ends_after_its_step_and_is_closed() -> None:
    began, go = threading.Event(), threading.Event()
    noted: list[Any] = []

    def steps() -> Iterator[str]:
        try:
            while True:
                began.set()
                assert go.wait(10)
                noted.append(threading.current_thread())
                yield "x"
        finally:
            noted.append(threading.current_thread())

    async def main() -> None:
        async def consume() -> None:
            pieces = Pieces(steps(), Request())
            try:
                async for _ in pieces:
                    raise AssertionError("nothing is ready")
            finally:
                asyncio.get_running_loop().call_soon(go.set)
                await pieces.aclose()

        task = asyncio.create_task(consume())
        while not began.is_set():
            await sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert len(noted) == 2
    assert len(set(noted)) == 1


def test_nothing_of_it_is_left_behind(run: Run) -> None:
    class Body:
        def __next__(self) -> str:
            raise ValueError("wrong")

    async def main() -> Any:
        body = Body()
        pieces = Pieces(body, Request())
        with pytest.raises(ValueError, match="wrong"):
            await anext(pieces)
        await pieces.aclose()
        return weakref.ref(body)

    gc.collect()
    gc.disable()
    try:
        left = run(main())
        assert left() is None
    finally:
        gc.enable()
