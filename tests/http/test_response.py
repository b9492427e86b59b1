"""Response: what a result becomes by its type, and that nothing a handler says can break the framing."""

from __future__ import annotations

import enum
import http
import time
from collections import OrderedDict, UserString, namedtuple
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from kissapi import Fail, Request, Response, html, redirect
from kissapi.core.fail import REASONS
from kissapi.http.dates import http_date
from kissapi.http.encoder import encode_http
from kissapi.http.json_codec import to_json
from kissapi.http.upgrade import Upgrade


class Text(str):
    __slots__ = ()


class Colour(enum.IntEnum):
    RED = 1


class Word(enum.StrEnum):
    RED = "red"


Point = namedtuple("Point", "x y")

TEXT, UTF8, JSON = "text/plain", "text/plain; charset=utf-8", "application/json"

CONVERSIONS: list[tuple[Any, bytes, str | None]] = [
    ("Hello", b"Hello", TEXT),
    ("", b"", TEXT),
    ("é", b"\xc3\xa9", UTF8),
    (Text("a"), b"a", TEXT),
    (Word.RED, b"red", TEXT),
    ('{"a": 1}', b'{"a": 1}', TEXT),
    ("<html>", b"<html>", TEXT),
    (b"\x89PNG", b"\x89PNG", TEXT),
    (bytearray(b"a"), b"a", TEXT),
    (memoryview(b"abcd")[::2], b"ac", TEXT),
    ({"a": [1, None, True, "é"]}, b'{"a":[1,null,true,"\\u00e9"]}', JSON),
    ({}, b"{}", JSON),
    ([], b"[]", JSON),
    (OrderedDict(b=1, a=2), b'{"b":1,"a":2}', JSON),
    (Point(1, 2), b"[1,2]", JSON),
    (0, b"0", JSON),
    (1.5, b"1.5", JSON),
    (False, b"false", JSON),
    (Colour.RED, b"1", JSON),
]


@pytest.mark.parametrize(("result", "body", "content_type"), CONVERSIONS)
def test_the_type_of_a_result_decides_what_is_sent(
    result: Any, body: bytes, content_type: str | None
) -> None:
    response = Response.of(result)
    assert (response.body, response.content_type, response.status) == (body, content_type, 200)
    assert Response(result).body == body


@pytest.mark.parametrize(("result", "body", "content_type"), CONVERSIONS)
def test_the_fast_road_sends_the_same_as_the_long_one(
    result: Any, body: bytes, content_type: str | None
) -> None:
    service = SimpleNamespace(
        tail=b"\r\n\r\n",
        answered=None,
        has_headers=False,
        to_json=to_json,
        run=lambda make, result: make(result),
    )
    connection = SimpleNamespace(service=service, take=None, close_after=False)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    for given in (result, Response(result)):
        assert encode_http(connection, Request(), given) == head.encode() + body


def test_none_is_204_and_as_a_body_is_nothing() -> None:
    assert (Response.of(None).status, Response.of(None).body, Response.of(None).content_type) == (
        204,
        b"",
        None,
    )
    assert (Response(None).status, Response(None).body, Response(None).content_type) == (200, b"", None)


def test_a_response_is_itself_and_a_fail_is_converted_like_a_result() -> None:
    response = Response("x")
    assert Response.of(response) is response
    failed = Response.of(Fail(400, {"error": "é"}, {"X-A": "1"}))
    assert (failed.status, failed.body, failed.content_type) == (400, b'{"error":"\\u00e9"}', JSON)
    assert failed.headers == {"x-a": "1"}


def test_iterators_are_streamed_as_utf_8_text_unless_told_otherwise() -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "a"

    for body in (iter("ab"), map(str, [1]), pieces()):
        response = Response.of(body)
        assert (response.body, response.content_type) == (body, UTF8)
    assert Response(iter(()), content_type="text/csv").content_type == "text/csv"


def test_redirect_and_html() -> None:
    moved = redirect("/new")
    assert (moved.status, moved.headers, moved.body, moved.content_type) == (
        302,
        {"location": "/new"},
        b"",
        None,
    )
    assert redirect("/new", 308).status == 308
    page = html("<p>é", 404)
    assert (page.status, page.body, page.content_type) == (404, b"<p>\xc3\xa9", "text/html; charset=utf-8")


