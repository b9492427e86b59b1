"""Mounts: routers below routers."""

from __future__ import annotations

import re

import pytest

from kissapi import Router
from tests.routing.test_dispatch import found, register, status


def test_routers_mount_to_any_depth_with_parameters_on_the_way() -> None:
    root = Router()
    deepest = root
    for depth in range(20):
        inner = Router()
        deepest[f"/level/{{p{depth}:int}}"] = inner
        deepest = inner
    register(deepest, "GET /{end}")
    path = "".join(f"/level/{depth}" for depth in range(20))
    params = {f"p{depth}": depth for depth in range(20)}
    assert found(root, f"{path}/x") == ("/{end}", {**params, "end": "x"})


@pytest.mark.parametrize("path", ["/api", "/api/"])
def test_both_spellings_of_a_prefix_reach_the_slash_of_a_mounted_router(path: str) -> None:
    root, middle, sub = Router(), Router(), Router()
    root["/api"] = middle
    middle["/"] = sub
    register(sub, "GET /")
    assert found(root, path) == ("/", {})
    assert status(root, path, "POST") == (405, "GET, HEAD, OPTIONS")
    assert status(root, "/api//") == (404, None)


TWINS = [
    ("/x", ["/a", "/b"], ["/b", "/c"], "GET /x/b is there twice; the last one wins"),
    ("/{id}", ["/{a}"], ["/{b}"], "GET /{id}/{b} is there twice"),
    ("/", ["/a"], ["/a"], "GET /a is there twice"),
]


@pytest.mark.parametrize(("prefix", "first", "second", "said"), TWINS)
def test_of_two_routers_with_one_route_the_last_wins_with_a_warning_where_it_is_mounted(
    prefix: str, first: list[str], second: list[str], said: str
) -> None:
    routers = []
    for paths in (first, second):
        routers.append(Router())
        for path in paths:
            register(routers[-1], f"GET {path}", path)
    root = Router()
    root.mount(prefix, routers[0])
    with pytest.warns(UserWarning, match=re.escape(said)) as warned:
        root.mount(prefix, routers[1])
    assert [warning.filename for warning in warned] == [__file__]


def test_a_route_and_a_mounted_one() -> None:
    root, sub = Router(), Router()
    register(root, "GET /x/a")
    register(root, "GET /x")
    register(sub, "GET /a")
    with pytest.warns(UserWarning, match="GET /x/a is there twice") as warned:
        root["/x"] = sub
    assert warned[0].filename == __file__


def test_several_routers_at_one_prefix_need_no_warning() -> None:
    root = Router()
    for name in ("live", "metrics", "docs"):
        sub = Router()
        register(sub, f"GET /{name}")
        register(sub, f"POST /{name}")
        root["/"] = sub
    assert found(root, "/metrics")[0] == "/metrics"


def test_a_mounted_router_that_does_not_match_lets_the_search_go_on() -> None:
    root, first, second = Router(), Router(), Router()
    root["/api"] = first
    root["/api"] = second
    register(first, "GET /a", "first")
    register(second, "GET /b", "second")
    register(root, "GET /{rest:path}", "root")
    assert found(root, "/api/a")[0] == "first"
    assert found(root, "/api/b")[0] == "second"
    assert found(root, "/api/c") == ("root", {"rest": "api/c"})
