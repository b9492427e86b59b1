"""Request: what was asked, as handlers and hooks see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from kissapi import Fail, Headers, Request, Router
from tests.wire import Wire, parse_answers

HEAD = b"POST /users/caf%C3%A9?a=1&b=&a=2&c+d=%26 HTTP/1.1\r\nHost: a\r\n"


def received(data: bytes, parser_class: Any, request_class: type[Request] = Request) -> Any:
    """The request that a handler gets."""
    router = Router()
    requests = []

    @router.route("/{name:path}", methods=["GET", "POST"])
    async def handler(req: Request) -> None:
        requests.append(req)

    Wire(router, parser_class, request_class).send(data)
    (request,) = requests
    return request


def test_every_part_of_a_request(parser_class: Any) -> None:
    fields = (
        b"Content-Type: application/json\r\nX-One: 1\r\nx-one: 2\r\nCookie: a=b\r\nContent-Length: 7\r\n\r\n"
    )
    request = received(HEAD + fields + b'{"a":1}', parser_class)
    assert request.method == "POST"
    assert request.path == "/users/caf%C3%A9"
    assert request.params == {"name": "users/café"}
    assert request.query_string == "a=1&b=&a=2&c+d=%26"
    assert request.query == {"a": "1", "b": "", "c d": "&"}
    assert request.query_all == {"a": ["1", "2"], "b": [""], "c d": ["&"]}
    assert request.http_version == "1.1"
    assert request.headers["X-ONE"] == "1, 2"
    assert request.headers.get_all("x-one") == ["1", "2"]
    assert list(request.headers) == ["host", "content-type", "x-one", "cookie", "content-length"]
    assert request.cookies == {"a": "b"}
    assert request.body == b'{"a":1}'
    assert request.text == '{"a":1}'
    assert request.json == {"a": 1}
    assert request.client == ("127.0.0.1", 50000)
    assert request.scheme == "http"
    assert repr(request) == "<Request POST /users/caf%C3%A9>"


def test_http_1_0_is_told(parser_class: Any) -> None:
    assert received(b"GET / HTTP/1.0\r\n\r\n", parser_class).http_version == "1.0"


def test_a_request_has_a_sensible_value_for_everything() -> None:
    request = Request()
    assert (request.method, request.path, request.query_string, request.http_version) == (
        "GET",
        "/",
        "",
        "1.1",
    )
    assert (request.body, request.text, request.query, request.query_all) == (b"", "", {}, {})
    assert (request.params, request.headers, request.cookies) == ({}, {}, {})
    assert (request.client, request.scheme) == (None, "http")


def test_two_requests_share_nothing_that_can_be_changed() -> None:
    first, second = Request(), Request()
    first.params["a"] = first.headers["a"] = "1"
    first.state.a = 1
    assert (second.params, second.headers) == ({}, {})
    assert not hasattr(second.state, "a")


LAZY = ["headers", "query", "query_all", "json", "cookies", "state", "params"]


@pytest.mark.parametrize("name", LAZY)
def test_what_costs_is_worked_out_when_first_looked_at_and_kept(name: str) -> None:
    request = Request(query_string="a=1", body=b"[]")
    assert name not in vars(request)
    assert getattr(request, name) is getattr(request, name)
    assert name in vars(request)


def test_a_request_is_made_for_a_test_by_keywords() -> None:
    request = Request(
        method="PUT",
        path="/x",
        query_string="a=1",
        headers={"X-A": "1"},
        body=b"b",
        params={"id": 7},
        json=[1],
    )
    assert (request.method, request.path, request.query) == ("PUT", "/x", {"a": "1"})
    assert isinstance(request.headers, Headers)
    assert (request.headers["x-a"], request.body, request.params, request.json) == ("1", b"b", {"id": 7}, [1])


@pytest.mark.parametrize("name", ["methd", "_connection", "__class__", "text", "client", "scheme"])
def test_a_request_cannot_be_made_with_what_it_has_not(name: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}' is nothing that a request can be made with"):
        Request(**{name: "x"})


BAD = [
    ("text", {"body": b"\xff"}, "the body is not UTF-8"),
    ("text", {"body": b"\xed\xa0\x80"}, "the body is not UTF-8"),
    ("json", {"body": b"\xff"}, "the body is not JSON: it is not UTF-8"),
    ("json", {"body": b""}, "the body is not JSON: it is empty"),
    ("json", {"body": b"{'a': 1}"}, "the body is not JSON at position 1"),
    ("query", {"query_string": "a=%FF"}, "the query is not UTF-8"),
    ("query_all", {"query_string": "a&" * 1000}, "more than 1000 parameters"),
]


@pytest.mark.parametrize(("name", "attributes", "message"), BAD)
def test_what_cannot_be_read_fails_with_400_each_time(name: str, attributes: Any, message: str) -> None:
    request = Request(**attributes)
    for _ in range(2):
        with pytest.raises(Fail, match=message) as raised:
            getattr(request, name)
        assert raised.value.status == 400


def test_bad_json_answers_400_and_the_connection_goes_on(parser_class: Any) -> None:
    router = Router()

    @router.post("/")
    async def handler(req: Request) -> Any:
        return req.json

    ask = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
    wire = Wire(router, parser_class).send(ask % (1, b"{"), ask % (2, b"{}"))
    assert [(status, body) for status, _, body in parse_answers(wire.received)] == [
        (400, b"Bad Request: the body is not JSON at position 1"),
        (200, b"{}"),
    ]


def test_the_limit_of_the_server_holds_for_its_queries(parser_class: Any) -> None:
    router = Router()

    @router.get("/")
    async def handler(req: Request) -> Any:
        return req.query

    wire = Wire(router, parser_class, max_query=2)
    wire.send(b"GET /?a&b HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /?a&b&c HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [status for status, _, _ in parse_answers(wire.received)] == [200, 400]


COOKIES = [
    ("", {}),
    ("a=1; b=2", {"a": "1", "b": "2"}),
    ("a=1;b=2;;  c=3 ;", {"a": "1", "b": "2", "c": "3"}),
    ("a=1; a=2", {"a": "1"}),
    ('a="x y"; b="', {"a": "x y", "b": '"'}),
    ("a=b=c", {"a": "b=c"}),
    ("a=; b", {"a": ""}),
    ("=x; a=1", {"a": "1"}),
]


@pytest.mark.parametrize(("field_value", "cookies"), COOKIES)
def test_cookies(field_value: str, cookies: dict[str, str]) -> None:
    assert Request(headers={"cookie": field_value}).cookies == cookies


def test_cookies_in_several_fields_are_one_list(parser_class: Any) -> None:
    request = received(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\ncookie: b=2\r\n\r\n", parser_class)
    assert request.headers["cookie"] == "a=1; b=2"
    assert request.cookies == {"a": "1", "b": "2"}


# Subclasses


class Named(Request):
    name = "nobody"

    @property
    def greeting(self) -> str:
        return f"Hello, {self.name} of {self.path}"


@dataclass
class Data(Request):
    user: str = "nobody"
    roles: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Slotted(Request):
    user: str = "nobody"


class Initialised(Request):
    def __init__(self) -> None:
        self.user = "nobody"


def test_a_subclass_has_attributes_and_properties_of_its_own(parser_class: Any) -> None:
    request = received(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", parser_class, Named)
    assert request.greeting == "Hello, nobody of /x"
    assert Named(name="Ann", path="/y").greeting == "Hello, Ann of /y"
    with pytest.raises(TypeError, match="'greeting' is nothing"):
        Named(greeting="x")


class New(Request):
    def __new__(cls, *arguments: Any, **attributes: Any) -> New:
        request = super().__new__(cls)
        request.__dict__["user"] = "nobody"
        return request


class Mapped(Request, dict[str, Any]):
    pass


@pytest.mark.parametrize("request_class", [New, Mapped])
def test_a_subclass_may_be_made_in_its_own_way(parser_class: Any, request_class: type[Request]) -> None:
    request = received(HEAD + b"\r\n", parser_class, request_class)
    assert isinstance(request, request_class)
    assert getattr(request, "user", "nobody") == "nobody"
    assert request_class is not New or request.user == "nobody"


@pytest.mark.parametrize("request_class", [Data, Slotted, Initialised])
def test_a_subclass_may_have_an_init_of_its_own(parser_class: Any, request_class: type[Request]) -> None:
    request = received(HEAD + b"Content-Length: 2\r\n\r\n[]", parser_class, request_class)
    assert type(request) is request_class
    assert request.user == "nobody"
    assert (request.method, request.query["a"], request.headers["host"], request.json) == (
        "POST",
        "1",
        "a",
        [],
    )


def test_a_parser_may_set_plain_headers(parser_class: Any) -> None:
    request = Request()
    request.headers = {"cookie": "a=1"}
    assert request.cookies == {"a": "1"}
