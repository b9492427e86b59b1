"""CSRF: what a page of another origin sends is refused; what an own page or no browser sends is not."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kissapi import Fail, Request, Response, Router, Server
from kissapi.extras.cors import cors
from kissapi.extras.csrf import csrf
from kissapi.extras.sessions import sessions
from kissapi.extras.testing import Client
from tests.http.test_cycles import HOST, garbage_of, no_cycles  # noqa: F401
from tests.wire import Wire

SECRET = "0123456789abcdef"


def site(*, session: bool = False, **options: Any) -> Router:
    router = Router()
    if session:
        router.around(sessions(SECRET))
    router.around(csrf(**options))

    @router.get("/token")
    async def token(req: Request) -> Any:
        return [req.csrf_token, req.csrf_token]

    @router.get("/none")
    async def none(req: Request) -> str:
        return "nothing"

    @router.get("/login")
    async def login(req: Request) -> None:
        req.session.clear()

    @router.route("/", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "QUERY"])
    async def act(req: Request) -> str:
        return "done"

    @router.post("/stream", stream=True)
    async def stream(req: Request) -> str:
        return str(sum([len(piece) async for piece in req.stream()]))

    @router.post("/hooks/pay")
    async def pay(req: Request) -> str:
        return "paid"

    return router


# Host, fields, whether it passes
JUDGED: list[tuple[str, dict[str, str], bool]] = [
    ("a", {}, True),
    ("a", {"Sec-Fetch-Site": "same-origin"}, True),
    ("a", {"Sec-Fetch-Site": "none"}, True),
    ("a", {"Sec-Fetch-Site": "same-site"}, False),
    ("a", {"Sec-Fetch-Site": "cross-site"}, False),
    ("a", {"Sec-Fetch-Site": "Same-Origin"}, False),
    ("a", {"Sec-Fetch-Site": "same-origin, same-origin"}, False),
    ("a", {"Sec-Fetch-Site": "made-up"}, False),
    ("a", {"Sec-Fetch-Site": "same-origin", "Origin": "http://b"}, True),  # a proxy has changed the host
    ("a", {"Sec-Fetch-Site": "cross-site", "Origin": "http://a"}, False),
    ("a", {"Sec-Fetch-Site": "cross-site", "Origin": "https://ok.example"}, True),
    ("a", {"Sec-Fetch-Site": "same-site", "Origin": "https://OK.example:443"}, True),
    ("a", {"Sec-Fetch-Site": "", "Origin": "http://a"}, True),
    ("a", {"Sec-Fetch-Site": "", "Origin": "http://b"}, False),
    ("a", {"Sec-Fetch-Site": "none", "Origin": "null"}, True),
    ("a", {"Origin": ""}, True),
    ("a", {"Origin": "http://a"}, True),
    ("a", {"Origin": "https://a"}, True),  # behind a proxy that does TLS
    ("A.example", {"Origin": "http://a.EXAMPLE"}, True),
    ("a:80", {"Origin": "http://a"}, True),
    ("a:443", {"Origin": "https://a"}, True),
    ("a:443", {"Origin": "http://a"}, False),
    ("a:8000", {"Origin": "http://a:8000"}, True),
    ("a:8000", {"Origin": "http://a"}, False),
    ("a", {"Origin": "http://a:8000"}, False),
    ("[::1]:8000", {"Origin": "http://[::1]:8000"}, True),
    ("[::1]", {"Origin": "http://[::1]:80"}, True),
    ("[::1]", {"Origin": "http://[::2]"}, False),
    ("a", {"Origin": "null"}, False),
    ("null", {"Origin": "null"}, False),
    ("a", {"Origin": "a"}, False),
    ("a", {"Origin": "http://a/"}, False),
    ("a", {"Origin": "http://a.b"}, False),
    ("b.a", {"Origin": "http://a"}, False),
    ("a", {"Origin": "http://a, http://a"}, False),
    ("a", {"Origin": "http://b http://a"}, False),
    ("a", {"Origin": "http://b@a"}, False),
    ("k.example", {"Origin": "http://\u212a.example"}, False),  # the Kelvin sign is a k in lower case
    ("a", {"Origin": "https://ok.example"}, True),
    ("a", {"Origin": "http://ok.example"}, False),
    ("a", {"Origin": "https://ok.example.evil"}, False),
    ("a", {"Origin": "https://ok.example:8443"}, False),
    ("a", {"Origin": "x" * 5000}, False),
]


@pytest.mark.parametrize(("host", "fields", "passes"), JUDGED)
def test_what_passes(parser_class: Any, host: str, fields: dict[str, str], passes: bool) -> None:
    client = Client(site(origins=["https://ok.example"]), parser_class=parser_class, headers={"host": host})
    answer = client.post("/", headers=fields)
    assert answer.status == (200 if passes else 403)
    if not passes:
        assert answer.text.startswith("Forbidden: a page of ")
        assert "csrf(origins=[…])" in answer.text
        assert len(answer.text) < 500


SCHEMES = ["http", "https", "HTTPS"]
HOSTS = ["a", "A", "b.a", "a:80", "a:443", "a:8000", "[::1]", "[::1]:80", "[::1]:8000"]
SITES = [None, "", "none", "same-origin", "same-site", "cross-site", "Same-Origin", "x"]
LISTED = ["https://ok", "http://[::2]:8000"]


def reference(method: str, host: str, origin: str | None, site: str | None) -> bool:
    """Go's CrossOriginProtection.Check, with ports that are left out."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return True
    if site in ("same-origin", "none"):
        return True
    url = urlsplit(origin or "")
    usual = {"http": 80, "https": 443}
    asked = urlsplit(f"{url.scheme}://{host}")
    here, there = ((each.hostname, each.port or usual.get(url.scheme)) for each in (asked, url))
    if any((url.scheme, there) == (i.scheme, (i.hostname, i.port or 443)) for i in map(urlsplit, LISTED)):
        return True
    return not site and (not origin or (bool(url.scheme) and here == there))


