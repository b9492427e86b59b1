"""Health: alive as long as the loop runs, ready as long as checks hold and the server does not stop."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from kissapi import Router, sleep
from kissapi.extras.health import health
from kissapi.extras.testing import Client
from tests.peer import ask, connect, until
from tests.serving import THREE, make, running


def test_without_checks(backend: str) -> None:
    router = Router()
    router.mount("/", health())
    client = Client(router, backend)
    for name, body in (("live", {"status": "live"}), ("ready", {"status": "ready", "checks": {}})):
        answer = client.get(f"/-/{name}")
        assert (answer.status, answer.json) == (200, body)
        assert answer.headers["cache-control"] == "no-store"
        assert client.head(f"/-/{name}").status == 200
        assert client.post(f"/-/{name}").status == 405


def test_checks_run_together_and_fail_one_by_one(backend: str) -> None:
    fine = True

    async def pool(app: Any) -> None:
        await sleep(1.5)
        if not app.connected:
            raise ConnectionError("secret host name")

    async def slow() -> None:
        await sleep(1.5 if fine else 60)

    def blocking() -> bool:
        return fine

    router = Router()
    router.mount("/", health({"pool": pool, "slow": slow, "blocking": blocking}))

    @router.on_start
    def start(app: Any) -> None:
        app.connected = True

    with Client(router, backend) as client:
        before = client.loop.now
        answer = client.get("/-/ready")
        assert client.loop.now - before == pytest.approx(1.5)
        assert answer.json == {"status": "ready", "checks": dict.fromkeys(["pool", "slow", "blocking"], "ok")}
        fine = client.service.app.connected = False
        answer = client.get("/-/ready")
        assert (answer.status, answer.json) == (
            503,
            {"status": "not ready", "checks": dict.fromkeys(["pool", "slow", "blocking"], "failed")},
        )
        assert client.loop.now - before == pytest.approx(3.5)
        assert client.get("/-/live").status == 200
        lines = [line for line in client.log if "not ready" in line]
        assert [line.partition("the check ")[2] for line in lines] == [
            "pool failed: ConnectionError('secret host name')",
            "slow failed: TimeoutError('it took longer than 2 s')",
            "blocking failed: ValueError('it returned False')",
        ]


@pytest.mark.parametrize("kind", THREE)
def test_not_ready_while_it_stops(kind: str) -> None:
    router = Router()
    router.mount("/", health())
    started, go_on = threading.Event(), threading.Event()

    @router.get("/slow")
    def slow(req: Any) -> str:
        started.set()
        go_on.wait(5)
        return "done"

    get = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
    with running(make(kind, router)) as server, connect(server.port) as busy, connect(server.port) as probe:
        assert b"200 OK" in ask(probe, get % b"-/ready")
        busy.sendall(get % b"slow")
        started.wait(5)
        service = server.service
        server.stop()
        until(lambda: service is not None and service.stopping)
        answer = ask(probe, get % b"-/ready")
        assert answer.startswith(b"HTTP/1.1 503")
        assert b'{"status":"stopping"}' in answer
        assert b"Connection: close" in answer
        go_on.set()


def test_its_place_is_a_choice() -> None:
    router = Router()
    router.mount("/internal", health(prefix="health/"))
    assert Client(router).get("/internal/health/live").status == 200
    assert all(route.hidden for route in router.routes())


def test_mistakes() -> None:
    with pytest.raises(TypeError, match="the check 'db' is"):
        health({"db": SimpleNamespace()})
    with pytest.raises(ValueError, match="seconds"):
        health(seconds=-1)
