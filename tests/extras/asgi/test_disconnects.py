"""A client that leaves an ASGI app: what the app hears, and how soon; and one that only sends no more."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from kissapi.extras.asgi import from_asgi
from tests import peer
from tests.certificates import trusting
from tests.extras.asgi.app import PLAIN
from tests.frames import handshake
from tests.serving import make, running
from tests.wire import parse_answers

if TYPE_CHECKING:
    from kissapi import Server

SECONDS = 0.1  # from the end of a client until the app has heard of it; 0.0005 were measured


class Leaving:
    """An ASGI app that notes when it has begun to wait, and when it has heard that its client has left."""

    def __init__(self) -> None:
        self.waits = 0
        self.heard: list[float] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        try:
            await getattr(self, scope["path"][1:])(receive, send)
        except OSError:
            self.heard.append(time.perf_counter())
            raise

    async def listens(self, receive: Any) -> None:
        self.waits += 1
        while "disconnect" not in (await receive())["type"]:
            pass
        self.heard.append(time.perf_counter())

    async def polls(self, receive: Any, send: Any) -> None:
        await self.listens(receive)

    async def events(self, receive: Any, send: Any) -> None:
        """As servers of events do: what ends it is the disconnect."""
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await self.listens(receive)

    async def streams(self, receive: Any, send: Any) -> None:
        """It does not listen, so `send` has to tell."""
        await self.sends(send, 100, 0.01)

    async def floods(self, receive: Any, send: Any) -> None:
        await self.sends(send, 65536, 0)

    async def sends(self, send: Any, size: int, pause: float) -> None:
        self.waits += 1
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        while True:
            await send({"type": "http.response.body", "body": bytes(size), "more_body": True})
            await asyncio.sleep(pause)

    async def talks(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await self.listens(receive)

    async def answers_late(self, receive: Any, send: Any) -> None:
        """It hears of the end, and sends its answer all the same."""
        await self.listens(receive)
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        for piece in (b"late", b"r"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.001)
        await send({"type": "http.response.body"})


GET = "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n"
REQUESTS = {
    "polls": GET.format("polls").encode(),
    "polls, and a request waits": GET.format("polls").encode() * 2,
    "polls, half a body": b"POST /polls HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
    "events": GET.format("events").encode(),
    "streams": GET.format("streams").encode(),
    "floods": GET.format("floods").encode(),
    "talks": handshake("/talks"),
}


def close(sock: Any) -> None:
    sock.close()


def say_goodbye(sock: Any) -> None:
    """Close as TLS has it: a word first."""
    sock.settimeout(0)
    try:
        sock.unwrap()
    except OSError:
        pass  # the server's own goodbye, or bytes that were under way
    sock.close()


ENDS: dict[str, Callable[[socket.socket], None]] = {"FIN": close, "RST": peer.reset}


class Live:
    def __init__(self, app: Leaving, server: Server, tls: Any) -> None:
        self.app = app
        self.server = server
        self.tls = tls

    def leave(self, request: bytes, end: Callable[[Any], None]) -> float:
        """Seconds from the end of a new client until the app has heard of it, by the clock of the server.

        The client is closed in the thread of the loop: so no other has to wake up in between.
        """
        app, loop = self.app, self.server.service.loop  # type: ignore[union-attr]
        waits, count, closed = app.waits, len(app.heard), list[float]()
        sock = peer.connect(self.server.port, tls=self.tls)
        sock.sendall(request)
        peer.until(lambda: app.waits > waits)
        if b"/polls" not in request:
            sock.recv(1)  # the answer has begun

        def leave() -> None:
            closed.append(time.perf_counter())
            end(sock)

        loop.call_soon_threadsafe(leave)
        peer.until(lambda: len(app.heard) > count)
        return app.heard[-1] - closed[0]


@pytest.fixture(
    scope="module", params=["asyncio", "asyncio, TLS", "uvloop", "uvloop, TLS"], ids=lambda each: each
)
def live(request: pytest.FixtureRequest, pems: Path) -> Iterator[Live]:
    loop, _, encrypted = request.param.partition(", ")
    options = {"certfile": pems / "cert.pem", "keyfile": pems / "key.pem"} if encrypted else {}
    app = Leaving()
    with running(make(loop, from_asgi(app), **options)) as server:
        yield Live(app, server, trusting(pems) if encrypted else None)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: each)
@pytest.mark.parametrize("end", ["FIN", "RST", "goodbye"])
def test_the_app_hears_of_it_at_once(
    live: Live, request_: str, end: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if end == "goodbye" and live.tls is None:
        return
    took = [live.leave(REQUESTS[request_], ENDS.get(end, say_goodbye)) for _ in range(3)]
    assert median(took) < SECONDS, took  # the median: the machine may have given one turn to others
    peer.until(lambda: not live.server.service.background)  # type: ignore[union-attr]
    assert "ERROR" not in capfd.readouterr().err  # that a client leaves is no mistake of the app


def test_a_client_that_only_sends_no_more_gets_its_answer(live: Live) -> None:
    if live.tls is not None:
        return  # of TLS both sides end at once
    count = len(live.app.heard)
    raw = peer.talk(live.server.port, GET.format("answers_late").encode(), end=True)
    assert [body for _, _, body in parse_answers(raw)] == [b"later"]
    assert len(live.app.heard) == count + 1


def test_a_client_that_only_sends_no_more_and_an_app_that_takes_it_at_its_word(live: Live) -> None:
    if live.tls is not None:
        return
    with pytest.raises(ConnectionResetError):  # half an answer does not look whole
        peer.talk(live.server.port, GET.format("events").encode(), end=True)
