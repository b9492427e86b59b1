"""The program that type checkers read does what its types say."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.house import typed_program
from tests.places import ROOT
from tests.wire import Wire


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
def test_it_runs(backend: Any) -> None:
    with typed_program.ask() as client:
        assert client.get("/stock/pears").json == {"pears": 3}
        missing = client.get("/stock/apples")
        assert (missing.status, missing.json) == (404, {"error": "Not Found"})
        assert client.get("/accepts", headers=[("accept", "a"), ("accept", "b")]).json == ["a", "b"]
        upload = client.post("/form", form={"name": "x"}, files={"image": b"png"})
        assert (upload.status, upload.text) == (200, "png")
        assert client.post("/parts", files={"image": b"png"}).json == {"image": 3}
        answer = client.post("/login", body=b"ann")
        assert answer.status == 303
        first, second = answer.headers.get_all("set-cookie")
        assert first.startswith("user=ann; Expires=")
        assert second == "guest=; Max-Age=0; Path=/login; SameSite=Lax; HttpOnly"
        assert client.get("/page").text == "<p>page"
        order = client.post("/orders/7?rush=yes", json={"kind": "pear"})
        assert order.json == {"kind": "pear", "count": 9}
        assert client.get("/orders?kind=a&kind=b").json == ["a", "b", "nobody"]
        assert client.post("/images", files={"image": b"png"}).json == 3
        assert client.get("/ticks").text == "tick"
        assert client.get("/lines").text == "line"
        assert json.loads(client.get("/events").text.split("data: ")[1]) == {"n": 5}
    assert client.service.app.stock == {}


def test_mypy_finds_its_mistakes_and_no_others() -> None:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--cache-dir", "build/mypy", "-m", typed_program.__name__]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_parser_of_its_own() -> None:
    wire = Wire(typed_program.router, typed_program.Lines, typed_program.Shop).send(b"/page\n")
    assert wire.received.endswith(b"<p>page")
    assert wire.closed
