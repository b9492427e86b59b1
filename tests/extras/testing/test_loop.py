"""The loop of the client, and what runs in it."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from kissapi import Fail, Request, Router, Server, sleep, to_thread
from kissapi.backends.awaitables import running_loop
from kissapi.backends.loop import Loop
from kissapi.extras.testing import Client
from tests.extras.testing.app import Make, router, told
from tests.places import ROOT
from tests.serving import THREE, options_of


def test_a_mistake_of_a_handler_can_be_seen(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert client.get("/broken").status == 500
    assert "KeyError: 'drawer'" in client.log
    assert any("GET /broken: broken raised KeyError" in line for line in client.log)
    assert "KeyError: 'drawer'" in capsys.readouterr().err
    assert any("GET /broken → 500 21B" in line for line in client.log)
    assert not any("\x1b" in line for line in client.log)


@pytest.mark.parametrize("kind", THREE)
def test_an_async_test_can_use_it(make: Make, backend: str, kind: str) -> None:
    server = Server(router=router, backend=backend)
    server.on_start(lambda: told.append("start"))
    server.on_stop(lambda: told.append("stop"))

    async def within() -> None:
        loop, task = running_loop(), kind == "selectors" or asyncio.current_task()
        with make(server) as client:
            assert client.get("/sleep/3000.5").text == "slept"
            assert client.get("/who").status == 200
            await sleep(0)
            with client.stream("GET", "/count") as one:
                assert next(iter(one)) == b"0"
                await sleep(0.001)
                assert next(iter(one)) == b"1"
            assert client.run(sleep(5)) is None
        assert (running_loop(), kind == "selectors" or asyncio.current_task()) == (loop, task)

    factory = options_of(kind).get("loop_factory", asyncio.new_event_loop)
    loop = Loop() if kind == "selectors" else factory()
    loop.run_until_complete(within())
    loop.close()
    assert told == ["start", "woken", "closed", "stop"]


def test_an_app_cannot_ask_the_client_that_waits_for_it(make: Make, backend: str) -> None:
    app = Router()
    client = make(app, backend)

    @app.get("/async")
    async def of_a_coroutine(req: Request) -> None:
        client.get("/other")

    @app.get("/plain")
    def of_a_thread(req: Request) -> None:
        client.wait(1)

    for path in ("/async", "/plain"):
        assert client.get(path).status == 500
    assert sum(line.startswith("RuntimeError: the app cannot ask") for line in client.log) == 2


def test_an_app_may_ask_another_client(make: Make, backend: str) -> None:
    app = Router()

    @app.get("/{name}")
    async def forward(req: Request) -> str:
        return make(router, req.params["name"]).get("/sleep/7").text

    client = make(app, backend)
    assert [client.get(f"/{name}").text for name in ("asyncio", "selectors")] == ["slept", "slept"]


variable: ContextVar[str] = ContextVar("variable", default="unset")


def test_plain_functions_run_as_in_a_thread(make: Make, backend: str) -> None:
    app = Router()

    @app.get("/")
    async def start(req: Request) -> list[Any]:
        variable.set("set")
        return [await to_thread(look, 1), variable.get()]

    def look(number: int) -> list[Any]:
        with pytest.raises(RuntimeError, match="no event loop runs here"):
            running_loop()
        seen = [number, variable.get()]
        variable.set("lost")
        return seen

    @app.get("/raises")
    def raises(req: Request) -> None:
        raise Fail(418, "teapot")

    @app.get("/loop")
    def loop(req: Request) -> str:
        return asyncio.run(asyncio.sleep(0, "a loop of its own"))

    client = make(app, backend)
    assert client.get("/").json == [[1, "set"], "set"]
    assert client.get("/raises").status == 418
    assert client.get("/loop").text == "a loop of its own"
    assert variable.get() == "unset"


def test_coroutines_run_beside_requests(client: Client) -> None:
    async def double(number: int) -> int:
        await sleep(10)
        return number * 2

    async def fails() -> None:
        raise KeyError("drawer")

    now = client.loop.now
    assert client.run(double(4)) == 8
    assert client.loop.now == now + 10
    with pytest.raises(KeyError, match="drawer"):
        client.run(fails())


def test_a_server_starts_and_stops_with_the_block(
    make: Make, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(router=router, backend=backend)
    told.clear()

    @server.on_start
    async def start() -> None:
        await sleep(1)
        told.append("start")

    @server.on_stop
    def stop() -> None:
        told.append("stop")

    @server.on_stop
    async def wrong() -> None:
        raise KeyError("drawer")

    with make(server) as client:
        assert client.get("/after").text == "done"
        assert told == ["start", "at once"]
    assert told == ["start", "at once", "later", "stop"]
    assert "KeyError: 'drawer'" in capsys.readouterr().err
    client.close()  # once more does no harm


def test_a_task_that_is_left_at_the_end_is_cancelled(make: Make, backend: str) -> None:
    told.clear()
    client = make(router, backend)
    client.stream("GET", "/count")
    client.close()
    assert told == ["closed"]


def test_one_that_is_forgotten_leaves_nothing(backend: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told.clear()
        client = Client(router, backend)
        client.get("/who")
        client.stream("GET", "/count")
        loop = client.loop
        del client
        gc.collect()
    assert told == ["closed"]
    if backend == "asyncio":
        assert loop.is_closed()


def test_a_generator_that_is_let_go_is_finished(make: Make, backend: str) -> None:
    app = Router()

    @app.get("/")
    async def start(req: Request) -> str:
        async def numbers() -> AsyncIterator[int]:
            try:
                yield 1
                yield 2
            finally:
                await sleep(1)
                told.append("finished")

        async for number in numbers():
            return str(number)
        return "none"

    told.clear()
    client = make(app, backend)
    assert client.get("/").text == "1"
    gc.collect()
    client.wait(2)
    assert told == ["finished"]


def test_an_error_of_a_callback_is_not_lost(client: Client) -> None:
    def wrong() -> None:
        raise KeyError("callback")

    client.loop.call_later(5, wrong)
    client.wait(4)
    with pytest.raises(KeyError, match="callback"):
        client.wait(2)
    assert client.get("/who").status == 200


def test_a_loop_that_never_rests_is_told_of(
    make: Make, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Router()

    @app.get("/")
    async def spin(req: Request) -> None:
        while True:
            await sleep(0)

    monkeypatch.setattr("kissapi.extras.testing.loop.MANY", 10_000)
    client = make(app, backend)
    with pytest.raises(RuntimeError, match="10,000 steps, and nothing has waited"):
        client.get("/")
    client.close()


def test_on_asyncio_all_of_asyncio_is_there_in_the_same_time(make: Make) -> None:
    app = Router()

    @app.get("/")
    async def start(req: Request) -> list[Any]:
        said: list[Any] = []
        loop = asyncio.get_running_loop()
        begin = loop.time()
        try:
            async with asyncio.timeout(100):
                await asyncio.sleep(1000)
        except TimeoutError:
            said.append(loop.time() - begin)
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(asyncio.sleep(5, "first"))
            tasks.create_task(sleep(7))
        said += [first.result(), loop.time() - begin, asyncio.current_task() is not None]
        said.append(await asyncio.to_thread(lambda: threading.current_thread() is threading.main_thread()))
        with pytest.raises(KeyError):
            await asyncio.to_thread(dict[str, str]().__getitem__, "key")
        await asyncio.wait_for(asyncio.Event().wait(), 3) if req.query else None
        return said

    client = make(app, "asyncio")
    began = time.monotonic()
    assert client.get("/").json == [100.0, "first", 107.0, True, True]
    assert client.get("/?fail").status == 500
    assert time.monotonic() - began < 2


def test_on_asyncio_a_real_socket_is_waited_for(make: Make, serve: Callable[..., Server]) -> None:
    app = Router()
    other = Router()

    @other.get("/")
    def slowly(req: Request) -> str:
        time.sleep(0.2)
        return "from afar"

    server = serve(other)

    @app.get("/")
    async def ask(req: Request) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        return answer.rpartition(b"\r\n")[2].decode()

    client = make(app, "asyncio")
    now = client.loop.now
    assert client.get("/").text == "from afar"
    assert client.loop.now - now < 10


def test_on_selectors_asyncio_says_what_to_do(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    app = Router()

    @app.get("/")
    async def start(req: Request) -> None:
        await asyncio.sleep(1)

    client = make(app, "selectors")
    assert client.get("/").status == 500
    assert any("this server runs on selectors: use kissapi.sleep" in line for line in client.log)


def test_on_selectors_there_is_no_socket_and_no_thread(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("not here")

    for module, name in (
        (socket, "socket"),
        (socket, "socketpair"),
        (threading.Thread, "start"),
        (threading.Event, "wait"),
        (time, "sleep"),
    ):
        monkeypatch.setattr(module, name, forbidden)
    client = make(router, "selectors")
    assert client.get("/who").status == 200
    assert client.get("/sleep/10").text == "slept"
    assert client.get("/slices").text == "breadbutter"


def test_on_selectors_nothing_of_asyncio_is_imported() -> None:
    program = """
import sys
from kissapi import Router
from kissapi.extras.testing import Client
router = Router()
@router.get("/")
async def hello(req):
    yield "hello"
client = Client(router, "selectors")
assert client.get("/").text == "hello"
assert client.post("/", json={}).status == 405
print(*[name for name in ("asyncio", "ssl", "http", "concurrent") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