def test_a_content_type_is_said_in_any_of_three_ways() -> None:
    assert Response("x", content_type="text/csv").content_type == "text/csv"
    assert Response("x", headers={"Content-Type": "text/csv"}).content_type == "text/csv"
    response = Response("x")
    response.headers["Content-Type"] = "text/csv"
    assert response.content_type == "text/csv"
    assert repr(response) == "<Response 200 text/csv>"


def test_what_is_changed_later_is_converted_too() -> None:
    response = Response("x", http.HTTPStatus.CREATED)
    response.body = {"a": 1}
    assert (response.body, response.content_type) == (b'{"a":1}', JSON)
    response.content_type = "text/csv"
    response.body = "é"
    assert (response.body, response.content_type) == (b"\xc3\xa9", "text/csv")
    response.headers = {"X-A": "1"}
    assert response.headers.get_all("x-a") == ["1"]


SPLIT = "x\r\nSet-Cookie: evil=1"
STATUS = "status must be a number from 200 to 599"
WRONG: list[tuple[Callable[[], object], type[Exception], str]] = [
    *(
        (lambda status=status: Response("", status), ValueError, STATUS)
        for status in (0, 199, 600, "200", None, True)
    ),
    (lambda: setattr(Response(), "status", 99), ValueError, STATUS),
    (lambda: Response("", headers={"X": SPLIT}), ValueError, "line ends"),
    (lambda: Response("", headers={SPLIT: "x"}), ValueError, "no header name"),
    (lambda: Response("", content_type=SPLIT), ValueError, "line ends"),
    (lambda: setattr(Response(), "content_type", SPLIT), ValueError, "line ends"),
    (lambda: setattr(Response(), "headers", {"X": SPLIT}), ValueError, "line ends"),
    (lambda: Response().headers.add("X", SPLIT), ValueError, "line ends"),
    (lambda: Upgrade(SPLIT, object()), ValueError, "is no protocol"),
    (lambda: Upgrade("", object()), ValueError, "is no protocol"),
    (lambda: Upgrade("chat/", object()), ValueError, "is no protocol"),
    (lambda: redirect("/", 200), ValueError, "use 301, 302, 303, 307 or 308"),
    (lambda: Response(object()), TypeError, "not JSON serializable"),
    (lambda: Response({1j}), TypeError, "not JSON serializable"),
    (lambda: Response(UserString("x")), TypeError, "not JSON serializable"),
    (lambda: Response(float("nan")), ValueError, "JSON compliant"),
    (lambda: Response([float("-inf")]), ValueError, "JSON compliant"),
    (lambda: Response("\ud800"), ValueError, "surrogates not allowed"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_what_cannot_be_sent_is_refused_where_it_is_said(
    make: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_date_is_english_whatever_the_locale() -> None:
    assert http_date(time.gmtime(784111777)) == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("status", [status for status in http.HTTPStatus if status not in (418, 421, 425)])
def test_every_registered_status_has_its_reason(status: http.HTTPStatus) -> None:
    assert REASONS[status]


def test_the_content_type_is_one_of_the_headers_whenever_they_are_asked_for() -> None:
    response = Response("a", content_type=" text/html ")
    assert response.content_type == "text/html"
    response.body = {"a": 1}  # it was set: the usual one of the new body does not count
    assert response.content_type == "text/html"
    assert dict(response.headers) == {"content-type": "text/html"}
    del response.headers["content-type"]
    assert response.content_type == "application/json"
    response = Response("a", content_type="text/html")
    response.headers = None
    assert response.content_type == "text/plain"
    assert Response("a", 200, {"x": "1", "content-type": "a/b"}, "c/d").headers.get_all("content-type") == [
        "c/d"
    ]
    with pytest.raises(ValueError, match="control characters"):
        Response("a", content_type="text/html\r\nX: 1")


def test_a_copy_of_a_response_has_fields_of_its_own() -> None:
    for kept in (Response("a", content_type="a/b"), Response("a", headers=[("set-cookie", "a=1")])):
        copy = kept._own()
        copy.headers.add("set-cookie", "b=2")
        copy.headers["x"] = "1"
        assert copy.content_type == kept.content_type
        assert "x" not in kept.headers
        assert "b=2" not in kept.headers.get_all("set-cookie")
