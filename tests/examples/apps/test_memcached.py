"""The cache in examples/apps/memcached: byte for byte, by pymemcache on every loop, and how long it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from examples.apps.memcached import app
from kissapi.extras.testing import Client
from tests.serving import THREE, make, running
from tests.wire import split


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    app.store.clear()
    yield
    app.store.clear()


def ask(*chunks: bytes) -> bytes:
    return Client(app.server).exchange(*chunks)


WRONG = "CLIENT_ERROR bad command line format, or a value that is no number"
SESSIONS = {
    "set a 1 0 5/he/o/get a b/version": "STORED/VALUE a 1 5/he/o/END/VERSION 1.6.0",
    "set a 0 0 1 noreply/x/get a": "VALUE a 0 1/x/END",
    "nope/version": "ERROR/VERSION 1.6.0",
    "version/quit/version": "VERSION 1.6.0",
    "set a 0 0 1/xyz/get a/version": "CLIENT_ERROR bad data chunk/ERROR/END/VERSION 1.6.0",
    "add a 0 0 0//add a 0 0 1/x/get a": "STORED/NOT_STORED/VALUE a 0 0//END",
    "append a 0 0 1/x/set a 0 0 1/2": "NOT_STORED/STORED",
    "set a 0 0 1/2/prepend a 0 0 1/1/incr a 30/decr a 99/incr b 1": "STORED/STORED/42/0/NOT_FOUND",
    "set a 0 -1 1/x/get a/delete a": "STORED/END/NOT_FOUND",
    "delete/set a 0 " + "9" * 400 + " 1/x": "NOT_FOUND/STORED",
    "incr a/set a 0 0 1/x/incr a 1": f"{WRONG}/STORED/{WRONG}",
}


def lines(text: str) -> bytes:
    return f"{text}/".replace("/", "\r\n").encode()


@pytest.mark.parametrize("said", SESSIONS)
@pytest.mark.parametrize("way", range(4))
def test_session(said: str, way: int) -> None:
    assert ask(*split(lines(said))[way]) == lines(SESSIONS[said])


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"set a 0 0 9999999\r\n", b"CLIENT_ERROR object too large for cache\r\n"),
        (b"set a 0 0 x\r\nversion\r\n", b"CLIENT_ERROR bad command line format\r\n"),
        (b"x" * 70_000, b"CLIENT_ERROR line too long\r\n"),
    ],
)
def test_where_the_next_command_begins_is_not_known_the_connection_ends(said: bytes, answer: bytes) -> None:
    assert ask(said) == answer


def test_an_item_expires() -> None:
    assert ask(b"set a 0 100 1\r\nx\r\n") == b"STORED\r\n"
    assert app.find("a")
    app.store["a"] = app.store["a"]._replace(expires=1.0)
    assert ask(b"get a\r\n") == b"END\r\n"
    assert not app.store


@pytest.mark.parametrize("loop", THREE)
def test_pymemcache(loop: str) -> None:
    base = pytest.importorskip("pymemcache.client.base", reason="pymemcache is not installed")
    server = make(loop, app.router, parser_class=app.Parser, request_class=app.Command)
    with running(server):
        client = base.Client(("127.0.0.1", server.port), timeout=5)
        assert client.set("k", b"v\r\nx", noreply=False)
        assert client.get("k") == b"v\r\nx"
        client.set("n", "1")
        assert client.incr("n", 5) == 6
        assert client.get_many(["k", "n", "none"]) == {"k": b"v\r\nx", "n": b"6"}
        _, unique = client.gets("k")
        assert client.cas("k", "new", unique) is True
        assert client.cas("k", "old", unique) is False
        assert client.append("k", "er", noreply=False)
        assert client.get("k") == b"newer"
        assert client.delete("k", noreply=False)
        assert client.get("k") is None
        big = bytes(range(256)) * 3600
        assert client.set("big", big, noreply=False)
        assert client.get("big") == big
        assert client.version() == b"1.6.0"
        client.flush_all()
        assert client.get("n") is None
        client.quit()
