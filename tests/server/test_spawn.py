"""spawn: a background task is kept, logged if it fails, and cancelled when the app ends, on each loop."""

from __future__ import annotations

import gc
import threading
import urllib.request
from contextvars import ContextVar
from typing import Any

import pytest

from kissapi import App, Queue, Request, Router, Server, serve, sleep, spawn
from kissapi.backends import selectors
from kissapi.extras.json_log import JsonLog
from kissapi.extras.testing import Client
from tests.serving import THREE, make, running

name: ContextVar[str] = ContextVar("name", default="none")


def get(server: Server, path: str) -> str:
    with urllib.request.urlopen(server.url + path, timeout=5) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("loops", [1, 2])
@pytest.mark.parametrize("loop", THREE)
def test_tasks_are_kept_and_cancelled_before_on_stop(loop: str, loops: int) -> None:
    said: list[str] = []
    router = Router()

    async def work(text: str) -> None:
        try:
            await sleep(3600)
        finally:
            await sleep(0.01)
            said.append(f"{text} ends")

    @router.on_start
    def start(app: App) -> None:
        app.task = spawn(work("first"))

    @router.on_stop
    def stop(app: App) -> None:
        assert app.task.cancelled()
        said.append("on_stop")
        spawn(work("late"))  # begins, and is cancelled as well

    @router.get("/")
    async def home(req: Request) -> str:
        spawn(work("second"))
        return "spawned"

    with running(make(loop, router, loops=loops)) as server:
        assert get(server, "/") == "spawned"
        gc.collect()
        assert said == []
    assert sorted(said) == sorted(["first ends", "on_stop"] * loops + ["second ends"])
    if loops == 1:
        assert said[-1] == "on_stop"


@pytest.mark.parametrize("error", [KeyError("prices"), SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("loop", THREE)
def test_what_a_task_raises_is_logged_and_the_server_goes_on(
    loop: str, error: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    router = Router()
    failed = threading.Event()

    async def watch_prices() -> None:
        await sleep(0)
        failed.set()
        raise error

    @router.get("/")
    async def home(req: Request) -> str:
        spawn(watch_prices())
        return "spawned"

    with running(make(loop, router)) as server:
        assert get(server, "/") == "spawned"
        assert failed.wait(5)
        assert get(server, "/") == "spawned"
    said = capfd.readouterr()
    text = said.out + said.err
    assert text.count("[ERROR] the background task ") == 2
    assert f"{watch_prices.__qualname__} failed" in text
    assert type(error).__name__ in text


def test_a_task_has_a_result_and_the_context_of_who_spawned_it(backend: str) -> None:
    router = Router()
    said: list[str] = []

    async def work() -> str:
        said.append("begun")
        await sleep(5)
        return name.get()

    @router.get("/")
    async def home(req: Request) -> str:
        name.set("ann")
        task = spawn(work())
        said.append("spawned")
        name.set("bob")
        return str(await task)

    with Client(router, backend) as client:
        begun = client.clock.time()
        assert client.get("/").text == "ann"
        assert client.clock.time() == begun + 5
    assert said == ["spawned", "begun"]


def test_in_the_time_of_the_client(backend: str) -> None:
    router = Router()

    async def tick(app: App) -> None:
        while True:
            await sleep(3600)
            await app.ticks.put("tick")

    @router.on_start
    def start(app: App) -> None:
        app.ticks = Queue()
        app.task = spawn(tick(app))

    @router.get("/")
    async def home(req: Request) -> str:
        return str(await req.app.ticks.get())

    async def broken() -> None:
        raise KeyError("broken")

    async def by_hand() -> None:
        spawn(broken())

    with Client(router, backend) as client:
        client.wait(3600)
        assert client.get("/").text == "tick"
        task = client.service.app.task
        client.run(by_hand())
        client.wait(0)
        assert any("broken failed" in line for line in client.log)
    assert task.cancelled()


def test_without_a_block_the_client_ends_tasks_when_it_is_closed(backend: str) -> None:
    router = Router()
    tasks: list[Any] = []

    @router.get("/")
    async def home(req: Request) -> None:
        tasks.append(spawn(sleep(3600)))

    client = Client(router, backend)
    assert client.get("/").status == 204
    client.close()
    assert tasks[0].cancelled()


def test_each_of_two_servers_in_a_loop_ends_its_own() -> None:
    said: list[str] = []

    async def work(text: str) -> None:
        try:
            await sleep(3600)
        finally:
            said.append(text)

    servers = []
    for text in ("one", "two"):
        router = Router()

        @router.get("/")
        async def home(req: Request, text: str = text) -> None:
            spawn(work(text))

        servers.append(make("selectors", router))
    one, two = servers
    thread = threading.Thread(target=serve, args=servers, daemon=True)
    begun = threading.Event()
    two.on_start(begun.set)
    thread.start()
    assert begun.wait(5)
    while two.service is None:
        threading.Event().wait(0.01)
    get(one, "/")
    get(two, "/")
    one.stop()
    while one.service is not None or "one" not in said:
        threading.Event().wait(0.01)
    assert said == ["one"]
    two.stop()
    thread.join(5)
    assert said == ["one", "two"]


def test_where_it_cannot_work_it_says_so(backend: str) -> None:
    router = Router()

    @router.get("/")
    def home(req: Request) -> str:
        with pytest.raises(RuntimeError, match="no event loop runs here") as info:
            spawn(sleep(0))
        return str(info.value)

    @router.get("/uncalled")
    async def uncalled(req: Request) -> None:
        with pytest.raises(TypeError, match=r"not <function .*: call it: spawn\(work\(\)\)"):
            spawn(alone)  # type: ignore[arg-type]

    async def alone() -> None:
        with pytest.raises(RuntimeError, match="nothing serves here: spawn is for handlers"):
            spawn(sleep(0))

    with Client(router, backend) as client:
        assert "async def" in client.get("/").text
        assert client.get("/uncalled").status == 204
    selectors.run(alone())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_task_that_goes_on_is_named_and_left_behind(backend: str) -> None:
    router = Router()

    async def stubborn() -> None:
        while True:
            try:
                await sleep(1000)
            except GeneratorExit:
                raise
            except BaseException:
                continue

    @router.on_start
    async def start() -> None:
        spawn(stubborn())

    with Client(router, backend) as client:
        pass
    (line,) = [line for line in client.log if "goes on" in line]
    assert line.endswith("stubborn goes on 1 s after it was cancelled")


def test_json_logs_have_it(capfd: pytest.CaptureFixture[str]) -> None:
    router = Router()

    @router.on_start
    async def start() -> None:
        async def fails() -> None:
            raise KeyError("prices")

        spawn(fails())
        await sleep(0.01)

    with running(make("selectors", router, logger=JsonLog)):
        pass
    assert "fails failed" in capfd.readouterr().out
