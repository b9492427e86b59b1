"""Errors asked: error handlers are asked, once, for all that is answered with a status they name.

Where there are none, nothing changes.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Fail, HttpParser, Request, Response, Router, Server, sleep
from kissapi.core import IDLE
from kissapi.extras import sse as sse_module
from kissapi.extras.debug import debug
from kissapi.extras.files import file, static
from kissapi.extras.sse import FIRST, sse
from tests.cases import about
from tests.peer import connect
from tests.serving import THREE, make, running
from tests.wire import Answer, Wire, parse_answers

if TYPE_CHECKING:
    from kissapi.http.service import Service


class Missing(Exception):
    pass


def get(path: str, *fields: str) -> list[bytes]:
    return ["\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()]


def post(path: str, *fields: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode() + body


def chunked(size: int) -> bytes:
    return b"1\r\nx\r\n" * size + b"0\r\n\r\n"


def routes(folder: Path) -> Router:
    (folder / "ten.txt").write_bytes(b"0123456789")
    router = Router()
    router["/folder"] = static("/", folder)

    @router.get("/file")
    async def as_file(req: Request) -> Response:
        return file(folder / "ten.txt")

    results: dict[str, Any] = {
        "set": {1j},
        "surrogate": "\ud800",
        "object": [object()],
        "piece": 5,
    }

    for name, result in results.items():

        async def convert(req: Request, result: Any) -> Any:
            return iter([result]) if result == 5 else result

        def convert_in_thread(req: Request, result: Any) -> Any:
            return iter([result]) if result == 5 else result

        async def as_response(req: Request, result: Any) -> Any:
            answer = Response("x")
            req.after(list)
            answer.body = iter([result]) if result == 5 else result
            return answer

        router.get(f"/result/{name}")(partial(convert, result=result))
        router.get(f"/plain/{name}")(partial(convert_in_thread, result=result))
        router.get(f"/response/{name}")(partial(as_response, result=result))

    errors: dict[str, Exception] = {"404": Fail(404, "x"), "missing": Missing(), "key": KeyError("k")}
    for name, error in errors.items():

        async def asynchronous(req: Request, error: Exception) -> AsyncIterator[str]:
            await sleep(0)
            raise error
            yield ""

        def synchronous(req: Request, error: Exception) -> Iterator[str]:
            raise error
            yield ""

        async def events(req: Request, asynchronous: Any, error: Exception) -> Any:
            return sse(asynchronous(req, error))

        async def soon(req: Request, error: Exception) -> Any:
            async def each() -> AsyncIterator[str]:
                await sleep(FIRST / 2)
                raise error
                yield ""

            return sse(each())

        def plain_events(req: Request, synchronous: Any, error: Exception) -> Any:
            return sse(synchronous(req, error))

        router.get(f"/async/{name}")(partial(asynchronous, error=error))
        router.get(f"/sync/{name}")(partial(synchronous, error=error))
        router.get(f"/sse/{name}")(partial(events, asynchronous=asynchronous, error=error))
        router.get(f"/sse-soon/{name}")(partial(soon, error=error))
        router.get(f"/sse-sync/{name}")(partial(plain_events, synchronous=synchronous, error=error))

    @router.post("/few", max_body=10)
    async def few(req: Request) -> bytes:
        return req.body

    @router.post("/usual")
    async def usual(req: Request) -> bytes:
        return req.body

    @router.post("/many", max_body=200)
    async def many(req: Request) -> bytes:
        return req.body

    @router.post("/few-streamed", stream=True, max_body=10)
    async def few_streamed(req: Request) -> str:
        return str(sum([len(piece) async for piece in req.stream()]))

    @router.post("/usual-streamed", stream=True)
    async def usual_streamed(req: Request) -> str:
        return str(sum([len(piece) async for piece in req.stream()]))

    @router.post("/many-streamed", stream=True, max_body=200)
    async def many_streamed(req: Request) -> str:
        return str(sum([len(piece) async for piece in req.stream()]))

    @router.post("/generator", stream=True, max_body=10)
    async def generator(req: Request) -> AsyncIterator[str]:
        size = sum([len(piece) async for piece in req.stream()])
        yield str(size)

    return router


POSTS = ["/few", "/usual", "/many", "/few-streamed", "/usual-streamed", "/many-streamed", "/generator"]


def too_large(path: str) -> Iterator[list[bytes]]:
    """The ways to send 300 bytes where at most 200 may be."""
    length, chunks = "Content-Length: 300", "Transfer-Encoding: chunked"
    yield [post(path, length)]
    yield [post(path, length, body=b"x" * 300)]
    yield [post(path, length), b"x" * 300]
    yield [post(path, length, "Expect: 100-continue")]
    yield [post(path, length, "Connection: keep-alive")]
    yield [post(path, length)[:40], post(path, length)[40:]]
    yield [post(path, "Content-Length: " + "9" * 19)]
    yield [post(path, chunks, body=chunked(300))]
    yield [post(path, chunks), chunked(300)]
    yield [post(path, chunks, body=chunked(300)[:30]), chunked(300)[30:]]


def all_cases() -> Iterator[tuple[str, int, list[bytes]]]:
    for kind in ("result", "plain", "response"):
        for name in ("set", "surrogate", "object", "piece"):
            yield f"{kind} {name}", 500, get(f"/{kind}/{name}")
    for kind in ("async", "sync", "sse", "sse-soon", "sse-sync"):
        for name, status in (("404", 404), ("missing", 500), ("key", 500)):
            yield f"{kind} {name}", status, get(f"/{kind}/{name}")
    for path in POSTS:
        for number, reads in enumerate(too_large(path)):
            yield f"413 {path} {number}", 413, reads
        yield f"408 {path}", 408, [post(path, "Content-Length: 9"), b"he"]
        yield f"408 {path} chunked", 408, [post(path, "Transfer-Encoding: chunked"), b"2\r\nhe\r\n"]
    for path in ("/file", "/folder/ten.txt"):
        yield f"416 {path}", 416, get(path, "Range: bytes=20-")
        yield f"412 {path}", 412, get(path, 'If-Match: "other"')
    yield "404", 404, get("/nowhere")
    yield "404 file", 404, get("/folder/none.txt")
    yield "404 expect", 404, [post("/nowhere", "Content-Length: 5", "Expect: 100-continue")]
    yield "405", 405, [post("/file", "Content-Length: 0")]
    yield "405 expect", 405, [post("/file", "Content-Length: 5", "Expect: 100-continue")]


CASES = {name: (status, reads) for name, status, reads in all_cases()}
STATUSES = (404, 405, 408, 412, 413, 416, 500)


def answer_all(router: Router, asked: list[str]) -> Router:
    for status in STATUSES:

        @router.on_error(status)
        async def of_status(req: Request, error: Exception, status: int = status) -> Any:
            asked.append(f"{status} {req.method} {req.path}")
            return {"error": status}

    @router.on_error(Missing)
    def missing(req: Request, error: Missing) -> Any:
        asked.append(f"Missing {req.method} {req.path}")
        return Response({"error": "missing"}, 500)

    return router


def wire_of(router: Router, parser_class: Any, service: Service | None = None) -> Wire:
    return Wire(router, parser_class, service=service, max_body=100, body_timeout=5)


def result_of(wire: Wire, reads: list[bytes]) -> Answer:
    for data in reads:
        wire.send(data).wait(0.01)
    wire.wait(9)
    (answer,) = parse_answers(wire.received)
    return answer


def each(router: Router, parser_class: Any) -> Iterator[tuple[str, list[bytes], Wire]]:
    """The cases, each with a client of its own that has only its own part of the log."""
    first = wire_of(router, parser_class)
    for name, (_, reads) in CASES.items():
        client = wire_of(router, parser_class, first.service)
        first.service.log.flush()
        client.log = first.log
        client.log.seek(client.log.truncate(0))
        yield name, reads, client


def test_it_is_asked_once_for_what_it_names(parser_class: Any, tmp_path: Path) -> None:
    asked: list[str] = []
    for name, reads, client in each(answer_all(routes(tmp_path), asked), parser_class):
        with about(name):
            asked.clear()
            status = CASES[name][0]
            result, fields, body = result_of(client, reads)
            assert result == status
            what = "missing" if name.endswith(" missing") else status
            assert body == (f'{{"error":{what}}}' if what == status else '{"error":"missing"}').encode()
            assert fields["content-type"] == "application/json"
            method, path, _ = reads[0].decode().split(" ", 2)
            assert asked == [f"{'Missing' if what == 'missing' else status} {method} {path}"]
            assert client.closed == (fields.get("connection") == "close")
            # A mistake is in the log though it is answered.
            assert ("Traceback" in "\n".join(client.lines)) == (status == 500 and what != "missing")


def test_where_there_is_none_nothing_changes(parser_class: Any, tmp_path: Path) -> None:
    for name, reads, client in each(routes(tmp_path), parser_class):
        with about(name):
            if name.startswith("sse"):  # the head is out at once
                client.send(*reads).wait(1)
                assert client.received.startswith(b"HTTP/1.1 200 ")
                assert client.transport.aborted
                continue
            status = CASES[name][0]
            result, fields, body = result_of(client, reads)
            assert result == status
            assert fields.get("content-type") == "text/plain"
            assert b"{" not in body
            if status == 416:
                assert fields["content-range"] == "bytes */10"


def test_in_debug_mode_it_is_asked_as_well(tmp_path: Path) -> None:
    """But for 500: that page gives way to the traceback."""
    asked: list[str] = []
    router = answer_all(routes(tmp_path), asked)
    debug(router)
    for name, reads, client in each(router, HttpParser):
        with about(name):
            asked.clear()
            status = CASES[name][0]
            result, _, body = result_of(client, reads)
            assert result == status
            if status == 500 and not name.endswith(" missing"):
                assert asked == []
                assert b"\nroute: GET " in body
            else:
                assert len(asked) == 1
                assert body.startswith(b'{"error":')


def test_what_it_raises_itself_is_a_plain_500(tmp_path: Path) -> None:
    router = routes(tmp_path)
    asked: list[Exception] = []

    def broken(req: Request, error: Exception) -> Any:
        asked.append(error)
        raise KeyError("mine")

    for what in (*STATUSES, Exception):
        router.on_error(what)(broken)
    for name, reads, client in each(router, HttpParser):
        with about(name):
            asked.clear()
            result, _, body = result_of(client, reads)
            assert (result, body) == (500, b"Internal Server Error")
            assert len(asked) == 1
            assert "KeyError: 'mine'" in "\n".join(client.lines)


UNFIT: dict[str, Any] = {"set": {1j}, "surrogate": "\ud800", "object": Response, "piece": 5}


@pytest.mark.parametrize("unfit", UNFIT)
def test_what_it_returns_and_cannot_be_sent_is_one_too(parser_class: Any, tmp_path: Path, unfit: str) -> None:
    router = routes(tmp_path)
    asked: list[Exception] = []

    for what in (*STATUSES, Exception):

        @router.on_error(what)
        async def answer(req: Request, error: Exception) -> Any:
            asked.append(error)
            return iter([UNFIT[unfit]]) if unfit == "piece" else UNFIT[unfit]

    for name, reads, client in each(router, parser_class):
        if name in ("result set", "async 404", "413 /few 0", "404", "sse missing"):
            with about(name):
                asked.clear()
                result, _, body = result_of(client, reads)
                assert (result, body) == (500, b"Internal Server Error")
                assert len(asked) == 1


def test_the_innermost_router_is_asked_first(parser_class: Any, tmp_path: Path) -> None:
    outer, inner = answer_all(Router(), []), routes(tmp_path)
    outer["/in"] = inner

    @inner.on_error(413)
    async def mine(req: Request, error: Fail) -> str:
        return "inner"

    reads = [post("/in/few", "Content-Length: 300")]
    assert result_of(wire_of(outer, parser_class), reads)[2] == b"inner"
    assert result_of(wire_of(outer, parser_class), get("/in/async/404"))[2] == b'{"error":404}'


def test_a_message_that_cannot_be_read_never_comes_to_a_router(parser_class: Any) -> None:
    asked: list[Exception] = []
    router = Router()
    for what in (400, 413, 431, 408, Exception):

        @router.on_error(what)
        async def note(req: Request, error: Exception) -> str:
            asked.append(error)
            return "asked"

    for reads in ([b"GET\r\n\r\n"], [b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 70_000], [b"GET / HT"]):
        wire = Wire(router, parser_class).send(*reads).wait(60)
        assert parse_answers(wire.received)[0][0] in (400, 408, 431)
    assert asked == []


@pytest.mark.parametrize("after", [FIRST / 2, FIRST * 2])
def test_events_wait_a_moment_for_the_first(parser_class: Any, after: float) -> None:
    router = Router()

    @router.get("/")
    async def events(req: Request) -> Any:
        async def each() -> AsyncIterator[str]:
            await sleep(after)
            raise Missing
            yield ""

        return sse(each())

    @router.on_error(Missing)
    async def missing(req: Request, error: Missing) -> Any:
        return Response("missing", 410)

    wire = Wire(router, parser_class).send(*get("/"))
    wire.wait(FIRST * 0.9 if after > FIRST else 0)
    assert wire.received == b""
    wire.wait(1)
    if after < FIRST:
        assert parse_answers(wire.received)[0][::2] == (410, b"missing")
        assert wire.connection.state is IDLE
    else:
        assert wire.received.startswith(b"HTTP/1.1 200 ")
        assert wire.transport.aborted


@pytest.fixture(params=THREE)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    router = answer_all(routes(tmp_path), [])
    with running(make(request.param, router, max_body=100, body_timeout=0.2)) as server:
        yield server


def test_it_is_so_on_all_loops(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse_module, "FIRST", 5.0)  # ten clients at once: a thread may begin late

    def check(name: str) -> None:
        status, reads = CASES[name]
        with connect(server.port) as client:
            for data in reads:
                client.sendall(data)
                if len(reads) > 1:
                    time.sleep(0.005)
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.status == status, name
            assert answer.read().startswith(b'{"error":'), name
            answer.close()

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(check, CASES))
