"""Conditions: what a client asks of a file before it wants it, and which part of it: RFC 9110 §13 and §14."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kissapi.extras.files import file, static
from kissapi.http.dates import read_date
from tests.extras.public import DATE, TEXT, answering
from tests.wire import fetch

if TYPE_CHECKING:
    from kissapi import Response

BEFORE, AFTER = "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"
CONDITIONS = [
    (["If-None-Match: {}"], 304),
    (["If-None-Match: W/{}"], 304),
    (["If-None-Match: *"], 304),
    (['If-None-Match: "a", {}, "b"'], 304),
    (['If-None-Match: "a,b",W/{}'], 304),
    (['If-None-Match: "a"', "If-None-Match: {}"], 304),
    (['If-None-Match: "a"'], 200),
    (["If-None-Match: nonsense"], 200),
    (["If-None-Match:"], 200),
    ([f"If-Modified-Since: {DATE}"], 304),
    ([f"If-Modified-Since: {AFTER}"], 304),
    (["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"], 304),
    (["If-Modified-Since: Sun Nov  6 08:49:37 1994"], 304),
    ([f"If-Modified-Since: {BEFORE}"], 200),
    (["If-Modified-Since: yesterday"], 200),
    (['If-None-Match: "a"', f"If-Modified-Since: {AFTER}"], 200),  # the tag says more than the time
    (["If-None-Match: {}", f"If-Modified-Since: {BEFORE}"], 304),
    (["If-Match: {}"], 200),
    (['If-Match: "a", {}'], 200),
    (["If-Match: *"], 200),
    (["If-Match: W/{}"], 412),  # compared strongly
    (['If-Match: "a"'], 412),
    ([f"If-Unmodified-Since: {DATE}"], 200),
    ([f"If-Unmodified-Since: {BEFORE}"], 412),
    (["If-Unmodified-Since: yesterday"], 200),
    (["If-Match: {}", f"If-Unmodified-Since: {BEFORE}"], 200),
    (['If-Match: "a"', "If-None-Match: {}"], 412),
    (["If-Match: {}", "If-None-Match: {}"], 304),
    (["Range: bytes=0-1", "If-None-Match: {}"], 304),
    (["Range: bytes=0-1", 'If-Match: "a"'], 412),
    (["Range: bytes=0-1", "If-Match: {}"], 206),
]


def test_conditions(public: Path) -> None:
    router = static("/", public)
    etag = fetch(router, "/text.txt")[1]["etag"]
    for templates, expected in CONDITIONS:
        fields = [template.replace("{}", etag) for template in templates]
        for method in ("GET", "HEAD"):
            status, answered, body = fetch(router, "/text.txt", *fields, method=method)
            assert status == (200 if (method, expected) == ("HEAD", 206) else expected), fields
            if status == 304:
                assert answered["etag"] == etag
                assert not {"content-type", "content-length", "last-modified"} & answered.keys()
                assert body == b""
            if status == 412:
                assert "etag" not in answered
                assert method == "HEAD" or body == b"Precondition Failed"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        "784111777",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert read_date(text) is None


def test_dates_with_two_digits_for_the_year_are_not_far_ahead() -> None:
    now = time.gmtime().tm_year
    for year in (now - 49, now - 1, now, now + 49):
        short = read_date(f"Friday, 01-Jan-{year % 100:02} 00:00:00 GMT")
        assert short == read_date(f"Fri, 01 Jan {year} 00:00:00 GMT")


# Ranges (RFC 9110 §14)

RANGES = [
    ("bytes=0-9", 0, 10),
    ("bytes=10-19", 10, 20),
    ("bytes=0-0", 0, 1),
    ("bytes=99-99", 99, 100),
    ("bytes=90-", 90, 100),
    ("bytes=0-", 0, 100),
    ("bytes=90-1000", 90, 100),
    ("bytes=-10", 90, 100),
    ("bytes=-1000", 0, 100),
    ("Bytes=5-6", 5, 7),
    ("bytes=000000000000000005-6", 5, 7),
]
WHOLE = [
    "bytes=",
    "bytes=-",
    "bytes=9-8",
    "bytes=a-b",
    "bytes=0-1,3-4",
    "bytes=0-0,-1",
    "bytes=+1-2",
    "bytes=1 - 2",
    "bytes=\u0661-2",
    "lines=0-1",
    "0-1",
    "bytes=9999999999999999999-",  # nobody has so much, and nobody needs to count so far
]


@pytest.mark.parametrize(("text", "start", "stop"), RANGES)
def test_a_range(public: Path, parser_class: Any, text: str, start: int, stop: int) -> None:
    status, fields, body = fetch(
        static("/", public), "/text.txt", f"Range: {text}", parser_class=parser_class
    )
    assert (status, body) == (206, TEXT[start:stop])
    assert fields["content-range"] == f"bytes {start}-{stop - 1}/100"
    assert fields["content-length"] == str(stop - start)
    assert {"etag", "last-modified", "content-type"} <= fields.keys()


@pytest.mark.parametrize("text", WHOLE)
def test_what_is_no_single_range_is_the_whole(public: Path, text: str) -> None:
    status, fields, body = fetch(static("/", public), "/text.txt", f"Range: {text}")
    assert (status, body) == (200, TEXT)
    assert "content-range" not in fields


@pytest.mark.parametrize("text", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=999999999999999999-"])
def test_a_range_behind_the_end_is_416(public: Path, text: str) -> None:
    status, fields, body = fetch(static("/", public), "/text.txt", f"Range: {text}")
    assert (status, body) == (416, b"Range Not Satisfiable")
    assert fields["content-range"] == "bytes */100"
    assert fields["content-type"] == "text/plain"
    assert not {"etag", "last-modified"} & fields.keys()


@pytest.mark.parametrize(("text", "expected"), [("bytes=0-", 416), ("bytes=-1", 200), ("bytes=-0", 416)])
def test_a_range_of_nothing(public: Path, text: str, expected: int) -> None:
    assert fetch(static("/", public), "/empty/nothing.txt", f"Range: {text}")[0] == expected


def test_a_repeated_range_is_the_whole(public: Path) -> None:
    assert fetch(static("/", public), "/text.txt", "Range: bytes=0-1", "Range: bytes=2-3")[0] == 200


def test_if_range(public: Path) -> None:
    router = static("/", public)
    etag = fetch(router, "/text.txt")[1]["etag"]

    def status(validator: str) -> int:
        return fetch(router, "/text.txt", "Range: bytes=0-1", f"If-Range: {validator}")[0]

    assert status(etag) == 206
    assert status(f"W/{etag}") == 200  # only a strong one is good enough
    assert status('"other"') == 200
    assert status(DATE) == 206
    assert status(BEFORE) == status(AFTER) == 200
    assert status("nonsense") == 200
    assert fetch(router, "/text.txt", "Range: bytes=500-", 'If-Range: "other"')[0] == 200


def test_if_range_with_a_time_that_proves_nothing_yet(public: Path) -> None:
    """A file that was written this very second may be written once more in it."""
    now = int(time.time()) + 1
    os.utime(public / "text.txt", (now, now))
    when = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
    assert fetch(static("/", public), "/text.txt", "Range: bytes=0-1", f"If-Range: {when}")[0] == 200


def test_conditions_are_of_get(public: Path) -> None:
    router = answering(lambda: file(public / "text.txt"))
    for field in ("If-None-Match: *", "Range: bytes=0-1", 'If-Match: "x"'):
        status, _, body = fetch(router, "/", field, "Content-Length: 0", method="POST")
        assert (status, body) == (200, TEXT)


def test_another_status_is_not_conditional(public: Path) -> None:
    def missing() -> Response:
        page = file(public / "index.html")
        page.status = 404
        return page

    for field in ("If-None-Match: *", "Range: bytes=0-1"):
        assert fetch(answering(missing), "/", field)[::2] == (404, b"<h1>home</h1>")
