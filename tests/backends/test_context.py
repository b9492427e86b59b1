"""Context: one request has one context, from its first hook to the last that is called after its answer.

What `on_start` has set all requests begin with; what one sets no other sees. The same on all loops.
"""

from __future__ import annotations

import http.client
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import pytest

from kissapi import Fail, Request, Response, Router, Server, sleep, to_thread
from kissapi.core import IDLE
from kissapi.extras.sse import sse
from kissapi.extras.testing import Client
from kissapi.http.upgrade import Upgrade
from tests.peer import connect, until
from tests.serving import THREE, make, running
from tests.wire import Wire

of_hook: ContextVar[str] = ContextVar("of_hook", default="unset")
of_handler: ContextVar[str] = ContextVar("of_handler", default="unset")
of_start: ContextVar[str] = ContextVar("of_start", default="unset")
own: ContextVar[int] = ContextVar("own", default=-1)


class Missing(Exception):
    pass


def seen(*more: Any) -> str:
    """What is seen of the context, in one line."""
    return " ".join([of_start.get(), of_hook.get(), of_handler.get(), *map(str, more)])


def expected(name: str, *more: Any) -> str:
    return " ".join(["started", f"hook-{name}", f"handler-{name}", *map(str, more)])


class App(NamedTuple):
    router: Router
    notes: dict[str, list[str]]  # what was seen after an answer, by the name of the request

    def wait(self, name: str, count: int) -> list[str]:
        until(lambda: len(self.notes.get(name, ())) >= count)
        return sorted(self.notes.get(name, []))


@pytest.fixture
def app() -> App:
    router = Router()
    app = App(router, {})

    def note(name: str, what: str) -> None:
        app.notes.setdefault(name, []).append(f"{what}: {seen()}")

    @router.before
    async def set_it(req: Request) -> None:
        name = req.query.get("name", "nobody")
        await sleep(0)
        of_hook.set(f"hook-{name}")

    def prepare(req: Request) -> str:
        name = req.query.get("name", "nobody")
        of_handler.set(f"handler-{name}")

        async def after() -> None:
            await sleep(0)
            note(name, "async after")

        def after_in_thread() -> None:
            note(name, "after")

        req.after(after)
        req.after(after_in_thread)
        return name

    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            last = own.get()
            own.set(number)
            yield seen(last) + "\n"
            await sleep(0)

    def plain_pieces() -> Iterator[str]:
        token = None
        for number in range(3):
            last = own.get()
            if token is not None:
                own.reset(token)  # ValueError in another context
            token = own.set(number)
            yield seen(last) + "\n"

    kinds: dict[str, Any] = {
        "value": seen,
        "generator": pieces,
        "plain-generator": plain_pieces,
        "sse": lambda: sse(pieces()),
        "plain-sse": lambda: sse(plain_pieces()),
        "response": lambda: Response(pieces()),
    }
    for kind, result in kinds.items():

        async def on_loop(req: Request, result: Any) -> Any:
            prepare(req)
            await sleep(0)
            return result()

        def in_thread(req: Request, result: Any) -> Any:
            prepare(req)
            return result()

        router.get(f"/async/{kind}")(partial(on_loop, result=result))
        router.get(f"/plain/{kind}")(partial(in_thread, result=result))

    @router.get("/fails/{where}")
    async def fails(req: Request) -> Any:
        prepare(req)
        if req.params["where"] == "handler":
            raise Missing

        async def fail() -> AsyncIterator[str]:
            await sleep(0)
            raise Missing
            yield ""

        return fail()

    @router.get("/fails-in-thread")
    def fails_in_thread(req: Request) -> Any:
        prepare(req)
        raise Fail(410)

    @router.on_error(Missing)
    async def missing(req: Request, error: Missing) -> Any:
        return Response(seen(), 200)

    @router.on_error(410)
    def gone(req: Request, error: Fail) -> Any:
        return Response(seen(), 200)

    @router.on_error(413)
    async def too_large(req: Request, error: Fail) -> Any:
        return Response(of_start.get(), 200)

    @router.post("/few", max_body=3)
    async def few(req: Request) -> None: ...

    return app


def started(loop: str, router: Router, **options: Any) -> Server:
    """A server whose `on_start` sets a variable."""
    server = make(loop, router, **options)

    @server.on_start
    async def start() -> None:
        await sleep(0)
        of_start.set("started")

    return server


KINDS = ["value", "generator", "plain-generator", "sse", "plain-sse", "response"]


def check(server: Server, app: App, way: str) -> None:
    for kind in KINDS:
        name = f"{way}-{kind}"
        with urllib.request.urlopen(f"{server.url}/{way}/{kind}?name={name}", timeout=5) as answer:
            text = answer.read().decode()
        if kind == "value":
            assert text == expected(name)
        else:
            lines = [line.removeprefix("data: ") for line in text.splitlines()]
            assert [line for line in lines if line] == [expected(name, last) for last in (-1, 0, 1)] or (
                [line for line in lines if line and line != ": "]
                == [expected(name, last) for last in (-1, 0, 1)]
            ), name
        assert app.wait(name, 2) == [f"after: {expected(name)}", f"async after: {expected(name)}"]


