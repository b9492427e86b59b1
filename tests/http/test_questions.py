"""Questions: what a request knows of its client is the same on all loops, wherever it is asked.

Each place is asked three times: of a client that stays, early of one that leaves by a reset, and for the
first time when that client has left.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router, Server, sleep
from kissapi.extras.sse import sse
from tests import frames
from tests.certificates import make_certificates

PLACES = (
    "handler def before after error generator lines sse upload afterwards afterwards-def websocket "
    "websocket-afterwards".split()
)
WHENS = ["stays", "early", "late"]


class Book:
    """The answers, by place and time; and when what asks may go on."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str, str], Any] = {}
        self.begun: set[str] = set()
        self.gone = threading.Event()

    def ask(self, req: Request, point: str) -> None:
        place, when = req.path.split("/")[1:3]
        self.answers[place, when, point] = {
            "client": req.client,
            "scheme": req.scheme,
            "host": req.headers["host"],
            "mark": req.headers.get("x-mark"),
            "path": req.path,
            "query": dict(req.query),
            "params": req.params,
        }

    def begin(self, req: Request) -> bool:
        """Whether the client will leave."""
        place, when = req.path.split("/")[1:3]
        if when != "late":
            self.ask(req, "first")
        self.begun.add(place)
        return when != "stays"

    async def wait(self, req: Request) -> None:
        try:
            while self.begin(req):
                await sleep(0.005)  # until it is cancelled
        finally:
            self.ask(req, "last")

    def block(self, req: Request) -> None:
        if self.begin(req):
            assert self.gone.wait(10)
        self.ask(req, "last")


def make_router(book: Book) -> Router:
    router = Router()

    def at(place: str, method: str = "GET", **options: Any) -> Any:
        return lambda handler: router.add_route(method, f"/{place}/{{when}}/{{id:int}}", handler, **options)

    async def hello(req: Request) -> str:
        return "hello"

    @at("handler")
    async def handler(req: Request) -> str:
        await book.wait(req)
        return "hello"

    @at("def")
    def plain(req: Request) -> str:
        book.block(req)
        return "hello"

    at("before")(hello)
    at("after")(hello)

    @router.before
    async def before(req: Request) -> None:
        if req.path.startswith("/before/"):
            await book.wait(req)

    @router.after
    async def after(req: Request, result: Any) -> None:
        if req.path.startswith("/after/"):
            await book.wait(req)

    @at("error")
    async def fails(req: Request) -> str:
        raise Fail(409)

    @router.on_error(409)
    async def answer(req: Request, error: Exception) -> str:
        await book.wait(req)
        return "hello"

    @at("generator")
    async def generator(req: Request) -> AsyncIterator[str]:
        yield "hello"
        await book.wait(req)

    @at("lines")
    def lines(req: Request) -> Iterator[str]:
        try:
            leaves = book.begin(req)
            while leaves:
                yield "hello"  # what blocks elsewhere may have its thread in between
            yield "hello"
        finally:
            book.ask(req, "last")

    @at("sse")
    async def events(req: Request) -> Response:
        return sse(generator_of_events(req))

    async def generator_of_events(req: Request) -> AsyncIterator[str]:
        yield "hello"
        await book.wait(req)

    @at("upload", "POST", stream=True)
    async def upload(req: Request) -> str:
        pieces = req.stream()
        try:
            async for _ in pieces:
                book.begin(req)
        finally:
            book.ask(req, "last")
        return "hello"

    @at("afterwards")
    async def afterwards(req: Request) -> str:
        async def wait(req: Request) -> None:
            if book.begin(req):
                while not book.gone.is_set():
                    await sleep(0.005)
            book.ask(req, "last")

        req.after(wait, req)
        return "hello"

    @at("afterwards-def")
    async def afterwards_def(req: Request) -> str:
        req.after(book.block, req)
        return "hello"

    @router.websocket("/websocket/{when}/{id:int}")
    async def talk(ws: Any) -> None:
        book.begin(ws.request)
        try:
            async for _ in ws:
                pass
        finally:
            book.ask(ws.request, "last")

    @router.websocket("/websocket-afterwards/{when}/{id:int}")
    async def talk_and_go(ws: Any) -> None:
        ws.request.after(book.block, ws.request)

    return router


def say(place: str, when: str) -> bytes:
    path = f"/{place}/{when}/7?a=1&b=%C3%BC"
    fields = ["X-Mark: it", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"]
    if place.startswith("websocket"):
        return frames.handshake(path, *fields) + (frames.close() if when == "stays" else b"")
    method = "POST" if place == "upload" else "GET"
    lines = [f"{method} {path} HTTP/1.1", "Host: a", *fields]
    if place == "upload":
        lines.append(f"Content-Length: {5 if when == 'stays' else 10}")
    return "\r\n".join([*lines, "", "hello" * (place == "upload")]).encode()


@pytest.fixture(params=["asyncio", "selectors", "uvloop"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("way", ["direct", "proxy", "TLS"])
def test_a_request_knows_its_client_everywhere(
    backend: str, way: str, serve: Callable[..., Server], tmp_path: Path
) -> None:
    book = Book()
    options: dict[str, Any] = {}
    if backend == "uvloop":
        uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
        options |= {"backend": "asyncio", "loop_factory": uvloop.new_event_loop}
    if way == "proxy":
        options["trusted_proxies"] = "127.0.0.1"
    if way == "TLS":
        options["certfile"] = make_certificates(tmp_path) / "both.pem"
    server = serve(make_router(book), **options)
    expected: dict[tuple[str, str, str], Any] = {}
    for when in WHENS:
        book.gone.clear()
        book.begun.clear()
        with ExitStack() as stack:
            clients = {place: stack.enter_context(connect(server, way)) for place in PLACES}
            for place, sock in clients.items():
                sock.sendall(say(place, when))
                for point in ["first"] * (when != "late") + ["last"]:
                    expected[place, when, point] = {
                        "client": ("192.0.2.7", 0) if way == "proxy" else sock.getsockname(),
                        "scheme": "http" if way == "direct" else "https",
                        "host": "a",
                        "mark": "it",
                        "path": f"/{place}/{when}/7",
                        "query": {"a": "1", "b": "ü"},
                        "params": {"when": when, "id": 7},
                    }
            wait_for(lambda: set(PLACES) - book.begun)
            if when != "stays":
                for sock in clients.values():
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.close()  # with a reset
                wait_for(lambda: server.service is None or server.service.count())
                book.gone.set()
            wait_for(lambda: expected.keys() - book.answers.keys())
    assert book.answers == expected


def wait_for(missing: Callable[[], Any]) -> None:
    """Wait until nothing is missing."""
    deadline = time.monotonic() + 10
    while left := missing():
        assert time.monotonic() < deadline, left
        time.sleep(0.005)


def connect(server: Server, way: str) -> Any:
    sock = socket.create_connection(("127.0.0.1", server.port), 10)
    if way != "TLS":
        return sock
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(sock)
