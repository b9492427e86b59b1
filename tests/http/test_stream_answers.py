"""Stream answers: an answer that is made of the body as it comes, and what may be asked of such a body.

The packets in which a body comes change nothing.
"""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router, Server, sleep
from kissapi.backends.handlers import takes_bodies
from kissapi.core import IDLE
from kissapi.extras.sse import sse
from kissapi.extras.testing import Client
from kissapi.http.body_reader import CONTINUE
from kissapi.http.upgrade import Upgrade
from tests.peer import connect
from tests.serving import THREE, make, running
from tests.wire import Wire, exchange, parse_answers, split

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = bytes(range(250)) * 800  # 200,000 bytes


def post(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


router = Router()


@router.get("/")
async def hello(req: Request) -> str:
    return "hello"


@router.post("/generator", stream=True)
async def generator(req: Request) -> AsyncIterator[bytes]:
    async for piece in req.stream():
        yield piece.swapcase()


@router.post("/inner", stream=True)
async def inner(req: Request) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        await sleep(0)
        async for piece in req.stream():
            yield piece.swapcase()

    return pieces()


@router.post("/itself", stream=True)
async def itself(req: Request) -> Any:
    return req.stream()


@router.post("/response", stream=True)
async def response(req: Request) -> Any:
    return Response(req.stream(), 201)


@router.post("/events", stream=True)
async def events(req: Request) -> Any:
    async def each() -> AsyncIterator[str]:
        size = 0
        async for piece in req.stream():
            size += len(piece)
        yield f"{size} bytes"

    return sse(each())


ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "/generator": bytes.swapcase,
    "/inner": bytes.swapcase,
    "/itself": bytes,
    "/response": bytes,
    "/events": lambda body: f"data: {len(body)} bytes\n\n".encode(),
}


def messages(path: str) -> dict[str, list[bytes]]:
    """The reads in which a body comes, and the body."""
    with_length = partial(post, path, "Content-Length: 5")()
    in_chunks = post(path, "Transfer-Encoding: chunked")
    large = post(path, f"Content-Length: {len(LARGE)}")
    return {
        "in the packet of the head": [with_length + b"hello"],
        "later": [with_length, b"hello"],
        "in two": [with_length + b"he", b"llo"],
        "in chunks with the head": [in_chunks + chunked(b"hello", 2)],
        "in chunks later": [in_chunks, *split(chunked(b"hello", 3))[1]],
        "large": [large, *(LARGE[start : start + 30_000] for start in range(0, len(LARGE), 30_000))],
        "large at once": [large + LARGE],
        "large in chunks": [in_chunks + chunked(LARGE, 7000)],
    }


@pytest.mark.parametrize("way", messages("/"))
@pytest.mark.parametrize("path", ANSWERS)
def test_it_gets_the_whole_body_however_the_packets_fall(parser_class: Any, path: str, way: str) -> None:
    body = LARGE if way.startswith("large") else b"hello"
    wire = Wire(router, parser_class)
    for data in messages(path)[way]:
        wire.send(data).wait(0.05)
    answer, *rest = parse_answers(wire.wait(1).received)
    assert (answer[0], answer[2]) == (201 if path == "/response" else 200, ANSWERS[path](body))
    assert rest == []
    # The connection goes on where the head could say so: nothing of the body was to come any more.
    assert wire.closed == (answer[1].get("connection") == "close")
    if not wire.closed:
        assert wire.connection.state is IDLE
        wire.send(GET)
        assert parse_answers(wire.received)[1][2] == b"hello"


@pytest.mark.parametrize("path", [path for path in ANSWERS if path != "/events"])
def test_a_body_of_one_piece_keeps_the_connection_and_what_is_behind_it(parser_class: Any, path: str) -> None:
    message = post(path, "Content-Length: 5")
    for reads in ([message + b"hello" + GET], [message, b"hello" + GET], [message, b"he", b"llo", GET]):
        wire = Wire(router, parser_class).send(*reads).wait(1)
        answers = parse_answers(wire.received)
        if len(reads) == 4:  # the first piece was answered before the body was whole
            assert answers[0][1]["connection"] == "close"
            continue
        assert [body for _, _, body in answers] == [ANSWERS[path](b"hello"), b"hello"]
        assert not wire.closed


