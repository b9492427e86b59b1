"""The client that apps are tested with: each promise of it, on both backends."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from examples.rpc import LineParser
from examples.rpc import server as rpc
from kissapi import Fail, HttpParser, Request, Response, Router, Server, sleep, to_thread
from kissapi.awaitables import running_loop
from kissapi.extras.testing import Client
from kissapi.extras.testing.jar import Jar
from kissapi.extras.testing.reply import Reply
from kissapi.response import Upgrade
from tests.wire import split

Make = Callable[..., Client]

ROOT = Path(__file__).parent.parent
router = Router()
told: list[Any] = []


@router.route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def echo(req: Request) -> Response:
    told.append((req.method, req.path, dict(req.headers), req.body, req.query_all))
    return Response(req.body, 201, {"X-One": "1"}, req.headers.get("content-type"))


@router.get("/who")
def who(req: Request) -> list[Any]:
    return [req.client, req.scheme, threading.current_thread() is threading.main_thread()]


@router.get("/sleep/{seconds:float}")
async def wait(req: Request) -> str:
    try:
        await sleep(req.params["seconds"])
    finally:
        told.append("woken")
    return "slept"


@router.get("/never")
async def never(req: Request) -> None:
    await running_loop().create_future()


@router.get("/broken")
async def broken(req: Request) -> None:
    raise KeyError("drawer")


@router.get("/count")
async def count(req: Request) -> AsyncIterator[str]:
    try:
        number = 0
        while True:
            yield f"{number}"
            number += 1
            await sleep(1)
    finally:
        told.append("closed")


@router.get("/flood")
async def flood(req: Request) -> AsyncIterator[bytes]:
    while True:
        told.append("piece")
        yield b"x" * 1024


@router.get("/half")
async def half(req: Request) -> AsyncIterator[str]:
    yield "half of it"
    raise OSError("disk")


@router.get("/slices")
def slices(req: Request) -> Iterator[str]:
    yield "bread"
    yield "butter"


@router.post("/take", stream=True)
async def take(req: Request) -> list[int]:
    sizes = []
    async for piece in req.stream():
        sizes.append(len(piece))
        await sleep(1)
    return sizes


@router.post("/refuse", stream=True)
async def refuse(req: Request) -> None:
    raise Fail(403, "no, thanks")


@router.get("/after")
async def after(req: Request) -> str:
    async def later() -> None:
        await sleep(5)
        told.append("later")

    req.after(later)
    req.after(told.append, "at once")
    return "done"


@router.get("/login")
async def login(req: Request) -> Response:
    response = Response("welcome")
    response.set_cookie("session", "abc", max_age=60)
    response.set_cookie("deep", "d", path="/cookies/deep")
    return response


@router.get("/logout")
async def logout(req: Request) -> Response:
    response = Response("bye")
    response.set_cookie("session", "", max_age=0)
    return response


@router.get("/cookies/{rest:path}")
async def cookies(req: Request) -> dict[str, str]:
    return req.cookies


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes clients, and closes them after the test."""
    clients: list[Client] = []

    def make_client(*arguments: Any, **options: Any) -> Client:
        clients.append(Client(*arguments, **options))
        return clients[-1]

    told.clear()
    yield make_client
    for client in clients:
        client.close()


@pytest.fixture
def client(make: Make, backend: str) -> Client:
    return make(router, backend)


# Requests and answers


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
        ({"json": {"a": [1, None]}}, "application/json", b'{"a": [1, null]}'),
        ({"json": []}, "application/json", b"[]"),
        ({"form": {"a": "1 & 2", "b": "é"}}, "application/x-www-form-urlencoded", b"a=1+%26+2&b=%C3%A9"),
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
    with pytest.raises(TypeError, match="json= or form="):
        client.post("/echo", body={"a": 1})
    with pytest.raises(ValueError, match="control characters"):
        client.get("/echo", headers={"X": "a\r\nb: c"})
    assert told == []


def test_what_is_no_app() -> None:
    with pytest.raises(TypeError, match="for a Router or a Server"):
        Client("app")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="asyncio"):
        Client(router, "trio")
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


def test_who_asks(make: Make, backend: str) -> None:
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


# Cookies


