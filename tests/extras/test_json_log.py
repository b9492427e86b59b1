"""JSON log: every line is one object, whatever happens."""

from __future__ import annotations

import io
import json
import os
import re
from typing import Any

import pytest

from kissapi import Request, Router, Server
from kissapi.extras.json_log import JsonLog
from kissapi.http.limits import Limits
from kissapi.http.service import Service
from kissapi.log import BACKLOG
from kissapi.routing.dispatch import Dispatch
from tests.peer import client_of
from tests.serving import make, running
from tests.wire import FakeLoop, Wire

router = Router()


@router.get("/")
async def hello(req: Request) -> str:
    return "Hello"


@router.get("/wrong")
async def wrong(req: Request) -> None:
    raise KeyError("x")


def records_of(*paths: str) -> list[dict[str, Any]]:
    stream = io.StringIO()
    loop = FakeLoop()
    log = JsonLog(stream)
    service = Service(
        loop=loop,
        spawn=loop.create_task,
        dispatch=Dispatch(router),
        parser_class=Server().parser_class,
        request_class=Request,
        limits=Limits(),
        log=log,
        clock=loop.time,
    )
    wire = Wire(router, service=service)
    for path in paths:
        wire.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    log.info("the end")
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_requests() -> None:
    first, second, last = records_of("/?secret=1", "/%0a")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {
        "level": "INFO",
        "logger": "kissapi.access",
        "message": "GET / → 200 5B 0.0ms",
        "method": "GET",
        "path": "/",
        "route": "/",
        "status": 200,
        "size": 5,
        "milliseconds": 0.0,
        "client": first["client"],
    }
    assert first["client"] is None or re.fullmatch(r"[\d.]+:\d+", first["client"])
    assert (second["path"], second["route"], second["status"]) == ("/%0A", None, 404)
    del last["time"]
    assert last == {"level": "INFO", "logger": "kissapi", "message": "the end"}


def test_failures_come_in_order_and_with_their_traceback() -> None:
    before, failure, answer, _ = records_of("/", "/wrong")
    assert before["path"] == "/"
    assert (failure["level"], failure["message"]) == ("ERROR", "GET /wrong: wrong raised KeyError")
    assert (failure["method"], failure["path"]) == ("GET", "/wrong")
    assert failure["traceback"].endswith("KeyError: 'x'")
    assert answer["status"] == 500


def test_other_lines() -> None:
    stream = io.StringIO()
    log = JsonLog(stream)
    log.warning("a\nb")
    log.error("failed", error=ValueError("y"))
    log.unanswered(Request(path="/x"), "client left", 0.25)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["level"] for line in lines] == ["WARNING", "ERROR", "INFO"]
    assert lines[1]["traceback"] == "ValueError: y"
    assert (lines[2]["message"], lines[2]["milliseconds"]) == ("GET /x → client left after 250.0ms", 250.0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes to poll here")
def test_a_reader_that_is_slow_gets_json_too() -> None:
    reading, writing = os.pipe()
    with open(writing, "w", encoding="utf-8") as stream:
        log = JsonLog(stream)
        for _ in range(BACKLOG // 50_000 + 4):
            log.info("x" * 50_000)
        text = b""
        while log._output.backlog or log._output.dropped:
            text += os.read(reading, 1 << 20)
            log.info("y")
        log.finish()
    while piece := os.read(reading, 1 << 20):
        text += piece
    os.close(reading)
    lines = [json.loads(line) for line in text.splitlines()]
    assert any("lines are missing here" in line["message"] for line in lines)


def test_each_loop_writes_it(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    with running(make(backend, router, logger=JsonLog, access_log=True, loops=2)) as server:
        for _ in range(2):
            with client_of(server.port) as client:
                client.request("GET", "/")
                assert client.getresponse().read() == b"Hello"
                port = client.sock.getsockname()[1]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum("path" in line for line in lines) == 2
    assert f"127.0.0.1:{port}" in [line.get("client") for line in lines]