@settings(max_examples=400, deadline=None)
@given(
    method=st.sampled_from(["POST", "DELETE", "GET"]),
    host=st.sampled_from(HOSTS),
    origin=st.none()
    | st.sampled_from(["", "null", *LISTED])
    | st.builds("{}://{}".format, st.sampled_from(SCHEMES), st.sampled_from([*HOSTS, "ok"])),
    site=st.sampled_from(SITES),
)
def test_the_rule_is_that_of_go(method: str, host: str, origin: str | None, site: str | None) -> None:
    fields = {"host": host, "origin": origin, "sec-fetch-site": site}
    headers = {name: value for name, value in fields.items() if value is not None}
    passes = JUDGE.request(method, "/", headers=headers).status == 200
    assert passes == reference(method, host, origin, site)


JUDGE = Client(site(origins=LISTED))


def test_two_fields_of_one_name_are_no_origin() -> None:
    client = Client(site())
    for name, value in (("origin", "http://localhost"), ("sec-fetch-site", "same-origin")):
        assert client.post("/", headers=[(name, value)]).status == 200
        assert client.post("/", headers=[(name, value), (name, value)]).status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "QUERY"])
def test_methods_that_change_something_are_judged(method: str) -> None:
    client = Client(site())
    cross = {"sec-fetch-site": "cross-site"}
    assert client.request(method, "/", headers=cross).status == 403
    assert client.request(method, "/nowhere", headers=cross).status == 403
    for safe in ("GET", "HEAD", "OPTIONS"):
        assert client.request(safe, "/", headers=cross).status in (200, 204)


def test_over_https_a_page_of_http_is_another_origin() -> None:
    client = Client(site(), scheme="https")
    assert client.post("/", headers={"origin": "https://localhost"}).status == 200
    assert client.post("/", headers={"origin": "http://localhost"}).status == 403
    assert client.post("/", headers={"host": "a:80", "origin": "http://a"}).status == 403


def test_the_host_is_the_one_that_a_trusted_proxy_tells() -> None:
    server = Server(router=site(), trusted_proxies="127.0.0.1", proxy_headers="x-forwarded-host")
    fields = {"host": "internal:9000", "x-forwarded-host": "shop.example", "origin": "https://shop.example"}
    assert Client(server).post("/", headers=fields).status == 200
    assert Client(site()).post("/", headers=fields).status == 403


