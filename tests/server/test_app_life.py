"""The life of an app: `on_start`, `on_stop`, `lifespan` of routers and servers, once per loop that serves."""

from __future__ import annotations

import functools
import signal
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kissapi import App, Event, Request, Router, Server, sleep
from kissapi.backends.awaitables import running_loop
from kissapi.extras.testing import Client
from kissapi.routing.lifespan import takes_app
from tests.programs import spread, write
from tests.serving import THREE, Started, make, running


@pytest.fixture(params=[*THREE, "two-asyncio", "two-selectors", "client-asyncio", "client-selectors"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Serving:
    """A router at work in one of the ways, as a context manager: `get(path)`, and `loops` that serve."""

    def __init__(self, way: str, router: Router) -> None:
        kind, _, backend = way.rpartition("-")
        self.loops = 2 if kind == "two" else 1
        self.server = make(backend, router, loops=self.loops)
        self.client = Client(self.server, backend) if kind == "client" else None
        self.block: Any = self.client or running(self.server)

    def get(self, path: str) -> str:
        if self.client is not None:
            return self.client.get(path).text
        with urllib.request.urlopen(self.server.url + path, timeout=5) as answer:
            return str(answer.read().decode())

    def __enter__(self) -> Serving:
        self.block.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.block.__exit__(*error)


def test_routers_from_the_outermost_in_and_back(way: str) -> None:
    said: list[str] = []
    root, api, shared = Router(), Router(), Router()
    root["/api"] = api
    api["/a"] = shared
    root["/b"] = shared  # mounted twice, started once

    def tell(name: str, router: Any) -> None:
        @router.on_start
        def start() -> None:
            said.append(f"{name} starts")

        @router.lifespan
        async def lifespan(app: App) -> AsyncIterator[None]:
            said.append(f"{name} opens")
            await sleep(0)
            yield
            await sleep(0)
            said.append(f"{name} closes")

        @router.on_stop
        async def stop(app: App) -> None:
            said.append(f"{name} stops")

    tell("shared", shared)
    tell("api", api)
    tell("root", root)
    serving = Serving(way, root)
    tell("server", serving.server)
    with serving:
        begun = said[:]
    names = ["server", "root", "api", "shared"]
    assert begun == [f"{name} {what}" for name in names for what in ("starts", "opens")] * serving.loops
    ended = said[len(begun) :]
    one = [f"{name} {what}" for name in reversed(names) for what in ("stops", "closes")]
    assert sorted(ended) == sorted(one * serving.loops)
    if serving.loops == 1:
        assert ended == one


def test_each_loop_has_an_app_of_its_own_and_requests_have_that_of_their_loop(way: str) -> None:
    router = Router()
    apps: list[App] = []

    @router.on_start
    async def connect(app: App) -> None:
        app.loop, app.event = running_loop(), Event()
        apps.append(app)

    @router.get("/")
    async def home(req: Request) -> str:
        req.app.event.set()
        await req.app.event.wait()  # that of another loop would raise
        return str(req.app.loop is running_loop())

    @router.get("/thread")
    def thread(req: Request) -> bool:
        return req.app in apps

    with Serving(way, router) as serving:
        assert [serving.get("/") for _ in range(8)] == ["True"] * 8
        assert serving.get("/thread") == "true"
        assert len({id(app) for app in apps}) == len({id(app.loop) for app in apps}) == serving.loops


def test_what_the_app_has_not_says_what_to_do(way: str) -> None:
    router = Router()

    @router.on_start
    def start(app: App) -> None:
        app.cache, app.pool = {}, None

    @router.get("/")
    async def home(req: Request) -> str:
        with pytest.raises(AttributeError, match="no 'pol'; it has cache, pool") as info:
            req.app.pol  # noqa: B018
        assert getattr(req.app, "pol", None) is None
        return str(info.value)

    with Serving(way, router) as serving:
        assert serving.get("/").endswith("app.pol = … (in tests: with Client(app) as client:)")


class Thing:
    """Callable, with and without the app."""

    def method(self, app: App) -> None: ...

    def none(self) -> None: ...

    def __call__(self, app: App) -> None: ...


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **more: Any) -> Any:
        return function(*args, **more)

    return call


class Decorated:
    """A method with a decorator."""

    @decorated
    def none(self) -> None: ...

    @decorated
    def one(self, app: App) -> None: ...


@pytest.mark.parametrize(
    ("function", "takes"),
    [
        (lambda: None, False),
        (lambda app: None, True),
        (lambda app=3: None, False),
        (lambda *args: None, False),
        (lambda *, app=1: None, False),
        (Thing().method, True),
        (Thing().none, False),
        (Thing(), True),
        (Thing, False),
        (print, False),
        (threading.Event().set, False),
        (threading.Lock().acquire, False),
        (functools.partial(lambda app: None), True),
        (functools.partial(lambda app: None, 1), False),
        (functools.partial(lambda app: None, app=1), False),
        (functools.partial(lambda one, app: None, 1), True),
        (functools.partial(Thing().method), True),
        (decorated(lambda app: None), True),
        (decorated(lambda: None), False),
        (Decorated().none, False),
        (Decorated().one, True),
    ],
)
def test_which_functions_are_given_the_app(function: Any, takes: bool) -> None:
    assert takes_app(function) is takes
    if not takes and function is not print:
        function()


def test_what_cannot_work_is_an_error_where_it_is_registered() -> None:
    router = Router()

    async def generator() -> AsyncIterator[None]:
        yield

    def plain() -> Iterator[None]:
        yield

    from contextlib import asynccontextmanager

    wrong: Any
    for wrong, why in (
        (lambda app: None, "async def, with one yield"),
        (plain, r"not .*plain \(.*test_app_life\.py:\d+\): async def, with one yield"),
        (3, "not 3: async def, with one yield"),
        (asynccontextmanager(generator), "leave out the decorator"),
    ):
        with pytest.raises(TypeError, match=why):
            router.lifespan(wrong)
    for wrong in (generator, plain):
        with pytest.raises(TypeError, match=r"\(.*test_app_life\.py:\d+\) has a yield: @router\.lifespan"):
            router.on_start(wrong)
    with pytest.raises(TypeError, match="takes a function, not 3"):
        router.on_stop(3)  # type: ignore[type-var]
    with running(make("selectors", router)), pytest.raises(RuntimeError, match="being served"):
        router.on_start(lambda: None)


def test_a_route_that_is_registered_at_the_start_comes_too_late(way: str) -> None:
    router = Router()
    said: list[str] = []

    @router.on_start
    async def start() -> None:
        with pytest.raises(RuntimeError, match="register routes, mounts and hooks before the server starts"):
            router.get("/late")(lambda req: "")
        said.append("too late")

    with (serving := Serving(way, router)):
        pass
    assert said == ["too late"] * serving.loops
    router.get("/")(lambda req: "now it stands")


def test_after_a_start_that_fails_the_router_is_open_again() -> None:
    router = Router()

    @router.on_start
    def start() -> None:
        raise KeyError("no database")

    for _ in range(2):
        with pytest.raises(KeyError), Client(router):
            pass
    with pytest.raises(KeyError):
        make("selectors", router).loop()
    router.get("/")(lambda req: "now it stands")


def test_a_lifespan_yields_once(way: str) -> None:
    router = Router()

    @router.lifespan
    async def never(app: App) -> AsyncIterator[None]:
        if app is None:
            yield

    serving = Serving(way, router)
    start = serving.__enter__ if serving.client is not None else serving.server.loop
    with pytest.raises(RuntimeError, match=r"never has ended without a yield"):
        start()


LATER = """
from contextlib import asynccontextmanager

@router.lifespan
async def pool(app):
    say("opened")
    try:
        yield
    finally:
        await sleep(0.01)
        say("closed")

sub = Router()
router["/sub"] = sub

@sub.lifespan
async def never_opened(app):
    {what}
    yield
    say("wrong")

sub.on_stop(lambda: say("on_stop"))
"""


@spread(
    "backend",
    "loops, what, last, code",
    (1, "raise KeyError('database')", "KeyError: 'database'", 1),
    (2, "raise KeyError('database')", "KeyError: 'database'", 1),
    (2, "sys.exit(3)", "closed", 3),
    (1, "sys.exit(3)", "closed", 3),
)
def test_what_was_opened_is_closed_when_a_later_one_fails(
    tmp_path: Path, backend: str, loops: int, what: str, last: str, code: int
) -> None:
    with Started([sys.executable, write(tmp_path, backend, LATER.format(what=what), loops=loops)]) as on:
        assert on.end() == code
    lines = on.output.splitlines()
    assert [line for line in lines if line in ("opened", "closed", "on_stop", "wrong")] == [
        "opened",
        "on_stop",
        "closed",
    ]
    assert lines[-1] == last


SECOND = """
import itertools
numbers = itertools.count()

@server.lifespan
async def pool(app):
    app.number = next(numbers)
    {what}
    say(f"opened {{app.number}}")
    try:
        yield
    finally:
        say(f"closed {{app.number}}")
        {end}

server.on_stop(lambda: say("on_stop"))
"""


@pytest.mark.parametrize("backend", THREE)
def test_the_loops_before_one_that_fails_are_ended(tmp_path: Path, backend: str) -> None:
    more = SECOND.format(what="if app.number == 1: raise KeyError('second')", end="pass")
    with Started([sys.executable, write(tmp_path, backend, more, loops=3)]) as on:
        assert on.end() == 1
    assert [line for line in on.output.splitlines() if line.startswith(("opened", "closed", "on_"))] == [
        "opened 0",
        "on_stop",
        "on_stop",
        "closed 0",
    ]
    assert on.output.splitlines()[-1] == "KeyError: 'second'"


@spread("backend", "workers", None, 1)
def test_a_signal_ends_the_start_of_a_loop(tmp_path: Path, backend: str, workers: int | None) -> None:
    what = "if app.number == 1: say('waits'); await sleep(60)"
    file = write(tmp_path, backend, SECOND.format(what=what, end="pass"), loops=2, workers=workers)
    with Started([sys.executable, file]) as on:
        on.wait_for("waits")
        on.send(signal.SIGTERM)
        assert on.end() == 0
    assert "closed 0" in on.output
    assert "closed 1" not in on.output
    assert "Traceback" not in on.output


@spread(
    "backend",
    "end, word, code",
    ("sys.exit(3)", "SystemExit: 3", 3),
    ("raise KeyError", "lifespan: pool failed", 0),
)
def test_what_the_end_in_a_loop_raises_is_logged(
    tmp_path: Path, backend: str, end: str, word: str, code: int
) -> None:
    file = write(tmp_path, backend, SECOND.format(what="pass", end=end), loops=2)
    with Started([sys.executable, file]) as on:
        on.wait_for("Serving on")
        on.send(signal.SIGTERM)
        assert on.end() == code
    assert on.output.count(word) == 2
    assert on.output.count("on_stop") >= 2


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
def test_an_end_that_takes_long_is_waited_for_in_each_loop(tmp_path: Path, backend: str) -> None:
    more = SECOND.format(what="pass", end="await sleep(0.5); say('end')")
    file = write(tmp_path, backend, more, loops=2, shutdown_timeout=0.01)
    with Started([sys.executable, file]) as on:
        on.wait_for("Serving on")
        on.send(signal.SIGTERM)
        assert on.end() == 0
    assert on.output.splitlines().count("end") == 2


def test_the_client_keeps_one_task_for_the_start_and_the_end() -> None:
    import asyncio

    server = Server(router=Router())
    said: list[str] = []

    @server.lifespan
    async def group(app: App) -> AsyncIterator[None]:
        async with asyncio.timeout(1000), asyncio.TaskGroup() as app.tasks:
            yield
            said.append("end")

    with Client(server) as client:
        client.wait(10)
    assert said == ["end"]