@pytest.mark.parametrize("path", ANSWERS)
def test_a_client_that_waits_for_100_gets_it_when_the_generator_reads(parser_class: Any, path: str) -> None:
    head = post(path, "Content-Length: 5", "Expect: 100-continue")
    wire = Wire(router, parser_class).send(head).wait(0.1)
    assert wire.received.startswith(CONTINUE)
    wire.send(b"hello").wait(1)
    assert parse_answers(wire.received.removeprefix(CONTINUE))[0][2] == ANSWERS[path](b"hello")


def test_100_is_said_before_an_answer_never_in_it(parser_class: Any) -> None:
    router = Router()

    @router.post("/", stream=True)
    async def first(req: Request) -> AsyncIterator[bytes]:
        yield b"first "
        async for piece in req.stream():
            yield piece

    wire = Wire(router, parser_class).send(post("/", "Content-Length: 5", "Expect: 100-continue")).wait(0.1)
    wire.send(b"hello").wait(1)
    assert wire.received.startswith(CONTINUE)
    assert parse_answers(wire.received.removeprefix(CONTINUE))[0][2] == b"first hello"
    assert wire.closed


# A body that does not come


@pytest.mark.parametrize("path", ANSWERS)
@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_body_that_never_comes_is_408_and_a_line(parser_class: Any, path: str, framing: str) -> None:
    wire = Wire(router, parser_class, body_timeout=5).send(post(path, framing)).wait(7)
    assert wire.closed
    if path == "/events":  # its head is out at once
        assert wire.received.startswith(b"HTTP/1.1 200 ")
        assert wire.transport.aborted
        assert not wire.received.endswith(b"0\r\n\r\n")
    else:
        assert [status for status, _, _ in parse_answers(wire.received)] == [408]
    assert any(f"POST {path}" in line for line in wire.lines)


@pytest.mark.parametrize("path", ["/generator", "/itself"])
def test_one_that_stops_in_the_middle_is_cut_and_a_line(parser_class: Any, path: str) -> None:
    wire = Wire(router, parser_class, body_timeout=5).send(post(path, "Content-Length: 9"), b"hello").wait(9)
    assert wire.transport.aborted
    assert not wire.received.endswith(b"0\r\n\r\n")
    assert any(f"POST {path}" in line and "cut short" in line for line in wire.lines)


@pytest.mark.parametrize("path", ["/generator", "/itself", "/response"])
def test_one_that_ends_early_is_400(parser_class: Any, path: str) -> None:
    data = exchange(router, post(path, "Content-Length: 5"), parser_class=parser_class)
    assert [status for status, _, _ in parse_answers(data)] == [400]


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
def test_the_test_client_sees_the_same(backend: str) -> None:
    with Client(router, backend) as client:
        for path, expected in ANSWERS.items():
            for body in (b"hello", [b"he", b"llo"], LARGE, iter([LARGE[:9], LARGE[9:]])):
                whole = LARGE if body is LARGE or isinstance(body, Iterator) else b"hello"
                assert client.post(path, body=body).body == expected(whole), path
        started = client.loop.now
        answer = client.post("/generator", headers={"content-length": "9"}, body=[])
        assert answer.status == 408
        assert client.loop.now - started < 70


# What is read, and in what order


def reading(how: str) -> Callable[[Request], Any]:
    async def read(req: Request) -> Any:
        if how == "stream twice":
            first = [piece async for piece in req.stream()]
            second = [piece async for piece in req.stream()]
            return [len(first), len(second)]
        return str(getattr(req, how))

    return read


WAYS = ["body", "text", "json", "stream twice"]


