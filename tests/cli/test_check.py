"""`kissapi check`: handlers, hooks and other functions that cannot be called with what they will get."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest

from kissapi import Fail, Request, Router, Server
from kissapi.cli.check import uncallable, unguarded, unreached
from kissapi.extras.debug import debug
from kissapi.routing import converters
from kissapi.routing.listing import table
from tests.places import ROOT


async def nothing() -> None: ...


async def one(req: Request) -> None: ...


async def chat_with(ws: Any) -> None: ...


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


GOOD = [one, default, Show(), Show().method, with_user(two), partial(two, other=1), dict, print]


@pytest.mark.parametrize("handler", GOOD)
def test_what_can_be_called_is_no_problem(handler: Any) -> None:
    router = Router()
    router.get("/{id}")(handler)
    router.before(handler)
    assert list(uncallable(router)) == []


def test_a_function_of_c_that_tells_is_asked() -> None:
    """What Python code takes is asked where it is registered: tests/routing/test_fit.py."""
    router, root = Router(), Router()
    router.get("/{id}")(operator.setitem)
    root["/below"] = router
    (line,) = uncallable(root)
    assert line == (
        "GET /below/{id}: _operator.setitem(a, b, c) cannot be called with the request: "
        "missing a required argument: 'b'"
    )


def test_hooks_and_answers_to_errors() -> None:
    router, below = Router(), Router()
    router.get("/", before=[one, operator.add], after=[two])(one)
    router["/below"] = below
    router["/again"] = below
    below.before(operator.add)
    below.after(operator.neg)
    below.on_error(404)(operator.neg)
    below.on_error(Fail)(two)
    router.on_error(ValueError)("no function")  # type: ignore[type-var]
    assert [line.partition(" cannot")[0] for line in uncallable(router)] == [
        "before hook: _operator.add(a, b)",
        "on_error(ValueError): 'no function'",
        "before hook: _operator.add(a, b)",
        "after hook: _operator.neg(a)",
        "on_error(404): _operator.neg(a)",
    ]


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
        "@router.get('/a')\nasync def own(req, other): ...\n@server.on_start\ndef start(app, more): ...\n"
    )
    command = [sys.executable, "-m", "kissapi", "check", "shop:server"]
    ended = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=20
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    bound, called = ended.stdout.splitlines()
    assert bound.startswith(f"GET /a: own ({tmp_path / 'shop.py'}:4): parameter 'other' is not in the path")
    assert [called] == [
        "on_start: shop.start(app, more) cannot be called with the app: missing a required argument: 'more'",
    ]


def test_the_table_of_routes_needs_no_inspect() -> None:
    code = "import sys\nfrom kissapi.routing.listing import table\nprint('inspect' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert ended.stdout == "False\n"


def test_routers_that_a_hook_of_one_above_does_not_guard() -> None:
    root, admin, open_to_all, own, inner = (Router() for _ in range(5))
    root["/admin"], root["/open"], root["/own"] = admin, open_to_all, own
    admin["/{id}"] = inner
    for router in (root, admin, own, inner):
        router.get("/x")(one)
    own.get("/y")(one)
    root.before(one)
    root.before(nested=True)(default)
    own.before(one)
    open_to_all.get("/", before=[one])(one)
    name = f"{__name__}.one"
    advice = "with before(nested=True) it runs for mounted routers, too"
    assert list(unguarded(root)) == [
        f"note: the before hook {name} does not run for /admin/{{id}}: {advice}",
        f"note: the before hook {name} does not run for /admin: {advice}",
    ]
    assert list(unguarded(admin)) == []


def test_the_command_notes_them_and_is_content(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from kissapi import Router\nrouter, admin = Router(), Router()\n@router.before\n"
        "async def auth(req): ...\n@admin.get('/')\nasync def own(req): ...\nrouter['/admin'] = admin\n"
    )
    command = [sys.executable, "-m", "kissapi", "check", "shop:router"]
    ended = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=20
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == (
        "note: the before hook shop.auth does not run for /admin (shop:admin): "
        "with before(nested=True) it runs for mounted routers, too\n"
        "2 routes, and nothing wrong with them\n"
    )


def test_patterns_and_converters_are_reached() -> None:
    Router.converter("even", lambda text: int(text) if int(text) % 2 == 0 else None)
    Router.converter("month", {"may": 5}.get)
    try:
        router = Router()
        for path in (
            "/{a:int}-{b}.txt",
            "/{a}.txt",
            "/{n:even}",
            "/{n:int}",
            "/{m:month}",
            "/{a}",
            "/v{a:float}",
        ):
            router.get(path)(one)
        assert list(unreached(router)) == []
        router.get("/{n:float}")(one)
        router.get("/{m}.txt/x")(one)
        assert list(unreached(router)) == []
    finally:
        for name in ("even", "month"):
            del converters._OWN[name], converters.TYPES[name]


def test_the_table_marks_websockets_and_has_names() -> None:
    router = Router()
    router.get("/a", name="first")(one)
    router.websocket("/chat")(chat_with)
    head, first, chat = table(router).splitlines()
    assert head.split() == ["METHOD", "PATH", "NAME", "HANDLER"]
    assert first.split() == ["GET", "/a", "first", f"{__name__}.one"]
    assert chat.split() == ["WEBSOCKET", "/chat", f"{__name__}.chat_with"]
