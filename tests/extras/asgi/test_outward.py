"""to_asgi: what an ASGI server sees: its messages, their order, and the ends of requests."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import kissapi
from kissapi import Request, Response, Router, Server
from kissapi.extras.asgi import to_asgi
from kissapi.extras.files import file
from kissapi.extras.sse import sse
from tests.extras.asgi.driver import Call, Driver, until

LAST = {"type": "http.request", "body": b"", "more_body": False}


# Whole answers, and pieces


def test_a_whole_answer_is_two_messages() -> None:
    router = Router()

    @router.get("/")
    async def hello(req: Request) -> dict[str, int]:
        return {"a": 1}

    with Driver(to_asgi(router)) as driver:
        start = {"type": "http.response.start", "status": 200}
        fields = [(b"content-type", b"application/json"), (b"content-length", b"7")]
        body = {"type": "http.response.body", "body": b'{"a":1}'}
        assert driver.ask("GET", "/").messages == [{**start, "headers": fields}, body]


def test_each_piece_goes_out_when_it_is_there() -> None:
    router = Router()
    go = asyncio.Event()

    @router.get("/")
    async def pieces(req: Request) -> AsyncIterator[str]:
        yield "one"
        await go.wait()
        yield "two"

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.http("GET", "/"), LAST)
        assert (await call.next("http.response.body"))["body"] == b"one"
        assert not call.sent
        go.set()
        await call.end()
        bodies = [(message["body"], message["more_body"]) for message in call.sent]
        assert bodies == [(b"two", True), (b"", False)]

    with Driver(to_asgi(router)) as driver:
        driver.run(main(driver))


def test_a_client_that_takes_nothing_holds_up_the_generator() -> None:
    router = Router()
    made = []

    @router.get("/")
    async def pieces(req: Request) -> AsyncIterator[bytes]:
        for number in range(100):
            made.append(number)
            yield b"x" * 20_000

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.http("GET", "/"), LAST)
        await call.next("http.response.body")
        call.room.clear()
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(made) < 15
        call.room.set()
        await call.end()
        assert len(made) == 100

    with Driver(to_asgi(router)) as driver:
        driver.run(main(driver))


def test_a_handler_that_does_not_read_holds_up_the_upload() -> None:
    router = Router()
    go = asyncio.Event()

    @router.post("/", stream=True, max_body=1 << 24)
    async def upload(req: Request) -> str:
        await go.wait()
        return str(sum([len(piece) async for piece in req.stream()]))

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.http("POST", "/"))
        for _ in range(100):
            call.give({"type": "http.request", "body": b"x" * 20_000, "more_body": True})
        call.give(LAST)
        for _ in range(200):
            await asyncio.sleep(0)
        assert call.given.qsize() > 90
        go.set()
        await call.end()
        assert call.sent[-1]["body"] == b"2000000"

    with Driver(to_asgi(router)) as driver:
        driver.run(main(driver))


def test_what_fails_in_the_middle_does_not_look_complete(capsys: pytest.CaptureFixture[str]) -> None:
    router = Router()

    @router.get("/")
    async def pieces(req: Request) -> AsyncIterator[str]:
        yield "one"
        await kissapi.sleep(0)
        raise RuntimeError("a bug")

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.http("GET", "/"), LAST)
        with pytest.raises(Exception, match="cut short"):
            await call.end()
        assert call.sent[-1].get("more_body") is not False

    with Driver(to_asgi(router)) as driver:
        driver.run(main(driver))
    assert "RuntimeError: a bug" in capsys.readouterr().out


def test_a_file_is_sent_by_its_path_if_the_server_offers_that(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(b"x" * 200_000)
    router = Router()

    @router.get("/")
    def whole(req: Request) -> Response:
        return file(path)

    with Driver(to_asgi(router), extensions={"http.response.pathsend": {}}) as driver:
        answer = driver.ask("GET", "/")
        assert (answer.path, answer.headers["content-length"]) == (str(path), "200000")
        part = driver.ask("GET", "/", [("range", "bytes=0-99999")])
        assert (part.status, part.path, len(part.body)) == (206, None, 100_000)
        assert driver.ask("HEAD", "/").path is None


# The ends of requests


def test_a_client_that_leaves_ends_its_handler() -> None:
    router = Router()
    ends: list[Any] = []

    @router.get("/{kind}")
    async def wait(req: Request, kind: str) -> Any:
        req.on_end(lambda outcome, size: ends.append((outcome, size)))
        req.after(ends.append, "after")
        try:
            if kind == "stream":
                return sse(forever())
            await kissapi.sleep(60)
        finally:
            ends.append(kind)

    async def forever() -> AsyncIterator[str]:
        try:
            while True:
                yield "tick"
                await kissapi.sleep(0.01)
        finally:
            ends.append("stream ended")

    async def main(driver: Driver, kind: str) -> None:
        call = Call(driver.app, driver.http("GET", f"/{kind}"), LAST)
        if kind == "stream":
            await call.next("http.response.body")
        else:
            await until(lambda: driver.app._site.service.connections)
        call.leave()
        await call.end()

    with Driver(to_asgi(router)) as driver:
        driver.run(main(driver, "handler"))
        assert ends == ["handler", ("client left", 0)]
        ends.clear()
        driver.run(main(driver, "stream"))
        assert ends[:2] == ["stream", "stream ended"]
        assert ends[2][0] == "client left"
        assert not driver.app._site.service.connections


def test_a_client_that_leaves_in_its_body_starts_no_handler() -> None:
    router = Router()
    called = []

    @router.post("/")
    async def post(req: Request) -> None:
        called.append(1)

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.http("POST", "/"), {**LAST, "body": b"a", "more_body": True})
        call.leave()
        await call.end()
        assert call.sent == []

    with Driver(to_asgi(router)) as driver:
        driver.run(main(driver))
    assert called == []


def test_a_server_that_cancels_ends_the_handler() -> None:
    router = Router()
    ends: list[Any] = []

    @router.get("/")
    async def wait(req: Request) -> None:
        req.on_end(lambda outcome, size: ends.append(outcome))
        await kissapi.sleep(60)

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.http("GET", "/"), LAST)
        await until(lambda: driver.app._site.service.connections)
        call.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call.end()
        await until(lambda: ends)

    with Driver(to_asgi(router)) as driver:
        driver.run(main(driver))
    assert ends == ["stopped"]


def test_a_server_that_cancels_at_once() -> None:
    router = Router()
    ends: list[Any] = []

    @router.around
    async def around(req: Request) -> AsyncIterator[Any]:
        req.on_end(lambda outcome, size: ends.append(outcome))
        yield

    @router.get("/")
    async def wait(req: Request) -> None:
        await kissapi.sleep(60)

    async def main(driver: Driver) -> None:
        for turns in range(4):
            call = Call(driver.app, driver.http("GET", "/"), LAST)
            for _ in range(turns):
                await asyncio.sleep(0)
            call.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call.end()
        await until(lambda: not driver.app._site.service.connections)

    with Driver(to_asgi(router)) as driver:
        driver.run(main(driver))
    assert set(ends) == {"stopped"}


def test_the_app_ends_after_what_is_due_after_the_answer() -> None:
    router = Router()
    seen: list[Any] = []

    @router.get("/")
    async def answer(req: Request) -> str:
        req.after(later, call_of)
        return "soon"

    async def later(call: list[Call]) -> None:
        seen.append(len(call[0].sent))
        await kissapi.sleep(0.01)
        seen.append("done")

    call_of: list[Call] = []

    async def main(driver: Driver) -> None:
        call_of.append(Call(driver.app, driver.http("GET", "/"), LAST))
        await call_of[0].end()

    with Driver(to_asgi(router)) as driver:
        driver.run(main(driver))
    assert seen == [2, "done"]


@pytest.mark.parametrize("what", ["body", "answer"])
def test_silence_has_an_end(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    router = Router()

    @router.post("/")
    async def post(req: Request) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 70_000

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.http("POST", "/"))
        if what == "answer":
            call.room.clear()
            call.give(LAST)
            with pytest.raises(Exception, match="cut short"):
                await call.end()
        else:
            call.give({**LAST, "body": b"a", "more_body": True})
            await call.end()
            assert call.sent[0]["status"] == 408

    server = Server(router=router, body_timeout=0.05, write_timeout=0.05, access_log=False)
    with Driver(to_asgi(server)) as driver:
        driver.run(main(driver))


def test_nothing_is_left_for_the_collector() -> None:
    router = Router()

    @router.get("/")
    async def hello(req: Request) -> str:
        return "Hello"

    @router.get("/pieces")
    async def pieces(req: Request) -> AsyncIterator[str]:
        await kissapi.sleep(0)
        yield "one"

    @router.post("/")
    async def post(req: Request) -> bytes:
        return req.body

    def alive() -> set[int]:
        return {id(each) for each in gc.get_objects() if type(each).__name__ in ("Exchange", "Request")}

    with Driver(to_asgi(router)) as driver:
        for _ in range(2):
            gc.collect()
            before = alive()  # what other tests of this process hold
            gc.disable()
            try:
                driver.ask("GET", "/")
                driver.ask("GET", "/none")
                driver.ask("GET", "/pieces")
                driver.ask("POST", "/", body=[b"a", b"b"])
                left = alive() - before
            finally:
                gc.enable()
        assert left == set()


def test_streams_that_are_cut_leave_no_task_and_no_cycle() -> None:
    """`make ecosystem ONLY=cut_streams` cuts 10,000 of them under uvicorn."""
    router = Router()
    ends: list[str] = []

    @router.get("/")
    async def pieces(req: Request) -> AsyncIterator[bytes]:
        req.on_end(lambda outcome, size: ends.append(outcome))
        while True:
            yield b"x" * 1000
            await kissapi.sleep(0)

    async def main(driver: Driver, count: int) -> None:
        for number in range(count):
            call = Call(driver.app, driver.http("GET", "/"), LAST)
            for _ in range(1 + number % 3):
                await call.next("http.response.body")
            call.gone = True  # `send` tells of it, and for every other one `receive`, too
            if number % 2:
                call.give({"type": "http.disconnect"})
            await call.end()
        await until(lambda: len(ends) == count)
        assert asyncio.all_tasks() == {asyncio.current_task(), driver._life.task}  # type: ignore[union-attr]

    with Driver(to_asgi(router)) as driver:
        gc.collect()
        known = set(map(id, gc.get_objects()))
        gc.disable()
        try:
            driver.run(main(driver, 1000))
            service = driver.app._site.service
            assert not service.connections
            assert not service.background
            left = [
                each for each in gc.get_objects() if type(each).__name__ in LEFT and id(each) not in known
            ]
        finally:
            gc.enable()
        assert left == []
    assert set(ends) == {"client left"}


LEFT = (
    "Exchange",
    "Request",
    "ScopedRequest",
    "Connection",
    "Writer",
    "Task",
    "coroutine",
    "async_generator",
)
