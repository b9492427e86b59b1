"""Headers: a mapping that ignores case, keeps repeated fields apart, and refuses what may not travel."""

from __future__ import annotations

from typing import Any

import pytest

from kissapi import Headers
from kissapi.http import uri
from kissapi.http.grammar import is_token


def test_names_are_looked_up_in_any_case_and_kept_in_lower_case() -> None:
    headers = Headers({"Content-Type": "text/html"})
    assert headers["CONTENT-type"] == headers.get("content-type") == "text/html"
    assert "Content-TYPE" in headers
    assert 7 not in headers
    assert list(headers) == ["content-type"]
    del headers["Content-type"]
    assert not headers
    with pytest.raises(KeyError):
        headers["content-type"]


def test_they_are_a_mapping_like_any_other() -> None:
    headers = Headers([("A", "1")])
    headers.update({"B": "2"})
    headers.setdefault("a", "3")
    assert dict(headers) == {"a": "1", "b": "2"}
    assert headers.pop("B") == "2"
    assert len(headers) == 1
    assert repr(headers) == "Headers({'a': '1'})"


def test_they_equal_any_mapping_of_the_same_fields() -> None:
    assert Headers({"A": "1"}) == {"a": "1"} == Headers({"a": "1"})
    assert Headers({"A": "1"}) == {"A": "1"}
    assert Headers({"A": "1"}) != {"a": "2"}
    assert Headers() != []


def test_repeated_fields_are_joined_and_given_one_by_one() -> None:
    headers = Headers([("X", "1"), ("x", "2"), ("Cookie", "a=1"), ("cookie", "b=2")])
    assert headers["x"] == "1, 2"
    assert headers["cookie"] == "a=1; b=2"
    assert headers.get_all("X") == ["1", "2"]
    assert headers.get_all("none") == []
    headers["X"] = "3"
    headers.add("X", "4")
    assert headers.get_all("x") == ["3", "4"]


def test_a_list_of_values_cannot_be_changed_from_outside() -> None:
    headers = Headers({"x": "1"})
    headers.get_all("x").append("2\r\n")
    assert headers["x"] == "1"


def test_a_copy_keeps_cookies_apart_and_is_a_copy() -> None:
    headers = Headers([("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")])
    copy = Headers(headers)
    copy.add("x", "1")
    assert copy.get_all("set-cookie") == ["a=1; Path=/", "b=2"]
    assert "x" not in headers


NAMES: list[Any] = ["", " ", "a b", "a:", "a\r\nb", "a\0", "é", "a(b)", "a/b", '"', 1, None, b"a"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_token_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="is no header name: letters, digits and"):
        Headers()[name] = "x"
    with pytest.raises(ValueError, match="is no header name: letters, digits and"):
        Headers().add(name, "x")


VALUES = [*(chr(code) for code in [*range(9), *range(10, 32), 127]), "\r\n", "\r\nX: 1", "a\r\n\r\nbody"]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "way", [lambda value: Headers({"x": f"a{value}b"}), lambda value: Headers({"x": value})]
)
def test_a_value_that_would_split_the_head_is_refused(value: str, way: Any) -> None:
    with pytest.raises(ValueError, match="header x may not contain control characters such as line ends"):
        way(value)


@pytest.mark.parametrize("value", [1, None, b"a", ["a", "b"]])
def test_a_value_that_is_no_string_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="header x must be a str, not"):
        Headers({"x": value})


def test_a_value_that_is_refused_leaves_no_trace() -> None:
    headers = Headers({"x": "1"})
    for way in (headers.add, headers.__setitem__):
        for name in ("x", "y"):
            with pytest.raises(ValueError, match="control characters"):
                way(name, "a\nb")
    assert list(headers.lines()) == [("x", "1")]
    assert "y" not in headers


def test_a_value_that_cannot_be_sent_is_refused_when_it_is_set() -> None:
    with pytest.raises(UnicodeEncodeError):
        Headers({"x": "\ud800"})


def test_blanks_round_a_value_go_and_those_inside_stay() -> None:
    assert Headers({"x": " \ta \t b\t "})["x"] == "a \t b"
    assert Headers({"x": ""})["x"] == ""
    assert Headers({"x": "café"})["x"] == "café"


def test_fields_from_the_wire_are_decoded_and_can_be_sent_again() -> None:
    headers = Headers.from_wire(b"GET / HTTP/1.1\r\nX:  caf\xc3\xa9 \r\nY:\xff\r\ny: 2\t\r\nHost: a\r\n\r\n")
    assert headers == {"x": "café", "y": "ÿ, 2", "host": "a"}
    assert list(Headers(headers).lines()) == [("x", "café"), ("y", "ÿ"), ("y", "2"), ("host", "a")]


def test_they_are_not_hashable() -> None:
    with pytest.raises(TypeError):
        hash(Headers())


def test_tokens() -> None:
    assert is_token("GET")
    assert is_token("x-!#$%&'*+.^_`|~09")
    assert not is_token("")
    assert not is_token("G T")


def test_a_name_that_is_none_is_refused_each_time() -> None:
    for _ in range(2):
        for name in ("", "a b", "a:", "\u00e4", "a\r\nb"):
            with pytest.raises(ValueError, match="no header name"):
                Headers({name: "1"})


@pytest.mark.parametrize(
    "url", ["/users/7", "/a b", "/50%", " /x ", "/\u00e9", "/a%20b", "//x[1]?q={}", "/a\r\nX: 1", "/\\"]
)
def test_a_reference_that_is_plain_is_left_as_it_is(url: str) -> None:
    assert Headers({"Location": url})["location"] == uri.encode_reference(url.strip(" \t"))
