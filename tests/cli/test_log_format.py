"""--log-format json: no line of a process is anything else, from its start to its end."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.peer import get
from tests.serving import Started

APP = """
import logging, threading, warnings
from kissapi import Request, Router
from kissapi.extras.request_id import request_id

router = Router()
router.around(request_id())
warnings.warn("at import")

@router.get("/")
def hello(req: Request):
    logging.getLogger("shop").warning("in a def %s", "\\n")
    threading.Thread(target=lambda: 1 / 0, name="mine").start()
    class Odd:
        def __del__(self):
            raise KeyError("odd")
    Odd()
    return "hello"

@router.get("/error")
async def error(req: Request):
    raise KeyError("\\x1b" + "long" * 2000)
"""


def start(folder: Path, *flags: str) -> Started:
    (folder / "shop.py").write_text(APP, encoding="utf-8")
    command = [sys.executable, "-m", "kissapi", "shop:router", "--log-format", "json", *flags]
    return Started(command, cwd=folder)


def objects(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "logger", "message"} <= each.keys() for each in found)
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers need fork")
def test_all_that_is_said(tmp_path: Path) -> None:
    with start(tmp_path, "--port=0", "--host=127.0.0.1", "--workers=1") as server:
        port = int(json.loads(server.wait_for("Serving on"))["message"].rpartition(":")[2])
        for path in ("/", "/error", "/%0a"):
            get(port, path, {"User-Agent": 'a"\\x1b'})
        server.send(signal.SIGHUP)
        server.wait_for("has taken over")
        server.send(signal.SIGTERM)
        assert server.end() == 0
    lines = objects(server.output)
    by = {each["message"].partition("\n")[0]: each for each in lines}
    assert any("at import" in text and by[text]["logger"] == "py.warnings" for text in by)
    assert by["in a def "]["logger"] == "shop"
    assert by["mine ended by ZeroDivisionError"]["traceback"].endswith("ZeroDivisionError: division by zero")
    assert any("KeyError: 'odd'" in each.get("traceback", "") for each in lines)
    (failure,) = [each for each in lines if "raised KeyError" in each["message"]]
    assert failure["traceback"].endswith("long'")
    (access,) = [each for each in lines if each.get("status") == 200]
    assert access["request_id"] == by["in a def "]["request_id"]
    assert [each["status"] for each in lines if "status" in each] == [200, 500, 404]
    assert sum(each["message"].startswith("Serving on") for each in lines) == 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--bind=unix:/nowhere/x"], "/nowhere/x"),
        (["--workers=1", "--bind=unix:/nowhere/x"], "/nowhere/x"),
        (["--certfile=nowhere.pem"], "nowhere.pem"),
    ],
)
def test_what_keeps_it_from_starting(tmp_path: Path, flags: list[str], said: str) -> None:
    with start(tmp_path, *flags) as server:
        assert server.end() == 1
    last = objects(server.output)[-1]
    assert (last["level"], said in last["message"]) == ("ERROR", True)
    assert not last["message"].startswith("kissapi: ")


def test_an_app_that_cannot_be_imported(tmp_path: Path) -> None:
    with start(tmp_path, "--port=0") as server:
        (tmp_path / "shop.py").write_text("1 / 0\n", encoding="utf-8")
        assert server.end() == 1
    (line,) = objects(server.output)
    assert (line["message"], line["level"]) == ("shop cannot be imported", "ERROR")
    assert "shop.py" in line["traceback"]
