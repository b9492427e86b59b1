"""The recipes that keep something in Redis, with a real one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.peer import client_of, get
from tests.redis_server import RedisServer, a_redis
from tests.serving import make, running

if TYPE_CHECKING:
    from kissapi import Server

LOOPS = ["asyncio", "uvloop"]


@pytest.fixture
def url(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    redis_server.ask("FLUSHALL")
    return redis_server.url


def serving(loop: str, server: Server) -> Any:
    return running(make(loop, server.router, request_class=server.request_class))


class Browser:
    """A client with the cookie of a session."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = ""

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        fields = {"Cookie": self.cookie, "Content-Type": "application/x-www-form-urlencoded"}
        with client_of(self.port) as client:
            client.request(method, path, body, fields)
            answer = client.getresponse()
            if cookie := answer.getheader("set-cookie"):
                self.cookie = cookie.partition(";")[0]
            return answer.status, answer.read().decode()


@pytest.mark.parametrize("loop", LOOPS)
def test_sessions_end_at_a_logout(loop: str, url: str, redis_server: RedisServer) -> None:
    from examples.recipes import redis_sessions

    with serving(loop, redis_sessions.server) as server:
        ann, phone, thief = (Browser(server.port) for _ in range(3))
        for browser in (ann, phone):
            assert browser.ask("POST", "/login", "name=ann") == (200, "welcome, ann")
            assert browser.ask("GET", "/members/") == (200, "hello, ann")
        kept = redis_server.ask("KEYS", "session:*")
        assert len(kept) == 2
        assert 3590 <= redis_server.ask("TTL", kept[0]) <= 3600
        before, thief.cookie = ann.cookie, ann.cookie
        assert ann.ask("POST", "/login", "name=ann")[0] == 200
        assert ann.cookie != before
        assert thief.ask("GET", "/members/") == (403, "log in first")
        thief.cookie = ann.cookie
        assert ann.ask("POST", "/logout")[0] == 204
        assert thief.ask("GET", "/members/") == (403, "log in first")
        assert phone.ask("GET", "/members/") == (200, "hello, ann")
        ann.ask("POST", "/login", "name=ann")
        assert phone.ask("POST", "/members/logout-everywhere")[0] == 204
        assert ann.ask("GET", "/members/") == (403, "log in first")
        time.sleep(0.01)
        ann.ask("POST", "/login", "name=ann")
        assert ann.ask("GET", "/members/") == (200, "hello, ann")


def test_a_session_has_an_end(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.recipes import redis_sessions

    with serving("asyncio", redis_sessions.server) as server:
        ann = Browser(server.port)
        ann.ask("POST", "/login", "name=ann")
        monkeypatch.setattr(redis_sessions, "LONGEST", 0)
        assert ann.ask("GET", "/members/") == (403, "log in first")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    with a_redis() as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        yield server


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_dear_is_made_once(loop: str, own: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.recipes import redis_cache

    made: list[str] = []

    async def make_report(of: str) -> dict[str, Any]:
        made.append(of)
        await redis_cache.sleep(0.05)
        if of == "bad":
            raise ValueError("cannot be made")
        return {"of": of}

    monkeypatch.setattr(redis_cache, "make_report", make_report)
    with (
        serving(loop, redis_cache.server) as one,
        serving(loop, redis_cache.server) as two,  # as another process would
        ThreadPoolExecutor(20) as clients,
    ):
        ports = [one.port, two.port] * 20
        answers = list(clients.map(lambda port: get(port, "/reports/pears"), ports))
        assert answers == [(200, b'{"of": "pears"}')] * 40
        assert made == ["pears"]
        assert 54 <= own.ask("TTL", "report:pears") <= 66
        assert own.ask("KEYS", "*") == [b"report:pears"]  # and no lock
        assert [get(one.port, "/reports/bad")[0] for _ in range(2)] == [500, 500]  # not kept, nor locked
        own.stop()
        assert get(one.port, "/reports/plums") == (200, b'{"of": "plums"}')