def test_cookies_are_kept(client: Client) -> None:
    client.get("/login")
    assert client.get("/cookies/").json == {"session": "abc"}
    assert client.get("/cookies/deep/down").json == {"session": "abc", "deep": "d"}
    assert client.get("/cookies/", headers={"Cookie": "mine=1"}).json == {"mine": "1"}
    client.wait(59)
    assert client.cookies["session"] == "abc"
    client.wait(2)
    assert dict(client.cookies) == {"deep": "d"}
    client.get("/login")
    client.get("/logout")
    client.cookies["own"] = "2"
    assert client.get("/cookies/").json == {"own": "2"}
    del client.cookies["own"]
    assert client.get("/cookies/").json == {}


@pytest.mark.parametrize(
    ("field", "asked", "goes_along"),
    [
        ("a=1", "/x/y", {"/x": True, "/x/z": True, "/xy": False, "/": False}),
        ("a=1; Path=/", "/x/y", {"/": True, "/z": True}),
        ("a=1; path=/x/", "/", {"/x/y": True, "/x": False}),
        ("a=1; Path=x", "/x", {"/": True}),
        ("a=1; Max-Age=0", "/", {"/": False}),
        ("a=1; Max-Age=-5", "/", {"/": False}),
        ("a=1; Max-Age=soon; Secure; HttpOnly", "/", {"/": True}),
    ],
)
def test_where_a_cookie_goes(field: str, asked: str, goes_along: dict[str, bool]) -> None:
    jar = Jar(lambda: 0.0)
    jar.take(field, asked)
    assert {path: "a" in jar.for_path(path) for path in goes_along} == goes_along


# Time


def test_who_sleeps_answers_at_once(client: Client) -> None:
    began, now = time.monotonic(), client.loop.now
    assert client.get("/sleep/3000.5").text == "slept"
    assert client.loop.now == now + 3000.5
    assert time.monotonic() - began < 2


def test_time_passes_when_it_is_told_to(client: Client) -> None:
    client.get("/after")
    assert told == ["at once"]
    client.wait(4.9)
    assert told == ["at once"]
    client.wait(0.2)
    assert told == ["at once", "later"]


def test_who_never_answers_is_told_of(client: Client) -> None:
    with pytest.raises(TimeoutError, match=r"^GET /never: nothing has come of it in 3600 s"):
        client.get("/never")
    assert client.get("/who").status == 200
    assert any("GET /never → client left" in line for line in client.log)


def test_the_same_comes_out_each_time(client: Client) -> None:
    def run() -> list[float]:
        start, moments = client.loop.now, []
        with client.stream("GET", "/count") as one, client.stream("GET", "/count") as other:
            for a, b, _ in zip(one, other, range(5), strict=False):
                assert a == b
                moments.append(client.loop.now - start)
        return moments

    first = run()
    assert first == [0, 1, 2, 3, 4]
    assert all(run() == first for _ in range(50))


# Streams


def test_pieces_as_they_come(client: Client) -> None:
    start = client.loop.now
    with client.stream("GET", "/count") as answer:
        assert answer.status == 200
        assert client.loop.now == start
        for number, piece in enumerate(answer):
            assert piece == b"%d" % number
            assert client.loop.now == start + number
            if number == 3:
                break
        assert told == []
    assert told == ["closed"]  # for the client has left
    with pytest.raises(ConnectionResetError, match="GET /count"):
        answer.read()


def test_others_may_be_asked_meanwhile(client: Client) -> None:
    with client.stream("GET", "/count") as answer:
        pieces = iter(answer)
        assert next(pieces) == b"0"
        assert client.get("/sleep/2").text == "slept"
        assert [next(pieces) for _ in range(3)] == [b"1", b"2", b"3"]


def test_who_does_not_read_is_waited_for(client: Client) -> None:
    with client.stream("GET", "/flood") as answer:
        client.wait(10)
        sent = len(told)
        assert 60 < sent < 140  # 64 KiB that were read with the head, and 64 KiB on their way
        client.wait(10)
        assert len(told) == sent
        for _, piece in zip(range(200), answer, strict=False):
            assert len(piece) == 1024
        assert len(told) > 200


def test_an_answer_of_a_plain_generator(client: Client) -> None:
    assert client.get("/slices").text == "breadbutter"


