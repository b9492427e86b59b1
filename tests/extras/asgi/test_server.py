"""An ASGI app on a real server: disconnects, back-pressure, lifespans, loops, the command line."""

from __future__ import annotations

import gc
import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kissapi import Router, Server
from kissapi.extras.asgi import from_asgi
from kissapi.extras.asgi.inward.exchange import Exchange
from tests import peer
from tests.extras.asgi.app import App
from tests.serving import Served, Started, environment, make, running

LOOPS = ["asyncio", "uvloop"]


class Live:
    def __init__(self, app: App, server: Server) -> None:
        self.app = app
        self.server = server

    def connect(self, path: str) -> socket.socket:
        sock = peer.connect(self.server.port)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return sock


@pytest.fixture(params=LOOPS)
def live(request: pytest.FixtureRequest) -> Iterator[Live]:
    app = App()
    with running(make(request.param, from_asgi(app))) as server:
        yield Live(app, server)
    assert app.seen[-1] == "shutdown"


def test_back_pressure_and_an_error_from_send(live: Live) -> None:
    sock = live.connect("/endless")
    assert sock.recv(10)
    size = -1
    while True:  # until no more is sent to a client that takes nothing
        unsent = max((each.unsent_size() for each in live.server.service.connections), default=0)  # type: ignore[union-attr]
        if unsent == size and unsent:
            break
        size = unsent
        time.sleep(0.02)
    assert size < 1 << 20
    assert live.app.seen == ["startup"]
    peer.reset(sock)
    peer.until(lambda: "send raises" in live.app.seen)
    sent = int(next(each for each in live.app.seen if each.startswith("sent")).split()[1])
    assert sent < 32 << 20


def test_streams_that_are_cut_leave_nothing(live: Live) -> None:
    service: Any = live.server.service
    gc.collect()
    gc.disable()  # what is left of an exchange would be a cycle
    try:
        for _ in range(200):
            sock = live.connect("/endless")
            sock.recv(1)
            peer.reset(sock)
        peer.until(lambda: live.app.seen.count("send raises") == 200)
        peer.until(lambda: not service.background and not service.connections)
        peer.until(lambda: not [each for each in gc.get_objects() if isinstance(each, Exchange)], seconds=2)
    finally:
        gc.enable()


def test_a_half_closed_client_gets_its_answer(live: Live) -> None:
    assert peer.talk(live.server.port, b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n", end=True).endswith(b"later")


def test_addresses(live: Live) -> None:
    with peer.client_of(live.server.port) as client:
        client.request("GET", "/scope")
        scope = json.load(client.getresponse())
    assert scope["server"] == ["127.0.0.1", live.server.port]
    assert scope["client"][0] == "127.0.0.1"
    assert scope["state"] == {"pool": "open"}


def test_selectors_are_refused() -> None:
    server = make("selectors", from_asgi(App()))
    with pytest.raises(RuntimeError, match="needs asyncio, and this server runs on selectors"):
        server.loop()


def test_several_loops_need_a_factory() -> None:
    with pytest.raises(RuntimeError, match="factory=True"):
        make("asyncio", from_asgi(App()), loops=2).loop()
    made: list[App] = []

    def make_app() -> App:
        made.append(App())
        return made[-1]

    with running(make("asyncio", from_asgi(make_app, factory=True), loops=2)) as server:
        for _ in range(4):
            assert peer.get(server.port, "/hello") == (200, b"Hello")
    assert [app.seen for app in made] == [["startup", "shutdown"]] * 2


# The command line

APP = """
import os
from tests.extras.asgi.app import App
app = App()

def make():
    return App()

class Broken(App):
    async def lifespan(self, scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": os.environ["MESSAGE"]})

broken = Broken()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP, encoding="utf-8")
    return tmp_path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "kissapi", *words, "--port=0", "--host=127.0.0.1"]


@pytest.mark.parametrize("words", ["shop:app", "shop:make", "shop:make --loops=2", "shop:app --workers=2"])
def test_the_command_line_serves_it(folder: Path, words: str) -> None:
    with Served(command(*words.split()), cwd=folder) as served:
        assert served.get("/hello") == b"Hello"


@pytest.mark.parametrize(
    "message", ["no database", "Traceback (most recent call last):\n  …\nKeyError: 'x'\n"]
)
def test_a_lifespan_that_fails_ends_the_start(folder: Path, message: str) -> None:
    with Started(command("shop:broken"), cwd=folder, env=environment(MESSAGE=message)) as started:
        assert started.end() == 1
    *above, last = started.output.splitlines()
    assert (
        last == f"kissapi: cannot start: the startup of the ASGI app has failed: {message.splitlines()[-1]}"
    )
    assert above == message.splitlines() if "\n" in message else not above


def test_a_router_beside_it() -> None:
    router = Router()
    router["/old"] = from_asgi(App())

    @router.get("/old/new")
    async def new(req: object) -> str:
        return "new"

    with running(make("asyncio", router)) as server:
        assert peer.get(server.port, "/old/new") == (200, b"new")
        assert peer.get(server.port, "/old/hello") == (200, b"Hello")
