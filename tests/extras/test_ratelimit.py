"""Rate limits: so many in any window, for each client; what answers say; a storage that several share."""

from __future__ import annotations

import inspect
import sys
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Request, Router, Server, sleep
from kissapi.extras import ratelimit as module
from kissapi.extras.ratelimit import Limit, Memory, client_key, ratelimit
from kissapi.extras.testing import Client
from tests.peer import ask, connect, get
from tests.process.family import needs_fork
from tests.serving import THREE, Served, make, running

if TYPE_CHECKING:
    from tests.redis_server import RedisServer


def app(*limits: str, **options: Any) -> Router:
    router = Router()
    router.around(ratelimit(*limits, **options))

    @router.get("/")
    async def handler(req: Request) -> str:
        return "ok"

    return router


def test_so_many_in_any_window(backend: str) -> None:
    client = Client(app("3/minute"), backend)
    seen = []
    for pause in (0, 0, 25, 0, 30, 6, 20, 20):
        client.wait(pause)
        seen.append(client.get("/").status)
    # At 0, 0, 25, 25, 55, 61, 81 and 101 seconds.
    assert seen == [200, 200, 200, 429, 429, 200, 200, 200]


def test_what_answers_say() -> None:
    client = Client(app("2/minute", "3 per 2 hours"))
    first = client.get("/")
    assert first.headers["ratelimit-policy"] == '"2/minute";q=2;w=60, "3 per 2 hours";q=3;w=7200'
    assert first.headers["ratelimit"] == '"2/minute";r=1;t=60, "3 per 2 hours";r=2;t=7200'
    assert "retry-after" not in first.headers
    client.wait(12.5)
    client.get("/")
    refused = client.get("/")
    assert (refused.status, refused.headers["retry-after"]) == (429, "48")
    assert refused.headers["ratelimit"] == '"2/minute";r=0;t=48'
    assert refused.text == "Too Many Requests: the limit is 2/minute; try again in 48 s"
    client.wait(47.5)
    assert client.get("/").headers["ratelimit"] == '"2/minute";r=0;t=13, "3 per 2 hours";r=0;t=7140'
    client.wait(60)
    refused = client.get("/")
    assert (refused.status, refused.headers["retry-after"]) == (429, "7080")
    client.wait(7080)
    assert client.get("/").status == 200


def test_a_route_has_limits_of_its_own() -> None:
    router = app("10/minute")

    @router.post("/login", around=[ratelimit("1/minute")])
    async def login(req: Request) -> str:
        return "in"

    client = Client(router)
    answer = client.post("/login")
    assert answer.headers["ratelimit"] == '"1/minute";r=0;t=60, "10/minute";r=9;t=60'
    assert [client.post("/login").status, client.get("/").status, client.get("/nowhere").status] == [
        429,
        200,
        404,
    ]
    assert client.get("/").headers["ratelimit"] == '"10/minute";r=5;t=60'


@pytest.mark.parametrize(
    ("client", "key"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::", 1), "2001:db8:1:2::/64"),
        (("::1", 1), "::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (None, "unknown"),
    ],
)
def test_clients_are_told_apart(client: Any, key: str) -> None:
    class Asked(Request):
        @property
        def client(self) -> Any:
            return client

    assert client_key(Asked()) == key


def test_each_client_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    router = app("1/minute")
    server = Server(router=router, trusted_proxies="127.0.0.1")
    client = Client(server)
    for address, status in (("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.1", 429), ("2001:db8::1", 200)):
        assert client.get("/", headers={"x-forwarded-for": address}).status == status
    assert client.get("/", headers={"x-forwarded-for": "2001:db8::2"}).status == 429
    assert (
        Client(server).get("/", headers={"x-forwarded-for": "192.0.2.1"}).status == 200
    )  # a life of its own


def test_the_key_is_a_choice(backend: str) -> None:
    async def later(req: Request) -> str | None:
        await sleep(0.01)
        return req.query.get("user")

    for key in (lambda req: req.query.get("user"), later):
        client = Client(app("1/minute", key=key), backend)
        assert [client.get(f"/?user={name}").status for name in ("a", "b", "a", "b")] == [200, 200, 429, 429]
        assert [client.get("/").status for _ in range(3)] == [200] * 3  # None: without limits
        assert "ratelimit" not in client.get("/").headers


def test_memory_forgets_clients() -> None:
    memory = Memory([Limit.of("2/minute")])
    ((_, clients),) = memory._limits

    def hit(key: str, now: float) -> bool:
        coroutine = memory.hit(key, now)
        with pytest.raises(StopIteration) as done:
            coroutine.send(None)
        return bool(done.value.value[-1].allowed)

    for number in range(1000):
        assert hit(f"client {number}", number / 100)
    assert len(clients) == 1000
    for number in range(1000):
        hit("one", 100 + number)
    assert list(clients) == ["one"]
    assert len(clients["one"]) == 2


def test_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 100)
    router = app("1/day", key=lambda req: req.headers["x-key"])
    client = Client(router)
    (hook,) = router.around_hooks
    for number in range(200):
        assert client.get("/", headers={"x-key": f"{number} {'x' * 4000}"}).status == 200
    assert client.get("/", headers={"x-key": f"{199} {'x' * 4000}"}).status == 429
    (counters,) = inspect.getclosurevars(hook.function).nonlocals["counters"].values()
    ((_, clients),) = counters._limits
    assert len(clients) == 100
    assert max(map(len, clients)) <= 64


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [
        ("100/minute", 100, 60),
        ("1/second", 1, 1),
        (" 5 per 10 Seconds ", 5, 10),
        ("5/2hours", 5, 7200),
        ("1000 per day", 1000, 86400),
    ],
)
def test_limits_in_words(text: str, amount: int, seconds: int) -> None:
    assert Limit.of(text)[1:] == (amount, seconds)


