"""On end: what is called with the outcome of an answer, whatever that is, exactly once."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router, sleep
from tests.peer import connect, until
from tests.serving import THREE, make, running
from tests.wire import Wire

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
Ends = list[tuple[str, str, int]]


def routes(ends: Ends) -> Router:
    router = Router()

    def note(req: Request) -> None:
        req.on_end(lambda outcome, size: ends.append((req.path, outcome, size)))

    router.before(note)

    @router.get("/text")
    async def text(req: Request) -> str:
        return "four"

    @router.get("/json")
    async def json(req: Request) -> dict[str, int]:
        return {"a": 1}

    @router.get("/none")
    async def none(req: Request) -> None:
        return None

    @router.get("/large")
    async def large(req: Request) -> bytes:
        return b"x" * 100_000

    @router.get("/fail")
    async def fail(req: Request) -> None:
        raise Fail(418, "no")

    @router.get("/error")
    async def error(req: Request) -> None:
        raise KeyError("k")

    @router.get("/plain")
    def plain(req: Request) -> str:
        return "four"

    @router.get("/stream")
    async def stream(req: Request) -> AsyncIterator[str]:
        for _ in range(3):
            yield "piece"
            await sleep(0.01)

    @router.get("/cut")
    async def cut(req: Request) -> AsyncIterator[str]:
        yield "piece"
        await sleep(0.01)
        raise KeyError("k")

    @router.get("/short")
    async def short(req: Request) -> Response:
        return Response(iter(["piece"]), headers={"content-length": "9"})

    @router.get("/sleep")
    async def long(req: Request) -> str:
        await sleep(60)
        return "x"

    @router.get("/drip")
    async def drip(req: Request) -> AsyncIterator[str]:
        while True:
            yield "piece"
            await sleep(60)

    return router


CASES = [
    ("text", "sent", 4),
    ("json", "sent", 7),
    ("none", "sent", 0),
    ("large", "sent", 100_000),
    ("fail", "sent", 2),
    ("error", "sent", 21),
    ("plain", "sent", 4),
    ("stream", "sent", 15),
    ("cut", "cut short", 5),
    ("short", "cut short", 5),
]


@pytest.mark.parametrize("log", [True, False], ids=["access log", "no access log"])
@pytest.mark.parametrize(("name", "outcome", "size"), CASES)
def test_it_gets_the_outcome_and_the_bytes(
    parser_class: Any, name: str, outcome: str, size: int, log: bool
) -> None:
    ends: Ends = []
    wire = Wire(routes(ends), parser_class)
    if not log:
        wire.service.answered = None
    wire.send(GET % name.encode()).wait(1)
    assert ends == [(f"/{name}", outcome, size)]
    wire.lose()
    wire.wait(100)
    assert len(ends) == 1


def test_a_head_has_no_bytes(parser_class: Any) -> None:
    ends: Ends = []
    Wire(routes(ends), parser_class).send((GET % b"text").replace(b"GET", b"HEAD"))
    assert ends == [("/text", "sent", 0)]


@pytest.mark.parametrize(("name", "size"), [("sleep", 0), ("drip", 5)])
def test_it_is_called_if_the_client_has_left(parser_class: Any, name: str, size: int) -> None:
    ends: Ends = []
    wire = Wire(routes(ends), parser_class).send(GET % b"text" + GET % name.encode()).wait(1)
    assert ends == [("/text", "sent", 4)]
    wire.lose()
    wire.wait(100)
    assert ends[1:] == [(f"/{name}", "client left", size)]


def test_a_client_that_takes_nothing(parser_class: Any) -> None:
    ends: Ends = []
    wire = Wire(routes(ends), parser_class, room=10, write_timeout=5).send(GET % b"drip")
    wire.wait(100)
    assert ends == [("/drip", "client takes nothing", 5)]


def test_several_are_called_in_order_sync_or_async_beside_after(parser_class: Any) -> None:
    router, steps = Router(), []

    @router.get("/")
    async def handler(req: Request) -> str:
        async def asynchronous(outcome: str, size: int) -> None:
            steps.append(("async", outcome, size))

        def wrong(outcome: str) -> None:
            pass

        req.on_end(wrong)  # type: ignore[arg-type]
        req.on_end(asynchronous)
        req.after(steps.append, "after")
        req.on_end(lambda outcome, size: steps.append(("sync", outcome, size)))
        return "four"

    wire = Wire(router, parser_class).send(GET % b"")
    assert [step for step in steps if step != "after"] == [("async", "sent", 4), ("sync", "sent", 4)]
    assert "after" in steps
    assert "wrong" in "\n".join(wire.lines)


@pytest.mark.parametrize("name", ["text", "cut"])
def test_asked_for_late_it_is_called_at_once(parser_class: Any, name: str) -> None:
    router, ends, requests = routes([]), [], []
    router.before(requests.append)
    wire = Wire(router, parser_class).send(GET % name.encode()).wait(1)
    requests[0].on_end(lambda *end: ends.append(end))
    wire.wait(0)
    assert ends == [("sent", 4) if name == "text" else ("cut short", 5)]


def test_a_request_without_a_connection_has_no_end() -> None:
    with pytest.raises(RuntimeError, match="did not come over a connection"):
        Request().on_end(print)


@pytest.mark.parametrize("loop", THREE)
def test_it_is_so_on_all_loops(loop: str) -> None:
    ends: Ends = []
    with running(make(loop, routes(ends))) as server:
        for name, outcome, size in CASES:
            with connect(server.port) as client:
                client.sendall(GET % name.encode())
                until(lambda: ends)
                assert ends == [(f"/{name}", outcome, size)]
            ends.clear()
        for name in ("sleep", "drip"):
            with connect(server.port) as client:
                client.sendall(GET % name.encode())
                if name == "drip":
                    assert client.recv(1000)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            until(lambda: ends)
            assert ends == [(f"/{name}", "client left", 5 if name == "drip" else 0)]
            ends.clear()
        waiting = connect(server.port)
        waiting.sendall(GET % b"sleep")
        until(lambda: server.service.count() == 1)
    waiting.close()
    assert ends == [("/sleep", "stopped", 0)]


@pytest.mark.parametrize("loop", THREE)
def test_that_of_a_websocket_is_when_its_handler_has_ended(loop: str) -> None:
    websockets = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
    router, steps = Router(), []

    def on_end(req: Request) -> None:
        req.on_end(lambda outcome, size: steps.append((outcome, size)))

    @router.websocket("/", before=[on_end])
    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)
        steps.append("handler")

    with running(make(loop, router)) as server:
        with websockets.connect(f"ws://127.0.0.1:{server.port}/") as ws:
            ws.send("x")
            assert ws.recv() == "x"
            assert steps == []
        until(lambda: len(steps) == 2)
    assert steps == ["handler", ("sent", 0)]
