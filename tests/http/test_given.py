"""Input that is missing or wrong is the client's mistake: 400, and an error as of any mapping."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from kissapi import Fail, Headers, Request, Response, Router
from kissapi.extras.testing import Client
from kissapi.http.given import JsonList, JsonObject, Missing, MissingItem, Query
from kissapi.http.headers import RequestHeaders
from tests.wire import Wire, parse_answers

router = Router()


@router.get("/query")
async def of_query(req: Request) -> str:
    return req.query["page"]


@router.get("/all")
async def of_all(req: Request) -> list[str]:
    return req.query_all["page"]


@router.get("/header")
async def of_header(req: Request) -> str:
    return req.headers["X-Token"]


@router.get("/cookie")
async def of_cookie(req: Request) -> str:
    return req.cookies["session"]


@router.post("/json")
async def of_json(req: Request) -> Any:
    return req.json["name"]


@router.post("/item")
async def of_item(req: Request) -> Any:
    return req.json[2]


@router.post("/echo")
async def echo(req: Request) -> Any:
    return req.json


@router.get("/typed")
async def typed(req: Request) -> Any:
    return [req.query.get("page", 1, int), req.headers.get("x-rate", 0.5, float)]


@router.get("/answer")
async def own_mistake(req: Request) -> str:
    return Response("x").headers["x-missing"]


ASKED = [
    (b"GET /query", b"", "the query has no 'page'"),
    (b"GET /query?pag=1", b"", "the query has no 'page'"),
    (b"GET /all", b"", "the query has no 'page'"),
    (b"GET /header", b"", "there is no header 'X-Token'"),
    (b"GET /cookie", b"", "there is no cookie 'session'"),
    (b"POST /json", b"{}", "the JSON has no 'name'"),
    (b"POST /json", b"[]", "the JSON is a list, not an object with 'name'"),
    (b"POST /item", b"[1, 2]", "the JSON has no item 2: it is a list of 2"),
    (b"POST /item", b"{}", "the JSON has no 2"),
]


@pytest.mark.parametrize(("line", "body", "says"), ASKED)
def test_what_is_missing_is_a_400(line: bytes, body: bytes, says: str, parser_class: Any) -> None:
    wire = Wire(router, parser_class)
    wire.send(line + b" HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    [(status, _, text)] = parse_answers(wire.received)
    assert (status, text.decode()) == (400, says)


def test_what_is_there_is_given() -> None:
    client = Client(router)
    assert client.get("/query?page=2").text == "2"
    assert client.get("/all?page=2&page=3").json == ["2", "3"]
    assert client.get("/header", headers={"x-token": "t"}).text == "t"
    assert client.get("/cookie", headers={"cookie": "session=s"}).text == "s"
    assert client.post("/json", json={"name": "ann"}).text == "ann"
    assert client.post("/item", json=[1, 2, 3]).json == 3
    for value in ({"b": [1, {}], "a": "é"}, [{"x": 1}], [], {}, "text", None, 7):
        answer = client.post("/echo", json=value)
        if value is not None and not isinstance(value, str):
            assert answer.body == json.dumps(value, separators=(",", ":")).encode()


def test_a_missing_header_of_an_answer_is_a_bug() -> None:
    client = Client(router)
    assert client.get("/answer").status == 500
    with pytest.raises(KeyError) as caught:
        Headers()["x"]
    assert not isinstance(caught.value, Fail)


def test_a_type_converts_or_answers_400() -> None:
    client = Client(router)
    assert client.get("/typed").json == [1, 0.5]
    assert client.get("/typed?page=7", headers={"x-rate": "2"}).json == [7, 2.0]
    answer = client.get("/typed?page=x")
    assert (answer.status, answer.text) == (400, "'page' of the query must be a whole number, not 'x'")
    answer = client.get("/typed", headers={"x-rate": "nan"})
    assert (answer.status, answer.text) == (400, "'x-rate' of the headers must be a number, not 'nan'")


def test_it_is_a_mapping_like_any_other() -> None:
    query = Query({"a": "1"})
    assert (query.get("a"), query.get("b"), query.get("b", "2"), "b" in query) == ("1", None, "2", False)
    assert (query.pop("b", None), query.pop("a"), query) == (None, "1", {})
    for ask in (lambda: query["b"], lambda: query.pop("b")):
        with pytest.raises(KeyError) as caught:
            ask()
        assert isinstance(caught.value, Fail)
        assert caught.value.status == 400
        assert str(caught.value) == "400 \"the query has no 'b'\""
    headers = RequestHeaders({"A": "1"})
    assert (headers.get("b"), headers.get("a"), headers.pop("b", "2"), "b" in headers) == (
        None,
        "1",
        "2",
        False,
    )
    with pytest.raises(Missing):
        headers.pop("b")
    assert isinstance(headers, Headers)
    match JsonObject({"kind": "x", "n": 1}):
        case {"kind": str(kind)}:
            assert kind == "x"
        case _:
            pytest.fail("no match")
    items = JsonList([1, 2])
    assert (items[0], items[-1], items[:1], list(items)) == (1, 2, [1], [1, 2])
    with pytest.raises(IndexError):
        items[5]
    with pytest.raises(MissingItem):
        items[-3]
    with pytest.raises(TypeError):
        items[None]  # type: ignore[call-overload]


class Colour(Enum):
    RED = "red"


KEY = "12345678-1234-5678-1234-567812345678"
GOOD = [
    ("7", int, 7),
    ("-7", int, -7),
    ("1.5", float, 1.5),
    ("-.5E+3", float, -500.0),
    ("7", float, 7.0),
    ("On", bool, True),
    ("0", bool, False),
    (KEY, UUID, UUID(KEY)),
    ("1.50", Decimal, Decimal("1.50")),
    ("2026-01-02", date.fromisoformat, date(2026, 1, 2)),
    ("red", Colour, Colour.RED),
    ("", str, ""),
]
BAD = [
    ("", int),
    ("1_0", int),
    (" 1", int),
    ("٣", int),
    ("9" * 5000, int),
    ("1.5", int),
    ("inf", float),
    ("1e999", float),
    ("1_0", float),
    (" 1", float),
    ("٣", float),
    ("1e", float),
    (".", float),
    ("1_0", Decimal),
    ("NaN", Decimal),
    ("Infinity", Decimal),
    ("NaN", float),
    ("2", bool),
    ("x", UUID),
    ("x", Decimal),
    ("2026-13-01", date.fromisoformat),
    ("blue", Colour),
]


@pytest.mark.parametrize(("text", "kind", "value"), GOOD)
def test_text_of_a_type(text: str, kind: Any, value: Any) -> None:
    got = Query({"x": text}).get("x", None, kind)
    assert (got, type(got)) == (value, type(value))
    assert Query({"x": text}).get("y", None, kind) is None


@pytest.mark.parametrize(("text", "kind"), BAD)
def test_text_that_is_not_of_the_type(text: str, kind: Any) -> None:
    with pytest.raises(Fail, match="'x' of the query must be ") as caught:
        Query({"x": text}).get("x", None, kind)
    assert caught.value.status == 400
    assert len(caught.value.data) < 160


@pytest.mark.parametrize(
    ("value", "kind", "good"),
    [
        (7, int, True),
        (7, float, True),
        (10**400, float, False),
        (True, int, False),
        (True, float, False),
        ("7", int, True),
        (7.5, int, False),
        (None, int, False),
        (1, bool, False),
        (False, bool, True),
        (7, str, False),
        (7, UUID, False),
        (KEY, UUID, True),
        ([], dict, True),
        ([], list, True),
        (None, date.fromisoformat, False),
    ],
)
def test_a_value_of_json_has_a_type(value: Any, kind: Any, good: bool) -> None:
    given = JsonObject({"x": value})
    if good:
        given.get("x", None, kind)
    else:
        with pytest.raises(Fail) as caught:
            given.get("x", None, kind)
        assert caught.value.status == 400


def test_a_number_of_json_is_the_decimal_that_was_written() -> None:
    assert JsonObject({"x": 0.1}).get("x", None, Decimal) == Decimal("0.1")
    assert JsonObject({"x": 7}).get("x", None, Decimal) == Decimal(7)


def test_a_function_says_why() -> None:
    def even(text: str) -> int:
        if int(text) % 2:
            raise ValueError("it is odd")
        return int(text)

    with pytest.raises(Fail, match=r"^400 \"'x' of the query must be valid, not '3': it is odd\"$"):
        Query({"x": "3"}).get("x", None, even)


def test_a_bug_of_a_converter_is_a_bug() -> None:
    with pytest.raises(IndexError):
        Query({"x": "1"}).get("x", None, lambda text: [][int(text)])
