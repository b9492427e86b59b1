"""Server-sent events: what is sent, when, and how it ends, on both backends."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from kissapi import Request, Response, Router, Server, sleep
from kissapi.extras.sse import PROBE, Event, last_event_id, sse
from kissapi.extras.testing import Client
from tests.peer import connect
from tests.wire import Wire

COMMENT = b":\n\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def client_of(backend: str, make: Callable[[], Any], **options: Any) -> Client:
    """A client of an app that sends what `make()` gives."""
    router = Router()

    @router.get("/")
    async def events(req: Request) -> Response:
        return sse(make(), **options)

    return Client(router, backend)


# One event


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (Event("text"), "data: text\n\n"),
        (Event(""), "data: \n\n"),
        (Event("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (Event("a\u2028b\x0bc\x85d"), "data: a\u2028b\x0bc\x85d\n\n"),  # no line ends here
        (Event(" é"), "data:  é\n\n"),
        (Event(b"bytes"), "data: bytes\n\n"),
        (Event({"a": "b\nc"}), 'data: {"a":"b\\nc"}\n\n'),
        (Event([1, None]), "data: [1,null]\n\n"),
        (Event(0), "data: 0\n\n"),
        (Event("x", event="price", id=7, retry=0), "event: price\nid: 7\nretry: 0\ndata: x\n\n"),
        (Event(id=""), "id: \n\n"),
        (Event("x", id="snow ☃"), "id: snow ☃\ndata: x\n\n"),
    ],
)
def test_an_event_as_it_is_sent(event: Event, sent: str) -> None:
    assert event.encode().decode() == sent


@pytest.mark.parametrize(
    "options",
    [
        {"id": "a\nb"},
        {"id": "a\rb"},
        {"id": "a\0b"},
        {"id": True},
        {"id": 1.5},
        {"event": "a\nb"},
        {"event": "a\rb"},
        {"event": 5},
        {"retry": -1},
        {"retry": 1.5},
        {"retry": True},
    ],
)
def test_what_no_event_may_have(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Event("x", **options)


def test_what_cannot_be_said() -> None:
    with pytest.raises(TypeError, match="object"):
        Event(object())
    with pytest.raises(UnicodeDecodeError):
        Event(b"\xff")


def test_what_is_no_source_of_events() -> None:
    async def prices() -> AsyncIterator[str]:
        yield "x"

    for wrong in (prices, "text", {"a": 1}, 5, None):
        with pytest.raises(TypeError, match=r"events come from a generator: sse\(prices\(\)\)"):
            sse(wrong)  # type: ignore[arg-type]
    for heartbeat in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="heartbeat"):
            sse(prices(), heartbeat=heartbeat)
    with pytest.raises(ValueError, match="retry"):
        sse(prices(), retry=-1)


# The stream


def test_the_answer_is_for_an_event_source(backend: str) -> None:
    client = client_of(backend, lambda: iter(["a", {"b": 1}, Event("c", id=1)]), retry=500)
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.text == 'retry: 500\n\ndata: a\n\ndata: {"b":1}\n\nid: 1\ndata: c\n\n'
    assert client.head("/").body == b""


@pytest.mark.parametrize("make", [lambda: ["a", "b"], lambda: (each for each in "ab")])
def test_any_iterable_will_do(backend: str, make: Callable[[], Any]) -> None:
    assert client_of(backend, make).get("/").text == "data: a\n\ndata: b\n\n"


def test_the_head_goes_out_at_once(backend: str) -> None:
    async def late() -> AsyncIterator[str]:
        await sleep(5)
        yield "late"

    client = client_of(backend, late)
    now = client.loop.now
    with client.stream("GET", "/") as answer:
        assert answer.status == 200
        assert client.loop.now == now
        assert next(iter(answer)) == b"data: late\n\n"
        assert client.loop.now == now + 5


def test_http_1_0_gets_it_up_to_the_end(backend: str) -> None:
    client = client_of(backend, lambda: ["a"])
    head, _, body = client.exchange(b"GET / HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    assert b"chunked" not in head
    assert body.replace(COMMENT, b"") == b"data: a\n\n"


def test_heartbeats_when_nothing_comes(backend: str) -> None:
    steps: list[str] = []

    async def slow() -> AsyncIterator[str]:
        for number in range(3):
            steps.append(f"asked for {number}")
            await sleep(25)
            yield str(number)

    client = client_of(backend, slow, heartbeat=10)
    start = client.loop.now
    with client.stream("GET", "/") as answer:
        got = [(client.loop.now - start, piece) for piece in answer]
    assert got == [
        (10, COMMENT),
        (20, COMMENT),
        (25, b"data: 0\n\n"),
        (35, COMMENT),
        (45, COMMENT),
        (50, b"data: 1\n\n"),
        (60, COMMENT),
        (70, COMMENT),
        (75, b"data: 2\n\n"),
    ]
    assert steps == ["asked for 0", "asked for 1", "asked for 2"]  # once each: no heartbeat has cost a step


def test_no_heartbeat_where_events_come(backend: str) -> None:
    async def quick() -> AsyncIterator[str]:
        for _ in range(50):
            yield "x"
            await sleep(9.9)

    assert COMMENT not in client_of(backend, quick, heartbeat=10).get("/").body


def test_no_heartbeat_where_none_is_wanted(backend: str) -> None:
    async def slow() -> AsyncIterator[str]:
        await sleep(500)
        yield "x"

    assert client_of(backend, slow, heartbeat=None).get("/").body == b"data: x\n\n"


variable: ContextVar[int] = ContextVar("variable")


def test_all_of_a_generator_runs_in_one_task(backend: str) -> None:
    async def events() -> AsyncIterator[Any]:
        token = variable.set(0)
        task = asyncio.current_task() if backend == "asyncio" else None
        for number in range(3):
            yield variable.get()
            variable.set(number + 1)
            await sleep(20)
        variable.reset(token)  # a ValueError in any other context
        yield task is None or task is asyncio.current_task()

    text = client_of(backend, events).get("/").text
    assert text.replace(":\n\n", "") == "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: true\n\n"


def test_a_time_limit_may_go_over_many_events() -> None:
    async def events() -> AsyncIterator[str]:
        try:
            async with asyncio.timeout(30):
                for number in range(100):
                    yield str(number)
                    await asyncio.sleep(14)
        except TimeoutError:
            yield "over"

    text = client_of("asyncio", events, heartbeat=5).get("/").text
    assert text.replace(":\n\n", "").split() == ["data:", "0", "data:", "1", "data:", "2", "data:", "over"]


def test_a_client_that_does_not_read_is_waited_for(backend: str) -> None:
    made: list[int] = []

    async def flood() -> AsyncIterator[str]:
        while True:
            made.append(1)
            yield "x" * 1000

    client = client_of(backend, flood, heartbeat=0.5)
    client.server.limits.write_timeout = 1000
    with client.stream("GET", "/") as answer:
        client.wait(100)
        sent = len(made)
        assert sent < 200
        client.wait(100)
        assert len(made) == sent
        body = b"".join(piece for _, piece in zip(range(sent * 2), answer, strict=False))
    assert COMMENT not in body  # none was sent behind what was not taken


def test_a_comment_is_not_put_into_an_event(backend: str) -> None:
    """Nor before one that waits for the client: an event goes out whole."""

    async def large() -> AsyncIterator[str]:
        for _ in range(3):
            yield "x" * 300_000
            await sleep(3)

    client = client_of(backend, large, heartbeat=1)
    pieces: list[bytes] = []
    with client.stream("GET", "/") as answer:
        for piece in answer:
            pieces.append(piece)
            client.wait(2)
    event = b"data: " + b"x" * 300_000 + b"\n\n"
    assert b"".join(pieces).replace(event, b"E").replace(COMMENT, b"") == b"EEE"


def test_the_last_event_id() -> None:
    router = Router()

    @router.get("/")
    async def events(req: Request) -> list[str | None]:
        return [last_event_id(req)]

    client = Client(router, "selectors")
    assert client.get("/").json == [None]
    assert client.get("/", headers={"Last-Event-ID": ""}).json == [None]
    assert client.get("/", headers={"Last-Event-ID": "snow ☃"}).json == ["snow ☃"]


def test_a_mistake_cuts_it_and_is_logged(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended: list[str] = []

    async def broken() -> AsyncIterator[Any]:
        try:
            yield "one"
            yield object()
        finally:
            ended.append("broken")

    generator = broken()  # nobody else would end it: it is held on to here
    client = client_of(backend, lambda: generator)
    with client.stream("GET", "/") as answer:
        pieces = iter(answer)
        assert next(pieces) == b"data: one\n\n"
        with pytest.raises(ConnectionResetError):
            next(pieces)
    assert ended == ["broken"]
    assert any("TypeError" in line for line in client.log)
    assert "TypeError" in capsys.readouterr().err


# The end


class Endless:
    """Events without end, and what becomes of them."""

    def __init__(self) -> None:
        self.ended: list[float] = []

    async def __call__(self) -> AsyncIterator[str]:
        try:
            yield "hello"
            await sleep(10_000)
        finally:
            await sleep(0)  # it may wait
            self.ended.append(time.monotonic())


def test_it_ends_when_the_client_leaves(backend: str) -> None:
    endless = Endless()
    client = client_of(backend, endless)
    with client.stream("GET", "/") as answer:
        assert next(iter(answer)) == b"data: hello\n\n"
        client.wait(100)
        assert endless.ended == []
    client.wait(0)
    assert len(endless.ended) == 1
    assert any("GET / → client left" in line for line in client.log)


def test_a_client_that_has_closed_is_probed_twice() -> None:
    router = Router()

    @router.get("/")
    async def events(req: Request) -> Response:
        return sse(Endless()(), heartbeat=60)

    wire = Wire(router).send(GET)
    before = len(wire.received)
    wire.wait(10).send_eof()
    assert wire.received[before:] == b"3\r\n:\n\n\r\n"
    wire.wait(PROBE / 2)
    assert wire.received.count(COMMENT) == 1
    wire.wait(PROBE)
    assert wire.received.count(COMMENT) == 2
    wire.wait(59)
    assert wire.received.count(COMMENT) == 2
    wire.wait(2)
    assert wire.received.count(COMMENT) == 3
    wire.lose()


def test_a_client_that_closes_before_the_first_event_is_probed_too(backend: str) -> None:
    async def late() -> AsyncIterator[str]:
        await sleep(3)
        yield "late"

    router = Router()

    @router.get("/")
    async def events(req: Request) -> Response:
        await sleep(1)
        return sse(late())

    data = Client(router, backend).exchange(GET)
    assert data.count(COMMENT) == 2
    assert data.endswith(b"data: late\n\n\r\n0\r\n\r\n")


@pytest.mark.parametrize("make", [Endless, lambda: lambda: iter(["hello"] * 1_000_000)])
def test_it_ends_when_the_server_stops(backend: str, make: Callable[[], Any]) -> None:
    source = make()
    client = client_of(backend, source)
    with client.stream("GET", "/") as answer:
        pieces = iter(answer)
        assert next(pieces).startswith(b"data: hello\n\n")
        now = client.loop.now
        client.loop.do(client.service.stop)
        assert b"".join(pieces).replace(b"data: hello\n\n", b"") == b""  # its end is marked as one
        assert client.loop.now - now < 1
    if isinstance(source, Endless):
        assert len(source.ended) == 1
    assert not any("ERROR" in line for line in client.log)


def test_a_server_that_stops_begins_none(backend: str) -> None:
    client = client_of(backend, Endless())
    client.loop.do(client.service.stop)
    answer = client.get("/")
    assert answer.status == 200
    assert answer.body == b""


def test_a_generator_that_does_not_let_itself_be_ended_is_ended_all_the_same(backend: str) -> None:
    async def stubborn() -> AsyncIterator[str]:
        while True:
            yield "hello"
            try:
                await sleep(1000)
            except BaseException as error:
                if isinstance(error, GeneratorExit):
                    raise

    client = client_of(backend, stubborn)
    with client.stream("GET", "/") as answer:
        assert next(iter(answer)) == b"data: hello\n\n"
        client.loop.do(client.service.stop)
        assert answer.read() == b"data: hello\n\n"


# Over real sockets


def read_until(client: socket.socket, wanted: bytes) -> bytes:
    data = b""
    while wanted not in data:
        piece = client.recv(65536)
        assert piece, data
        data += piece
    return data


@pytest.mark.parametrize("way", ["closed", "reset"])
@pytest.mark.parametrize("backend", ["asyncio", "selectors", "uvloop"])
def test_it_ends_soon_when_the_client_has_gone(serve: Callable[..., Server], backend: str, way: str) -> None:
    options: dict[str, Any] = {}
    if backend == "uvloop":
        uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
        options = {"backend": "asyncio", "loop_factory": uvloop.new_event_loop}
    endless = Endless()
    router = Router()

    @router.get("/")
    async def events(req: Request) -> Response:
        return sse(endless())

    server = serve(router, **options)
    with connect(server.port) as client:
        client.sendall(GET)
        read_until(client, b"data: hello")
        if way == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone = time.monotonic()
    while not endless.ended:
        assert time.monotonic() < gone + 5
        time.sleep(0.01)
    assert endless.ended[0] - gone < 1


def test_a_client_that_has_only_finished_sending_gets_all(serve: Callable[..., Server]) -> None:
    router = Router()

    @router.get("/")
    def events(req: Request) -> Response:
        def numbers() -> Iterator[int]:
            for number in range(3):
                time.sleep(0.2)
                yield number

        return sse(numbers())

    server = serve(router)
    with connect(server.port) as client:
        client.sendall(GET)
        client.shutdown(socket.SHUT_WR)
        data = read_until(client, b"0\r\n\r\n")
    for number in range(3):
        assert b"data: %d\n\n" % number in data


def test_a_server_with_clients_stops_at_once(serve: Callable[..., Server]) -> None:
    endless = Endless()
    router = Router()

    @router.get("/")
    async def events(req: Request) -> Response:
        return sse(endless())

    server = serve(router)
    with connect(server.port) as client:
        client.sendall(GET)
        read_until(client, b"data: hello")
        began = time.monotonic()
        server.stop()
        assert read_until(client, b"0\r\n\r\n")
        assert client.recv(100) == b""
    while server.service is not None:
        assert time.monotonic() < began + 5
        time.sleep(0.01)
    assert time.monotonic() - began < 2
    assert len(endless.ended) == 1
