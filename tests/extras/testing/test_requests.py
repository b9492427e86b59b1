"""Requests, answers and bytes of the client that apps are tested with, on both backends."""

from __future__ import annotations

from typing import Any

import pytest

from examples.rpc import LineParser
from examples.rpc import server as rpc
from kissapi import Request, Router, Server
from kissapi.extras.testing import Client
from kissapi.extras.testing.answer_parser import AnswerParser
from tests.extras.testing.app import Make, router, told
from tests.wire import split


def test_an_answer_has_it_all(client: Client) -> None:
    answer = client.post("/echo", body="snow ☃")
    assert (answer.status, answer.reason, answer.http_version) == (201, "Created", "1.1")
    assert answer.headers["X-One"] == "1"
    assert answer.headers["content-length"] == "8"
    assert answer.body == "snow ☃".encode()
    assert answer.text == "snow ☃"
    assert repr(answer) == "<Answer POST /echo → 201 Created>"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_every_method_has_its_function(client: Client, method: str) -> None:
    answer = getattr(client, method)("/echo", headers={"X-Two": "2"})
    assert answer.status == 201
    assert answer.body == b""
    assert told[0][0] == method.upper()
    assert told[0][2]["x-two"] == "2"
    assert client.request("TRACE", "/echo").status == 501


@pytest.mark.parametrize(
    ("options", "kind", "body"),
    [
        ({"json": {"a": [1, None]}}, "application/json", b'{"a":[1,null]}'),
        ({"json": []}, "application/json", b"[]"),
        ({"form": {"a": "1 & 2", "b": "é"}}, "application/x-www-form-urlencoded", b"a=1+%26+2&b=%C3%A9"),
        ({"json": None}, "application/json", b"null"),
        ({"form": {"a": 1, "b": ["x", "y"]}}, "application/x-www-form-urlencoded", b"a=1&b=x&b=y"),
        ({"form": [("b", "x"), ("b", "y")]}, "application/x-www-form-urlencoded", b"b=x&b=y"),
        ({"form": {}}, "application/x-www-form-urlencoded", b""),
        ({"body": None, "form": None}, None, b""),
        ({"body": b"\0\xff"}, None, b"\0\xff"),
        ({"body": bytearray(b"ab")}, None, b"ab"),
        ({"body": ["a", b"b", b"", memoryview(b"c")]}, None, b"abc"),
        ({"body": b"x" * 200_000}, None, b"x" * 200_000),
        ({}, None, b""),
        ({"json": 1, "headers": {"Content-Type": "text/x"}}, "text/x", b"1"),
    ],
)
def test_a_body_of_each_kind(
    make: Make,
    backend: str,
    parser_class: Any,
    options: dict[str, Any],
    kind: str | None,
    body: bytes,
) -> None:
    told.clear()
    answer = make(router, backend, parser_class=parser_class).post("/echo", **options)
    assert answer.body == body
    headers = told[0][2]
    assert headers.get("content-type") == kind
    assert ("content-length" in headers) != ("transfer-encoding" in headers)


def test_the_json_of_an_answer(client: Client) -> None:
    assert client.post("/echo", json={"a": 1}).json == {"a": 1}
    with pytest.raises(ValueError, match=r"POST /echo → 201 Created> has no JSON, but b'no'"):
        _ = client.post("/echo", body="no").json


def test_what_cannot_be_asked(client: Client) -> None:
    with pytest.raises(ValueError, match="starts with a slash"):
        client.get("echo")
    with pytest.raises(ValueError, match="no method"):
        client.request("GET /", "/")
    with pytest.raises(TypeError, match="one body"):
        client.post("/echo", json=1, body="1")
    with pytest.raises(TypeError, match="one body"):
        client.post("/echo", json=None, form={})
    with pytest.raises(TypeError, match="one body"):
        client.post("/echo", json=None, files={})
    with pytest.raises(TypeError, match="one body"):
        client.post("/echo", body=b"", files={})
    with pytest.raises(TypeError, match="json= or form="):
        client.post("/echo", body={"a": 1})
    for body in (5, [1, 2]):
        with pytest.raises(TypeError, match=r"not iterable|text, bytes, or pieces"):
            client.post("/echo", body=body)
    for option in ("query", "form"):
        with pytest.raises(TypeError, match="'a' is None"):
            client.post("/echo", **{option: {"a": None}})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="semicolon"):
        client.cookies["a"] = "1; b=2"
    with pytest.raises(ValueError, match="control characters"):
        client.get("/echo", headers={"X": "a\r\nb: c"})
    assert told == []


def test_what_is_no_app() -> None:
    with pytest.raises(TypeError, match="for a Router or a Server"):
        Client("app")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="asyncio"):
        Client(router, "trio")
    with pytest.raises(ValueError, match=r"scheme must be .* not 'HTTPS'"):
        Client(router, scheme="HTTPS")
    with pytest.raises(TypeError, match="max_bodies"):
        Client(router, max_bodies=1)


def test_a_path_is_sent_as_a_url_has_it(client: Client) -> None:
    client.get("/echo?x=1", query={"q": "a b&c", "tag": ["1", "2"]})
    client.get("/echo", query=[("a", "1"), ("a", "2")])
    assert [entry[4] for entry in told] == [
        {"x": ["1"], "q": ["a b&c"], "tag": ["1", "2"]},
        {"a": ["1", "2"]},
    ]
    assert client.get("/cookies/a b/☃").status == 200
    assert client.get("/echo?x=1#top", query={"q": 2}).status == 201
    assert told[-1][4] == {"x": ["1"], "q": ["2"]}
    assert client.options("*").status == 204


