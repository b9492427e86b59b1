"""The same app, asked the same things, answers alike on kissapi's own server and over ASGI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kissapi.extras.asgi import to_asgi
from kissapi.extras.testing import Client
from tests.extras.asgi.driver import Driver
from tests.extras.asgi.notes_app import make_router

JSON = [("content-type", "application/json")]
FORM = [("content-type", "application/x-www-form-urlencoded")]

REQUESTS: list[tuple[Any, ...]] = [
    ("GET", "/"),
    ("HEAD", "/"),
    ("OPTIONS", "/"),
    ("PUT", "/"),
    ("GET", "/text"),
    ("GET", "/bytes"),
    ("GET", "/nothing"),
    ("HEAD", "/nothing"),
    ("GET", "/none/such"),
    ("GET", "/app?x=1"),
    ("GET", "/item/7?q=a%20b&tag=x&tag=y"),
    ("GET", "/item/x"),
    ("GET", "/item/7?q=%FF"),
    ("GET", "/name/J%C3%BCrgen%2FA%20b"),
    ("GET", "/name/%7euser"),
    ("GET", "/name/a%00b"),
    ("GET", "/name/%FF"),
    ("GET", "/rest/a/b%2Fc/d"),
    ("POST", "/note", JSON, b'{"title": "a", "stars": 5}'),
    ("POST", "/note", JSON, b'{"title": 1}'),
    ("POST", "/note", JSON, b"{"),
    ("POST", "/note", FORM, b"title=a"),
    ("POST", "/json", JSON, b'{"a": [1, null]}'),
    ("POST", "/json", JSON, [b'{"a": ', b"[1]}"]),
    ("POST", "/json", JSON),
    ("POST", "/form", FORM, b"a=1&b=%C3%A9"),
    ("POST", "/small", [], b"1234"),
    ("POST", "/small", [], b"12345"),
    ("POST", "/small", [], [b"123", b"45"]),
    ("POST", "/large", [], b"x" * 2_000_000),
    ("POST", "/json", [], b"x" * 2_000_000),
    ("POST", "/sizes", [], b"x" * 300_000),
    ("POST", "/sizes", [], [b"x" * 50_000] * 20),
    ("POST", "/sizes", [], b""),
    ("POST", "/back", [], [b"ab", b"cd"]),
    ("GET", "/numbers"),
    ("HEAD", "/numbers"),
    ("GET", "/declared"),
    ("HEAD", "/declared"),
    ("GET", "/events"),
    ("GET", "/cookies", [("cookie", "x=1; y=2")]),
    ("GET", "/cookies", [("cookie", "x=1"), ("cookie", "y=2")]),
    ("GET", "/headers", [("accept", "text/html"), ("accept", "*/*")]),
    ("GET", "/headers"),
    ("GET", "/redirect"),
    ("GET", "/fail"),
    ("GET", "/bug"),
    ("GET", "/divide"),
    ("GET", "/file/small.txt"),
    ("HEAD", "/file/small.txt"),
    ("GET", "/file/large.bin"),
    ("HEAD", "/file/large.bin"),
    ("GET", "/file/large.bin", [("range", "bytes=10-99999")]),
    ("GET", "/file/large.bin", [("range", "bytes=9999999-")]),
    ("GET", "/static/small.txt", [("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")]),
    ("GET", "/static/none.txt"),
    ("GET", "/api/secret"),
    ("GET", "/api/secret", [("authorization", "x")]),
    ("GET", "/api/none"),
    ("GET", "/ws"),
    ("GET", "/after"),
]

OWN = ("connection", "date", "keep-alive", "server", "transfer-encoding")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "small.txt").write_text("small")
    (folder / "large.bin").write_bytes(b"0123456789" * 30_000)
    return folder


@pytest.fixture(scope="module")
def both(folder: Path) -> Iterator[tuple[Client, Driver, list[Any], list[Any]]]:
    ours: list[Any] = []
    theirs: list[Any] = []
    with Client(make_router(folder, ours)) as client, Driver(to_asgi(make_router(folder, theirs))) as driver:
        yield client, driver, ours, theirs


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: f"{each[0]} {each[1]}")
def test_answers_are_alike(both: Any, request_: tuple[Any, ...]) -> None:
    client, driver, ours, theirs = both
    method, target, *rest = request_
    fields = rest[0] if rest else []
    body = rest[1] if rest[1:] else b""
    client.cookies.clear()
    expected = client.request(
        method, target, headers=fields, body=body if isinstance(body, bytes) else iter(body)
    )
    answer = driver.ask(method, target, fields, body)
    assert answer.status == expected.status
    assert answer.body == expected.body
    assert sorted(line for line in answer.lines if line[0] not in OWN) == sorted(
        line for line in expected.headers.lines() if line[0] not in OWN
    )
    assert sorted(map(str, ours)) == sorted(map(str, theirs))