def test_a_handshake_of_a_websocket_is_left_to_its_route() -> None:
    router = site()

    @router.websocket("/ws", origins="*")
    async def greet(ws: Any) -> None:
        await ws.send("hello")

    with Client(router).websocket("/ws", headers={"origin": "http://evil"}) as ws:
        assert ws.receive() == "hello"


def test_refusals_go_to_error_handlers_and_outer_arounds() -> None:
    root = Router()
    root["/"] = site()

    @root.on_error(403)
    async def page(req: Request, error: Fail) -> Response:
        return Response("a page", 403)

    assert Client(root).post("/", headers={"sec-fetch-site": "cross-site"}).text == "a page"


@pytest.mark.usefixtures("no_cycles")
@pytest.mark.parametrize(
    "line", ["GET /token", "GET /none", "GET /login", "POST /", "POST /nowhere", "OPTIONS /"]
)
def test_with_session_and_cors_it_leaves_no_cycle(parser_class: Any, line: str) -> None:
    router = Router()
    router.around(cors(["http://b"]))
    router["/"] = site(session=True)
    ask = b"Origin: http://b\r\nAccess-Control-Request-Method: PUT\r\nCookie: session=%b; csrf=b\r\n\r\n"

    def use() -> None:
        wire = Wire(router, parser_class).send(line.encode() + HOST + ask % (b"a" * 99)).wait(1)
        assert b"HTTP/1.1 " in wire.received
        wire.lose()
        wire.wait(200)
        wire.connection.transport = None
        wire.transport.connection = None

    assert garbage_of(use) == []


# Exempt


def test_exempt_paths() -> None:
    client = Client(site(exempt=iter(["/hooks/", "/nowhere"])), headers={"sec-fetch-site": "cross-site"})
    assert client.post("/hooks/pay").status == 200
    assert client.post("/hooks/../stream").status == 404  # paths are taken as they are
    assert client.post("/nowhere").status == 404
    assert client.post("/").status == 403
    assert client.post("/nowhere/").status == 403
    assert client.post("/hooks").status == 403


def test_a_function_may_exempt_and_says_yes_or_no() -> None:
    client = Client(site(exempt=lambda req: req.path == "/hooks/pay"), headers={"origin": "http://b"})
    assert [client.post("/hooks/pay").status, client.post("/").status] == [200, 403]
    client = Client(site(exempt=lambda req: re.match("/hooks", req.path)), headers={"origin": "http://b"})
    assert client.post("/").status == 500
    assert "exempt returned None, not True or False" in "\n".join(client.log)


async def truly(req: Request) -> bool:
    return True


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"origins": "https://a"}, ValueError, "origins is a list"),
        ({"origins": "*"}, ValueError, "origins is a list"),
        ({"origins": ["a"]}, ValueError, "an origin is a scheme"),
        ({"origins": ["https://a/"]}, ValueError, "an origin is a scheme"),
        ({"origins": ["https://*.a"]}, ValueError, "an origin is a scheme"),
        ({"origins": ["https://bücher.example"]}, ValueError, "xn--"),
        ({"origins": ["null"]}, ValueError, "null"),
        ({"exempt": "/a"}, ValueError, "exempt is a list of paths"),
        ({"exempt": ["/"]}, ValueError, "is all paths"),
        ({"exempt": ["a"]}, ValueError, "exempt is a list of paths"),
        ({"exempt": truly}, TypeError, "exempt is a plain `def`"),
        ({"cookie": "a b"}, ValueError, "no name for a cookie"),
    ],
)
def test_settings_that_make_no_sense(options: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=re.escape(why)):
        csrf(**options)


# The token

NULL = {"origin": "null"}


