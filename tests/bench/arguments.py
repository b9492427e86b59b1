"""Arguments: what binding costs a request, in microseconds: `python -m tests.bench.arguments`.

Each figure is the call of a handler with arguments, less that of one that takes the request alone. The best
of many short rounds counts: on a busy machine the others measure the others.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Any

from kissapi import Request, Router
from kissapi.routing.dispatch import Dispatch

router = Router()


@router.get("/alone/{id}")
async def alone(req: Request) -> None: ...


@router.get("/path/{id}")
async def path(req: Request, id: str) -> None: ...  # noqa: A002


@router.get("/1")
async def one(req: Request, a: int = 1) -> None: ...


@router.get("/2")
async def two(req: Request, a: int = 1, b: int = 2) -> None: ...


@router.get("/3")
async def three(req: Request, a: int = 1, b: int = 2, c: int = 3) -> None: ...


def seconds_of(call: Callable[..., Any], query: str) -> float:
    """The time of one call, with a request that is made for it."""

    def ask() -> None:
        request = Request()
        request.params = {"id": "7"}
        request.query_string = query
        call(request).close()

    return min(timeit.repeat(ask, number=300, repeat=1000)) / 300


def main() -> None:
    dispatch = Dispatch(router)
    calls = [dispatch.find(Request(path=at)).call for at in ("/alone/7", "/path/7")]
    calls += [dispatch.exact["GET", at].call for at in ("/1", "/2", "/3")]
    base, *queries = calls[0], "", "a=20", "a=20&b=30", "a=20&b=30&c=40"
    print("arguments, in µs:")
    for name, call, query in zip(
        ("one of the path", "one of the query", "two", "three"), calls[1:], queries, strict=True
    ):
        print(f"  {name}: {(seconds_of(call, query) - seconds_of(base, query)) * 1e6:.2f}")
    print(f"  three that are not sent: {(seconds_of(calls[4], '') - seconds_of(base, '')) * 1e6:.2f}")


if __name__ == "__main__":
    main()
