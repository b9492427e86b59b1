"""Auth: each hook finds the user, or answers 401; it covers mounted routers, 404 and OPTIONS."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import pytest

from kissapi import Fail, Request, Router, sleep
from kissapi.extras.auth import Auth, any_of, api_key, basic, bearer, same
from kissapi.extras.testing import Client
from kissapi.routing.listing import rows
from tests.peer import get
from tests.wire import fetch


def pair(text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    return f"Basic {base64.b64encode(data).decode()}"


def app(hook: Any) -> Router:
    router, below = Router(), Router()
    router.around(hook)
    router["/below"] = below

    async def user(req: Request) -> Any:
        return {"user": req.user}

    router.get("/")(user)
    below.get("/")(user)
    return router


def ask(router: Router, *fields: str, path: str = "/", method: str = "GET") -> tuple[int, str, bytes]:
    status, headers, body = fetch(router, path, *fields, method=method)
    return status, headers.get("www-authenticate", ""), body


BASIC = 'Basic realm="api", charset="UTF-8"'


@pytest.mark.parametrize(
    ("value", "user"),
    [
        (pair("ann:pear"), "ann"),
        (pair("ann:pear").replace("Basic", "bAsIc"), "ann"),
        (pair("ann:pear").replace(" ", "   "), "ann"),
        (pair("bøb:pass:wörd"), "bøb"),
        (pair("ann:apple"), None),
        (pair("ann:"), None),
        (pair("ann"), None),
        (pair(":pear"), None),
        (pair(""), None),
        (pair("ann\0:pear"), None),
        (pair(b"ann:\xff"), None),
        ("Basic", None),
        ("Basic !", None),
        ("Basic YW5uOnBlYXI", None),  # without its padding
        ("Basic YW5uOnBlYXI= x", None),
        ("Basic café", None),
        ("Bearer x", None),
        ("", None),
    ],
)
def test_basic(value: str, user: str | None, parser_class: Any) -> None:
    router = app(basic({"ann": "pear", "bøb": "pass:wörd"}))
    status, headers, body = fetch(router, "/", f"Authorization: {value}", parser_class=parser_class)
    if user is None:
        assert (status, headers["www-authenticate"], body) == (401, BASIC, b"Unauthorized")
    else:
        assert (status, json.loads(body)) == (200, {"user": user})
        assert "www-authenticate" not in headers


def test_without_credentials(parser_class: Any) -> None:
    for hook, challenge in [
        (basic({"a": "b"}, realm="The shop"), 'Basic realm="The shop", charset="UTF-8"'),
        (bearer({"t": 1}), 'Bearer realm="api"'),
        (api_key({"k": 1}), 'ApiKey realm="api"'),
    ]:
        status, headers, _ = fetch(app(hook), "/", parser_class=parser_class)
        assert (status, headers["www-authenticate"]) == (401, challenge)


@pytest.mark.parametrize("value", ["Bearer t0k.en~+/-_==", "bearer   t0k.en~+/-_=="])
def test_bearer(value: str) -> None:
    router = app(bearer({"t0k.en~+/-_==": {"id": 7}}))
    assert ask(router, f"Authorization: {value}") == (200, "", b'{"user":{"id":7}}')


@pytest.mark.parametrize("value", ["Bearer other", "Bearer", "Bearer a b", "Bearer café", 'Bearer "t"'])
def test_a_wrong_bearer_token(value: str) -> None:
    status, challenge, _ = ask(app(bearer({"t": 1})), f"Authorization: {value}")
    assert (status, challenge) == (401, 'Bearer realm="api", error="invalid_token"')


def test_an_api_key_has_one_place() -> None:
    keys = {"k€y": "ann"}
    assert ask(app(api_key(keys)), "X-API-Key: k€y")[0] == 200
    assert ask(app(api_key(keys, header="token")), "token: k€y")[0] == 200
    assert ask(app(api_key(keys, query="key")), path="/?key=k%E2%82%ACy")[0] == 200
    assert ask(app(api_key(keys, cookie="key")), "Cookie: key=k€y")[0] == 200
    for wrong in ("X-API-Key: other", "X-API-Key:", "X-API-Key: k€y\r\nX-API-Key: k€y"):
        assert ask(app(api_key(keys)), wrong)[0] == 401
    assert ask(app(api_key(keys, query="key")), "X-API-Key: k€y", path="/?key=other")[0] == 401


def test_no_shared_cache_keeps_what_is_for_one_user() -> None:
    """RFC 9111 §3.5 says so of Authorization alone: what has a key would be given to all."""
    hooks: list[tuple[Any, str | None, str]] = [
        (api_key({"t": 1}), "x-api-key", "X-API-Key: t"),
        (api_key({"t": 1}, cookie="key"), "Cookie", "Cookie: key=t"),
        (api_key({"t": 1}, query="key"), None, ""),
        (bearer({"t": 1}, required=False), "Authorization", ""),
        (any_of(bearer({"t": 1}), api_key({"t": 1})), "Authorization, x-api-key", "Authorization: Bearer t"),
    ]
    for hook, vary, field in hooks:
        status, headers, _ = fetch(app(hook), "/?key=t", *([field] if field else []))
        assert (status, headers.get("vary"), headers.get("cache-control")) == (200, vary, "private")


@pytest.mark.parametrize("path", ["/", "/below", "/below/", "/nowhere", "/below/nowhere"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_it_covers_all(path: str, method: str) -> None:
    router = app(bearer({"t": 1}))
    assert ask(router, path=path, method=method)[0] == 401
    there = "nowhere" not in path
    expected = (204 if method == "OPTIONS" else 405 if method == "POST" else 200) if there else 404
    assert ask(router, "Authorization: Bearer t", path=path, method=method)[0] == expected


async def as_coroutine(token: str) -> str | None:
    await sleep(0.01)
    return "ann" if same(token, "t") else None


def as_def(token: str) -> str | None:
    assert threading.current_thread() is not threading.main_thread()
    return "ann" if same(token, "t") else None


async def with_request(req: Request, token: str, then: int = 0) -> Any:
    await sleep(0.01)
    return req.app.users.get(token)


class Users:
    async def find(self, token: str) -> str | None:
        return {"t": "ann"}.get(token)

    async def __call__(self, request: Request, token: str) -> str | None:
        return await self.find(token)


@pytest.mark.parametrize("check", [as_coroutine, with_request, Users().find, Users(), {"t": "ann"}.get])
def test_a_check_may_take_the_request(check: Any, backend: str) -> None:
    router = app(bearer(check))

    @router.on_start
    def start(app: Any) -> None:
        app.users = {"t": "ann"}

    with Client(router, backend) as client:
        assert client.get("/", headers={"authorization": "Bearer t"}).json == {"user": "ann"}
        assert client.get("/", headers={"authorization": "Bearer u"}).status == 401


def test_a_plain_def_may_block(serve: Any) -> None:
    server = serve(app(bearer(as_def)))
    status, body = get(server.port, "/", {"authorization": "Bearer t"})
    assert (status, body) == (200, b'{"user":"ann"}')


def test_yes_and_no_are_answers() -> None:
    router = app(basic(lambda name, password: same(password, "pear")))
    assert ask(router, f"Authorization: {pair('ann:pear')}") == (200, "", b'{"user":"ann"}')
    assert ask(router, f"Authorization: {pair('ann:apple')}")[0] == 401
    assert ask(app(bearer(lambda token: True)), "Authorization: Bearer t")[2] == b'{"user":true}'


def test_what_a_check_raises() -> None:
    async def fail(token: str) -> None:
        raise Fail(403, "suspended")

    async def broken(token: str) -> None:
        raise KeyError("x")

    assert ask(app(bearer(fail)), "Authorization: Bearer t")[::2] == (403, b"suspended")
    assert ask(app(bearer(broken)), "Authorization: Bearer t")[0] == 500


def test_optional_hooks_add_up() -> None:
    router = app(bearer({"t": "ann"}, required=False))
    router.around(api_key({"k": "bob"}, required=False))
    assert ask(router)[2] == b'{"user":null}'
    assert ask(router, "Authorization: Bearer t")[2] == b'{"user":"ann"}'
    assert ask(router, "X-API-Key: k")[2] == b'{"user":"bob"}'
    assert ask(router, f"Authorization: {pair('ann:pear')}")[2] == b'{"user":null}'
    for wrong in ("Authorization: Bearer u", "X-API-Key: l", "Authorization: Bearer t\r\nX-API-Key: l"):
        assert ask(router, wrong)[0] == 401


def test_any_of_several_ways() -> None:
    hook = any_of(bearer({"t": "ann"}), api_key({"k": "bob"}))
    router = app(hook)
    assert ask(router, "Authorization: Bearer t")[2] == b'{"user":"ann"}'
    assert ask(router, "X-API-Key: k")[2] == b'{"user":"bob"}'
    assert ask(router, "X-API-Key: k\r\nAuthorization: Bearer t")[2] == b'{"user":"ann"}'
    assert ask(router)[:2] == (401, 'Bearer realm="api", ApiKey realm="api"')
    invalid = 'Bearer realm="api", error="invalid_token"'
    assert ask(router, "X-API-Key: k\r\nAuthorization: Bearer u")[:2] == (401, invalid)
    assert ask(router, "X-API-Key: l", path="/nowhere")[0] == 401
    assert [*hook.security] == ["bearer", "x-api-key"]


def test_a_websocket_is_refused_before_its_handshake() -> None:
    router = app(api_key({"k": "ann"}, query="key"))

    @router.websocket("/ws")
    async def echo(ws: Any) -> None:
        await ws.send(ws.request.user)

    client = Client(router)
    with client.websocket("/ws?key=k") as ws:
        assert ws.receive() == "ann"
    with pytest.raises(Exception, match="401"):
        client.websocket("/ws").__enter__()


def test_what_it_says_to_openapi() -> None:
    assert basic({}).security == {"basic": {"type": "http", "scheme": "basic"}}
    assert bearer({}).security == {"bearer": {"type": "http", "scheme": "bearer"}}
    assert api_key({}).security == {"x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"}}
    assert api_key({}, query="my key").security == {
        "my_key": {"type": "apiKey", "in": "query", "name": "my key"}
    }
    assert api_key({}, cookie="k").security == {"k": {"type": "apiKey", "in": "cookie", "name": "k"}}
    assert isinstance(basic({}), Auth)
    assert not bearer({}, required=False).required


def test_its_name_in_the_table_of_routes() -> None:
    for hook, name in [(basic({}), "basic"), (bearer({}), "bearer"), (api_key({}), "api_key")]:
        assert rows(app(hook))[0].hooks == f"around kissapi.extras.auth.{name}"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: basic({"ann": ""}), ValueError, "is a setting missing"),
        (lambda: basic({"ann": None}), TypeError, "are strings"),
        (lambda: bearer({"": "ann"}), ValueError, "is a setting missing"),
        (lambda: bearer({None: "ann"}), TypeError, "are strings"),  # type: ignore[dict-item]
        (lambda: bearer("token"), TypeError, "or a mapping"),  # type: ignore[arg-type]
        (lambda: basic(as_coroutine), TypeError, r"test_auth.py:\d+\) takes \(name, password\)"),
        (lambda: bearer(lambda: None), TypeError, r"takes \(token\), or \(request, token\)"),
        (lambda: basic({}, realm='a"b'), ValueError, "quotes"),
        (lambda: bearer({}, realm="a\r\nb"), ValueError, "printable"),
        (lambda: api_key({}, header="a", query="b"), ValueError, "one place"),
        (lambda: api_key({}, header="a b"), ValueError, "no name"),
        (lambda: api_key({}, query=""), ValueError, "no name"),
        (any_of, TypeError, "the ways there are"),
        (lambda: any_of(bearer), TypeError, "not <function bearer"),  # type: ignore[arg-type]
    ],
)
def test_mistakes(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_same() -> None:
    assert same("a", "a")
    assert same("ü\ud800", "ü\ud800")
    assert not same("a", "b")
    assert not same("a", "")
