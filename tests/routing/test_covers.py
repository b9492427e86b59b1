"""Covers: which arounds and error handlers answer a path without a route."""

from __future__ import annotations

from typing import Any

import pytest

from kissapi import Fail, Request, Router
from tests.routing.arounds import answer, answer_to, ask, seeing


def mounted(steps: list[Any]) -> Router:
    """Routers, each with an around and an error handler that note its name."""
    names = ["root", "api", "users", "a", "b", "only", "tenant"]
    routers = {name: Router() for name in names}
    for name, router in routers.items():
        if name != "b":
            router.get("/known")(answer)
        router.around(seeing(steps, name))

        @router.on_error(404)
        async def missing(req: Request, error: Fail, name: str = name) -> str:
            return name

    root = routers["root"]
    root["/api"] = routers["api"]
    routers["api"]["/users/{id:int}"] = routers["users"]
    root["/two"] = routers["a"]
    root["/two"] = routers["b"]
    root["/caf\xe9"] = routers["only"]
    root["/{tenant}"] = routers["tenant"]
    return root


PLACES = [
    ("/", "root"),
    ("/api", "root api"),
    ("/api/none", "root api"),
    ("/api/users", "root api"),
    ("/api/users/7", "root api users"),
    ("/api/users/7/none/at/all", "root api users"),
    ("/api/users/me", "root api"),
    ("/two/none", "root"),
    ("/caf%C3%A9/none", "root only"),
    ("/caf%c3%a9/none", "root only"),
    ("/apis/none", "root tenant"),
    ("//none", "root"),
]


@pytest.mark.parametrize(("path", "names"), PLACES)
def test_a_path_without_a_route_has_the_arounds_of_its_prefix(
    parser_class: Any, path: str, names: str
) -> None:
    steps: list[Any] = []
    order = names.split()
    assert answer_to(mounted(steps), parser_class, ask(f"GET {path}")) == (404, order[-1].encode())
    assert [step for step in steps if step.endswith(" begins")] == [f"{name} begins" for name in order]


@pytest.mark.parametrize(("line", "status"), [("POST /api/known", 405), ("OPTIONS /api/known", 204)])
def test_so_have_405_and_free_options(parser_class: Any, line: str, status: int) -> None:
    steps: list[Any] = []
    assert answer_to(mounted(steps), parser_class, ask(line))[0] == status
    assert steps[:3] == ["root begins", "api begins", f"api {status}"]


@pytest.mark.parametrize("mounts", ["one", "two", "inside"])
def test_a_router_that_is_mounted_at_the_root(parser_class: Any, mounts: str) -> None:
    steps: list[Any] = []
    root, one, other = Router(), Router(), Router()
    root["/"] = one
    if mounts == "two":
        root["/"] = other
    elif mounts == "inside":
        one["/"] = other
    for name, router in (("root", root), ("one", one), ("other", other)):
        router.around(seeing(steps, name))
    answer_to(root, parser_class, ask("GET /none"))
    names = {"one": "root one", "two": "root", "inside": "root one other"}[mounts].split()
    assert [step for step in steps if step.endswith("begins")] == [f"{name} begins" for name in names]