@pytest.mark.parametrize("loops", [1, 2])
@pytest.mark.parametrize("loop", THREE)
def test_what_hooks_and_handlers_set_is_seen_to_the_end(app: App, loop: str, loops: int) -> None:
    with running(started(loop, app.router, loops=loops)) as server:
        threads = []
        wrong: list[BaseException] = []

        def run(way: str) -> None:
            try:
                check(server, app, way)
            except BaseException as error:
                wrong.append(error)

        for way in ("async", "plain"):  # at the same time: neither sees what the other sets
            threads.append(threading.Thread(target=run, args=(way,)))
            threads[-1].start()
        for thread in threads:
            thread.join(10)
        for error in wrong:
            raise error
        for path in ("/fails/handler", "/fails/generator", "/fails-in-thread"):
            with urllib.request.urlopen(f"{server.url}{path}?name=wrong", timeout=5) as answer:
                assert answer.read().decode() == expected("wrong"), path


@pytest.mark.parametrize("loops", [1, 2])
@pytest.mark.parametrize("loop", THREE)
def test_an_answer_without_a_handler_sees_what_on_start_has_set(app: App, loop: str, loops: int) -> None:
    with running(started(loop, app.router, loops=loops)) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        client.putrequest("POST", "/few")
        client.putheader("Content-Length", "9")
        client.endheaders()
        assert client.getresponse().read() == b"started"
        client.close()


@pytest.mark.parametrize("loop", THREE)
def test_a_websocket_sees_it_too(loop: str) -> None:
    websockets = pytest.importorskip("websockets.sync.client")
    router = Router()
    notes: list[str] = []

    @router.before
    async def set_it(req: Request) -> None:
        of_hook.set(f"hook-{req.query['name']}")

    @router.websocket("/")
    async def echo(ws: Any) -> None:
        name = ws.request.query["name"]
        of_handler.set(f"handler-{name}")
        ws.request.after(lambda: notes.append(seen()))
        async for message in ws:
            await ws.send(f"{message}: {await to_thread(seen)}")

    with running(started(loop, router)) as server:
        with (
            websockets.connect(f"ws://127.0.0.1:{server.port}/?name=ann") as ann,
            websockets.connect(f"ws://127.0.0.1:{server.port}/?name=bob") as bob,
        ):
            for name, client in (("ann", ann), ("bob", bob), ("ann", ann)):
                client.send("hello")
                assert client.recv(5) == f"hello: {expected(name)}"
        until(lambda: len(notes) >= 2)
        assert sorted(notes) == [expected("ann"), expected("bob")]


@pytest.mark.parametrize("loop", THREE)
def test_an_upgrade_that_ends_at_once_is_followed_by_what_comes_after_it(loop: str) -> None:
    """What is called after it begins in a context that the hand-over may still be in."""
    router = Router()
    notes: list[str] = []

    class Short:
        def connection_made(self, transport: Any) -> None:
            transport.close()

        def connection_lost(self, error: Exception | None) -> None: ...

    @router.get("/")
    async def up(req: Request) -> Any:
        of_handler.set("handler")

        async def note() -> None:
            notes.append(of_handler.get())

        req.after(note)
        return Upgrade("short", Short())

    with (
        running(started(loop, router)) as server,
        connect(server.port) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: short\r\n\r\n")
        assert b"".join(iter(lambda: client.recv(4096), b"")).startswith(b"HTTP/1.1 101 ")
        until(lambda: notes)
        assert notes == ["handler"]


def test_requests_of_one_connection_do_not_see_each_others(parser_class: Any) -> None:
    router = Router()

    @router.get("/set")
    async def set_it(req: Request) -> str:
        of_handler.set("set")
        return of_handler.get()

    @router.get("/set/plain")
    def set_in_thread(req: Request) -> str:
        of_handler.set("set")
        return of_handler.get()

    @router.get("/")
    async def get(req: Request) -> str:
        return of_handler.get()

    paths = [b"/", b"/set", b"/", b"/set/plain", b"/"]
    wire = Wire(router, parser_class)
    wire.send(b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths)).wait(1)
    assert [part.rpartition(b"\r\n")[2] for part in wire.received.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"unset",
        b"set",
        b"unset",
        b"set",
        b"unset",
    ]
    assert wire.connection.state is IDLE


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
def test_the_test_client_has_it_as_well(app: App, backend: str) -> None:
    with Client(started(backend, app.router), backend) as client:
        for way in ("async", "plain"):
            for kind in ("generator", "plain-generator", "response"):
                text = client.get(f"/{way}/{kind}?name={kind}").text
                assert text.splitlines() == [expected(kind, last) for last in (-1, 0, 1)]