def asking(where: str, how: str) -> tuple[Router, list[str]]:
    """A route that is asked for its body in a way it cannot give it, and what that said."""
    read, said = reading(how), []
    asked = Router()

    async def note(req: Request) -> None:
        try:
            await read(req)
        except RuntimeError as error:
            said.append(str(error))
            raise
        said.append("nothing was wrong")

    if where == "before hook":
        asked.before(note)

    @asked.post("/", stream=True)
    async def handler(req: Request) -> Any:
        if where == "handler":
            await note(req)
        if where == "generator":

            async def pieces() -> AsyncIterator[bytes]:
                await note(req)
                yield b""

            return pieces()
        return "done"

    return asked, said


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("where", ["handler", "before hook", "generator"])
def test_whole_or_twice_it_cannot_be_had_whatever_the_packets(
    parser_class: Any, where: str, how: str
) -> None:
    body = b'{"a": 1}'
    by_length = post("/", f"Content-Length: {len(body)}")
    in_chunks = post("/", "Transfer-Encoding: chunked")
    empty = post("/", "Content-Length: 0")
    for reads in (
        [by_length + body],
        [by_length, body],
        [by_length + body[:3], body[3:]],
        [in_chunks + chunked(body, 3)],
        [in_chunks, chunked(body, 3)],
        [empty],
    ):
        asked, said = asking(where, how)
        wire = Wire(asked, parser_class).send(*reads).wait(1)
        assert [status for status, _, _ in parse_answers(wire.received)] == [500], reads
        (text,) = said
        assert "req.stream()" in text  # what to do
        assert ("already" in text) == (how == "stream twice")


def test_a_body_that_was_read_once_may_be_answered_with_at_any_time(parser_class: Any) -> None:
    """A `RuntimeError` that a handler catches leaves the body where it was."""
    caught = Router()

    @caught.post("/", stream=True)
    async def handler(req: Request) -> Any:
        with pytest.raises(RuntimeError, match="piece by piece"):
            req.body  # noqa: B018
        return req.stream()

    for reads in ([post("/", "Content-Length: 5") + b"hello"], [post("/", "Content-Length: 5"), b"hello"]):
        assert parse_answers(exchange(caught, *reads, parser_class=parser_class))[0][2] == b"hello"


# Registration


async def coroutine(req: Request) -> None: ...


async def echo(ws: Any) -> None: ...


async def asynchronous(req: Request) -> AsyncIterator[bytes]:
    yield b""


def plain(req: Request) -> None: ...


def plain_generator(req: Request) -> Iterator[bytes]:
    yield b""


class Called:
    def __init__(self, call: Any) -> None:
        self.call = call

    def __call__(self, req: Request) -> Any:
        return self.call(req)


class AsyncCallable:
    async def __call__(self, req: Request) -> Any: ...


FIT = [coroutine, asynchronous, partial(coroutine), partial(asynchronous), AsyncCallable()]
UNFIT = [plain, plain_generator, partial(plain), lambda req: None, Called(coroutine)]


@pytest.mark.parametrize("handler", FIT)
def test_an_async_function_may_take_a_body_as_it_comes(handler: Any) -> None:
    assert takes_bodies(handler)
    routes = Router()
    routes.post("/", stream=True)(handler)
    assert [route.stream for route in routes.routes()] == [True]


@pytest.mark.parametrize("handler", UNFIT)
def test_no_other_may_and_is_refused_where_it_stands(handler: Any) -> None:
    routes = Router()
    for register in (
        routes.post("/", stream=True),
        routes.route("/", ["PUT", "POST"], stream=True),
        lambda handler: routes.add_route("PUT", "/", handler, stream=True),
    ):
        with pytest.raises(TypeError, match=r"handler of \w+ / is no `async def`.*without stream=True"):
            register(handler)
    assert list(routes.routes()) == []
    routes.post("/")(handler)


def test_a_websocket_takes_no_body() -> None:
    routes = Router()
    with pytest.raises(TypeError, match="stream"):
        routes.websocket("/", stream=True)  # type: ignore[call-arg]
    routes.websocket("/")(echo)
    (route,) = routes.routes()
    with pytest.raises(TypeError, match="takes a body as it comes"):
        routes.add_route("GET", "/too", route.handler, stream=True)


