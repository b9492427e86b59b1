"""Cookies: what goes out is what browsers keep; all else is an error where it is said."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from kissapi import Request, Response, Router
from tests.wire import Wire, parse_answers

NOON = datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)

COOKIES: list[tuple[str, str, dict[str, Any], str]] = [
    ("a", "1", {}, "a=1; Path=/; SameSite=Lax; HttpOnly"),
    (
        "b",
        "",
        {
            "max_age": 0,
            "path": None,
            "domain": "a.org",
            "secure": True,
            "http_only": False,
            "same_site": None,
        },
        "b=; Max-Age=0; Domain=a.org; Secure",
    ),
    ("a", "1", {"same_site": "strict"}, "a=1; Path=/; SameSite=Strict; HttpOnly"),
    ("a", "1", {"same_site": "NONE", "secure": True}, "a=1; Path=/; SameSite=None; Secure; HttpOnly"),
    (
        "a",
        "1",
        {"expires": NOON},
        "a=1; Expires=Sun, 22 Nov 2026 12:00:01 GMT; Path=/; SameSite=Lax; HttpOnly",
    ),
    (
        "a",
        "1",
        {"expires": NOON.astimezone(timezone(timedelta(hours=5))), "max_age": 60},
        "a=1; Max-Age=60; Expires=Sun, 22 Nov 2026 12:00:01 GMT; Path=/; SameSite=Lax; HttpOnly",
    ),
    (
        "a",
        "1",
        {"expires": datetime.fromtimestamp(0, UTC), "path": "/x"},
        "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/x; SameSite=Lax; HttpOnly",
    ),
    (
        "__Host-a",
        "1",
        {"secure": True, "partitioned": True, "same_site": "None"},
        "__Host-a=1; Path=/; SameSite=None; Secure; HttpOnly; Partitioned",
    ),
    (
        "__Secure-a",
        "1",
        {"secure": True, "path": "/x"},
        "__Secure-a=1; Path=/x; SameSite=Lax; Secure; HttpOnly",
    ),
    ("a", "1" * 4095, {}, f"a={'1' * 4095}; Path=/; SameSite=Lax; HttpOnly"),
    ("__Hostess", "1", {}, "__Hostess=1; Path=/; SameSite=Lax; HttpOnly"),
]


@pytest.mark.parametrize(("name", "value", "settings", "field"), COOKIES)
def test_a_cookie_is_set(name: str, value: str, settings: dict[str, Any], field: str) -> None:
    response = Response()
    response.set_cookie(name, value, **settings)
    assert response.headers.get_all("set-cookie") == [field]


SPLIT = "x\r\nSet-Cookie: evil=1"
REFUSED: list[tuple[str, Any, dict[str, Any], type[Exception], str]] = [
    ("a", SPLIT, {}, ValueError, "a cookie may not"),
    ("a", "x; Domain=b", {}, ValueError, "a cookie may not"),
    ("a", "x", {"path": "/; Secure"}, ValueError, "a cookie may not"),
    ("a", "x", {"same_site": "Lax; x"}, ValueError, "a cookie may not"),
    ("a", "\0", {}, ValueError, "control characters"),
    ("a=b", "x", {}, ValueError, "no name for a cookie"),
    ("", "x", {}, ValueError, "no name for a cookie"),
    ("a", None, {}, TypeError, "is a str, not None; to delete it: delete_cookie('a')"),
    ("a", True, {}, TypeError, "is a str, not True"),
    ("a", 7, {}, TypeError, "is a str, not 7"),
    ("a", b"x", {}, TypeError, "is a str, not b'x'"),
    ("a", "x", {"max_age": True}, ValueError, "max_age is a number of seconds, not True"),
    ("a", "x", {"max_age": 1.5}, ValueError, "max_age is a number of seconds, not 1.5"),
    (
        "a",
        "x",
        {"expires": 3600},
        TypeError,
        "expires is a datetime, not 3600; for seconds there is max_age=",
    ),
    ("a", "x", {"expires": date(2026, 11, 22)}, TypeError, "expires is a datetime"),
    ("a", "x", {"expires": NOON.replace(tzinfo=None)}, ValueError, "expires needs a time zone"),
    (
        "a",
        "x",
        {"path": "app"},
        ValueError,
        "path begins with /, or is None for that of the request, not 'app'",
    ),
    ("a", "x", {"path": ""}, ValueError, "path begins with /"),
    (
        "a",
        "x",
        {"path": True},
        ValueError,
        "path begins with /, or is None for that of the request, not True",
    ),
    ("a", "x", {"domain": True}, ValueError, "domain is a name, or None for this host alone, not True"),
    ("a", "x" * 4096, {}, ValueError, "a and its value have more than 4096 bytes"),
    ("a", "é" * 2048, {}, ValueError, "a and its value have more than 4096 bytes"),
    ("a", "x", {"domain": ""}, ValueError, "domain is a name, or None for this host alone, not ''"),
    ("a", "x", {"same_site": "bogus"}, ValueError, "same_site is 'Strict', 'Lax', 'None', or None"),
    ("a", "x", {"same_site": False}, ValueError, "same_site is 'Strict', 'Lax', 'None', or None"),
    ("a", "x", {"same_site": "None"}, ValueError, "same_site='None' needs secure=True"),
    ("a", "x", {"partitioned": True}, ValueError, "partitioned=True needs secure=True"),
    ("__Secure-a", "x", {}, ValueError, "the name __Secure-a needs secure=True"),
    ("__host-a", "x", {}, ValueError, "the name __host-a needs secure=True"),
    (
        "__Host-a",
        "x",
        {"secure": True, "path": "/x"},
        ValueError,
        "the name __Host-a needs path='/' and no domain",
    ),
    ("__Host-a", "x", {"secure": True, "domain": "a.org"}, ValueError, "needs path='/' and no domain"),
]


@pytest.mark.parametrize(("name", "value", "settings", "error", "message"), REFUSED)
def test_what_browsers_drop_without_a_word_is_an_error(
    name: str, value: Any, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    response = Response()
    with pytest.raises(error, match=re.escape(message)):
        response.set_cookie(name, value, **settings)
    assert not response.headers


DELETED: list[tuple[dict[str, Any], str]] = [
    ({}, "a=; Max-Age=0; Path=/; SameSite=Lax; HttpOnly"),
    ({"path": "/x", "domain": "a.org"}, "a=; Max-Age=0; Path=/x; Domain=a.org; SameSite=Lax; HttpOnly"),
    (
        {"secure": True, "partitioned": True, "same_site": "None", "http_only": False},
        "a=; Max-Age=0; Path=/; SameSite=None; Secure; Partitioned",
    ),
]


@pytest.mark.parametrize(("settings", "field"), DELETED)
def test_a_cookie_is_deleted_as_it_was_set(settings: dict[str, Any], field: str) -> None:
    response = Response()
    response.delete_cookie("a", **settings)
    assert response.headers.get_all("set-cookie") == [field]


def test_to_delete_one_needs_what_to_set_it_needs() -> None:
    with pytest.raises(ValueError, match="needs secure=True"):
        Response().delete_cookie("__Host-a")


def test_each_goes_out_in_a_field_of_its_own(parser_class: Callable[..., Any]) -> None:
    router = Router()

    @router.get("/")
    async def handler(req: Request) -> Response:
        response = Response()
        response.set_cookie("a", "1", expires=NOON)
        response.delete_cookie("b")
        return response

    wire = Wire(router, parser_class).send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert parse_answers(wire.received)[0][0] == 200
    assert wire.received.count(b"\r\nSet-Cookie: ") == 2
