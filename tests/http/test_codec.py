"""Codec: percent-encoding, queries and JSON, with every way to get them wrong."""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator
from typing import Any

import pytest

from kissapi import Fail
from kissapi.http import json_codec, uri
from tests.calls import count_calls

PATHS = [
    ("/plain", "/plain"),
    ("/%7Euser/%7euser", "/~user/~user"),
    ("/%41%62%2d%2E%5f", "/Ab-._"),
    ("/a%2fb", "/a%2Fb"),
    ("/%25%32%35", "/%2525"),
    ("/%c3%a9", "/%C3%A9"),
    ("/%20%00%ff", "/%20%00%FF"),
    ("%2e%2e", ".."),
]


@pytest.mark.parametrize(("path", "canonical"), PATHS)
def test_a_path_has_one_canonical_spelling(path: str, canonical: str) -> None:
    assert uri.canonical(path) == canonical
    assert uri.unescape(path) == uri.unescape(canonical)


def test_canonical_twice_is_canonical_once_for_every_escape() -> None:
    for octet in range(256):
        path = uri.canonical(f"/%{octet:02x}")
        assert "%25" in path or uri.canonical(path) == path


@pytest.mark.parametrize(
    "path", ["/%", "/%4", "/%zz", "/%4g", "/%%41", "/% 1", "/%+1", "/%_1", "/%1_", "/%-1", "/%٣٣"]
)
def test_a_percent_that_escapes_nothing_is_400_in_a_path(path: str) -> None:
    with pytest.raises(Fail) as raised:
        uri.canonical(path)
    assert raised.value.status == 400


SEGMENTS = [
    ("plain", "plain"),
    ("a+b", "a+b"),
    ("a%2Fb", "a/b"),
    ("%C3%A9", "é"),
    ("%2525", "%25"),
    ("%0D%0A", "\r\n"),
]


@pytest.mark.parametrize(("segment", "text"), SEGMENTS)
def test_a_capture_is_decoded_once(segment: str, text: str) -> None:
    assert uri.decode_segment(segment) == text


@pytest.mark.parametrize("segment", ["%FF", "%C3", "%ED%A0%80", "%C0%AF", "a%00b", "%41\ud800"])
def test_a_capture_that_is_no_text_is_400(segment: str) -> None:
    with pytest.raises(Fail) as raised:
        uri.decode_segment(segment)
    assert raised.value.status == 400


