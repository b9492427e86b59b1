"""How an around ends: its `finally` runs, whatever happens, on every loop."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router, sleep, spawn, timeout
from kissapi.backends.awaitables import running_loop
from kissapi.extras.sse import FIRST, sse
from kissapi.extras.testing import Client
from tests import peer
from tests.peer import connect, until
from tests.routing.arounds import seeing
from tests.serving import THREE, make, running
from tests.wire import Wire, parse_answers

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


def routes(steps: list[Any]) -> Router:
    router = Router()
    for name in ("outer", "inner"):

        async def around(req: Request, name: str = name) -> AsyncIterator[Any]:
            steps.append(f"{name} begins")
            try:
                response = yield
                if req.path == f"/{name}-sleeps":
                    await sleep(60)
                steps.append(f"{name} {response.status}")
            except BaseException as error:
                steps.append(f"{name} {type(error).__name__}")
                raise
            finally:
                await sleep(0)
                steps.append(f"{name} ends")

        router.around(around)

    @router.get("/{word}")
    async def handler(req: Request) -> Any:
        word = req.params["word"]
        if word == "fail":
            raise Fail(403)
        if word == "error":
            raise KeyError("k")
        if word == "sleeps":
            await sleep(60)
        if word == "stream-sleeps":
            return stream()
        return stream("piece") if word == "inner-sleeps" else "text"

    @router.get("/threaded")
    def threaded(req: Request) -> str:
        return "text"

    async def stream(*pieces: str) -> AsyncIterator[str]:
        try:
            for piece in pieces:
                yield piece
            await sleep(60)
        finally:
            steps.append("stream ends")

    return router


def ends(steps: list[Any]) -> list[Any]:
    return [step for step in steps if step.endswith("ends")]


BOTH = ["inner ends", "outer ends"]
LEFT = ["sleeps", "inner-sleeps", "outer-sleeps", "stream-sleeps"]


@pytest.mark.parametrize("word", LEFT)
def test_cancellation_is_raised_at_the_yield(parser_class: Any, word: str) -> None:
    steps: list[Any] = []
    wire = Wire(routes(steps), parser_class).send(GET % word.encode()).wait(1)
    assert steps[:2] == ["outer begins", "inner begins"]
    wire.lose()
    wire.wait(1)
    cancelled = [step for step in steps if step.endswith("CancelledError")]
    assert cancelled == (
        ["outer CancelledError"]
        if word == "outer-sleeps"
        else ["inner CancelledError", "outer CancelledError"]
    )
    assert [step for step in ends(steps) if step != "stream ends"] == BOTH
    assert ("stream ends" in steps) == (word in ("inner-sleeps", "stream-sleeps"))
    assert wire.service.cancelled == set()


def test_cancellation_cannot_be_caught(parser_class: Any) -> None:
    steps: list[Any] = []
    router = routes(steps)

    @router.around
    async def stubborn(req: Request) -> AsyncIterator[Any]:
        try:
            yield
        except BaseException:
            steps.append("caught")

    wire = Wire(router, parser_class).send(GET % b"sleeps").wait(1)
    wire.lose()
    wire.wait(1)
    assert steps[2:] == [
        *("caught", "inner CancelledError", "inner ends", "outer CancelledError", "outer ends")
    ]


@pytest.mark.parametrize("loop", THREE)
def test_finally_runs_on_every_loop(loop: str) -> None:
    steps: list[Any] = []
    with running(make(loop, routes(steps))) as server:
        for word, status in (("text", 200), ("threaded", 200), ("fail", 403), ("error", 500), ("a/b", 404)):
            with connect(server.port) as client:
                client.sendall(GET % word.encode())
                assert client.recv(1000).startswith(b"HTTP/1.1 %d " % status)
            assert steps == [
                *("outer begins", "inner begins"),
                *(f"inner {status}", "inner ends", f"outer {status}", "outer ends"),
            ]
            steps.clear()
        for word in LEFT:
            with connect(server.port) as client:
                client.sendall(GET % word.encode())
                until(lambda: len(steps) >= 2)
                time.sleep(0.02)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            until(lambda: "outer ends" in steps)
            assert [step for step in ends(steps) if step != "stream ends"] == BOTH
            steps.clear()
        waiting = [connect(server.port) for _ in LEFT]
        for client, word in zip(waiting, LEFT, strict=True):
            client.sendall(GET % word.encode())
        until(lambda: steps.count("inner begins") == len(LEFT))
    for client in waiting:
        client.close()
    assert sorted(step for step in ends(steps) if step != "stream ends") == sorted(BOTH * len(LEFT))


@pytest.mark.parametrize(
    ("loop", "limit"), [("asyncio", asyncio.timeout), *((loop, timeout) for loop in THREE)]
)
def test_a_timeout_may_stand_round_the_yield(loop: str, limit: Any) -> None:
    router = Router()

    @router.around
    async def patience(req: Request) -> AsyncIterator[Any]:
        try:
            async with limit(0.05):
                yield
        except TimeoutError:
            raise Fail(504) from None

    @router.get("/")
    async def slow(req: Request) -> str:
        await sleep(60)
        return "x"

    with running(make(loop, router)) as server, connect(server.port) as client:
        client.sendall(GET % b"")
        assert client.recv(1000).startswith(b"HTTP/1.1 504 ")


@pytest.mark.parametrize("after", [FIRST / 2, FIRST * 2])
def test_events_wait_a_moment_for_the_first(parser_class: Any, after: float) -> None:
    steps: list[Any] = []
    router = routes(steps)

    @router.get("/events/all")
    async def events(req: Request) -> Response:
        async def each() -> AsyncIterator[str]:
            try:
                await sleep(after)
                yield "one"
                yield "two"
            finally:
                steps.append("events end")

        return sse(each())

    wire = Wire(router, parser_class).send(GET % b"events/all").wait(1)
    ((status, _, body),) = parse_answers(wire.received)
    assert (status, body) == (200, b"data: one\n\ndata: two\n\n")
    assert steps[-1] == "events end"
    assert "outer 200" in steps


@pytest.mark.parametrize("moment", [FIRST / 2, FIRST * 2, FIRST * 4])
def test_events_that_no_client_waits_for_end(parser_class: Any, moment: float) -> None:
    steps: list[Any] = []
    router = routes(steps)

    @router.get("/events/all")
    async def events(req: Request) -> Response:
        async def each() -> AsyncIterator[str]:
            try:
                await sleep(FIRST * 3)
                yield "one"
                await sleep(60)
                yield "two"
            finally:
                steps.append("events end")

        return sse(each())

    wire = Wire(router, parser_class).send(GET % b"events/all").wait(moment)
    wire.lose()
    wire.wait(1)
    assert steps.count("events end") == 1
    assert [step for step in ends(steps) if step != "stream ends"] == BOTH


@pytest.mark.parametrize("loop", THREE)
def test_the_cancellation_of_another_task_is_a_mistake_that_is_answered(loop: str) -> None:
    steps: list[Any] = []
    router = routes(steps)

    @router.get("/awaits")
    async def awaits(req: Request) -> None:
        task = spawn(sleep(60))
        await sleep(0)
        task.cancel()
        await task

    @router.get("/at-once")
    async def at_once(req: Request) -> None:
        future = running_loop().create_future()
        future.cancel()
        await future

    with running(make(loop, router)) as server:
        for path in ("awaits", "at-once"):
            steps.clear()
            assert peer.get(server.port, f"/{path}")[0] == 500
            assert steps[2:] == ["inner 500", "inner ends", "outer 500", "outer ends"]


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
def test_a_timeout_round_the_yield_of_a_stream_is_no_silent_one(backend: str) -> None:
    router = Router()
    router.around(seeing([]))

    @router.get("/")
    async def stream(req: Request) -> AsyncIterator[str]:
        async with timeout(5):
            yield "a"
            await sleep(10)

    with pytest.raises(RuntimeError, match="put it round what is awaited between two yields"):
        Client(router, backend).get("/")


@pytest.mark.parametrize("loop", THREE)
@pytest.mark.parametrize("refused", [False, True])
def test_it_sees_the_handshake_of_a_websocket(loop: str, refused: bool) -> None:
    websockets = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
    steps: list[Any] = []
    router = routes(steps)

    async def own(req: Request) -> AsyncIterator[Any]:
        if refused:
            raise Fail(403)
        response = yield
        response.headers["x-own"] = "yes"

    @router.websocket("/ws/echo", around=[own])
    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    with running(make(loop, router)) as server:
        address = f"ws://127.0.0.1:{server.port}/ws/echo"
        if refused:
            with pytest.raises(Exception, match="403"):
                websockets.connect(address)
        else:
            with websockets.connect(address) as ws:
                assert ws.response.headers["x-own"] == "yes"
                ws.send("x")
                assert ws.recv() == "x"
    assert steps[2:] == (
        ["inner 403", "inner ends", "outer 403", "outer ends"]
        if refused
        else ["inner 101", "inner ends", "outer 101", "outer ends"]
    )