def test_half_an_answer_is_an_error(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    with client.stream("GET", "/half") as answer:
        pieces = iter(answer)
        assert next(pieces) == b"half of it"
        with pytest.raises(ConnectionResetError, match=r"in the middle of the answer; see client\.log"):
            next(pieces)
    assert any("OSError: disk" in line for line in client.log)
    assert "OSError: disk" in capsys.readouterr().err


def test_a_body_in_pieces_goes_out_as_it_is_taken(client: Client) -> None:
    start = client.loop.now
    made: list[float] = []

    def pieces() -> Iterator[bytes]:
        for _ in range(6):
            made.append(client.loop.now - start)
            yield b"x" * (64 << 10)

    assert sum(client.post("/take", body=pieces()).json) == 6 * (64 << 10)
    assert made[-1] >= 4, "it was sent before it was wanted"


def test_time_may_pass_between_pieces(client: Client) -> None:
    def pieces() -> Iterator[bytes]:
        for size in (1, 2, 3):
            yield b"x" * size
            client.wait(10)

    assert client.post("/take", body=pieces()).json == [1, 2, 3]


def test_who_is_refused_need_not_send_it_all(client: Client) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * (64 << 10)

    assert client.post("/refuse", body=endless()).status == 403
    assert client.post("/echo", body=endless()).status == 413


def test_who_is_refused_sends_no_more_while_time_passes(client: Client) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    with client.stream("POST", "/refuse", body=endless()) as answer:
        assert answer.status == 403
        client.wait(1)


@pytest.mark.parametrize(("seconds", "sent_after"), [(0, 0), (0.5, 0.5), (5, 1)])
def test_the_body_waits_a_second_for_100(make: Make, backend: str, seconds: float, sent_after: float) -> None:
    app = Router()

    @app.post("/", stream=True)
    async def later(req: Request) -> str:
        await sleep(seconds)
        return "".join([piece.decode() async for piece in req.stream()])

    def pieces() -> Iterator[str]:
        told.append(client.loop.now - start)
        yield "abc"

    client = make(app, backend)
    start = client.loop.now
    answer = client.post("/", body=pieces(), headers={"Expect": "100-continue"})
    assert answer.text == "abc"
    assert answer.informational == ([100] if seconds < 1 else [])
    assert told == [sent_after]
    with client.stream("POST", "/no", body=pieces(), headers={"Expect": "100-continue"}) as answer:
        assert answer.status == 404
        client.wait(5)
    assert told == [sent_after]


class OldParser(HttpParser):
    """To whom all clients are old: the end of the connection is that of the body."""

    def feed_data(self, data: bytes) -> None:
        request = self._request
        super().feed_data(data)
        request.http_version = "1.0"


def test_a_body_up_to_the_end_of_the_connection(make: Make, backend: str) -> None:
    client = make(router, backend, parser_class=OldParser)
    assert client.get("/slices").text == "breadbutter"
    with pytest.raises(ConnectionResetError):
        client.get("/half")
    with client.stream("GET", "/count") as answer:
        assert next(iter(answer)) == b"0"
    with pytest.raises(ConnectionResetError):
        answer.read()


# Mistakes


def test_a_mistake_of_a_handler_can_be_seen(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert client.get("/broken").status == 500
    assert "KeyError: 'drawer'" in client.log
    assert any("GET /broken: broken raised KeyError" in line for line in client.log)
    assert "KeyError: 'drawer'" in capsys.readouterr().err
    assert any("GET /broken → 500 21B" in line for line in client.log)
    assert not any("\x1b" in line for line in client.log)


def test_it_is_not_for_where_a_loop_runs(client: Client) -> None:
    async def within() -> None:
        for use in (lambda: client.get("/who"), lambda: client.wait(1), lambda: client.exchange(b"")):
            with pytest.raises(RuntimeError, match="use it in a plain def"):
                use()

    asyncio.run(within())


def test_another_protocol_has_exchange(make: Make, backend: str) -> None:
    client = make(rpc, backend)
    with pytest.raises(ValueError, match=r"no answer of HTTP/1.1.*exchange\(\).*! 404"):
        client.get("/")
    assert client.server.parser_class is LineParser


# Bytes


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
    line = client.stream("GET", "/count")._line
    assert not line.over
    with client.stream("GET", "/who") as answer:
        answer.read()
        client.wait(6)
        assert not answer._line.over
        client.wait(3)
        assert answer._line.over


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
        reply = Reply("GET")
        for chunk in chunks:
            assert not reply.ended
            reply.feed(chunk)
        assert reply.feed_eof()
        assert b"".join(reply.pieces) == body


@pytest.mark.parametrize(("data", "_"), REPLIES)
def test_a_reply_that_breaks_off_is_not_whole(data: bytes, _: bytes) -> None:
    for size in range(len(data)):
        reply = Reply("GET")
        reply.feed(data[:size])
        assert reply.feed_eof() == (b"HTTP/1.0" in data and data[:size].count(b"\r\n\r\n") == 2)


@pytest.mark.parametrize("data", [b"SSH-2.0\r\n", b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n"])
def test_what_is_no_reply(data: bytes) -> None:
    with pytest.raises(ValueError, match="no answer of HTTP"):
        Reply("GET").feed(data)
    with pytest.raises(ValueError, match="longer than that"):
        Reply("GET").feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc")


# The loop, and what runs in it


variable: ContextVar[str] = ContextVar("variable", default="unset")


def test_plain_functions_run_as_in_a_thread(make: Make, backend: str) -> None:
    app = Router()

    @app.get("/")
    async def start(req: Request) -> list[Any]:
        variable.set("set")
        return [await to_thread(look, 1), variable.get()]

    def look(number: int) -> list[Any]:
        with pytest.raises(RuntimeError, match="no event loop runs here"):
            running_loop()
        seen = [number, variable.get()]
        variable.set("lost")
        return seen

    @app.get("/raises")
    def raises(req: Request) -> None:
        raise Fail(418, "teapot")

    @app.get("/loop")
    def loop(req: Request) -> str:
        return asyncio.run(asyncio.sleep(0, "a loop of its own"))

    client = make(app, backend)
    assert client.get("/").json == [[1, "set"], "set"]
    assert client.get("/raises").status == 418
    assert client.get("/loop").text == "a loop of its own"
    assert variable.get() == "unset"


def test_coroutines_run_beside_requests(client: Client) -> None:
    async def double(number: int) -> int:
        await sleep(10)
        return number * 2

    async def fails() -> None:
        raise KeyError("drawer")

    now = client.loop.now
    assert client.run(double(4)) == 8
    assert client.loop.now == now + 10
    with pytest.raises(KeyError, match="drawer"):
        client.run(fails())


def test_a_server_starts_and_stops_with_the_block(
    make: Make, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(router=router, backend=backend)
    told.clear()

    @server.on_start
    async def start() -> None:
        await sleep(1)
        told.append("start")

    @server.on_stop
    def stop() -> None:
        told.append("stop")

    @server.on_stop
    async def wrong() -> None:
        raise KeyError("drawer")

    with make(server) as client:
        assert client.get("/after").text == "done"
        assert told == ["start", "at once"]
    assert told == ["start", "at once", "later", "stop"]
    assert "KeyError: 'drawer'" in capsys.readouterr().err
    client.close()  # once more does no harm


def test_who_is_left_at_the_end_is_cancelled(make: Make, backend: str) -> None:
    told.clear()
    client = make(router, backend)
    client.stream("GET", "/count")
    client.close()
    assert told == ["closed"]


def test_one_that_is_forgotten_leaves_nothing(backend: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told.clear()
        client = Client(router, backend)
        client.get("/who")
        client.stream("GET", "/count")
        loop = client.loop
        del client
        gc.collect()
    assert told == ["closed"]
    if backend == "asyncio":
        assert loop.is_closed()


def test_a_generator_that_is_let_go_is_finished(make: Make, backend: str) -> None:
    app = Router()

    @app.get("/")
    async def start(req: Request) -> str:
        async def numbers() -> AsyncIterator[int]:
            try:
                yield 1
                yield 2
            finally:
                await sleep(1)
                told.append("finished")

        async for number in numbers():
            return str(number)
        return "none"

    told.clear()
    client = make(app, backend)
    assert client.get("/").text == "1"
    gc.collect()
    client.wait(2)
    assert told == ["finished"]


def test_an_error_of_a_callback_is_not_lost(client: Client) -> None:
    def wrong() -> None:
        raise KeyError("callback")

    client.loop.call_later(5, wrong)
    client.wait(4)
    with pytest.raises(KeyError, match="callback"):
        client.wait(2)
    assert client.get("/who").status == 200


def test_who_goes_round_and_round_is_told_of(
    make: Make, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Router()

    @app.get("/")
    async def spin(req: Request) -> None:
        while True:
            await sleep(0)

    monkeypatch.setattr("kissapi.extras.testing.loop.MANY", 10_000)
    client = make(app, backend)
    with pytest.raises(RuntimeError, match="10,000 steps, and the clock has not moved"):
        client.get("/")
    client.close()


def test_on_asyncio_all_of_asyncio_is_there_in_the_same_time(make: Make) -> None:
    app = Router()

    @app.get("/")
    async def start(req: Request) -> list[Any]:
        said: list[Any] = []
        loop = asyncio.get_running_loop()
        begin = loop.time()
        try:
            async with asyncio.timeout(100):
                await asyncio.sleep(1000)
        except TimeoutError:
            said.append(loop.time() - begin)
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(asyncio.sleep(5, "first"))
            tasks.create_task(sleep(7))
        said += [first.result(), loop.time() - begin, asyncio.current_task() is not None]
        said.append(await asyncio.to_thread(lambda: threading.current_thread() is threading.main_thread()))
        with pytest.raises(KeyError):
            await asyncio.to_thread(dict[str, str]().__getitem__, "key")
        await asyncio.wait_for(asyncio.Event().wait(), 3) if req.query else None
        return said

    client = make(app, "asyncio")
    began = time.monotonic()
    assert client.get("/").json == [100.0, "first", 107.0, True, True]
    assert client.get("/?fail").status == 500
    assert time.monotonic() - began < 2


def test_on_asyncio_a_real_socket_is_waited_for(make: Make, serve: Callable[..., Server]) -> None:
    app = Router()
    other = Router()

    @other.get("/")
    def slowly(req: Request) -> str:
        time.sleep(0.2)
        return "from afar"

    server = serve(other)

    @app.get("/")
    async def ask(req: Request) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        return answer.rpartition(b"\r\n")[2].decode()

    client = make(app, "asyncio")
    now = client.loop.now
    assert client.get("/").text == "from afar"
    assert client.loop.now - now < 10


def test_on_selectors_asyncio_says_what_to_do(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    app = Router()

    @app.get("/")
    async def start(req: Request) -> None:
        await asyncio.sleep(1)

    client = make(app, "selectors")
    assert client.get("/").status == 500
    assert any("this server runs on selectors: use kissapi.sleep" in line for line in client.log)


def test_on_selectors_there_is_no_socket_and_no_thread(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("not here")

    for module, name in (
        (socket, "socket"),
        (socket, "socketpair"),
        (threading.Thread, "start"),
        (time, "sleep"),
    ):
        monkeypatch.setattr(module, name, forbidden)
    client = make(router, "selectors")
    assert client.get("/who").status == 200
    assert client.get("/sleep/10").text == "slept"
    assert client.get("/slices").text == "breadbutter"


def test_on_selectors_nothing_of_asyncio_is_imported() -> None:
    program = """
import sys
from kissapi import Router
from kissapi.extras.testing import Client
router = Router()
@router.get("/")
async def hello(req):
    yield "hello"
client = Client(router, "selectors")
assert client.get("/").text == "hello"
assert client.post("/", json={}).status == 405
print(*[name for name in ("asyncio", "ssl", "http", "wsproto", "concurrent") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


# WebSocket


@pytest.fixture
def chat(make: Make, backend: str) -> Client:
    pytest.importorskip("wsproto", reason="wsproto is not installed: no WebSocket")
    app = Router()

    @app.websocket("/chat", subprotocols=["v1"], ping_interval=20, ping_timeout=5)
    async def chat(ws: Any) -> None:
        try:
            await ws.send(f"hello, {ws.request.query.get('name')}")
            async for message in ws:
                if message == "sleep":
                    await sleep(100)
                elif message == "bye":
                    await ws.close(4000, "bye")
                elif message == "broken":
                    raise KeyError("drawer")
                await ws.send(message * 2)
        finally:
            told.append("left")

    @app.get("/plain")
    async def plain(req: Request) -> str:
        return "plain"

    return make(app, backend)


def test_messages_both_ways(chat: Client) -> None:
    with chat.websocket("/chat", subprotocols=["v2", "v1"], query={"name": "ann"}) as ws:
        assert ws.answer.status == 101
        assert ws.subprotocol == "v1"
        assert ws.receive() == "hello, ann"
        for message in ("text", b"\0\xff", "", "x" * 200_000):
            ws.send(message)
            assert ws.receive() == message * 2
        ws.send("sleep")
        now = chat.loop.now
        with pytest.raises(TimeoutError):
            ws.receive(seconds=99)
        assert ws.receive() == "sleepsleep"
        assert chat.loop.now == now + 100
        ws.ping(b"there?")
        assert repr(ws) == "<WebSocket /chat open>"
    assert ws.close_code == 1000
    assert told == ["left"]


def test_a_browser_answers_pings(chat: Client) -> None:
    with chat.websocket("/chat") as ws:
        chat.wait(500)
        assert ws.close_code is None
        ws.send("still")
        assert [ws.receive(), ws.receive()] == ["hello, None", "stillstill"]


def test_the_server_ends_it(chat: Client, capsys: pytest.CaptureFixture[str]) -> None:
    from kissapi.extras.websocket import Closed

    with chat.websocket("/chat") as ws:
        ws.send("bye")
        assert list(ws) == ["hello, None"]
        assert (ws.close_code, ws.close_reason) == (4000, "bye")
        assert ws._line.over  # for the client has answered
        with pytest.raises(Closed, match="4000 bye"):
            ws.send("too late")
        with pytest.raises(Closed):
            ws.receive()
    with chat.websocket("/chat") as ws:
        ws.send("broken")
        assert list(ws) == ["hello, None"]
        assert ws.close_code == 1011
    assert "KeyError: 'drawer'" in capsys.readouterr().err


def test_both_sides_end_it_with_a_code_that_wsproto_does_not_know(make: Make, backend: str) -> None:
    pytest.importorskip("wsproto", reason="wsproto is not installed: no WebSocket")
    app = Router()

    @app.websocket("/gate")
    async def gate(ws: Any) -> None:
        if await ws.receive() == "end":
            await ws.close(1014, "no way")
        async for _ in ws:
            pass
        told.append(f"{ws.close_code} {ws.close_reason}")

    client = make(app, backend)
    with client.websocket("/gate") as ws:
        ws.send("end")
        assert list(ws) == []
        assert (ws.close_code, ws.close_reason) == (1014, "no way")
    ws = client.websocket("/gate")
    ws.send("go on")
    ws.close(1014, "bad")
    assert (ws.close_code, ws.close_reason) == (1014, "bad")
    assert told == ["1014 no way", "1014 bad"]


def test_the_client_leaves_without_a_word(chat: Client) -> None:
    ws = chat.websocket("/chat")
    ws.leave()
    chat.wait(0)
    assert told == ["left"]
    assert ws.close_code == 1006
    with pytest.raises(ZeroDivisionError), chat.websocket("/chat"):
        _ = 1 / 0
    chat.wait(0)
    assert told == ["left", "left"]


def test_who_is_refused(chat: Client) -> None:
    from kissapi.extras.testing.websocket import Refused

    for path, status in (("/plain", 200), ("/nowhere", 404)):
        with pytest.raises(Refused) as caught:
            chat.websocket(path)
        assert caught.value.answer.status == status
    with pytest.raises(Refused, match="403 Forbidden"):
        chat.websocket("/chat", headers={"Origin": "https://elsewhere.example"})
    assert chat.service.connections == set()


def test_a_wrong_handshake_is_none(make: Make) -> None:
    pytest.importorskip("wsproto", reason="wsproto is not installed: no WebSocket")
    app = Router()

    class Protocol:
        def connection_made(self, transport: Any) -> None:
            pass

        def connection_lost(self, error: Exception | None) -> None:
            told.append("left")

    @app.get("/")
    async def wrong(req: Request) -> Response:
        return Upgrade("websocket", Protocol(), {"Sec-WebSocket-Accept": "x"})

    with pytest.raises(ValueError, match="a wrong Sec-WebSocket-Accept"):
        make(app, "selectors").websocket("/")
    assert told == ["left"]