@pytest.mark.parametrize(
    "text", ["", "100", "0/minute", "x/minute", "5/0 minutes", "5/fortnight", '5/minute";q=9', 5]
)
def test_what_is_no_limit(text: Any) -> None:
    with pytest.raises(ValueError, match="is no limit"):
        ratelimit(text)


def test_no_limit_at_all() -> None:
    with pytest.raises(ValueError, match="has limits"):
        ratelimit()


# Shared storages


@pytest.fixture
def library() -> Any:
    return pytest.importorskip("limits")


def test_a_shared_storage_counts_for_all(library: Any, broken: Any) -> None:
    server = app("2/minute", storage="kissapi-test://", name="a")
    other = app("2/minute", storage="kissapi-test://", name="a")
    third = app("2/minute", storage="kissapi-test://", name="b")
    assert [Client(each).get("/").status for each in (server, other, server, third)] == [200, 200, 429, 200]
    refused = Client(server).get("/")
    assert refused.headers["ratelimit"].startswith('"2/minute";r=0;t=')
    assert 58 <= int(refused.headers["retry-after"]) <= 60


@pytest.mark.parametrize("kind", THREE)
def test_a_shared_storage_in_a_thread(kind: str, library: Any, broken: Any) -> None:
    with running(make(kind, app("1/minute", storage="kissapi-test://", name=kind))) as server:
        assert [get(server.port, "/")[0] for _ in range(2)] == [200, 429]


def test_an_asynchronous_storage(library: Any) -> None:
    with running(make("asyncio", app("1/minute", "5/hour", storage="async+memory://"))) as server:
        assert [get(server.port, "/")[0] for _ in range(2)] == [200, 429]


PROGRAM = """
import os
from kissapi import Request, Router, Server
from kissapi.extras.ratelimit import ratelimit

router = Router()
router.around(ratelimit("20/hour", storage={storage!r}, name={name!r}))

@router.get("/pid")
async def pid(req: Request):
    return str(os.getpid())

Server(bind="127.0.0.1:0", router=router, workers=2, access_log=False).loop()
"""


@needs_fork
@pytest.mark.parametrize("kind", ["redis", "async+redis"])
def test_two_workers_count_together(
    kind: str, library: Any, redis_server: RedisServer, tmp_path: Path
) -> None:
    program = tmp_path / "app.py"
    program.write_text(PROGRAM.format(storage=f"{kind}+unix://{redis_server.path}", name=kind))
    with Served([sys.executable, program]) as served:
        clients = [connect(served.port) for _ in range(30)]  # open at one time: both workers have some
        answers = [ask(client, b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n") for client in clients]
    assert [answer[9:12] for answer in answers] == [b"200"] * 20 + [b"429"] * 10
    assert len({answer.rpartition(b"\n")[2] for answer in answers[:20]}) == 2
    assert "the storage fails" not in served.output


def test_no_client_makes_a_storage_fail(library: Any, broken: Any) -> None:
    client = Client(app("1/minute", storage="kissapi-test://", key=lambda req: req.headers["x-key"]))
    for key in ("two words", "x" * 300, "caf\xe9"):
        assert [client.get("/", headers={"x-key": key}).status for _ in range(2)] == [200, 429]
    assert all(
        key.isascii() and key.isprintable() and len(key) < 200 and " " not in key for key in broken.kept
    )


def test_a_storage_that_fails_limits_nothing(library: Any, broken: Any, backend: str) -> None:
    client = Client(app("1/minute", storage="kissapi-test://", name="fail"), backend)
    broken.fails = True
    assert [client.get("/").status for _ in range(3)] == [200] * 3
    (line,) = [line for line in client.log if "ratelimit" in line]
    assert "the storage fails, so nothing is limited for 5 s: ConnectionError('down')" in line
    assert broken.asked == 1  # then it is left in peace
    client.wait(5)
    broken.fails = False
    assert [client.get("/").status for _ in range(2)] == [200, 429]


@pytest.fixture
def broken(library: Any) -> Any:
    """A storage that can fail."""
    storage = storage_class()
    storage.fails, storage.asked = False, 0
    storage.kept.clear()
    return storage


@cache
def storage_class() -> Any:
    """Once: `limits` keeps the classes of storages by their schemes."""
    from limits.storage import MemoryStorage

    class Storage(MemoryStorage):
        STORAGE_SCHEME = ["kissapi-test"]  # noqa: RUF012
        fails = False
        asked = 0
        kept: dict[str, Any] = {}  # noqa: RUF012  # by all of them: they stand for one server

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.events = self.kept

        def acquire_entry(self, *arguments: Any, **options: Any) -> bool:
            Storage.asked += 1
            if Storage.fails:
                raise ConnectionError("down")
            return super().acquire_entry(*arguments, **options)

    return Storage


def test_a_storage_that_hangs_limits_nothing(
    library: Any, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    go_on = threading.Event()
    monkeypatch.setattr(broken, "acquire_entry", lambda *_, **__: go_on.wait(5))
    with running(make("selectors", app("1/minute", storage="kissapi-test://"))) as server:
        assert get(server.port, "/") == (200, b"ok")
        go_on.set()


def test_a_wrong_storage(library: Any) -> None:
    with pytest.raises(Exception, match="unknown storage"):
        ratelimit("1/minute", storage="postgres://")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "limits", None)
    ratelimit("1/minute")
    with pytest.raises(ImportError, match=r"pip install 'kissapi\[ratelimit\]'"):
        ratelimit("1/minute", storage="redis://localhost")
