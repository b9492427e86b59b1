"""Path: what may be registered, and what each type of parameter matches."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from kissapi.routing.converters import TYPES
from kissapi.routing.path import parse, retyped, spell

PATHS = [
    ("/", [("literal", "")]),
    ("/users", [("literal", "users")]),
    ("/users/", [("literal", "users"), ("literal", "")]),
    ("//a", [("literal", ""), ("literal", "a")]),
    ("/users/{id}", [("literal", "users"), ("str", "id")]),
    ("/{id:str}", [("str", "id")]),
    ("/{a:int}/{b:float}/{c:uuid}", [("int", "a"), ("float", "b"), ("uuid", "c")]),
    ("/files/{rest:path}", [("literal", "files"), ("path", "rest")]),
    ("/{größe}", [("str", "größe")]),
    ("/a.b+c*(d)", [("literal", "a.b+c*(d)")]),
    ("/{name}.txt", [("{str}.txt", "{name}.txt")]),
    ("/@{user}/{a}-{b}", [("@{str}", "@{user}"), ("{str}-{str}", "{a}-{b}")]),
    ("/v{major:int}.{minor:int}", [("v{int}.{int}", "v{major:int}.{minor:int}")]),
]


@pytest.mark.parametrize(("path", "segments"), PATHS)
def test_a_segment_is_a_literal_a_parameter_or_a_pattern(path: str, segments: list[tuple[str, str]]) -> None:
    assert list(parse(path)) == segments


@pytest.mark.parametrize("path", [path for path, _ in PATHS if ":str" not in path])
def test_a_path_is_spelled_as_it_was_registered(path: str) -> None:
    assert spell(parse(path)) == path


LITERALS = [
    ("/café", "caf%C3%A9"),
    ("/caf%c3%a9", "caf%C3%A9"),
    ("/%7euser", "~user"),
    ("/a b", "a%20b"),
    ("/a%2fb", "a%2Fb"),
    ("/100%25", "100%25"),
    ('/"<>', "%22%3C%3E"),
    ("/%7Bid%7D", "%7Bid%7D"),
]


@pytest.mark.parametrize(("path", "text"), LITERALS)
def test_a_literal_is_kept_in_the_spelling_in_which_it_arrives(path: str, text: str) -> None:
    assert parse(path) == (("literal", text),)


def test_parameters_without_a_type_get_one() -> None:
    kinds = {"id": "int", "b": "float", "a": "str", "c": "uuid", "x": "int"}
    assert spell(retyped(parse("/id/{id}/{a}-{b}/{c:path}"), kinds)) == "/id/{id:int}/{a}-{b:float}/{c:path}"
    assert retyped(parse("/v{id}"), kinds) == parse("/v{id:int}")


WRONG: list[tuple[Any, type[Exception], str]] = [
    ("users", ValueError, 'starts with "/"'),
    ("", ValueError, 'starts with "/"'),
    (None, TypeError, '@router.get("/path")'),
    (print, TypeError, '@router.get("/path")'),
    (b"/", TypeError, "a path is a string"),
    ("/a?b=1", ValueError, "req.query"),
    ("/a#b", ValueError, "no fragment"),
    ("/100%", ValueError, "%25"),
    ("/%zz", ValueError, "%25"),
    ("/{a}{b}", ValueError, "where one parameter of '{a}{b}' ends and the next begins cannot be told"),
    ("/x{a}{b:int}.txt", ValueError, "put text between them, or a slash"),
    ("/{rest:path}.txt", ValueError, "no text around it"),
    ("/{a}-{rest:path}", ValueError, "no text around it"),
    ("/{a}-{a}", ValueError, "a name of its own"),
    ("/{a}%.txt", ValueError, "%25"),
    ("/{a}.{b", ValueError, "braces enclose a parameter"),
    ("/{", ValueError, "braces enclose a parameter"),
    ("/}", ValueError, "braces enclose a parameter"),
    ("/{{a}}", ValueError, "braces enclose a parameter"),
    ("/{}", ValueError, "a parameter is a name"),
    ("/{:int}", ValueError, "a parameter is a name"),
    ("/{a-b}", ValueError, "a parameter is a name"),
    ("/{1}", ValueError, "a parameter is a name"),
    ("/{id:}", ValueError, "use str, int, float, uuid, path"),
    ("/{id:integer}", ValueError, "unknown type 'integer'"),
    ("/{id:flaot}", ValueError, "did you mean float?"),
    ("/{id:literal}", ValueError, "unknown type 'literal'"),
    ("/{rest:path}/end", ValueError, "comes last"),
    ("/{id}/{id}", ValueError, "a name of its own"),
    ("/{id:int}/{id:path}", ValueError, "a name of its own"),
]


@pytest.mark.parametrize(("path", "error", "advice"), WRONG)
def test_a_wrong_path_says_how_to_write_it(path: Any, error: type[Exception], advice: str) -> None:
    with pytest.raises(error) as raised:
        parse(path)
    assert type(raised.value) is error
    assert advice in str(raised.value)


VALUES: list[tuple[str, str, Any]] = [
    ("int", "0", 0),
    ("int", "-7", -7),
    ("int", "007", 7),
    ("int", "1" * 300, int("1" * 300)),
    ("int", "", None),
    ("int", "-", None),
    ("int", "--1", None),
    ("int", "+1", None),
    ("int", "1.0", None),
    ("int", "1_000", None),
    ("int", " 1", None),
    ("int", "٣", None),
    ("int", "²", None),
    ("int", "1" * 8000, None),
    ("float", "1", 1.0),
    ("float", "-1.5", -1.5),
    ("float", ".5", 0.5),
    ("float", "1-2", None),
    ("float", ".", None),
    ("float", "nan", None),
    ("float", "inf", None),
    ("float", "1e9", None),
    ("float", "9" * 400, None),
    ("uuid", "12345678-1234-5678-1234-567812345678", UUID(int=0x12345678123456781234567812345678)),
    ("uuid", "ABCDEF00-1234-5678-1234-567812345678", UUID(int=0xABCDEF00123456781234567812345678)),
    ("uuid", "12345678123456781234567812345678", None),
    ("uuid", "{12345678-1234-5678-1234-567812345678}", None),
    ("uuid", "urn:12345678123456781234567812345678", None),
    ("uuid", "----12345678123456781234567812345678", None),
    ("uuid", "1234567812345678-1234-5678-123456-78", None),
    ("uuid", "0x345678-1234-5678-1234-567812345678", None),
    ("uuid", "zzzzzzzz-1234-5678-1234-567812345678", None),
]


@pytest.mark.parametrize(("kind", "text", "value"), VALUES)
def test_a_type_matches_only_the_plain_spelling_of_its_values(kind: str, text: str, value: Any) -> None:
    found = TYPES[kind](text)
    assert found == value
    assert type(found) is type(value)
