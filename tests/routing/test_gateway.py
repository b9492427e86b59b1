"""Gateways: any method and the rest of the path to one handler, which is told where it is mounted."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

from kissapi import Request, Router
from kissapi.cli.check import unreached
from kissapi.http.request_line import METHODS
from kissapi.routing.gateway import gateway, raw_path, root_path
from tests.wire import exchange, fetch


async def told(req: Request) -> list[Any]:
    return [req.method, root_path(req), req.path, raw_path(req).decode()]


def mounted(prefix: str) -> Router:
    router = Router()
    router[prefix] = gateway(told)
    return router


@pytest.mark.parametrize(
    ("prefix", "path", "root", "canonical"),
    [
        ("/", "/", "", "/"),
        ("/", "/a/b", "", "/a/b"),
        ("/", "/%7Ea%2fb", "", "/~a%2Fb"),
        ("/old", "/old", "/old", "/old"),
        ("/old", "/old/", "/old", "/old/"),
        ("/old", "/old/a%2fb/%7Ec", "/old", "/old/a%2Fb/~c"),
        ("/old", "/%6Fld/x", "/old", "/old/x"),
        ("/café", "/caf%c3%a9/x", "/café", "/caf%C3%A9/x"),
        ("/{tenant}/v1", "/acme%20inc/v1/x/y", "/acme inc/v1", "/acme%20inc/v1/x/y"),
    ],
)
def test_it_is_told_where_it_is_and_what_was_sent(prefix: str, path: str, root: str, canonical: str) -> None:
    router = mounted(prefix)
    for target in (path, path + "?x=%20&y=?"):
        status, _, body = fetch(router, target)
        assert (status, json.loads(body)) == (200, ["GET", root, canonical, path])
    whole = exchange(router, f"GET http://a{path}?q HTTP/1.1\r\nHost: b\r\n\r\n".encode())
    assert json.loads(whole.partition(b"\r\n\r\n")[2]) == ["GET", root, canonical, path]


def test_every_method_leads_there() -> None:
    for prefix in ("/", "/old"):
        router = mounted(prefix)
        for method in METHODS - {"HEAD"}:
            status, _, body = fetch(router, "/old/x", method=method)
            assert (status, json.loads(body)[0]) == (200, method)
        assert fetch(router, "/old/x", method="HEAD")[0] == 200


def test_routes_of_the_same_path_come_first() -> None:
    router = mounted("/old")

    @router.get("/old/new")
    async def new(req: Request) -> str:
        return "new"

    assert fetch(router, "/old/new")[2] == b"new"
    assert json.loads(fetch(router, "/old/new", method="POST")[2])[0] == "POST"
    assert fetch(router, "/older")[0] == 404

    @router.route("/any", ["*"])
    async def anything(req: Request) -> str:
        return req.method

    @router.get("/any")
    async def get(req: Request) -> str:
        return "of its own"

    assert fetch(router, "/any", method="PUT")[2] == b"PUT"
    assert fetch(router, "/any")[2] == b"of its own"
    assert int(fetch(router, "/any", method="HEAD")[1]["content-length"]) == len("of its own")


def test_the_only_route_has_its_parameter() -> None:
    router = Router()

    @router.route("/{rest:path}", ["*"])
    async def rest(req: Request) -> str:
        return str(req.params["rest"])

    assert fetch(router, "/a%20b/c", method="DELETE")[2] == b"a b/c"
    assert fetch(router, "/")[2] == b""
    assert fetch(router, "/%FF")[0] == 400
    assert exchange(router, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 204")


def test_check_finds_nothing_wrong() -> None:
    for prefix in ("/", "/old", "/{tenant}"):
        assert list(unreached(mounted(prefix))) == []
    router = mounted("/old")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        router["/old"] = gateway(told)
    assert "comes first" in next(unreached(router))
