"""Mounts: routers below routers."""

from __future__ import annotations

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
