"""After: what is called once an answer is out."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kissapi import Fail, Request, Router, Server, sleep
from tests.wire import Wire, parse_answers

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def called() -> list[str]:
    return []


@pytest.fixture
def router(called: list[str]) -> Router:
    router = Router()

    async def note(text: str) -> None:
        called.append(text)

    async def slow(text: str) -> None:
        await sleep(1)
        called.append(text)

    @router.get("/now")
    async def now(req: Request) -> str:
        req.after(note, "now 1")
        req.after(slow, "now 2")
        return "now"

    @router.get("/later")
    async def later(req: Request) -> str:
        req.after(note, "later")
        await sleep(5)
        return "later"

    @router.get("/stream")
    async def stream(req: Request) -> Any:
        req.after(note, "stream")

        async def pieces() -> AsyncIterator[str]:
            for piece in "ab":
                yield piece
                await sleep(1)

        return pieces()

    @router.get("/fails")
    async def fails(req: Request) -> None:
        req.after(note, "failed")
        raise Fail(418)

    @router.get("/wrong")
    async def wrong(req: Request) -> str:
        async def broken() -> None:
            raise KeyError("after")

        req.after(broken)
        return "fine"

    @router.get("/unfit")
    async def unfit(req: Request) -> str:
        req.after(note)
        return "fine"

    return router


def test_it_is_called_when_the_answer_is_out(router: Router, called: list[str]) -> None:
    wire = Wire(router).send(GET % b"now")
    assert parse_answers(wire.received)[0][2] == b"now"
    assert called == ["now 1"]
    wire.wait(1)
    assert called == ["now 1", "now 2"]


def test_each_waits_for_its_own_answer(router: Router, called: list[str]) -> None:
    wire = Wire(router).send(GET % b"later" + GET % b"fails" + GET % b"stream")
    assert called == []
    wire.wait(5)
    assert called == ["later", "failed"]
    wire.wait(2)
    assert called == ["later", "failed", "stream"]


def test_what_it_raises_is_logged(router: Router) -> None:
    wire = Wire(router).send(GET % b"wrong" + GET % b"now")
    assert len(parse_answers(wire.received)) == 2
    assert any("KeyError: 'after'" in line for line in wire.lines)


def test_a_client_that_left_gets_no_answer_and_nothing_after_it(router: Router, called: list[str]) -> None:
    wire = Wire(router).send(GET % b"later")
    wire.lose()
    wire.wait(10)
    assert called == []


def test_a_request_without_a_connection_has_no_after() -> None:
    with pytest.raises(RuntimeError, match="did not come over a connection"):
        Request().after(print)


def test_the_server_waits_for_it(serve: Any) -> None:
    router, called = Router(), []

    @router.get("/")
    async def handler(req: Request) -> str:
        async def slow() -> None:
            await sleep(0.3)
            called.append("slow")

        def blocking() -> None:
            called.append("thread")

        req.after(slow)
        req.after(blocking)
        return "x"

    server: Server = serve(router)
    with urllib.request.urlopen(server.url) as answer:
        assert answer.read() == b"x"
    server.stop()
    deadline = time.monotonic() + 5
    while server.service is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(called) == ["slow", "thread"]


def test_one_that_cannot_be_called_like_that_is_logged_and_no_more(router: Router) -> None:
    wire = Wire(router).send(GET % b"unfit" + GET % b"now")
    assert [body for _, _, body in parse_answers(wire.received)] == [b"fine", b"now"]
    assert "GET /unfit" in "\n".join(wire.lines)
    assert not wire.closed
