"""After: what is called once an answer is out."""

from __future__ import annotations

import http.client
import threading
import urllib.request
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from kissapi import Fail, Request, Router, Server, sleep
from kissapi.backends.awaitables import running_loop
from tests.peer import until
from tests.serving import THREE, make, running
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
    until(lambda: server.service is None)
    assert sorted(called) == ["slow", "thread"]


def test_one_that_cannot_be_called_like_that_is_logged_and_no_more(router: Router) -> None:
    wire = Wire(router).send(GET % b"unfit" + GET % b"now")
    assert [body for _, _, body in parse_answers(wire.received)] == [b"fine", b"now"]
    assert "GET /unfit" in "\n".join(wire.lines)
    assert not wire.closed


# Asked for late: the answer is out


class Late:
    """Requests that ask for something to be called when their answer is out already."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.go = threading.Event()
        self.router = router = Router()

        async def note(text: str) -> None:
            self.called.append(text)

        def plainly(text: str) -> None:
            self.called.append(text)

        @router.get("/nested")
        async def nested(req: Request) -> str:
            async def first() -> None:
                self.called.append("first")
                req.after(note, "second")
                req.after(third)

            def third() -> None:
                self.called.append("third")
                req.after(plainly, "fourth")

            req.after(first)
            return "x"

        @router.get("/task")
        async def task(req: Request) -> str:
            async def background() -> None:
                while not self.go.is_set():
                    await sleep(0.01)
                req.after(note, "late")
                req.after(plainly, "late and plain")

            self.tasks = [running_loop().create_task(background())]
            return "x"

        @router.get("/stream")
        async def stream(req: Request) -> AsyncIterator[str]:
            async def first() -> None:
                req.after(note, "late")

            req.after(first)
            yield "x"

        @router.get("/fails")
        async def fails(req: Request) -> str:
            async def outer() -> None:
                async def broken_inside() -> None:
                    raise KeyError("inside")

                req.after(broken_inside)
                raise KeyError("outside")

            def broken_plainly() -> None:
                raise KeyError("plainly")

            req.after(outer)
            req.after(broken_plainly)
            req.after(partial(broken_plainly))
            return "x"

        @router.get("/")
        async def hello(req: Request) -> str:
            self.called.append("hello")
            return "hello"

    def wait(self, count: int) -> list[str]:
        until(lambda: len(self.called) >= count)
        return self.called


CLOSE = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("ask", [GET, CLOSE])
def test_asked_for_in_another_it_is_called_at_once(parser_class: Any, ask: bytes) -> None:
    late = Late()
    wire = Wire(late.router, parser_class).send(ask % b"nested")
    assert late.called[:2] == ["first", "second"]
    assert sorted(late.called) == ["first", "fourth", "second", "third"]
    assert wire.closed == (ask is CLOSE)


@pytest.mark.parametrize("ask", [GET, CLOSE])
def test_asked_for_by_a_task_it_is_called_at_once(ask: bytes) -> None:
    late = Late()
    wire = Wire(late.router).send(ask % b"task").wait(1)
    assert late.called == []
    late.go.set()
    wire.wait(0.1)
    assert late.called == ["late", "late and plain"]


def test_after_a_stream_it_is_no_different(parser_class: Any) -> None:
    late = Late()
    Wire(late.router, parser_class).send(GET % b"stream").wait(0.1)
    assert late.called == ["late"]


def test_one_that_fails_is_logged_by_its_own_name(parser_class: Any) -> None:
    wire = Wire(Late().router, parser_class).send(GET % b"fails").wait(0.1)
    log = "\n".join(wire.lines)
    for name, error in (("outer", "outside"), ("broken_inside", "inside"), ("broken_plainly", "plainly")):
        assert f"KeyError: '{error}'" in log
        assert any("GET /fails" in line and name in line for line in wire.lines), name
    assert not any(
        "GET /fails" in line and line.endswith("Late.__init__.<locals>.fails") for line in wire.lines
    )


@pytest.mark.parametrize("ending", ["left", "cut"])
def test_what_was_not_answered_is_followed_by_nothing(parser_class: Any, ending: str) -> None:
    router, called, requests = Router(), [], []

    @router.get("/")
    async def handler(req: Request) -> AsyncIterator[str]:
        requests.append(req)
        req.after(called.append, "in time")
        yield "x"
        await sleep(1)
        raise KeyError

    wire = Wire(router, parser_class).send(GET % b"")
    if ending == "left":
        wire.lose()
    wire.wait(2)
    requests[0].after(called.append, "late")
    wire.wait(1)
    assert called == []


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("loop", THREE)
def test_it_is_so_on_all_loops(loop: str, closes: bool) -> None:
    late = Late()
    headers = {"Connection": "close"} if closes else {}
    with running(make(loop, late.router)) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        client.request("GET", "/nested", headers=headers)
        assert client.getresponse().read() == b"x"
        assert sorted(late.wait(4)) == ["first", "fourth", "second", "third"]
        late.called.clear()
        client.request("GET", "/task", headers=headers)
        assert client.getresponse().read() == b"x"
        late.go.set()  # before the next request, which must not be waited for
        assert sorted(late.wait(2)) == ["late", "late and plain"]
        client.request("GET", "/", headers=headers)
        assert client.getresponse().read() == b"hello"
        client.close()
        assert late.called[2:] == ["hello"]


@pytest.mark.parametrize("loop", THREE)
def test_that_of_a_websocket_is_called_when_its_handler_has_ended(loop: str) -> None:
    websockets = pytest.importorskip("websockets.sync.client")
    late = Late()
    router, called = late.router, late.called

    @router.before
    async def hook(req: Request) -> None:
        req.after(called.append, "of the hook")

    @router.websocket("/ws")
    async def echo(ws: Any) -> None:
        async def first() -> None:
            called.append("of the handler")
            ws.request.after(called.append, "late")

        ws.request.after(first)
        async for message in ws:
            await ws.send(message)
        await sleep(0.05)
        called.append("the handler ends")

    with running(make(loop, router)) as server:
        with websockets.connect(f"ws://127.0.0.1:{server.port}/ws") as client:
            client.send("hello")
            assert client.recv(5) == "hello"
            assert called == []
        assert late.wait(4)[0] == "the handler ends"
    assert sorted(called[1:]) == ["late", "of the handler", "of the hook"]
