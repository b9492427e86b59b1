"""Origins are compared in one spelling, and what an answer tells caches is said once."""

from __future__ import annotations

import pytest

from kissapi import Response
from kissapi.http.caching import add_vary, keep_private
from kissapi.http.origin import is_origin, shown, spelled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://Shop.Example:443", "https://shop.example"),
        ("http://a:80", "http://a"),
        ("http://a:443", "http://a:443"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://[fe80::80]", "http://[fe80::80]"),
        ("http://:80", "http://"),
        ("null", "null"),
        ("", ""),
        (":", ""),
        ("https://\u212a", "https://\u212a"),
    ],
)
def test_one_spelling(text: str, expected: str) -> None:
    assert spelled(text) == expected


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("https://a", True),
        ("https://a.b:65535", True),
        ("https://[2001:db8::1]:8000", True),
        ("app+x://a", True),
        ("https://a:65536", False),
        ("https://[::1", False),
        ("https://::1", False),
        ("https://a/", False),
        ("https://u@a", False),
        ("https://a b", False),
        ("https://a\r\nx: y", False),
        ("https://*.a", False),
        ("https://a,https://b", False),
        ("https://", False),
        ("://a", False),
        ("ht tps://a", False),
        ("1s://a", False),
        ("é://a", False),
        ("a", False),
        ("null", False),
        ("", False),
    ],
)
def test_what_an_origin_is(text: str, is_one: bool) -> None:
    assert is_origin(text) == is_one


def test_a_long_one_is_shown_in_short() -> None:
    assert shown("a") == "'a'"
    assert len(shown("a" * 9999)) < 100


def test_vary_lists_each_field_once() -> None:
    response = Response()
    add_vary(response, "Cookie", "Origin")
    add_vary(response, "cookie", "Accept")
    assert response.headers["vary"] == "Cookie, Origin, Accept"
    response.headers.add("vary", "*")
    add_vary(response, "Host")
    assert response.headers["vary"] == "Cookie, Origin, Accept, *"


def test_private_replaces_what_shared_caches_were_told() -> None:
    response = Response(headers={"cache-control": 'Public, S-MaxAge=5, max-age=7, no-cache="a, b"'})
    keep_private(response)
    assert response.headers["cache-control"].startswith("Public")
    keep_private(response, sets_cookie=True)
    assert response.headers["cache-control"] == 'max-age=7, no-cache="a, b", private'
