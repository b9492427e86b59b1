"""The stand-in for json says what json says: the same value, the same text, the same error in its place."""

from __future__ import annotations

import enum
import json as real
import pickle
from typing import Any

import pytest

from kissapi.compat import json as standin


def outcome(function: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        place = [getattr(error, name, None) for name in ("msg", "doc", "pos", "lineno", "colno")]
        return type(error).__name__, place, str(error).partition(":")[0]  # 3.12 names a float after the colon
    return repr(result), type(result)


# fmt: off
TEXTS = [
    "", " ", "[", "[1", "[1,", "{", '{"a"', '{"a":', '{"a":1', "{a:1}", "nul", "nullx", "01", "1.", "-", "1e",
    "1e+", '"', '"\\', '"\\x"', '"\\u12"', '"\\u', '"\\u12', '"\\u12g4"', '"\x01"', '"\n"', '"\x7f"', "1 2",
    "\ufeff1", "[1 2]", '{"a" 1}', '{"a":1 2}', "{,}", "[,]", "{1:2}", "NaN", "-NaN", "Infinity", "-Infinity",
    "+1", ".5", "1.5e400", "-0", "-0.0", "1E5", "1e-5", "0.1", '"\\ud83d\\ude00"', '"\\ud83d"',
    '"\\ude00\\ud83d"', '"\\ud83d\\u0041"', '"\\ud83d\\uzzzz"', '"\\ud83d\\u"', '"\\u+123"', '"\\u 123"',
    '"\\u1_23"', '"\\u１２３４"', "٣", "1٣", "\x0c1", "\xa01", "[]", "{}", " [ 1 , 2 ] ", '{"a":1,"a":2}',
    '{ "a" : [ { } , [ ] ] }\n', "\r\n\t [true,false,null]", '"\\"\\\\\\/\\b\\f\\n\\r\\t"', "9" * 400,
    "9" * 5000, "[1\n,\n2\n3]", '"é😀\ud800"', "1]", "[1}", '{"a":1]', "tru", "'a'",
]
DATA = [
    b"1", b"\xef\xbb\xbf1", b"\xff", b"", b"\xff\xfe1\x00", b"\xfe\xff\x001", b"1\x00", b"\x001", b"\x00",
    b"1\x00\x00", b"\xff\xfe\x00\x001\x00\x00\x00", b"1\x00\x00\x00", b"\x00\x00\x001", b'"\xed\xa0\x80"',
    b'"\xc3\xa9"', bytearray(b"[1]"), b"\xef\xbb\xbf\xef\xbb\xbf1",
    *('{"a": "é😀"}'.encode(name) for name in ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32")),
]
# fmt: on


class Shouting(str):
    def __str__(self) -> str:
        return self.upper()


class Colour(enum.IntEnum):
    RED = 1


class Price(float):
    def __repr__(self) -> str:
        return f"{float(self)} EUR"


circle: list[Any] = []
circle.append({"a": (circle,)})
shared = [1]

VALUES = [
    None, True, False, 0, -1, 10**400, 0.1, -0.0, 1e300, 5e-324, 1e16, float("inf"), float("-inf"),
    float("nan"), "",
    'a"\\/\b\f\n\r\t\x00\x1f\x7f\x80é\u2028\ud800😀', [], {}, (), [[], {}], (1, 2), {"a": {"b": [1, {}]}},
    {None: 1, True: 2, 1.5: 3, 10**30: 4, float("nan"): 5, float("inf"): 6, Colour.RED: 7}, {(1,): 2},
    {b"a": 1}, {1, 2}, b"x", object, [object], {"a": {1}}, circle, [shared, shared], Shouting("a"),
    {Shouting("a"): Shouting("b")}, Colour.RED, Price(1.5), {Price(1.5): 1}, {"b": 1, "a": 2}, {"a": 1, 1: 2},
    [1, "a", None, {"k": [True]}],
]  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    {}, {"indent": 2}, {"indent": 0}, {"indent": "\t"}, {"separators": (",", ":")}, {"ensure_ascii": False},
    {"sort_keys": True}, {"allow_nan": False}, {"default": repr}, {"default": lambda value: value},
    {"default": lambda value: {"type": [type(value).__name__]}},
    {"indent": 1, "separators": (" ;", "="), "sort_keys": True, "ensure_ascii": False},
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_loads(text: str) -> None:
    assert outcome(standin.loads, text) == outcome(real.loads, text)


@pytest.mark.parametrize("text", ["[1,]", '{"a":1,}', "[1,\n]"])
def test_a_trailing_comma(text: str) -> None:
    """Python 3.13 has a message of its own for it, so only the refusal is compared."""
    with pytest.raises(standin.JSONDecodeError):
        standin.loads(text)


@pytest.mark.parametrize("data", DATA)
def test_loads_bytes(data: bytes) -> None:
    assert outcome(standin.loads, data) == outcome(real.loads, data)


@pytest.mark.parametrize("wrong", [None, 5, ["1"], memoryview(b"1")])
def test_loads_refuses_other_types(wrong: Any) -> None:
    assert outcome(standin.loads, wrong) == outcome(real.loads, wrong)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options) or "none")
def test_dumps(options: dict[str, Any]) -> None:
    for value in VALUES:
        assert outcome(standin.dumps, value, **options) == outcome(real.dumps, value, **options), value


def test_an_option_left_out_is_refused() -> None:
    with pytest.raises(TypeError, match="cls"):
        standin.dumps(1, cls=None)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="parse_float"):
        standin.loads("1", parse_float=str)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "text", ["1.5", "[1e999, -0.1E-3, 7]", '{"a": [NaN, -Infinity, Infinity, null]}', "x"]
)
def test_the_hooks_of_a_decoder(text: str) -> None:
    hooks: dict[str, Any] = {"parse_float": lambda number: f"{number}!", "parse_constant": str.lower}
    for options in ({}, hooks):
        ours, theirs = standin.JSONDecoder(**options), real.JSONDecoder(**options)
        assert outcome(ours.decode, text) == outcome(theirs.decode, text)


def test_the_error() -> None:
    with pytest.raises(standin.JSONDecodeError) as raised:
        standin.loads("[1,\n x]")
    error = raised.value
    assert (error.msg, error.pos, error.lineno, error.colno) == ("Expecting value", 5, 2, 2)
    assert issubclass(standin.JSONDecodeError, ValueError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, '[{"a":' * 100_000])
def test_deep_text(text: str) -> None:
    with pytest.raises(RecursionError):
        standin.loads(text)


def test_deep_values() -> None:
    nested: Any = []
    for _ in range(200_000):
        nested = [nested]
    with pytest.raises(RecursionError):
        standin.dumps(nested)
    while nested:  # taken apart from outside: freeing it in one go is a recursion too
        nested = nested.pop()


def test_nesting_within_reason() -> None:
    text = '[{"a": ' * 100 + "1" + "}]" * 100
    assert standin.dumps(standin.loads(text)) == text
