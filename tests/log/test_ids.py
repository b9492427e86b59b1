"""Ids: every line and record that is made while a request runs bears its id, whatever it is about."""

from __future__ import annotations

import io
import json
import logging
import time
from typing import Any

import pytest

from kissapi import Request, Router, spawn
from kissapi.extras.health import health
from kissapi.extras.json_log import JsonLog
from kissapi.extras.request_id import request_id
from kissapi.log import Log
from tests.peer import get, until
from tests.serving import THREE, make, running
from tests.wire import Wire


def app() -> Router:
    def check() -> None:
        raise OSError("no disk")

    names = iter("abcdef")
    router = Router()
    router.around(request_id(make=lambda: next(names)))
    router.mount("/", health({"disk": check}))

    @router.get("/spawn")
    async def background(req: Request) -> str:
        async def work() -> None:
            raise KeyError("x")

        spawn(work())
        return "ok"

    @router.get("/slow")
    async def slow(req: Request) -> str:
        time.sleep(0.11)  # noqa: ASYNC251
        return "ok"

    return router


@pytest.mark.parametrize("kind", THREE)
def test_lines_that_are_about_no_request(kind: str) -> None:
    texts = [io.StringIO(), io.StringIO()]
    logs: list[Any] = [Log, JsonLog]
    for text, log in zip(texts, logs, strict=True):

        class Kept(log):  # type: ignore[misc]
            def __init__(self, text: io.StringIO = text) -> None:
                super().__init__(text)

        with running(make(kind, app(), logger=Kept)) as server:
            assert get(server.port, "/-/ready")[0] == 503
            assert get(server.port, "/spawn")[0] == 200
            until(lambda text=text: "failed" in text.getvalue() and "work" in text.getvalue())
    lines = texts[0].getvalue().splitlines()
    assert lines[1].endswith("[WARNING] not ready: the check disk failed: OSError('no disk') [a]")
    assert lines[2].endswith("background.<locals>.work failed [b]")
    assert "[" not in lines[0].partition("] ")[2]  # the start
    lines = [json.loads(line) for line in texts[1].getvalue().splitlines()]
    assert [line.get("request_id") for line in lines[:3]] == [None, "a", "b"]
    assert lines[2]["traceback"].endswith("KeyError: 'x'")


def test_the_warning_of_a_slow_handler() -> None:
    wire = Wire(app())
    wire.service.clock = time.perf_counter
    wire.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    assert any("held up the loop" in line and line.endswith("[a]") for line in wire.lines)


def test_a_dict_that_an_app_logs_gives_no_id(caplog: pytest.LogCaptureFixture) -> None:
    request_id()
    with caplog.at_level(logging.INFO):
        logging.getLogger("shop").info("ordered: %s", {"request_id": "forged"})
    (record,) = caplog.records
    assert (record.request_id, "forged" in record.getMessage()) == ("-", True)  # type: ignore[attr-defined]
