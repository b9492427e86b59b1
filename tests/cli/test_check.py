"""`kissapi check`: handlers, hooks and other functions that cannot be called with what they will get."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest

from kissapi import Fail, Request, Router, Server
from kissapi.cli.check import uncallable
from kissapi.extras.debug import debug
from tests.places import ROOT


async def nothing() -> None: ...


async def one(req: Request) -> None: ...


async def two(req: Request, other: Any) -> None: ...


def default(req: Request, number: int = 3) -> None: ...


def keyword(req: Request, *, user: str) -> None: ...


def anything(*args: Any, **kwargs: Any) -> None: ...


class Show:
    def __call__(self, req: Request) -> None: ...

    def method(self, req: Request) -> None: ...


def with_user(function: Callable[..., Any]) -> Callable[[Request], Any]:
    @wraps(function)
    def wrapper(req: Request) -> Any:
        return function(req, "user")

    return wrapper


GOOD = [
    one,
    default,
    anything,
    Show(),
    Show().method,
    with_user(two),
    partial(two, other=1),
    dict,
    print,
]
BAD: list[tuple[Any, str]] = [
    (nothing, "nothing() cannot be called with the request: too many positional arguments"),
    (two, "two(req, other) cannot be called with the request: missing a required argument: 'other'"),
    (keyword, "keyword(req, user) cannot be called with the request: missing a required argument: 'user'"),
    (
        Show.method,
        "method(self, req) cannot be called with the request: missing a required argument: 'req'",
    ),
    (lambda: "x", "<lambda>() cannot be called with the request: too many positional arguments"),
]


@pytest.mark.parametrize("handler", GOOD)
def test_what_can_be_called_is_no_problem(handler: Any) -> None:
    router = Router()
    router.get("/{id}")(handler)
    router.before(handler)
    assert list(uncallable(router)) == []


@pytest.mark.parametrize(("handler", "said"), BAD)
def test_a_handler_that_cannot_take_the_request(handler: Any, said: str) -> None:
    router, root = Router(), Router()
    router.get("/{id}")(handler)
    root["/below"] = router
    (line,) = uncallable(root)
    assert line.startswith("GET /below/{id}: ")
    # Before 3.13 a missing keyword-only argument was called a missing argument.
    assert line.replace("keyword-only ", "").endswith(said)


async def generator(req: Request, other: int) -> AsyncIterator[Any]:
    yield


def test_hooks_and_answers_to_errors() -> None:
    router, below = Router(), Router()
    router.get("/")(one)
    router["/below"] = below
    router["/again"] = below
    below.before(two)
    below.after(two)
    below.after(one)
    below.around(generator)
    router.get("/own", before=[one, two], after=[two], around=[generator])(one)
    below.on_error(404)(one)
    below.on_error(Fail)(two)
    router.on_error(ValueError)("no function")  # type: ignore[type-var]
    said = [line.partition(" cannot")[0] for line in uncallable(router)]
    module = __name__
    assert said == [
        f"before hook: {module}.two(req, other)",
        f"around hook: {module}.generator(req, other)",
        "on_error(ValueError): 'no function'",
        f"before hook: {module}.two(req, other)",
        f"after hook: {module}.one(req)",
        f"around hook: {module}.generator(req, other)",
        f"on_error(404): {module}.one(req)",
    ]


def test_a_websocket_handler_gets_the_websocket() -> None:
    pytest.importorskip("wsproto")
    router = Router()
    router.websocket("/good")(one)
    router.websocket("/bad")(two)
    (line,) = uncallable(router)
    assert line == (
        f"GET /bad: {__name__}.two(req, other) cannot be called with the WebSocket: "
        "missing a required argument: 'other'"
    )


def test_what_a_server_calls_when_it_starts_and_stops() -> None:
    server = Server(router=Router())
    server.on_start(nothing)
    server.on_stop(anything)
    assert list(uncallable(server)) == []
    server.on_start(one)
    server.on_stop(two)  # type: ignore[type-var]
    (line,) = uncallable(server)
    why = "cannot be called with the app: missing a required argument: 'other'"
    assert line == f"on_stop: {__name__}.two(req, other) {why}"


def test_what_debug_adds_is_fine() -> None:
    router = Router()
    debug(router)
    assert list(uncallable(router)) == []


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from kissapi import Router, Server\nrouter = Router()\nserver = Server(router=router)\n"
        "@router.get('/a')\nasync def own(): ...\n@server.on_start\ndef start(app, more): ...\n"
    )
    command = [sys.executable, "-m", "kissapi", "check", "shop:server"]
    ended = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=20
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout.splitlines() == [
        "GET /a: shop.own() cannot be called with the request: too many positional arguments",
        "on_start: shop.start(app, more) cannot be called with the app: missing a required argument: 'more'",
    ]


def test_the_table_of_routes_needs_no_inspect() -> None:
    code = "import sys\nfrom kissapi.routing.listing import table\nprint('inspect' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert ended.stdout == "False\n"
