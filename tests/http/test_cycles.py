"""No request and no closed connection leaves a reference cycle: memory goes when its last user goes."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from kissapi import Fail, Request, Router, sleep
from kissapi.extras.sse import sse
from tests.app import router
from tests.cases import about
from tests.wire import Wire

HOST = b" HTTP/1.1\r\nHost: a\r\n"
EXCHANGES = {
    "a request": b"GET /" + HOST + b"\r\n",
    "a parameter and JSON": b"GET /users/1" + HOST + b"\r\n",
    "a handler that waits": b"GET /sleep/0.1" + HOST + b"\r\n",
    "a body": b"POST /echo" + HOST + b"Content-Length: 3\r\n\r\nabc",
    "a chunked body": b"POST /echo" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "a head in pieces": b"GET /" + HOST,
    "a Fail": b"GET /fail" + HOST + b"\r\n",
    "an error": b"GET /error" + HOST + b"\r\n",
    "a result that cannot be sent": b"GET /unserialisable" + HOST + b"\r\n",
    "a stream": b"GET /stream" + HOST + b"\r\n",
    "no such path": b"GET /nope" + HOST + b"\r\n",
    "no request at all": b"\x16\x03\x01\x00",
    "an upgrade": b"GET /" + HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
}


def garbage_of(use: Callable[[], None]) -> list[str]:
    """What the second `use` leaves to the collector."""
    use()  # what is made once and kept
    gc.collect()
    use()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        garbage = [type(thing).__name__ for thing in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    return garbage


@pytest.fixture
def no_cycles() -> Any:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


ENDS = [pytest.param(Wire.lose, id="lost"), pytest.param(Wire.send_eof, id="ended")]


@pytest.mark.usefixtures("no_cycles")
@pytest.mark.parametrize("end", ENDS)
def test_a_connection_leaves_no_cycle(parser_class: Any, end: Callable[[Wire], Wire]) -> None:
    def use(data: bytes) -> None:
        wire = Wire(router, parser_class)
        wire.send(data, data).wait(1)
        end(wire)
        wire.wait(200)
        # The wire itself is a cycle of ours: transport and connection know each other.
        wire.connection.transport = None
        wire.transport.connection = None

    for name, data in EXCHANGES.items():
        with about(name):
            assert garbage_of(partial(use, data)) == []


held: ContextVar[Request] = ContextVar("held")
asking = Router()


@asking.on_error(Exception)
@asking.on_error(413)
async def answered(req: Request, error: Exception) -> str:
    return "an answer"


@asking.get("/held")
async def hold(req: Request) -> str:
    held.set(req)
    return "held"


@asking.get("/held/late")
async def hold_late(req: Request) -> str:
    held.set(req)
    await sleep(50)
    return "held"


@asking.get("/after/late")
async def after_late(req: Request) -> str:
    req.after(int)
    await sleep(50)
    return "late"


@asking.get("/generator")
async def broken(req: Request) -> AsyncIterator[str]:
    raise Fail(400)
    yield ""


@asking.get("/object")
async def unserialisable(req: Request) -> object:
    return {"an": object()}


@asking.post("/unread", stream=True, max_body=100)
async def unread(req: Request) -> str:
    return "unread"


ASKED = {
    "a request in a context variable": b"GET /held" + HOST + b"\r\n",
    "one that is not answered yet": b"GET /held/late" + HOST + b"\r\n",
    "what comes after an answer that never comes": b"GET /after/late" + HOST + b"\r\n",
    "a generator that fails": b"GET /generator" + HOST + b"\r\n",
    "a result that cannot be sent": b"GET /object" + HOST + b"\r\n",
    "a body that is too large": b"POST /unread" + HOST + b"Content-Length: 101\r\n\r\n",
    "a body that nobody reads and that breaks off": b"POST /unread" + HOST + b"Content-Length: 9\r\n\r\nabc",
}


@pytest.mark.usefixtures("no_cycles")
@pytest.mark.parametrize("end", ENDS)
def test_what_holds_a_request_makes_no_cycle(parser_class: Any, end: Callable[[Wire], Wire]) -> None:
    def use(data: bytes) -> None:
        wire = Wire(asking, parser_class).send(data).wait(1)
        end(wire)
        wire.wait(200)
        wire.connection.transport = None
        wire.transport.connection = None

    for name, data in ASKED.items():
        with about(name):
            assert garbage_of(partial(use, data)) == []


surrounded = Router()


@surrounded.around
async def outer(req: Request) -> AsyncIterator[Any]:
    response = yield
    if response.status == 409:
        raise response.error


@surrounded.around
async def inner(req: Request) -> AsyncIterator[Any]:
    try:
        response = yield
        req.state.response = response
        if req.path == "/broken":
            raise KeyError("broken")
        if req.path == "/late":
            await sleep(50)
    finally:
        req.on_end(noted)


def noted(outcome: str, size: int) -> None:
    pass


@surrounded.get("/{word}")
async def by_word(req: Request) -> Any:
    if req.params["word"] in ("fail", "conflict"):
        raise Fail(409 if req.params["word"] == "conflict" else 400)
    if req.params["word"] == "error":
        raise KeyError("error")
    if req.params["word"] == "sleep":
        await sleep(50)
    return {"stream": iter(["a", "b"]), "object": object()}.get(req.params["word"], "text")


@surrounded.get("/events/{word}")
async def events(req: Request) -> Any:
    async def each() -> AsyncIterator[str]:
        if req.params["word"] == "late":
            await sleep(5)
        raise KeyError("event")
        yield ""

    return sse(each())


WORDS = (
    "text fail error conflict sleep late broken stream object events/soon events/late no/such/path".split()
)


@pytest.mark.usefixtures("no_cycles")
@pytest.mark.parametrize("seconds", [0, 100], ids=["at once", "later"])
def test_an_around_makes_no_cycle(parser_class: Any, seconds: float) -> None:
    def use(word: str) -> None:
        wire = Wire(surrounded, parser_class).send(b"GET /" + word.encode() + HOST + b"\r\n").wait(seconds)
        wire.lose()
        wire.wait(200)
        wire.connection.transport = None
        wire.transport.connection = None

    for word in WORDS:
        with about(word):
            assert garbage_of(partial(use, word)) == []
