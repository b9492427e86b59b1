"""Handlers: whatever can be called with a request may be one, and none is called on the wrong thread."""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from kissapi import Request
from kissapi.backends.awaitables import threads
from kissapi.backends.handlers import as_coroutine_function
from kissapi.backends.loop import Loop
from kissapi.core import compose


async def answer(req: Request) -> str:
    return "answer"


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Greeter:
    async def method(self, req: Request) -> str:
        return "answer"

    def plain_method(self, req: Request) -> str:
        return "answer"

    @staticmethod
    async def static(req: Request) -> str:
        return "answer"

    @classmethod
    async def of_class(cls, req: Request) -> str:
        return "answer"


class AsyncCallable:
    async def __call__(self, req: Request) -> str:
        return "answer"


class PlainCallable:
    def __call__(self, req: Request) -> str:
        return "answer"


async def answer_to(name: str, req: Request) -> str:
    return name


def plain_wrapper(req: Request) -> Any:
    return answer(req)


def plain(req: Request) -> str:
    return "answer"


def pieces(req: Request) -> Iterator[str]:
    yield from ("ans", "wer")


async def async_pieces(req: Request) -> AsyncIterator[str]:
    for piece in ("ans", "wer"):
        yield piece


INLINE: list[Any] = [
    answer, functools.partial(answer), functools.partial(answer_to, "answer"), Greeter().method,
    Greeter.static, Greeter().of_class, AsyncCallable(), functools.partial(AsyncCallable()),
]  # fmt: skip
THREADED: list[Any] = [
    plain, functools.partial(plain), lambda req: "answer", plain_wrapper,
    Greeter().plain_method, PlainCallable(), decorated(answer), decorated(plain),
]  # fmt: skip
STREAMED: list[Any] = [
    pieces,
    async_pieces,
    functools.partial(pieces),
    decorated(pieces),
    decorated(async_pieces),
]


async def served(handler: Any) -> Any:
    result = await as_coroutine_function(handler)(Request())
    if hasattr(result, "__anext__"):
        return "".join([piece async for piece in result])
    return result if isinstance(result, str) else "".join(result)


@pytest.mark.parametrize("handler", [*INLINE, *THREADED, *STREAMED])
def test_whatever_can_be_called_with_a_request_may_be_a_handler(handler: Any) -> None:
    assert Loop().run_until_complete(served(handler)) == "answer"


@pytest.mark.parametrize("handler", INLINE)
def test_an_async_handler_never_sees_a_thread(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "submit", None)
    assert Loop().run_until_complete(served(handler)) == "answer"


def test_a_plain_def_runs_in_a_worker_thread() -> None:
    thread = Loop().run_until_complete(
        as_coroutine_function(lambda req: threading.current_thread())(Request())
    )
    assert thread is not threading.current_thread()
    assert thread.daemon


def test_without_hooks_the_callable_of_a_route_is_the_handler() -> None:
    assert compose(as_coroutine_function(answer)) is answer


def test_a_class_as_handler_is_called_not_awaited() -> None:
    made = Loop().run_until_complete(as_coroutine_function(lambda req: AsyncCallable)(Request()))
    assert made is AsyncCallable

    class Page:
        def __init__(self, req: Request) -> None:
            self.path = req.path

        async def __call__(self, req: Request) -> None:
            raise AssertionError

    assert Loop().run_until_complete(as_coroutine_function(Page)(Request(path="/x"))).path == "/x"