@pytest.mark.parametrize("session", [False, True], ids=["cookie", "session"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_token_lets_a_page_pass_whose_origin_is_not_known(session: bool, scheme: str) -> None:
    client = Client(site(session=session), scheme=scheme)
    token, again = client.get("/token").json
    assert token == again
    assert len(token) == 128
    assert client.get("/token").json[0] != token  # BREACH
    for headers in (NULL, {"origin": "http://proxy-has-changed-the-host", "sec-fetch-site": ""}):
        assert client.post("/", headers=headers).status == 403
        assert client.post("/", headers={**headers, "x-csrf-token": token}).status == 200
        assert client.post("/", headers=headers, form={"csrf_token": token}).status == 200
        assert client.post("/", headers=headers, form={"csrf_token": token}, files={"f": b"x"}).status == 200
        assert client.post("/", headers=headers, json={"csrf_token": token}).status == 403
        assert client.post("/stream", headers={**headers, "x-csrf-token": token}, body="abc").text == "3"
        assert client.post("/stream", headers=headers, body=iter(["csrf_token=", token])).status == 403


def test_a_token_does_not_outdo_what_the_browser_is_sure_of() -> None:
    client = Client(site())
    token = client.get("/token").json[0]
    fields = {"sec-fetch-site": "same-site", "x-csrf-token": token}
    assert client.post("/", headers=fields).status == 403


@pytest.mark.parametrize("session", [False, True], ids=["cookie", "session"])
def test_tokens_of_others_and_made_up_ones_do_not_count(session: bool) -> None:
    router = site(session=session)
    client, other = Client(router), Client(router)
    token, stolen = client.get("/token").json[0], other.get("/token").json[0]
    zero = "00" * 64
    made_up = [
        "x",
        "é" * 128,
        stolen,
        zero,
        token[:-2],
        token + "00",
        token[:64],
    ]
    for each in made_up:
        assert client.post("/", headers=NULL, form={"csrf_token": each}).status == 403, each
        assert client.post("/", headers={**NULL, "x-csrf-token": each}).status == 403, each
    without = Client(router)
    for each in (token, zero):
        assert without.post("/", headers={**NULL, "x-csrf-token": each}).status == 403
    for cookie in ("", "00", "zz" * 32, "é" * 64, "00" * 31):
        headers = {**NULL, "x-csrf-token": zero, "cookie": f"csrf={cookie}"}
        assert Client(site()).post("/", headers=headers).status == 403


def test_a_form_that_cannot_be_read_is_a_400() -> None:
    client = Client(site())
    client.get("/token")
    kind = {"content-type": "multipart/form-data; boundary=b"}
    assert client.post("/", headers={**NULL, **kind}, body="nonsense").status == 400


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookie_of_the_token_is_set_once_and_private(scheme: str) -> None:
    client = Client(site(), scheme=scheme)
    assert not {"set-cookie", "vary", "cache-control"} & set(client.get("/none").headers)
    first, second = client.get("/token").headers, client.get("/token").headers
    start = "__Host-csrf=" if scheme == "https" else "csrf="
    end = "; Path=/; SameSite=Lax; " + "Secure; " * (scheme == "https") + "HttpOnly"
    assert re.fullmatch(f"{start}[0-9a-f]{{64}}{end}", first["set-cookie"])
    assert "set-cookie" not in second
    for fields in (first, second):
        assert (fields["vary"], fields["cache-control"]) == ("Cookie", "private")


def test_a_session_that_is_cleared_has_another_token() -> None:
    client = Client(site(session=True))
    token = client.get("/token").json[0]
    assert "csrf" not in client.cookies
    assert client.post("/", headers={**NULL, "x-csrf-token": token}).status == 200
    client.get("/login")
    assert client.post("/", headers={**NULL, "x-csrf-token": token}).status == 403


def test_with_the_session_inside_the_token_has_its_own_cookie() -> None:
    root = Router()
    root.around(csrf())
    root["/"] = site(session=True)
    client = Client(root)
    token = client.get("/token").json[0]
    assert (
        client.post("/", headers={**NULL, "x-csrf-token": token}).status == 403
    )  # the outer one has no token


def test_without_the_hook_a_token_is_an_error_that_names_it() -> None:
    router = Router()

    @router.get("/")
    async def page(req: Request) -> str:
        return req.csrf_token

    client = Client(router)
    assert client.get("/").status == 500
    assert "needs router.around(csrf())" in "\n".join(client.log)
