"""Redis as a hub has it: lost and found again, silent, refusing; other publishers; several loops; the end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Request, Router, sleep, spawn, timeout
from kissapi.extras.pubsub import PubSub
from kissapi.extras.pubsub import redis as module
from kissapi.extras.sse import sse
from tests.frames import handshake
from tests.peer import connect, get, until
from tests.redis_server import RedisServer, a_redis
from tests.serving import Served, make, running

if TYPE_CHECKING:
    from kissapi.extras.websocket import WebSocket
    from tests.extras.pubsub.within import Place

on_each_asyncio = pytest.mark.parametrize(("loop", "line"), [("asyncio", "redis"), ("uvloop", "redis")])


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """A Redis that this test may stop."""
    with a_redis() as server:
        yield server


@on_each_asyncio
def test_any_program_may_publish(place: Place) -> None:
    async def body(hub: PubSub) -> None:
        assert place.redis is not None
        async with hub.subscribe("a") as messages:
            place.redis.ask("PUBLISH", place.prefix + "a", '{"from": "redis-cli"}')
            assert (await anext(messages)).json == {"from": "redis-cli"}

    place.run(body)


@pytest.mark.parametrize("loop", ["asyncio"])
@pytest.mark.parametrize("line", ["redis"])
@pytest.mark.parametrize("query", ["protocol=2", "protocol=3", "decode_responses=True", "socket_timeout=0.3"])
def test_what_the_url_may_say(place: Place, query: str) -> None:
    place.url += f"?{query}"

    async def body(hub: PubSub) -> None:
        async with hub.subscribe("a") as messages:
            await sleep(0.5)
            await hub.publish("a", b"\xff")
            assert (await anext(messages)).data == b"\xff"

    place.run(body)


def app(hub: PubSub, got: list[Any]) -> Router:
    """`got` has what comes in "a"; each path is published there."""
    router = Router()
    router.lifespan(hub.lifespan)

    async def listen() -> None:
        nonlocal got
        async for message in hub.subscribe("a", gaps=True):
            got += ["gap" if message.missed else message.text]

    @router.on_start
    async def begin() -> None:
        spawn(listen())
        await sleep(0.05)

    @router.get("/{text}")
    async def publish(req: Request, text: str) -> str:
        try:
            await hub.publish("a", text)
        except ConnectionError as error:
            return str(error)
        return "ok"

    return router


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_redis_that_goes_away_and_comes_back(
    kind: str, own: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    got: list[Any] = []
    hub = PubSub(own.url)
    with running(make(kind, app(hub, got))) as server:
        assert get(server.port, "/one") == (200, b"ok")
        until(lambda: got == ["one"])
        own.stop()
        assert b"the message to 'a' may be lost: " in get(server.port, "/two")[1]
        own.start()
        until(lambda: got == ["one", "gap"])
        own.wait_for("a", 1)
        assert get(server.port, "/three") == (200, b"ok")
        until(lambda: got == ["one", "gap", "three"])
    lines = [line for line in capsys.readouterr().out.splitlines() if "PubSub" in line]
    assert [line.partition("PubSub: ")[2][:40] for line in lines] == [
        "Redis is away, and subscribers miss mess",
        "Redis is back",
    ]


def test_a_subscriber_that_comes_while_redis_is_away_is_told(own: RedisServer) -> None:
    hub, router, got = PubSub(own.url), Router(), list[Any]()
    router.lifespan(hub.lifespan)

    @router.get("/")
    async def body(req: Request) -> None:
        (line,) = hub._lines.values()
        own.stop()
        while not line._is_away:
            await sleep(0.001)
        async with timeout(1), hub.subscribe("late", gaps=True) as messages:  # it does not wait
            own.start()
            got.append(await anext(messages))

    with running(make("asyncio", router)) as server:
        get(server.port, "/")
    assert [message.missed for message in got] == [True]


def test_a_redis_that_is_silent(own: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.1)
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    got: list[Any] = []
    with running(make("asyncio", app(PubSub(own.url), got))) as server:
        time.sleep(0.3)
        assert get(server.port, "/one") == (200, b"ok")
        until(lambda: got == ["one"])  # pings keep it
        os.kill(own.process.pid, signal.SIGSTOP)
        assert b"may be lost" in get(server.port, "/two")[1]
        time.sleep(0.3)
        os.kill(own.process.pid, signal.SIGCONT)
        until(lambda: "gap" in got)
        assert get(server.port, "/three") == (200, b"ok")
        until(lambda: got[-1] == "three")


def test_a_client_that_redis_refuses_later(own: RedisServer, capsys: pytest.CaptureFixture[str]) -> None:
    got: list[Any] = []
    with running(make("asyncio", app(PubSub(own.url), got))):
        own.ask("ACL", "SETUSER", "default", "resetchannels")
        own.ask("CLIENT", "KILL", "TYPE", "pubsub")
        time.sleep(0.4)
        own.ask("ACL", "SETUSER", "default", "allchannels")
        until(lambda: got == ["gap"])
    out = capsys.readouterr().out
    assert out.count("Redis is away") == out.count("Redis is back") == 1


def test_without_a_redis_the_server_does_not_start(tmp_path: Path) -> None:
    pytest.importorskip("redis")
    router = Router()
    router.lifespan(PubSub(f"unix://{tmp_path}/none.sock").lifespan)
    with pytest.raises(RuntimeError, match="PubSub cannot use Redis: "):
        make("asyncio", router).loop()


def test_redis_needs_asyncio() -> None:
    pytest.importorskip("redis")
    router = Router()
    router.lifespan(PubSub("redis://localhost").lifespan)
    with pytest.raises(RuntimeError, match="PubSub needs asyncio for Redis"):
        make("selectors", router).loop()


# Several loops, several processes, and the end


@pytest.mark.parametrize("loop", ["asyncio", "selectors"])
@pytest.mark.parametrize("line", ["memory", "redis"])
def test_messages_cross_the_loops_of_a_process(place: Place) -> None:
    if (place.loop, place.redis is None) == ("selectors", False):
        pytest.skip("Redis needs asyncio")
    hub = place.hub()
    heard: list[int] = []
    router = Router()
    router.lifespan(hub.lifespan)

    async def listen() -> None:
        nonlocal heard
        async for _ in hub.subscribe("a"):
            heard += [threading.get_ident()]

    @router.on_start
    async def begin() -> None:
        spawn(listen())
        await sleep(0.02)

    @router.get("/")
    async def publish(req: Request) -> None:
        await hub.publish("a", "x")

    with running(make(place.loop, router, loops=2)) as server:
        for count in (2, 4):
            until(lambda: get(server.port, "/")[0] == 204)
            until(lambda count=count: len(heard) == count)
        assert len(set(heard)) == 2


def streams(hub: PubSub) -> Router:
    router = Router()
    router.lifespan(hub.lifespan)

    @router.get("/events")
    async def events(req: Request) -> Any:
        async def each() -> Any:
            async for message in hub.subscribe("a"):
                yield message.text

        return sse(each())

    @router.websocket("/ws")
    async def both(ws: WebSocket) -> None:
        async def forward() -> None:
            async for message in hub.subscribe("a"):
                await ws.send(message.text)

        forwarding = spawn(forward())
        try:
            async for message in ws:
                await hub.publish("a", message)
        finally:
            forwarding.cancel()

    return router


@pytest.mark.parametrize(
    ("loop", "line"),
    [("asyncio", "memory"), ("selectors", "memory"), ("asyncio", "redis"), ("uvloop", "redis")],
)
def test_clients_that_leave_and_a_server_that_stops(place: Place) -> None:
    hub = place.hub()

    def open_all() -> list[Any]:
        clients = [connect(server.port) for _ in range(4)]
        for client in clients[:2]:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        for client in clients[2:]:
            client.sendall(handshake("/ws"))
        for client in clients:
            assert client.recv(10)
        until(lambda: place.subscribers(hub, "a") == (1 if place.redis else 4))
        return clients

    with running(make(place.loop, streams(hub), linger_timeout=0.2, drain_timeout=0.1)) as server:
        for client in open_all():
            client.close()
        until(lambda: place.subscribers(hub, "a") == 0)
        open_all()
        start = time.monotonic()
        server.stop()
        until(lambda: server.service is None)
        assert time.monotonic() - start < 3


def test_workers_are_told_that_memory_is_not_enough(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "from kissapi import Router, Server\n"
        "from kissapi.extras.pubsub import PubSub\n"
        "router = Router()\n"
        "router.lifespan(PubSub().lifespan)\n"
        "Server(bind='127.0.0.1:0', router=router, workers=2).loop()\n"
    )
    with Served([sys.executable, program]) as served:
        pass
    assert served.output.count("reaches the clients of this worker alone") == 2