QUERIES: list[tuple[str, dict[str, list[str]]]] = [
    ("a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
    ("flag&blank=", {"flag": [""], "blank": [""]}),
    ("a=b=c", {"a": ["b=c"]}),
    ("&&a=1&", {"a": ["1"]}),
    ("=1", {"": ["1"]}),
    ("a+b=c+d", {"a b": ["c d"]}),
    ("a%2Bb=%26%3D", {"a+b": ["&="]}),
    ("%C3%A9=%C3%A9", {"é": ["é"]}),
    ("a=100%&b=%zz", {"a": ["100%"], "b": ["%zz"]}),
    ("a=%2525", {"a": ["%25"]}),
    ("a;b=1", {"a;b": ["1"]}),
    ("a[]=1", {"a[]": ["1"]}),
]


@pytest.mark.parametrize(("query", "values"), QUERIES)
def test_a_query_keeps_all_values_in_order_and_blanks(query: str, values: dict[str, list[str]]) -> None:
    assert uri.decode_query(query, 1000) == values


@pytest.mark.parametrize("query", ["a=%FF", "%FF=1", "a=%ED%A0%80", "%41=\ud800"])
def test_a_query_that_is_not_utf_8_is_400(query: str) -> None:
    with pytest.raises(Fail, match="the query is not UTF-8"):
        uri.decode_query(query, 1000)


def test_more_parameters_than_the_limit_are_400() -> None:
    assert len(uri.decode_query("a&b&c", 3)) == 3
    with pytest.raises(Fail, match="more than 3 parameters"):
        uri.decode_query("a&b&c&d", 3)


def test_decoding_takes_as_long_as_the_text() -> None:
    short, long = (count_calls(uri.unescape, "%41" * size) for size in (100, 1000))
    assert long < 10.5 * short


# JSON, by the standard library and by the stand-in


@pytest.fixture(params=["json", "stand-in"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    real_import = builtins.__import__

    def without_json(name: str, *rest: Any) -> Any:
        if name == "json":
            raise ImportError(name)
        return real_import(name, *rest)

    json_codec._json.cache_clear()
    json_codec._decoder.cache_clear()
    json_codec._of_thread.__dict__.clear()
    if request.param == "stand-in":
        monkeypatch.setattr(builtins, "__import__", without_json)
    yield
    json_codec._json.cache_clear()
    json_codec._decoder.cache_clear()
    json_codec._of_thread.__dict__.clear()


VALUES: list[Any] = [
    None,
    True,
    0,
    -1.5,
    1e300,
    10**30,
    'é\U0001f600"\\\n',
    [],
    {},
    {"a": [1, {"b": None}]},
    "NaN",
]


@pytest.mark.parametrize("value", VALUES)
def test_json_comes_back_as_it_was(value: Any) -> None:
    data = json_codec.to_json(value)
    assert data.isascii()
    assert json_codec.from_json(data) == value
    assert type(json_codec.from_json(data)) is type(value)


def test_json_is_written_without_blanks() -> None:
    assert json_codec.to_json({"a": [1, 2], "é": None}) == b'{"a":[1,2],"\\u00e9":null}'


def test_a_value_that_could_not_be_written_is_not_taken_for_a_circle_later() -> None:
    inner: list[Any] = [object()]
    outer = {"inner": inner}
    for _ in range(3):
        with pytest.raises(TypeError):
            json_codec.to_json(outer)
    inner[0] = 1
    assert json_codec.to_json(outer) == b'{"inner":[1]}'


def test_a_circle_is_said_to_be_one() -> None:
    circle: list[Any] = []
    circle.append({"again": circle})
    for _ in range(3):
        with pytest.raises((ValueError, RecursionError)):
            json_codec.to_json(circle)
    circle.clear()
    assert json_codec.to_json([circle, circle]) == b"[[],[]]"


READ: list[tuple[bytes, Any]] = [
    ("é".encode().join([b'"', b'"']), "é"),
    (b' \t\r\n{"a":1} ', {"a": 1}),
    (b"\xef\xbb\xbf[1]", [1]),
    (b'{"a":1,"a":2}', {"a": 2}),
    (b'["NaN", "Infinity", "-Infinity"]', ["NaN", "Infinity", "-Infinity"]),
    (b"1e308", 1e308),
    (b"1e-999", 0.0),
    (b'"\\ud83d\\ude00 \\\\ud800"', "😀 \\ud800"),
    (b'"' + b"[{" * 300 + b'"', "[{" * 300),
    (b"[" + b"[{}]," * 300 + b"1]", [*([{}] for _ in range(300)), 1]),
    (b"-0.0", 0.0),
]


@pytest.mark.parametrize(("data", "value"), READ)
def test_json_is_read_from_utf_8(data: bytes, value: Any) -> None:
    assert json_codec.from_json(data) == value


NOT_JSON = [
    b"{", b"{'a': 1}", b"[1,]", b"tru", b"01", b"+1", b".5", b'"\n"', b'"\\x"', b'{"a": 1', b"'a'",
]  # fmt: skip
WHY = [
    (b"", ": it is empty"),
    (b" \r\n", ": it is empty"),
    (b"\xef\xbb\xbf", ": it is empty"),
    (b"\xff", ": it is not UTF-8"),
    (b'"\xed\xa0\x80"', ": it is not UTF-8"),
    ('{"a": 1}'.encode("utf-16"), ": it is not UTF-8"),
    (b"no json", " at position 0"),
    ('["é", x]'.encode(), " at position 6"),  # in characters
    (b"[1] x", " at position 4"),
    (b"NaN", ": NaN is no number there"),
    (b"[-Infinity]", ": -Infinity is no number there"),
    (b"1e999", ": the number 1e999 is too large"),
    (b"-1e400", ": the number -1e400 is too large"),
    (b"[1e309]", ": the number 1e309 is too large"),
    (b'{"a": [' + b"1" * 400 + b".0]}", ": the number 11111111111111111111 is too large"),
    (b"1" * 10_000, ": it has a number that is too large"),
    (b'"\\ud800"', ": it has half of a surrogate pair"),
    (b'{"\\uDC00": 1}', ": it has half of a surrogate pair"),
    (b"[" * 257 + b"]" * 257, ": it is nested too deep, 256 levels are the most"),
    (b'{"a":' * 257 + b"1" + b"}" * 257, ": it is nested too deep, 256 levels are the most"),
    (b"[" * 100_000, ": it is nested too deep, 256 levels are the most"),
]


@pytest.mark.parametrize(
    ("data", "why"),
    [*((data, " at position ") for data in NOT_JSON), *WHY],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_not_json_is_400_and_says_why(data: bytes, why: str) -> None:
    with pytest.raises(Fail) as raised:
        json_codec.from_json(data)
    assert raised.value.status == 400
    assert raised.value.data.startswith("Bad Request: the body is not JSON" + why)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_what_is_read_is_not_too_deep_to_be_written(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    data = opening * 255 + b"[]" + closing * 255
    assert json_codec.to_json({"got": json_codec.from_json(data)}) == b'{"got":' + data + b"}"


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], {"a": math.nan}])
def test_numbers_that_json_has_not_are_not_written(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_codec.to_json(value)


@pytest.mark.parametrize("value", [object(), {1j}, b"x", {(1, 2): 3}, 1j])
def test_what_json_cannot_say_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        json_codec.to_json(value)


def test_a_circle_is_found_before_it_costs_anything() -> None:
    circle: dict[str, Any] = {"text": "x" * 20_000}
    circle["self"] = circle
    with pytest.raises(ValueError, match="Circular"):
        json_codec.to_json(circle)
    assert json_codec.to_json([circle["text"], circle["text"]])  # twice is no circle
