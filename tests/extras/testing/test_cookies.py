"""The cookies that the client keeps: as a browser does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from kissapi import Request, Response, Router
from kissapi.extras.testing.cookies import CookieJar
from tests.extras.testing.app import Make, router

if TYPE_CHECKING:
    from kissapi.extras.testing import Client


def test_cookies_are_kept(client: Client) -> None:
    client.get("/login")
    assert client.get("/cookies/").json == {"session": "abc"}
    assert client.get("/cookies/deep/down").json == {"session": "abc", "deep": "d"}
    assert client.get("/cookies/", headers={"Cookie": "mine=1"}).json == {"mine": "1"}
    client.wait(59)
    assert client.cookies["session"] == "abc"
    client.wait(2)
    assert dict(client.cookies) == {"deep": "d"}
    client.get("/login")
    client.get("/logout")
    client.cookies["own"] = "2"
    assert client.get("/cookies/").json == {"own": "2"}
    del client.cookies["own"]
    assert client.get("/cookies/").json == {}


HTTP, HTTPS = "http", "https"


@pytest.mark.parametrize(
    ("field", "asked", "goes_along"),
    [
        ("a=1", "/x/y", {"/x": True, "/x/z": True, "/xy": False, "/": False}),
        ("a=1; Path=/", "/x/y", {"/": True, "/z": True}),
        ("a=1; path=/x/", "/", {"/x/y": True, "/x": False}),
        ("a=1; Path=x", "/x", {"/": True}),
        ("a=1; Path=/x; Path=/y", "/", {"/x": False, "/y": True}),
        ("a=1; Max-Age=0", "/", {"/": False}),
        ("a=1; Max-Age=-5", "/", {"/": False}),
        ("a=1; Max-Age=soon; HttpOnly", "/", {"/": True}),
        ("a=1; Max-Age=--5", "/", {"/": True}),
        ("a=1; Max-Age=" + "9" * 5000, "/", {"/": True}),
    ],
)
def test_where_a_cookie_goes(field: str, asked: str, goes_along: dict[str, bool]) -> None:
    jar = CookieJar(lambda: 0.0)
    jar.store(field, "localhost", asked)
    assert {path: jar.header("localhost", path) == "a=1" for path in goes_along} == goes_along


@pytest.mark.parametrize(
    ("field", "host", "goes_along"),
    [
        ("a=1", "example.org", {"example.org": True, "www.example.org": False, "other.org": False}),
        ("a=1; Domain=", "example.org", {"example.org": True, "www.example.org": False}),
        ("a=1; Domain=example.org", "example.org", {"www.example.org": True, "anexample.org": False}),
        ("a=1; Domain=.Example.org", "www.example.org", {"example.org": True, "www.example.org": True}),
        ("a=1; Domain=localhost", "localhost", {"localhost": True, "a.localhost": False}),
        ("a=1; Domain=127.0.0.1", "127.0.0.1", {"127.0.0.1": True, "a.127.0.0.1": False}),
    ],
)
def test_which_hosts_a_cookie_goes_to(field: str, host: str, goes_along: dict[str, bool]) -> None:
    jar = CookieJar(lambda: 0.0)
    jar.store(field, host, "/")
    assert {other: bool(jar.header(other, "/")) for other in goes_along} == goes_along


@pytest.mark.parametrize(
    ("field", "scheme", "reason"),
    [
        ("a=1; Secure", HTTP, 'scheme="https"'),
        ("a=1; Secure", HTTPS, ""),
        ("a=1; Domain=other.org", HTTP, "other.org"),
        ("a=1; Domain=www.example.org", HTTP, "www.example.org"),
        ("a=1; Domain=org", HTTP, "org"),
        ("__Secure-a=1", HTTPS, "needs Secure"),
        ("__Secure-a=1; Secure", HTTPS, ""),
        ("__Secure-a=1; Secure", HTTP, "https"),
        ("__Host-a=1; Secure; Path=/", HTTPS, ""),
        ("__Host-a=1; Path=/", HTTPS, "needs Secure"),
        ("__host-a=1; Secure", HTTPS, "Path=/"),
        ("__Host-a=1; Secure; Path=/x", HTTPS, "Path=/"),
        ("__Host-a=1; Secure; Path=/; Domain=example.org", HTTPS, "no Domain"),
        ("a=1; SameSite=None", HTTPS, "needs Secure"),
        ("a=1; SameSite=None; Secure", HTTPS, ""),
        (f"a={'x' * 4096}", HTTP, "4096 bytes"),
    ],
)
def test_what_a_browser_refuses(make: Make, backend: str, field: str, scheme: str, reason: str) -> None:
    app = Router()

    @app.get("/set")
    async def set_it(req: Request) -> Response:
        return Response("", headers={"Set-Cookie": field})

    @app.get("/")
    async def get(req: Request) -> list[str]:
        return list(req.cookies)

    client = make(app, backend, scheme=scheme, headers={"Host": "Example.org:8000"})
    client.get("/set")
    name = field.partition("=")[0]
    assert client.get("/").json == ([] if reason else [name])
    if reason:
        assert name not in client.cookies
        with pytest.raises(KeyError, match=f"the cookie {name} was refused: .*{reason}"):
            _ = client.cookies[name]


def test_a_cookie_without_a_name_is_none() -> None:
    jar = CookieJar(lambda: 0.0)
    for field in ("", "=1", "; Path=/"):
        jar.store(field, "localhost", "/")
    assert dict(jar) == {}


DATES = ["%a, %d %b %Y %H:%M:%S GMT", "%a, %d-%b-%Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT"]


@pytest.mark.parametrize("form", DATES)
def test_expires_counts_in_the_time_of_the_client(client: Client, form: str) -> None:
    def set_it(seconds: float, more: str = "") -> None:
        date = time.strftime(form, time.gmtime(time.time() + seconds))
        client.get("/set", headers={"X-Set": f"a=1; Path=/; Expires={date}{more}"})

    client.wait(100_000)  # of the clock of the client; handlers make dates of that on the wall
    set_it(3600)
    client.wait(3590)
    assert client.get("/cookies/").json == {"a": "1"}
    client.wait(20)
    assert client.get("/cookies/").json == {}
    client.cookies["a"] = "mine"
    set_it(-10)
    assert client.get("/cookies/").json == {}
    set_it(-10, "; Max-Age=60")
    assert client.get("/cookies/").json == {"a": "1"}
    set_it(10, "; Max-Age=0")
    assert dict(client.cookies) == {}


def test_expires_that_is_no_date_is_ignored() -> None:
    jar = CookieJar(lambda: 0.0)
    jar.store("a=1; Expires=tomorrow", "localhost", "/")
    assert jar["a"] == "1"


def test_a_browser_keeps_nothing_longer_than_400_days() -> None:
    now = 0.0
    jar = CookieJar(lambda: now)
    jar.store("a=1; Max-Age=99999999", "localhost", "/")
    jar.store("b=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT", "localhost", "/")
    now = 400 * 86400 - 1
    assert dict(jar) == {"a": "1", "b": "1"}
    now += 2
    assert dict(jar) == {}


def test_of_one_name_both_go_along_and_the_longer_path_first(client: Client) -> None:
    for field in ("a=short; Path=/", "a=long; Path=/cookies", "b=1; Path=/"):
        client.get("/set", headers={"X-Set": field})
    assert client.get("/header").text == "a=short; b=1"
    assert client.get("/cookies/header").text == "a=long; a=short; b=1"
    assert (client.cookies["a"], len(client.cookies)) == ("long", 2)
    del client.cookies["a"]
    with pytest.raises(KeyError):
        del client.cookies["a"]
    assert client.get("/cookies/header").text == "b=1"


def test_the_path_of_a_cookie_is_that_of_the_url(client: Client) -> None:
    client.get("/set", headers={"X-Set": "a=1; Path=/cookies/a%20b"})
    assert client.get("/cookies/a b/c").json == {"a": "1"}
    assert client.get("/cookies/").json == {}


def test_a_test_may_set_any_cookie(make: Make, backend: str) -> None:
    client = make(router, backend)
    client.cookies["__Host-own"] = "1"
    assert client.get("/cookies/").json == {"__Host-own": "1"}
    assert client.get("/cookies/", headers={"Host": "example.org"}).json == {"__Host-own": "1"}
