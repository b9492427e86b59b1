"""CORS: which pages may read which answers, in the eyes of a browser, and of a cache between."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router
from kissapi.extras.cors import cors
from kissapi.extras.testing import Client

SHOP = "https://shop.example"
PREFLIGHT = {"origin": SHOP, "access-control-request-method": "PUT"}


def api(origins: Any = (SHOP, "http://localhost:3000"), **options: Any) -> Router:
    router = Router()
    router.around(cors(origins, **options))

    @router.get("/")
    async def get(req: Request) -> dict[str, int]:
        return {"a": 1}

    @router.put("/")
    async def put(req: Request) -> None:
        pass

    @router.get("/fail/{status:int}")
    async def fail(req: Request) -> None:
        raise Fail(req.params["status"])

    @router.get("/bug")
    async def bug(req: Request) -> None:
        raise KeyError("bug")

    @router.get("/stream")
    async def stream(req: Request) -> AsyncIterator[str]:
        yield "a"

    @router.get("/own")
    async def own(req: Request) -> Response:
        return Response(
            "own", headers={"access-control-allow-origin": "https://own.example", "vary": "Accept"}
        )

    @router.post("/small", max_body=3)
    async def small(req: Request) -> None:
        pass

    return router


def shares(fields: Any) -> dict[str, str]:
    """The fields of CORS, without their common start."""
    start = "access-control-"
    return {name.removeprefix(start): fields[name] for name in fields if name.startswith(start)}


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
@pytest.mark.parametrize("path", ["/", "/nowhere", "/fail/404", "/own", "/x/%41"])
def test_a_preflight_is_answered_before_routes_are_asked(parser_class: Any, backend: str, path: str) -> None:
    client = Client(api(credentials=True), backend, parser_class=parser_class)
    answer = client.options(
        path, headers={**PREFLIGHT, "access-control-request-headers": "content-type, x-a"}
    )
    assert (answer.status, answer.body) == (204, b"")
    assert shares(answer.headers) == {
        "allow-origin": SHOP,
        "allow-credentials": "true",
        "allow-methods": "GET, HEAD, PUT, PATCH, POST, DELETE",
        "allow-headers": "content-type, x-a",
        "max-age": "600",
    }
    assert answer.headers["vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


@pytest.mark.parametrize(
    ("options", "asked", "expected"),
    [
        ({"methods": iter(["get", "put"]), "headers": ["X-A"], "max_age": 0}, {}, "GET, PUT/X-A/0"),
        ({"methods": "*", "headers": ()}, {}, "PUT/None/600"),
        (
            {},
            {"access-control-request-headers": "x-a,  X-B"},
            "GET, HEAD, PUT, PATCH, POST, DELETE/x-a,  X-B/600",
        ),
        ({"methods": "*"}, {"access-control-request-headers": "x a"}, "PUT/None/600"),
        ({"methods": "*"}, {"access-control-request-headers": "x-a,,é"}, "PUT/None/600"),
        ({"methods": "*"}, {"access-control-request-headers": ""}, "PUT/None/600"),
    ],
)
def test_what_a_page_may_send(options: Any, asked: Any, expected: str) -> None:
    fields = shares(Client(api(**options)).options("/", headers={**PREFLIGHT, **asked}).headers)
    got = (fields.get(f"allow-{name}") for name in ("methods", "headers"))
    assert "/".join([*map(str, got), fields["max-age"]]) == expected


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "*", "https://shop.example.evil", "", SHOP + "/"]
)
def test_to_a_page_that_is_not_allowed_there_is_no_cors(origin: str) -> None:
    client = Client(api(credentials=True, expose=["x-total"]))
    answer = client.options("/", headers={**PREFLIGHT, "origin": origin})
    assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, PUT")
    assert shares(answer.headers) == {}
    assert client.options("/nowhere", headers={**PREFLIGHT, "origin": origin}).status == 404
    answer = client.get("/", headers={"origin": origin})
    assert (answer.json, shares(answer.headers), answer.headers["vary"]) == ({"a": 1}, {}, "Origin")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("OPTIONS", "/", 204),
        ("GET", "/stream", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/", 405),
        ("GET", "/fail/401", 401),
        ("GET", "/bug", 500),
        ("POST", "/small", 413),
    ],
)
def test_every_answer_has_the_fields_errors_too(method: str, path: str, status: int) -> None:
    client = Client(api(credentials=True, expose=["X-Total", "etag"]))
    answer = client.request(method, path, headers={"origin": SHOP}, body="long" if status == 413 else None)
    assert answer.status == status
    assert shares(answer.headers) == {
        "allow-origin": SHOP,
        "allow-credentials": "true",
        "expose-headers": "X-Total, etag",
    }
    assert answer.headers["vary"] == "Origin"


def test_what_an_inner_hook_refuses_has_them_and_preflights_need_no_password() -> None:
    router = api()

    @router.around
    async def auth(req: Request) -> AsyncIterator[Any]:
        if "authorization" not in req.headers:
            raise Fail(401)
        yield

    client = Client(router)
    assert shares(client.get("/", headers={"origin": SHOP}).headers) == {"allow-origin": SHOP}
    assert client.options("/", headers=PREFLIGHT).status == 204


# Caches


def test_a_cache_learns_that_the_answer_depends_on_the_origin() -> None:
    client = Client(api())
    assert client.get("/").headers["vary"] == "Origin"
    assert client.get("/own").headers["vary"] == "Accept, Origin"
    assert client.get("/nowhere").headers["vary"] == "Origin"


def test_for_any_page_the_answer_is_one_and_the_same() -> None:
    client = Client(api("*", expose="*"))
    for headers in ({}, {"origin": SHOP}, {"origin": "null"}):
        answer = client.get("/", headers=headers)
        assert "vary" not in answer.headers
        assert shares(answer.headers) == {"allow-origin": "*", "expose-headers": "*"}
    preflight = client.options("/", headers=PREFLIGHT)
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "access-control-expose-headers" not in preflight.headers


# Which origins


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ([SHOP], SHOP, True),
        (iter([SHOP]), SHOP, True),
        ([SHOP + ":443"], SHOP, True),
        ([SHOP], "http://shop.example", False),
        ([SHOP], SHOP + ":8443", False),
        ([SHOP], "HTTPS://SHOP.example", True),
        (["http://[::1]:3000"], "http://[::1]:3000", True),
        (["http://[::1]:3000"], "http://[::1]", False),
        (["capacitor://localhost"], "capacitor://localhost", True),
        (["null"], "null", True),
        ([], SHOP, False),
        ([SHOP], f"{SHOP}, {SHOP}", False),
        (["https://k.example"], "https://\u212a.example", False),
        (re.compile(r"https://[a-z]+\.example"), SHOP, True),
        (re.compile(r"https://[a-z]+\.example"), "https://a.example.evil", False),
        (re.compile(r"https://[a-z]+\.example"), "http://evil/https://a.example", False),
        (re.compile(r".*"), "null", False),
        (re.compile(r".*"), "https://a b", False),
        (re.compile(r".*"), "https://a/", False),
        (re.compile(r".*"), f"{SHOP}, {SHOP}", False),
        (lambda origin: origin.endswith(".example"), SHOP, True),
        (lambda origin: origin.endswith(".example"), "https://a", False),
        (lambda origin: True, "null", False),
        (lambda origin: True, "", False),
        (lambda origin: True, "https://a\tb", False),
    ],
)
def test_which_origins_are_allowed(origins: Any, origin: str, allowed: bool) -> None:
    client = Client(api(origins))
    fields = client.get("/", headers={"origin": origin}).headers
    assert fields.get("access-control-allow-origin") == (origin if allowed else None)
    assert fields["vary"] == "Origin"


def test_two_origin_fields_are_none() -> None:
    answer = Client(api()).get("/", headers=[("origin", SHOP), ("origin", SHOP)])
    assert shares(answer.headers) == {}


def test_a_function_says_yes_or_no() -> None:
    client = Client(api(lambda origin: re.match("https", origin)))
    assert client.get("/", headers={"origin": SHOP}).status == 500
    assert "the function for origins returned <re.Match" in "\n".join(client.log)


async def truly(origin: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("origins", "options", "error", "why"),
    [
        ("*", {"credentials": True}, ValueError, "would let any page on the web act as your user"),
        (["null"], {"credentials": True}, ValueError, "would let any page on the web act as your user"),
        ([SHOP], {"credentials": True, "expose": "*"}, ValueError, 'expose="*"'),
        (SHOP, {}, ValueError, "origins is a list"),
        (["*"], {}, ValueError, "an origin is a scheme"),
        (["https://*.example"], {}, ValueError, "an origin is a scheme"),
        ([SHOP + "/"], {}, ValueError, "an origin is a scheme"),
        (["shop.example"], {}, ValueError, "an origin is a scheme"),
        (["https://shop.example/\r\nset-cookie: a=b"], {}, ValueError, "an origin is a scheme"),
        (truly, {}, TypeError, "is a plain `def`"),
        ([SHOP], {"methods": "GET"}, ValueError, "methods is a list"),
        ([SHOP], {"headers": ["a b"]}, ValueError, "headers is a list"),
        ([SHOP], {"expose": [5]}, ValueError, "expose is a list"),
        ([SHOP], {"max_age": -1}, ValueError, "max_age must be"),
    ],
)
def test_settings_that_make_no_sense(origins: Any, options: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=re.escape(why)):
        cors(origins, **options)


# Neighbours


def test_of_two_the_inner_one_decides() -> None:
    root, open_api = api(), Router()
    open_api.around(cors("*"))
    open_api.get("/")(lambda req: "open")
    root["/open"] = open_api
    client = Client(root)
    for origin in (SHOP, "https://other.example"):
        answer = client.get("/open/", headers={"origin": origin})
        assert shares(answer.headers) == {"allow-origin": "*"}
    assert client.options("/open/", headers={**PREFLIGHT, "origin": "https://other.example"}).status == 204
    assert shares(client.get("/own", headers={"origin": SHOP}).headers) == {
        "allow-origin": "https://own.example"
    }


def test_a_private_network_is_open_to_public_pages_if_told_so() -> None:
    asked = {**PREFLIGHT, "access-control-request-private-network": "true"}
    name = "access-control-allow-private-network"
    assert Client(api(private_network=True)).options("/", headers=asked).headers[name] == "true"
    assert name not in Client(api(private_network=True)).options("/", headers=PREFLIGHT).headers
    assert name not in Client(api()).options("/", headers=asked).headers


def test_a_websocket_opens_as_without_it() -> None:
    router = api()

    @router.websocket("/ws", origins=[SHOP])
    async def greet(ws: Any) -> None:
        await ws.send("hello")

    with Client(router).websocket("/ws", headers={"origin": SHOP}) as ws:
        assert ws.receive() == "hello"


@pytest.mark.parametrize(
    "fields",
    [
        {"access-control-request-method": "PUT"},  # no origin
        {"origin": SHOP, "access-control-request-method": ""},
        {"origin": SHOP, "access-control-request-method": "P UT"},
        {"origin": SHOP},
    ],
)
def test_an_options_that_is_no_preflight_goes_on(fields: dict[str, str]) -> None:
    answer = Client(api(methods="*")).options("/", headers=fields)
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, PUT"
    assert "access-control-allow-methods" not in answer.headers
