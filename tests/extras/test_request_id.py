"""Request id: in the request, in the answer, in the log, and in all that is logged meanwhile."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest

from kissapi import Fail, Request, Router, spawn, to_thread
from kissapi.extras.json_log import JsonLog
from kissapi.extras.request_id import current_id, new_id, request_id
from kissapi.extras.testing import Client
from tests.peer import get
from tests.serving import THREE, make, running

HEX = re.compile("[0-9a-f]{32}")


def app(**options: Any) -> Router:
    router = Router()
    router.around(request_id(**options))

    @router.get("/")
    async def handler(req: Request) -> Any:
        return [req.id, current_id(), await to_thread(current_id)]

    @router.get("/plain")
    def plain(req: Request) -> Any:
        return [req.id, current_id()]

    @router.get("/error")
    async def error(req: Request) -> None:
        raise KeyError("x")

    @router.get("/fail")
    async def fail(req: Request) -> None:
        raise Fail(418)

    return router


def test_every_request_has_its_own(backend: str) -> None:
    client = Client(app(), backend)
    seen = set()
    for path in ("/", "/plain", "/"):
        answer = client.get(path)
        name = answer.headers["x-request-id"]
        assert HEX.fullmatch(name)
        assert set(answer.json) == {name}
        seen.add(name)
    assert len(seen) == 3
    assert current_id() is None
    assert HEX.fullmatch(new_id())
    for path in ("/error", "/fail", "/nowhere"):
        assert HEX.fullmatch(client.get(path).headers["x-request-id"])


@pytest.mark.parametrize(
    "given", ["0190f5d6-7b2c-7000-8000-000000000000", "a" * 128, "Root=1-67891233:ab/c_d.e+f"]
)
def test_one_from_outside_is_kept_if_it_is_trusted(given: str) -> None:
    for trust in (True, False):
        answer = Client(app(trust=trust)).get("/", headers={"X-Request-ID": given})
        assert (answer.headers["x-request-id"] == given) is trust
        assert answer.json[0] == answer.headers["x-request-id"]


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", 'a"b', "a\x1b[2J", "a, b", "é"])
def test_one_that_is_not_fit_is_not_kept(given: str) -> None:
    answer = Client(app(trust=True)).get("/", headers=[("x-request-id", given.replace("\x1b", "%1b"))])
    assert HEX.fullmatch(answer.headers["x-request-id"])


def test_header_and_maker_are_a_choice() -> None:
    numbers = iter("12")
    client = Client(app(header="X-Trace", make=lambda: next(numbers)))
    assert client.get("/").headers["x-trace"] == "1"
    assert client.get("/").json == ["2", "2", "2"]
    with pytest.raises(ValueError, match="no header name"):
        request_id("x request")


@pytest.mark.parametrize("kind", THREE)
def test_in_the_lines_of_the_log(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = iter("abcd")
    with running(make(kind, app(make=lambda: next(names)), access_log=True)) as server:
        for path in ("/", "/plain", "/error", "/nowhere"):
            get(server.port, path)
    log = capsys.readouterr().out
    for line in (
        "GET / [a] → 200",
        "GET /plain [b] → 200",
        "GET /error [c]: ",
        "GET /error [c] → 500",
        "GET /nowhere [d] → 404",
    ):
        assert line in log


def test_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    with running(make("selectors", app(make=lambda: "a"), logger=JsonLog, access_log=True)) as server:
        get(server.port, "/")
        get(server.port, "/error")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    lines = [line for line in lines if "path" in line]
    assert [line["request_id"] for line in lines] == ["a"] * 3
    assert lines[0]["message"].startswith("GET / → 200")


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []
        self.setFormatter(logging.Formatter("%(request_id)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((self.format(record).partition("\n")[0], record.getMessage()))


@pytest.fixture
def logger() -> Any:
    logger, kept = logging.getLogger("tests.request_id"), Kept()
    logger.setLevel(logging.INFO)
    logger.addHandler(kept)
    logger.propagate = False
    yield logger, kept.seen
    logger.removeHandler(kept)


@pytest.mark.parametrize("kind", THREE)
def test_in_the_records_of_logging(kind: str, logger: Any) -> None:
    logger, seen = logger
    names = iter("ab")
    router = app(make=lambda: next(names))

    @router.get("/log")
    async def log(req: Request) -> str:
        async def later() -> None:
            logger.info("spawned")

        logger.info("on the loop")
        await to_thread(logger.info, "in a thread of %s", {"a": "dict"})
        await spawn(later())
        req.after(logger.info, "after")
        return "ok"

    logger.info("before")
    with running(make(kind, router, logger=logger, access_log=True)) as server:
        get(server.port, "/log")
        get(server.port, "/error")
    found = {message.partition(" → 200")[0]: name for name, message in seen}
    assert {
        message: found[message] for message in ("before", "on the loop", "spawned", "after", "GET /log")
    } == {
        "before": "-",
        "on the loop": "a",
        "spawned": "a",
        "after": "a",
        "GET /log": "a",
    }
    assert found["in a thread of {'a': 'dict'}"] == "a"
    assert {name for name, message in seen if "/error" in message} == {"b"}


def test_a_factory_of_the_app_stays() -> None:
    before = logging.getLogRecordFactory()
    try:

        class Own(logging.LogRecord):
            pass

        logging.setLogRecordFactory(Own)
        request_id()
        request_id()
        record = logging.getLogger("a").makeRecord("a", 20, "f", 1, "text", (), None)
        assert isinstance(record, Own)
        assert record.request_id == "-"  # type: ignore[attr-defined]
    finally:
        logging.setLogRecordFactory(before)