def test_an_upgrade_is_no_answer_to_a_body_that_is_taken_as_it_comes(parser_class: Any) -> None:
    routes = Router()

    @routes.get("/", stream=True)
    async def up(req: Request) -> Any:
        return Upgrade("shout", None)

    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: shout\r\n"
    length = head + b"Content-Length: 5\r\n\r\n"
    for reads in ([head + b"\r\n"], [length + b"hello"], [length, b"hello"]):
        wire = Wire(routes, parser_class).send(*reads).wait(1)
        assert [status for status, _, _ in parse_answers(wire.received)] == [500], reads
        assert "upgrade" in "\n".join(wire.lines)


def test_what_fails_before_its_first_piece_is_answered_and_the_rest_dropped(parser_class: Any) -> None:
    routes = Router()

    @routes.post("/", stream=True)
    async def refuse(req: Request) -> AsyncIterator[bytes]:
        async for _ in req.stream():
            raise Fail(409, "no")
        yield b""

    @routes.get("/")
    async def hello(req: Request) -> str:
        return "hello"

    for reads in ([post("/", "Content-Length: 5") + b"hello", GET], [post("/", "Content-Length: 5"), b"he"]):
        wire = Wire(routes, parser_class).send(*reads).wait(1)
        if reads[1] == b"he":
            wire.send(b"llo" + GET)
        answers = parse_answers(wire.received)
        assert [(status, body) for status, _, body in answers] == [(409, b"no"), (200, b"hello")]


@pytest.mark.parametrize("path", ["/none", "/response"])
def test_what_an_answer_without_a_body_does_not_take_is_dropped(parser_class: Any, path: str) -> None:
    routes = Router()

    @routes.route("/none", ["POST", "HEAD"], stream=True)
    async def none(req: Request) -> Any:
        return Response(req.stream(), 204)

    @routes.route("/response", ["HEAD"], stream=True)
    async def response(req: Request) -> Any:
        return req.stream()

    @routes.get("/")
    async def hello(req: Request) -> str:
        return "hello"

    head = post(path, "Content-Length: 5").replace(b"POST", b"HEAD")
    for reads in ([head + b"hello" + GET], [head, b"he", b"llo" + GET]):
        wire = Wire(routes, parser_class).send(*reads).wait(1)
        answers = parse_answers(wire.received, ["HEAD"])
        assert [body for _, _, body in answers] == [b"", b"hello"]
        assert not wire.closed


def test_a_client_that_sends_and_never_takes_is_left_with_a_line(parser_class: Any) -> None:
    wire = Wire(router, parser_class, room=50_000, write_timeout=5)
    for data in messages("/generator")["large"]:
        wire.send(data)
    wire.wait(60)
    assert wire.transport.aborted
    assert any("POST /generator" in line and "client takes nothing" in line for line in wire.lines)


# On real loops


@pytest.fixture(params=THREE)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(make(request.param, router)) as server:
        yield server


def send_in_turn(server: Server, *reads: bytes) -> bytes:
    """What comes for `reads`, each of which is sent 20 ms after the one before."""
    with connect(server.port) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for data in reads:
            client.sendall(data)
            time.sleep(0.02)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_it_is_so_on_all_loops(server: Server) -> None:
    def check(path: str) -> None:
        for way, reads in messages(path).items():
            body = LARGE if way.startswith("large") else b"hello"
            assert parse_answers(send_in_turn(server, *reads))[0][2] == ANSWERS[path](body), way
        with connect(server.port) as client:
            client.sendall(post(path, "Content-Length: 5", "Expect: 100-continue"))
            assert client.recv(len(CONTINUE), socket.MSG_WAITALL) == CONTINUE
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: client.recv(1 << 16), b""))
        assert parse_answers(received)[0][2] == ANSWERS[path](b"hello")

    with ThreadPoolExecutor(len(ANSWERS)) as pool:
        list(pool.map(check, ANSWERS))
