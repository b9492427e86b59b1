"""Protocols with `encode`: a result that cannot be sent is refused at once, and the log says 500."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Request, Response, Router
from kissapi.extras.sse import sse
from kissapi.http.upgrade import Upgrade
from tests.http.test_parser import LineParser
from tests.peer import connect
from tests.wire import Wire

if TYPE_CHECKING:
    from kissapi import Server

drawn: list[str] = []
closed: list[str] = []


class Pieces:
    """An iterator that tells what becomes of it."""

    def __next__(self) -> str:
        drawn.append("a piece")
        return "piece"

    def __iter__(self) -> Pieces:
        return self

    def close(self) -> None:
        closed.append("closed")


def router_of() -> Router:
    drawn.clear()
    closed.clear()
    router = Router()

    @router.get("/async")
    async def subscribe(req: Request) -> AsyncIterator[str]:
        drawn.append("async")
        yield "piece"

    @router.get("/sync")
    def produce(req: Request) -> Iterator[str]:
        drawn.append("sync")
        yield "piece"

    @router.get("/iterator")
    async def iterator(req: Request) -> Pieces:
        return Pieces()

    @router.get("/response")
    async def response(req: Request) -> Response:
        return Response(Pieces(), 201)

    @router.get("/events")
    async def events(req: Request) -> Response:
        return sse(Pieces())

    @router.get("/upgrade")
    async def upgrade(req: Request) -> Response:
        return Upgrade("other", object())

    @router.get("/hello")
    async def hello(req: Request) -> str:
        return "world"

    @router.get("/broken")
    async def broken(req: Request) -> Response:
        return Response("made", 299)

    return router


class Parser(LineParser):
    def encode(self, response: Response) -> bytes:
        if response.status == 299:
            raise KeyError(299)
        return super().encode(response)


REFUSED = ["/async", "/sync", "/iterator", "/response", "/events", "/upgrade"]


@pytest.mark.parametrize("path", REFUSED)
def test_what_is_not_whole_is_a_500_at_once_and_the_connection_goes_on(path: str) -> None:
    wire = Wire(router_of(), Parser).send(f"{path}\n/hello\n".encode()).wait(1)
    assert wire.received == b"500 Internal Server Error\n200 world\n"
    assert not wire.closed
    assert drawn == []
    assert closed == ["closed"] * (path in ("/iterator", "/response", "/events"))
    assert any("neither streams nor upgrades" in line for line in wire.lines)
    assert [line.partition("→ ")[2].rpartition(" ")[0] for line in wire.lines if "→" in line] == [
        "500 26B",
        "200 10B",
    ]


class Typed(Parser):
    def encode_result(self, result: object) -> bytes:
        return str(result).encode("ascii") + b"\n"


def test_a_parser_of_results_is_given_them_but_for_responses() -> None:
    wire = Wire(router_of(), Typed).send(b"/async\n/response\n/hello\n").wait(1)
    first, *others = wire.received.split(b"\n")
    assert first.startswith(b"<async_generator object")
    assert others == [b"500 Internal Server Error", b"world", b""]
    assert drawn == []


@pytest.fixture(params=["asyncio", "selectors", "uvloop"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_log_says_500_of_all_that_fails(
    serve: Callable[..., Server], backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    options: dict[str, Any] = {}
    if backend == "uvloop":
        uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
        options = {"backend": "asyncio", "loop_factory": uvloop.new_event_loop}
    logger = logging.getLogger("encode")
    server = serve(router_of(), parser_class=Parser, access_log=True, logger=logger, **options)
    with connect(server.port) as client:
        client.sendall(b"".join(f"{path}\n".encode() for path in [*REFUSED, "/hello", "/broken", "/hello"]))
        received = b"".join(iter(lambda: client.recv(4096), b""))
    assert received == b"500 Internal Server Error\n" * len(REFUSED) + b"200 world\n"  # and the end
    facts = [vars(record) for record in caplog.records if "status" in vars(record)]
    assert [(each["path"], each["status"]) for each in facts] == [
        *((path, 500) for path in REFUSED),
        ("/hello", 200),
        ("/broken", 500),
    ]
    assert drawn == []