def test_headers_of_the_client_go_along(make: Make, backend: str) -> None:
    told.clear()
    client = make(router, backend, headers={"Authorization": "me", "Accept": "a"})
    client.get("/echo", headers=[("accept", "b"), ("Accept", "c"), ("Host", "example.org")])
    client.headers["x-late"] = "yes"
    client.get("/echo")
    first, second = (entry[2] for entry in told)
    assert (first["authorization"], first["accept"], first["host"]) == ("me", "b, c", "example.org")
    assert (second["accept"], second["host"], second["x-late"]) == ("a", "localhost", "yes")


def test_the_client_and_scheme_of_a_request(make: Make, backend: str) -> None:
    assert make(router, backend).get("/who").json == [["127.0.0.1", 50000], "http", True]
    other = make(router, backend, client=("10.1.2.3", 4), scheme="https")
    assert other.get("/who").json == [["10.1.2.3", 4], "https", True]


def test_a_server_brings_its_settings(make: Make, backend: str) -> None:
    server = Server(router=router, backend=backend, max_body=5, idle_timeout=2)
    assert make(server).backend == backend
    assert make(server).post("/echo", body="123456").status == 413
    assert make(server, max_body=6).post("/echo", body="123456").status == 201
    assert make(rpc, backend).exchange(b"add 1 2\nadd 1 two\n") == b"= 3.0\n! 400 add takes numbers\n"
    server = Server(router=router, backend=backend, trusted_proxies="10.0.0.0/8")
    behind = make(server, client=("10.1.1.1", 5))
    assert behind.get("/who", headers={"X-Forwarded-For": "1.2.3.4"}).json[0] == ["1.2.3.4", 0]


def test_routes_may_come_until_the_first_request(make: Make, backend: str) -> None:
    late = Router()
    client = make(late, backend)

    @late.get("/")
    async def hello(req: Request) -> str:
        return "hello"

    assert client.get("/").text == "hello"


def test_another_protocol_has_exchange(make: Make, backend: str) -> None:
    client = make(rpc, backend)
    with pytest.raises(ValueError, match=r"no answer of HTTP/1.1.*exchange\(\).*! 404"):
        client.get("/")
    assert client.server.parser_class is LineParser


def test_bytes_for_bytes(client: Client, parser_class: Any) -> None:
    request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    for chunks in split(request * 2):
        answer = client.exchange(*chunks)
        assert answer.count(b"HTTP/1.1 201 Created\r\n") == 2
        assert answer.endswith(b"\r\n\r\nabc")
    assert b" 400 Bad Request\r\n" in client.exchange(b"GET / HTTP/1.1\r\n")
    assert client.exchange() == b""
    assert client.service.connections == set()


def test_an_idle_connection_is_closed_in_time(make: Make, backend: str) -> None:
    client = make(router, backend, idle_timeout=7)
    line = client.stream("GET", "/count")._connection
    assert not line.over
    with client.stream("GET", "/who") as answer:
        answer.read()
        client.wait(6)
        assert not answer._connection.over
        client.wait(3)
        assert answer._connection.over


REPLIES = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", b"abcde"),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n",
        b"abcde",
    ),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 \r\nX: y\r\n\r\nabcde", b"abcde"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
]


@pytest.mark.parametrize(("data", "body"), REPLIES)
def test_a_reply_reads_the_same_however_it_is_cut(data: bytes, body: bytes) -> None:
    for chunks in split(data):
        reply = AnswerParser("GET")
        for chunk in chunks:
            assert not reply.ended
            reply.feed(chunk)
        assert reply.feed_eof()
        assert b"".join(reply.pieces) == body


@pytest.mark.parametrize(("data", "_"), REPLIES)
def test_a_reply_that_breaks_off_is_not_whole(data: bytes, _: bytes) -> None:
    for size in range(len(data)):
        reply = AnswerParser("GET")
        reply.feed(data[:size])
        assert reply.feed_eof() == (b"HTTP/1.0" in data and data[:size].count(b"\r\n\r\n") == 2)


@pytest.mark.parametrize("data", [b"SSH-2.0\r\n", b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n"])
def test_what_is_no_reply(data: bytes) -> None:
    with pytest.raises(ValueError, match="no answer of HTTP"):
        AnswerParser("GET").feed(data)
    with pytest.raises(ValueError, match="longer than that"):
        AnswerParser("GET").feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc")


def test_files_of_a_form_are_sent_as_browsers_do() -> None:
    router = Router()

    @router.post("/")
    async def show(req: Request) -> Any:
        files = {
            name: [[f.filename, f.content_type, f.size] for f in all_of]
            for name, all_of in req.files_all.items()
        }
        return [req.form_all, files]

    client = Client(router)
    answer = client.post(
        "/",
        form=[("n", 1), ("n", ["a", "é"])],
        files={
            "image": ("a.png", b"x", "image/png"),
            'odd"\r\n': [b"1", ("été.txt", "text"), ("b", bytearray(b"22"))],
        },
    )
    assert answer.json == [
        {"n": ["1", "a", "é"]},
        {
            "image": [["a.png", "image/png", 1]],
            'odd"\r\n': [
                ["odd___", "application/octet-stream", 1],
                ["été.txt", "application/octet-stream", 4],
                ["b", "application/octet-stream", 2],
            ],
        },
    ]
    assert client.post("/", files={}).json == [{}, {}]
    with pytest.raises(ValueError, match="may not contain kissapi-boundary-of-a-form"):
        client.post("/", files={"a": b"--kissapi-boundary-of-a-form"})
