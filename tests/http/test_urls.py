"""Where a request came to, as a whole URL, on a server of its own and behind proxies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kissapi import Request, Router, Server
from kissapi.extras.testing import Client
from kissapi.http.authority import split_port, with_port
from kissapi.http.forwarded import field_names, proxied_request_class
from kissapi.http.headers import RequestHeaders
from kissapi.net.trusted_proxies import TrustedProxies
from tests.peer import talk
from tests.serving import THREE, make, running
from tests.wire import Wire, parse_answers

router = Router()


@router.get("/{rest:path}")
async def links(req: Request) -> Any:
    return [req.base_url, req.url]


@router.options("/")
async def options(req: Request) -> Any:
    return [req.base_url, req.url]


def told(parser_class: Any, head: str, *fields: str, **facts: Any) -> Any:
    """What the app sees of a request, on a connection with these facts, by a proxy if there are fields."""
    request_class: type[Request] = Request
    if fields:
        names = "forwarded" if fields[0].startswith("Forwarded") else ALL_X
        request_class = proxied_request_class(TrustedProxies("127.0.0.1"), field_names(names), Request)
    wire = Wire(router, parser_class, request_class)
    wire.transport.facts = {"peername": ("127.0.0.1", 4321), **facts}
    wire.connection.peer = ("127.0.0.1", 4321)
    wire.send("\r\n".join([*head.split("\n"), *fields, "", ""]).encode())
    ((status, _, body),) = parse_answers(wire.received)
    assert status == 200, wire.lines
    return json.loads(body)


ALL_X = "x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port"
HERE = ("10.0.0.1", 8000)

DIRECT: list[tuple[str, dict[str, Any], str, str]] = [
    ("GET / HTTP/1.1\nHost: shop.example", {}, "http://shop.example", "/"),
    ("GET /a%20b/%7ec?q=1&q=%C3%A9 HTTP/1.1\nHost: a:8000", {}, "http://a:8000", "/a%20b/~c?q=1&q=%C3%A9"),
    ("GET /? HTTP/1.1\nHost: a:80", {}, "http://a", "/"),
    ("GET / HTTP/1.1\nHost: a:443", {}, "http://a:443", "/"),
    ("GET / HTTP/1.1\nHost: a:443", {"sslcontext": True}, "https://a", "/"),
    ("GET / HTTP/1.1\nHost: a:80", {"sslcontext": True}, "https://a:80", "/"),
    ("GET / HTTP/1.1\nHost: a:", {}, "http://a", "/"),
    ("GET / HTTP/1.1\nHost: SHOP.Example:8000", {}, "http://shop.example:8000", "/"),
    ("GET / HTTP/1.1\nHost: [::1]", {}, "http://[::1]", "/"),
    ("GET / HTTP/1.1\nHost: [::1]:80", {}, "http://[::1]", "/"),
    ("GET / HTTP/1.1\nHost: [2001:DB8::1]:8000", {}, "http://[2001:db8::1]:8000", "/"),
    ("GET http://other.example/x?y HTTP/1.1\nHost: a", {}, "http://other.example", "/x?y"),
    ("OPTIONS / HTTP/1.1\nHost: a", {}, "http://a", "/"),
    # Without a Host: the address that the client has connected to
    ("GET / HTTP/1.0", {"sockname": HERE}, "http://10.0.0.1:8000", "/"),
    ("GET / HTTP/1.0", {"sockname": ("10.0.0.1", 443), "sslcontext": True}, "https://10.0.0.1", "/"),
    ("GET / HTTP/1.0", {"sockname": ("::1", 8000, 0, 0)}, "http://[::1]:8000", "/"),
    ("GET / HTTP/1.0", {"sockname": ("fe80::1%eth0", 80, 0, 2)}, "http://[fe80::1]", "/"),
    ("GET / HTTP/1.0", {"sockname": ("::ffff:10.0.0.1", 8000, 0, 0)}, "http://10.0.0.1:8000", "/"),
    ("GET / HTTP/1.0", {"sockname": "/run/app.sock"}, "http://localhost", "/"),
    ("GET / HTTP/1.0", {}, "http://localhost", "/"),
]  # fmt: skip


@pytest.mark.parametrize(("head", "facts", "base", "rest"), DIRECT)
def test_the_url_is_the_one_that_the_client_has_used(
    parser_class: Any, head: str, facts: dict[str, Any], base: str, rest: str
) -> None:
    assert told(parser_class, head, **facts) == [base, base + rest]


PROXIED = [
    (["X-Forwarded-Proto: https"], "https://app:8000"),
    (["X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example"], "https://shop.example"),
    (["X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example:443"], "https://shop.example"),
    (["X-Forwarded-Proto: http", "X-Forwarded-Host: [2001:db8::1]:80"], "http://[2001:db8::1]"),
    (["X-Forwarded-Proto: https", "X-Forwarded-Host: a", "X-Forwarded-Port: 8443"], "https://a:8443"),
    (["X-Forwarded-Proto: https", "X-Forwarded-Host: [::1]:1", "X-Forwarded-Port: 443"], "https://[::1]"),
    (["X-Forwarded-Port: 443"], "http://app:443"),
    (["X-Forwarded-Proto: wss", "X-Forwarded-Host: a"], "https://a"),
    (["X-Forwarded-Host: evil@a"], "http://app:8000"),
    (['Forwarded: for=1.2.3.4;proto=https;host="shop.example:443"'], "https://shop.example"),
]


@pytest.mark.parametrize(("fields", "base"), PROXIED)
def test_behind_a_proxy_that_is_trusted(parser_class: Any, fields: list[str], base: str) -> None:
    assert told(parser_class, "GET /x HTTP/1.1\nHost: app:8000", *fields) == [base, f"{base}/x"]


def test_a_proxy_that_is_not_trusted_says_nothing() -> None:
    client = Client(Server(router=router), headers={"x-forwarded-proto": "https", "x-forwarded-host": "evil"})
    assert client.get("/").json[0].startswith("http://")
    assert "evil" not in client.get("/").text


def test_the_path_of_options_of_all() -> None:
    request = Request(method="OPTIONS", path="*", headers={"host": "a"})
    assert request.url == "http://a"


def test_a_request_that_no_server_has_made() -> None:
    assert Request(path="/x", query_string="a=1").url == "http://localhost/x?a=1"
    assert Request(headers=RequestHeaders({"host": "a:81"})).base_url == "http://a:81"


@pytest.mark.parametrize("loop", THREE)
def test_over_a_socket(loop: str) -> None:
    with running(make(loop, router)) as served:
        port = served.port
        answer = talk(port, b"GET /x HTTP/1.0\r\n\r\n")
        assert f'["http://127.0.0.1:{port}","http://127.0.0.1:{port}/x"]'.encode() in answer.replace(
            b" ", b""
        )


@pytest.mark.parametrize(
    ("authority", "host", "port"),
    [("a", "a", ""), ("a:", "a", ""), ("a:1", "a", "1"), ("[::1]", "[::1]", ""), ("[::1]:2", "[::1]", "2")],
)
def test_the_port_of_an_authority(authority: str, host: str, port: str) -> None:
    assert split_port(authority) == (host, port)


def test_the_usual_port_is_left_out() -> None:
    assert [with_port("a", port, "https") for port in ("", "443", "80")] == ["a", "a", "a:80"]
