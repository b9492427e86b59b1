"""Fit: a handler or hook that cannot take what it will get is refused where it is registered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Protocol

import pytest

from kissapi import File, Form, Header, Query, Request, Router
from kissapi.cli.check import unbound
from kissapi.routing.dispatch import Dispatch
from kissapi.routing.lifespan import takes_app
from tests.calls import count_calls
from tests.places import ROOT


@dataclass
class Order:
    count: int


class Pool:
    """What no client sends."""


class HasPath(Protocol):
    path: str


class Shop(Request):
    pass


# Handlers


async def nothing() -> None: ...


async def takes_all(*args: Any, **kwargs: Any) -> None: ...


async def takes_more(req: Request, **kwargs: Any) -> None: ...


async def id_first(id: int) -> None: ...  # noqa: A002


async def number_first(number: int) -> None: ...


async def order_first(order: Order, req: Request) -> None: ...


async def by_name_alone(*, req: Request) -> None: ...


async def pool(req: Request, pool: Pool) -> None: ...


async def anything(req: Request, value: Any) -> None: ...


async def two_orders(req: Request, first: Order, second: list[Order]) -> None: ...


async def order_and_form(req: Request, first: Order, name: Annotated[str, Form()]) -> None: ...


async def an_order(req: Request, order: Order) -> None: ...


async def a_field(req: Request, name: Annotated[str, Form()]) -> None: ...


async def marker_as_default(req: Request, name: str = Query()) -> None: ...  # type: ignore[assignment]


async def two_markers(req: Request, name: Annotated[str, Query(), Header()]) -> None: ...


async def order_in_a_header(req: Request, order: Annotated[Order, Header()]) -> None: ...


async def text_as_file(req: Request, image: Annotated[str, File()]) -> None: ...


async def order_in_the_path(req: Request, id: Order) -> None: ...  # noqa: A002


async def text_for_a_number(req: Request, number: str) -> None: ...


class Page:
    async def show(self, req: Request) -> None: ...


HERE = rf"\({__file__}:\d+\)"
WRONG: list[tuple[Any, str]] = [
    (
        nothing,
        rf"GET /{{id}}/{{number:int}}: nothing {HERE}: a handler takes the request first, and this one",
    ),
    (lambda: None, rf"<lambda> {HERE}: a handler takes the request first"),
    (
        takes_all,
        r"takes \*args or \*\*kwargs: a handler names what it takes; put @functools.wraps\(function\)",
    ),
    (takes_more, r"takes \*args or \*\*kwargs"),
    (id_first, "the first parameter here is 'id' of the path"),
    (number_first, "the first parameter here is 'number' of the path"),
    (order_first, "the first parameter here is 'order', which is Order"),
    (by_name_alone, "a handler takes the request first, and this one takes nothing"),
    (Page.show, "parameter 'req': a request has no Request"),
    (
        pool,
        r"pool .*: parameter 'pool': a request has no Pool; what is not the client's comes by functools.par",
    ),
    (anything, "parameter 'value': a request has no Any"),
    (marker_as_default, r"write name: Annotated\[…, Query\(\)\]"),
    (two_markers, r"parameter 'name' comes from one place, not from \[Query\(\), Header\(\)\]"),
    (order_in_a_header, "parameter 'order': a header has no"),
    (text_as_file, "parameter 'image': a file is an Upload, bytes, or a list of them"),
    (order_in_the_path, "parameter 'id' is in the path, which has no"),
    (text_for_a_number, r"\{number:int\} gives int, and parameter 'number' is <class 'str'>"),
    (
        an_order,
        r"a GET has no body, which 'order' would be in; .* write order: Annotated\[Order, Query\(\)\]",
    ),
    (a_field, "a GET has no body, which 'name' would be in"),
]


@pytest.mark.parametrize(("handler", "said"), WRONG)
def test_a_wrong_handler_is_refused_where_it_stands(handler: Any, said: str) -> None:
    router = Router()
    with pytest.raises(TypeError, match=said):
        router.get("/{id}/{number:int}")(handler)
    assert list(router.routes()) == []


@pytest.mark.parametrize("handler", [two_orders, order_and_form])
def test_two_bodies_are_refused(handler: Any) -> None:
    with pytest.raises(
        TypeError, match=r"POST /: .*: a request has one body, and each of 'first' and '\w+' .*fields"
    ):
        Router().post("/")(handler)


@pytest.mark.parametrize("handler", [an_order, a_field])
def test_a_body_that_the_handler_takes_itself_is_not_bound(handler: Any) -> None:
    with pytest.raises(TypeError, match="with stream=True the handler takes the body itself"):
        Router().post("/", stream=True)(handler)


def with_user(function: Callable[..., Any]) -> Callable[[Request], Any]:
    @wraps(function)
    def wrapper(req: Request) -> Any:
        return function(req, Pool())

    return wrapper


GOOD: list[Any] = [
    lambda req: None,
    lambda req, id: None,  # noqa: A006
    lambda anything: None,
    partial(pool, pool=Pool()),
    with_user(pool),
    Page().show,
    print,
    dict,
]


@pytest.mark.parametrize("handler", GOOD)
def test_what_can_be_called_with_a_request_is_a_handler(handler: Any) -> None:
    router = Router()
    router.get("/{id}")(handler)
    assert list(unbound(router)) == []
    Dispatch(router)


async def a_shop(req: Shop) -> None: ...


async def an_object(req: object) -> None: ...


async def a_protocol(req: HasPath) -> None: ...


@pytest.mark.parametrize("handler", [a_shop, an_object, a_protocol])
def test_a_request_may_be_annotated_as_what_it_is(handler: Any) -> None:
    Router().get("/")(handler)


def test_a_websocket_handler_takes_the_websocket_first() -> None:

    async def of_request(req: Request) -> None: ...

    async def with_order(ws: Any, order: Order) -> None: ...

    router = Router()
    for handler, said in ((of_request, "takes the WebSocket first"), (with_order, "begins without a body")):
        with pytest.raises(TypeError, match=said):
            router.websocket("/")(handler)
    with pytest.raises(TypeError, match="takes the WebSocket first, and this one takes nothing"):
        router.websocket("/")(nothing)  # type: ignore[type-var]


# What only the whole of an app knows


async def unknown(req: Request, team) -> None: ...  # type: ignore[no-untyped-def]


async def nowhere(req: Request, id: int, order: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: A002, F821


def test_what_a_prefix_may_have_is_asked_when_routes_are_compiled() -> None:
    root, teams = Router(), Router()
    teams.get("/users")(unknown)
    root["/teams/{team}"] = teams
    assert Dispatch(root).find(Request(path="/teams/7/users"))
    (line,) = unbound(teams)
    assert line.startswith(f"GET /users: unknown ({__file__}:")
    assert "'team' is not in the path and has no type: write team: str for a value of the query" in line
    with pytest.raises(TypeError, match="'team' is not in the path"):
        Dispatch(teams)


def test_a_name_that_is_not_there_yet_is_asked_when_routes_are_compiled() -> None:
    router = Router()
    router.post("/{id}")(nowhere)
    assert [route.path for route in router.routes()] == ["/{id:int}"]
    with pytest.raises(
        TypeError, match="the type of parameter 'order', 'Missing', is not there: name 'Missing'"
    ):
        Dispatch(router)
    globals()["Missing"] = Order
    try:
        pytest.importorskip("msgspec")
        assert list(unbound(router)) == []
    finally:
        del globals()["Missing"]


def test_kissapi_check_has_a_line_for_each(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from kissapi import Router\nrouter = Router()\n"
        "@router.get('/a')\nasync def a(req, x): ...\n@router.get('/b')\nasync def b(req, y): ...\n"
    )
    command = [sys.executable, "-m", "kissapi", "check", "shop:router"]
    ended = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=20
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    first, second = ended.stdout.splitlines()
    assert first.startswith(f"GET /a: a ({tmp_path / 'shop.py'}:3): parameter 'x' is not in the path")
    assert second.startswith(f"GET /b: b ({tmp_path / 'shop.py'}:5): parameter 'y' is not in the path")


# Hooks


def one(req: Request) -> None: ...


def two(req: Request, other: Any) -> None: ...


def three(req: Request, other: Any, more: Any) -> None: ...


async def around_nothing() -> AsyncIterator[Any]:
    yield


HOOKS: list[tuple[Callable[[Router], Any], str]] = [
    (
        lambda router: router.before(nothing),
        "nothing .*: a before hook takes the request: def nothing.request.",
    ),
    (lambda router: router.before(two), "a before hook takes the request"),
    (lambda router: router.before(nested=True)(lambda: None), r"def function\(request\)"),
    (lambda router: router.after(one), "an after hook takes the request and the result"),
    (lambda router: router.add_hook("after", three), "an after hook takes the request and the result"),
    (lambda router: router.around(around_nothing), "an around hook takes the request"),
    (lambda router: router.on_error(404)(one), "an error handler takes the request and the error"),
    (lambda router: router.get("/", before=[two])(one), "a before hook takes the request"),
    (lambda router: router.get("/", after=[one])(one), "an after hook takes the request and the result"),
]


@pytest.mark.parametrize(("register", "said"), HOOKS)
def test_a_wrong_hook_is_refused_where_it_stands(register: Callable[[Router], Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        register(Router())


def test_what_can_be_called_is_a_hook() -> None:
    router = Router()
    for before in (one, takes_all, lambda req, more=1: None, print, partial(two, other=1), Page().show):
        router.before(before)
    for after in (two, takes_all, lambda *args: None, print):
        router.after(after)
        Router().on_error(404)(after)


@pytest.mark.parametrize(
    ("function", "takes"),
    [(one, True), (lambda: None, False), (lambda a=1: None, False), (partial(one, 1), False)],
)
def test_what_takes_the_app_is_read_likewise(function: Any, takes: bool) -> None:
    assert takes_app(function) is takes


# What is not used costs nothing


def test_a_handler_of_the_request_alone_imports_nothing_and_is_not_wrapped() -> None:
    program = (
        "import sys\nfrom kissapi import Request, Router\nfrom kissapi.routing.dispatch import Dispatch\n"
        "router = Router()\n@router.get('/{id:int}')\nasync def show(req: Request) -> None: ...\n"
        "assert Dispatch(router).find(Request(path='/7')).call is show\n"
        "print(*sorted(name for name in sys.modules if name.startswith('kissapi.routing.')))\n"
        "print('inspect' in sys.modules, 'msgspec' in sys.modules, 'dataclasses' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
    loaded, used = done.stdout.splitlines()
    assert not {f"kissapi.routing.{name}" for name in ("arguments", "binding", "bodies", "scalars")} & {
        *loaded.split()
    }
    assert used == "False False False"


def test_arguments_of_path_and_query_need_no_package_and_no_inspect() -> None:
    program = (
        "import sys\nsys.modules['msgspec'] = sys.modules['pydantic'] = None\n"
        "from kissapi import Request, Router\nfrom kissapi.routing.dispatch import Dispatch\n"
        "router = Router()\n"
        "@router.get('/{id}')\nasync def show(req: Request, id: int, limit: int = 3): return id + limit\n"
        "request = Request(path='/7', query_string='limit=2')\n"
        "try:\n    Dispatch(router).find(request).call(request).send(None)\n"
        "except StopIteration as end:\n    print(end.value, 'inspect' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=20
    )
    assert done.stdout == "9 False\n", done.stderr


def test_a_bound_call_is_one_call_more() -> None:
    router = Router()

    @router.get("/{id}")
    async def alone(req: Request) -> None: ...

    @router.get("/bound/{id}")
    async def bound(req: Request, id: str) -> None: ...  # noqa: A002

    def calls(path: str) -> int:
        request = Request(path=path)
        call = Dispatch(router).find(request).call
        return count_calls(lambda: call(request).close())

    assert calls("/bound/7") == calls("/7") + 1
