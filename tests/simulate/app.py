"""App: handlers of every temper, and a book of which of them have begun and ended.

Each request has a number of its own, which its answer tells. Requests of one client begin in the order
of their numbers, one at a time, and whatever has begun ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from kissapi import Fail, Request, Response, Router, sleep, to_thread
from kissapi.backends.tasks import CancelledError
from kissapi.routing.route import Route
from kissapi.routing.router import Mount
from tests.conformance.app import router as conformance

EACH = 1000  # numbers of one client


def pieces(number: int, count: int, size: int) -> list[bytes]:
    """What a stream gives; its second piece is empty, which as a chunk would be the end."""
    full = [b"%d.%d " % (number, index) + b"x" * size for index in range(count)]
    return [*full[:1], b"", *full[1:]] if full else []


class App:
    """A router for one run, and its book."""

    def __init__(self, fail: Callable[[str], None], gone: Callable[[int], bool]) -> None:
        self.fail = fail
        self.gone = gone  # whether this client has left
        self.begun: list[int] = []
        self.running: set[int] = set()
        self.failed: set[int] = set()  # streams that broke off
        self.router = self._router()

    def begin(self, number: int) -> None:
        client = number // EACH
        if not self.gone(client):
            for other in self.running:
                if other // EACH == client:
                    self.fail(f"request {number} begins while {other} is at work")
            if any(other // EACH == client and other >= number for other in self.begun):
                self.fail(f"request {number} begins out of order")
        self.begun.append(number)
        self.running.add(number)

    def end(self, number: int) -> None:
        self.running.remove(number)

    def _watched(self, handler: Any) -> Any:
        async def watched(req: Request) -> Any:
            number = req.params["number"]
            self.begin(number)
            try:
                return await handler(req, number)
            finally:
                self.end(number)

        return watched

    def _router(self) -> Router:
        router = Router()
        for name, handler in HANDLERS.items():
            for path in (f"/{name}/{{number:int}}", f"/{name}/{{number:int}}/{{size:int}}"):
                for method in ("GET", "POST"):
                    router.add_route(method, path, self._watched(handler))
        router.add_route("GET", "/def/{number:int}", self._blocking)
        router.add_route("GET", "/defraises/{number:int}", self._blocking_and_raising)
        for name, ending in ENDINGS.items():
            path = "/{number:int}/{count:int}/{size:int}/{ms:int}"
            router.add_route("GET", f"/stream{name}{path}", self._stream(ending))
            router.add_route("GET", f"/lines{name}{path}", self._lines(ending))
        router["/hooked"] = self._hooked()
        for entry in conformance._entries.values():
            assert isinstance(entry, Route | Mount)
            if isinstance(entry, Route):
                router.add_route(entry.method, entry.path, entry.handler)
        return router

    def _blocking(self, req: Request) -> str:
        number = req.params["number"]
        self.begin(number)
        self.end(number)
        return f"{number}"

    def _blocking_and_raising(self, req: Request) -> str:
        self._blocking(req)
        raise SystemExit

    def _stream(self, ending: Callable[[], object]) -> Any:
        async def stream(req: Request) -> AsyncIterator[Any]:
            number, ms = req.params["number"], req.params["ms"]
            self.begin(number)
            try:
                for piece in pieces(number, req.params["count"], req.params["size"]):
                    if ms:
                        await sleep(ms / 1000)
                    yield piece
                if ending is not _whole:
                    self.failed.add(number)
                    yield ending()
            finally:
                self.end(number)

        return stream

    def _lines(self, ending: Callable[[], object]) -> Any:
        def lines(req: Request) -> Iterator[Any]:
            number = req.params["number"]
            self.begin(number)
            try:
                yield from pieces(number, req.params["count"], req.params["size"])
                if ending is not _whole:
                    self.failed.add(number)
                    yield ending()
            finally:
                self.end(number)

        return lines

    def _hooked(self) -> Router:
        router = Router()

        @router.before
        async def before(req: Request) -> None:
            if req.params["when"] == "before":
                await sleep(0.01)
                raise Fail(403, str(req.params["number"]))

        @router.after
        def after(req: Request, result: Any) -> Any:
            if req.params["when"] == "after":
                raise LookupError("on purpose")

        @router.get("/{when}/{number:int}")
        async def handler(req: Request) -> str:
            return f"{req.params['number']}"

        return router


def _whole() -> object:
    raise AssertionError


def _raises() -> object:
    raise ZeroDivisionError("on purpose")


def _cancels() -> object:
    raise CancelledError


def _odd() -> object:
    return 7


ENDINGS: dict[str, Callable[[], object]] = {"": _whole, "raises": _raises, "cancels": _cancels, "odd": _odd}


async def now(req: Request, number: int) -> str:
    return f"{number}"


async def slow(req: Request, number: int) -> str:
    await sleep(req.params["size"] / 1000)
    return f"{number}"


async def turns(req: Request, number: int) -> str:
    for _ in range(req.params["size"] % 5):
        await sleep(0)
    return f"{number}"


async def offload(req: Request, number: int) -> int:
    return await to_thread(int, str(number))


async def table(req: Request, number: int) -> dict[str, int]:
    return {"number": number}


async def big(req: Request, number: int) -> bytes:
    return b"%d " % number + b"x" * int(req.params["size"])


async def echo(req: Request, number: int) -> bytes:
    return b"%d " % number + req.body


async def refuses(req: Request, number: int) -> None:
    raise Fail(403, str(number))


async def raises(req: Request, number: int) -> None:
    raise ZeroDivisionError("on purpose")


async def raises_late(req: Request, number: int) -> None:
    await sleep(0.3)
    raise ZeroDivisionError("on purpose")


async def exits(req: Request, number: int) -> None:
    raise SystemExit


async def ends_itself(req: Request, number: int) -> None:
    await sleep(0.1)
    raise GeneratorExit


async def cancels(req: Request, number: int) -> None:
    raise CancelledError


async def cancels_itself(req: Request, number: int) -> None:
    await sleep(0.01)
    connection = req._connection
    assert connection is not None
    if connection.task is not None:
        connection.task.cancel()
    await sleep(5)


async def stubborn(req: Request, number: int) -> str:
    for _ in range(3):
        try:
            await sleep(0.5)
        except CancelledError:
            pass
    return f"{number}"


async def tidy(req: Request, number: int) -> str:
    try:
        await sleep(1)
    finally:
        await sleep(0.05)
    return f"{number}"


async def odd(req: Request, number: int) -> object:
    return object()


async def nothing(req: Request, number: int) -> None:
    return None


async def last(req: Request, number: int) -> Response:
    return Response(f"{number}", headers={"Connection": "close"})


async def never(req: Request, number: int) -> None:
    await sleep(1e9)


HANDLERS: dict[str, Any] = {
    handler.__name__.replace("_", ""): handler
    for handler in (
        now, slow, turns, offload, table, big, echo, refuses, raises, raises_late, exits, ends_itself,
        cancels, cancels_itself, stubborn, tidy, odd, nothing, last, never,
    )
}  # fmt: skip
