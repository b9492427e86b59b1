"""From the name of a route back to its path."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from kissapi import Request, Router
from kissapi.extras.files import static
from kissapi.extras.testing import Client
from kissapi.routing import converters
from tests.places import ROOT
from tests.routing.test_dispatch import ID


async def user(req: Request) -> None: ...


async def home(req: Request) -> None: ...


@pytest.fixture(autouse=True)
def day() -> Iterator[None]:
    Router.converter("day", date.fromisoformat, date.isoformat)
    yield
    del converters._OWN["day"], converters.TYPES["day"]


PATHS: list[tuple[str, dict[str, Any], str]] = [
    ("/", {}, "/"),
    ("/", {"page": 2}, "/?page=2"),
    ("/users/{id:int}", {"id": 7}, "/users/7"),
    ("/users/{id:int}", {"id": "7", "page": 2, "q": "é &"}, "/users/7?page=2&q=%C3%A9%20%26"),
    ("/users/{id:int}", {"id": -7, "tag": ["a", "b"], "all": True}, "/users/-7?tag=a&tag=b&all=true"),
    ("/users/{id:int}", {"id": 7, "after": None}, "/users/7"),
    ("/users/{id}", {"id": "ann lee/50%"}, "/users/ann%20lee%2F50%25"),
    ("/users/{id}", {"id": "café"}, "/users/caf%C3%A9"),
    ("/users/{id}", {"id": 7}, "/users/7"),
    ("/café/{id}", {"id": "a:b@c"}, "/caf%C3%A9/a:b@c"),
    ("/{x:float}", {"x": 1.5}, "/1.5"),
    ("/{x:float}", {"x": 1e20}, "/100000000000000000000"),
    ("/{x:float}", {"x": 3}, "/3"),
    ("/{key:uuid}", {"key": UUID(ID)}, f"/{ID}"),
    ("/{on:day}", {"on": date(2026, 11, 28)}, "/2026-11-28"),
    ("/files/{rest:path}", {"rest": "a b/c.txt"}, "/files/a%20b/c.txt"),
    ("/files/{rest:path}", {"rest": ""}, "/files/"),
    ("/{name}.txt", {"name": "a.b"}, "/a.b.txt"),
    ("/v{major:int}.{minor:int}/", {"major": 1, "minor": 2}, "/v1.2/"),
    ("/{title}-{id:int}", {"title": "red-shoes", "id": 42}, "/red-shoes-42"),
    # Never the address of another host
    ("/{rest:path}", {"rest": "/evil.example/x"}, "/%2Fevil.example/x"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "values", "url"), PATHS)
def test_a_name_and_values_make_a_path(path: str, values: dict[str, Any], url: str) -> None:
    router = Router()
    router.get(path)(user)
    assert router.url_for("user", **values) == url
    assert router.url_for(user, **values) == url


@pytest.mark.parametrize(("path", "values", "url"), PATHS)
def test_the_path_leads_to_the_route_with_the_values(path: str, values: dict[str, Any], url: str) -> None:
    router = Router()
    seen = []

    @router.get(path)
    async def show(req: Request) -> None:
        seen.append(req.params)
        assert req.url_for("show", **values) == url

    assert Client(router).get(url).status == 204
    ((got),) = seen
    assert {name: str(value) for name, value in got.items()} == {
        name: str(float(values[name]) if name == "x" else values[name]) for name in got
    }


WRONG: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("/users/{id:int}", {}, ValueError, "url_for('user'): /users/{id:int} needs 'id'"),
    ("/users/{id:int}", {"id": "x"}, ValueError, "id='x' of /users/{id:int} is no int"),
    ("/users/{id:int}", {"id": 1.5}, ValueError, "is no int"),
    ("/users/{id:int}", {"id": True}, ValueError, "is no int"),
    ("/users/{id}", {"id": ""}, ValueError, "id='' of /users/{id} is empty"),
    ("/users/{id}", {"id": None}, ValueError, "id=None of /users/{id} is no text"),
    ("/users/{id}", {"id": b"x"}, ValueError, "is no text"),
    ("/users/{id}", {"id": ".."}, ValueError, "a step up or down"),
    ("/users/{id}", {"id": "\0"}, ValueError, "NUL"),
    ("/{x:float}", {"x": float("inf")}, ValueError, "is no float"),
    ("/files/{rest:path}", {"rest": "a/../b"}, ValueError, "a step up or down"),
    ("/{a}-{b}", {"a": "x-y", "b": "z"}, ValueError, "does not read 'x-y-z' as it was written"),
    ("/{on:day}", {"on": 7}, TypeError, ""),
]


@pytest.mark.parametrize(("path", "values", "error", "said"), WRONG)
def test_values_that_do_not_fit(path: str, values: dict[str, Any], error: type[Exception], said: str) -> None:
    router = Router()
    router.get(path)(user)
    with pytest.raises(error) as raised:
        router.url_for("user", **values)
    assert said in str(raised.value)


def test_a_name_that_is_none_suggests_the_nearest() -> None:
    router = Router()
    router.get("/u")(user)
    router.get("/h")(home)
    with pytest.raises(LookupError, match=r"no route has the name 'users': did you mean user\?"):
        router.url_for("users")
    with pytest.raises(LookupError, match="no route has the name 'zzz'; there are home, user"):
        router.url_for("zzz")
    with pytest.raises(LookupError, match="no route has the name print; there are"):
        router.url_for(print)
    with pytest.raises(TypeError, match="the name of a route, or its handler, not 7"):
        router.url_for(7)  # type: ignore[arg-type]
    with pytest.raises(LookupError, match="there are none"):
        Router().url_for("x")


def test_a_name_of_its_own_takes_the_place_of_the_handlers() -> None:
    router = Router()
    router.get("/a", name="first")(user)
    router.get("/b")(partial(user))
    assert router.url_for("first") == "/a"
    assert router.url_for("user") == "/b"


def test_of_several_paths_of_one_handler_the_one_that_fits() -> None:
    router = Router()
    router.route("/users", ["GET", "POST"])(user)
    router.get("/users/page/{page:int}")(user)
    assert router.url_for("user") == "/users"
    assert router.url_for("user", page=2) == "/users/page/2"
    assert router.url_for("user", q="x") == "/users?q=x"
    router.get("/people")(user)
    with pytest.raises(LookupError, match="'user' is the name of several routes: /users, /people; give each"):
        router.url_for("user")


def test_a_query_may_have_any_name() -> None:
    router = Router()
    router.get("/")(user)
    assert router.url_for("user", name="x", self="y", values=3) == "/?name=x&self=y&values=3"


def asked(router: Router, path: str, *arguments: Any, **values: Any) -> str:
    """What `req.url_for` gives to the around hook of a request for `path`, which may lead to no route."""
    seen = []

    async def ask(req: Request) -> Any:
        try:
            seen.append(req.url_for(*arguments, **values))
        except (LookupError, ValueError) as error:
            seen.append(f"{type(error).__name__}: {error}")
        yield

    router.around_hooks.clear()
    router.around(ask)
    Client(router).get(path)
    (url,) = seen
    return str(url)


def app() -> Router:
    root, shop, blog = Router(), Router(), Router()
    root.get("/")(home)
    root["/v{version:int}/{tenant}/shop"] = shop
    root["/blog"] = blog
    shop.get("/")(user)
    shop.get("/items/{id:int}", name="item")(user)
    blog.get("/items/{id:int}", name="item")(user)
    blog.get("/posts", name="posts")(user)
    return root


SHOP = "/v{version:int}/{tenant}/shop"
ASKED: list[tuple[str, str, dict[str, Any], str]] = [
    # Of this router first; prefixes and their parameters are those of the request
    ("/v2/acme/shop/items/1", "item", {"id": 7}, "/v2/acme/shop/items/7"),
    ("/v2/acme/shop/items/1", "item", {"id": 7, "tenant": "other"}, "/v2/other/shop/items/7"),
    ("/v2/acme/shop/", "item", {"id": 7}, "/v2/acme/shop/items/7"),
    ("/v2/acme/shop", "user", {}, "/v2/acme/shop/"),
    ("/blog/posts", "item", {"id": 7}, "/blog/items/7"),
    # Then of any other
    ("/v2/acme/shop/", "posts", {}, "/blog/posts"),
    ("/v2/acme/shop/", "home", {}, "/"),
    ("/", "user", {}, f"ValueError: url_for('user'): {SHOP}/ needs 'version', 'tenant'"),
    ("/", "user", {"version": 1, "tenant": "x"}, "/v1/x/shop/"),
    ("/", "item", {"id": 7}, "/blog/items/7"),  # the other one lacks parameters
    ("/", "item", {"id": 7, "version": 1, "tenant": "x"}, "/v1/x/shop/items/7"),
    ("/nowhere", "posts", {"q": 1}, "/blog/posts?q=1"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "name", "values", "url"), ASKED)
def test_what_a_request_gets(path: str, name: str, values: dict[str, Any], url: str) -> None:
    assert asked(app(), path, name, **values) == url


def test_a_router_that_is_mounted_twice() -> None:
    root, api = Router(), Router()
    root["/v1"] = root["/v2"] = api
    root.get("/")(home)
    api.get("/users")(user)
    assert asked(root, "/v1/users", "user") == "/v1/users"
    assert asked(root, "/v2/users", user) == "/v2/users"
    assert asked(root, "/", "user").startswith(
        "LookupError: 'user' is the name of several routes: /v1/users, /v2/users"
    )


def test_a_router_above_comes_before_one_beside() -> None:
    root, shop, blog = Router(), Router(), Router()
    root["/shop"], root["/blog"] = shop, blog
    root.get("/users")(user)
    blog.get("/users")(user)
    shop.get("/")(home)
    assert asked(root, "/shop", "user") == "/users"
    assert asked(root, "/blog/users", "user") == "/blog/users"


def test_a_websocket_by_name_and_by_handler() -> None:
    router = Router()

    @router.websocket("/chat/{room}")
    async def chat(ws: Any) -> None: ...

    assert router.url_for("chat", room="a") == router.url_for(chat, room="a") == "/chat/a"


def test_static_files(tmp_path: Path) -> None:
    root = Router()
    root["/"] = static("/assets", tmp_path)
    root["/v{n:int}"] = static("/media", tmp_path, name="media")
    assert root.url_for("static", path="css/app 1.css", v=3) == "/assets/css/app%201.css?v=3"
    assert root.url_for("static") == "/assets"
    assert root.url_for("media", n=2, path="a.png") == "/v2/media/a.png"
    assert all(route.hidden for route in root.routes())


def test_a_request_that_no_server_has_made() -> None:
    with pytest.raises(RuntimeError, match=r"use router.url_for\(…\)"):
        Request().url_for("user")


def test_a_converter_that_formats_no_string() -> None:
    def number(value: Any) -> Any:
        return 7

    Router.converter("odd", str, number)
    try:
        router = Router()
        router.get("/{a:odd}")(user)
        with pytest.raises(TypeError, match="the converter 'odd' formats 'x' as 7, which is no string"):
            router.url_for("user", a="x")
    finally:
        del converters._OWN["odd"], converters.TYPES["odd"]


def test_an_app_that_does_not_ask_imports_nothing() -> None:
    program = "import sys, kissapi.server; print('kissapi.routing.names' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n"
