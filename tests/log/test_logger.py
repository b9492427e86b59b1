"""Server(logger=…): the log in the hands of a logging.Logger."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from kissapi.log import Log, LoggerLog
from tests.log.test_log import GET, line_of, router
from tests.wire import Wire


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    kept: list[logging.LogRecord] = []
    logger = logging.getLogger("app")
    logger.addHandler(handler := Keep())
    logger.setLevel(logging.INFO)
    yield kept
    logger.removeHandler(handler)


def wire_with(log: Log) -> Wire:
    wire = Wire(router())
    wire.service.log = log
    return wire


def test_a_logger_gets_one_record_per_request_with_the_facts_in_extra(records: list[Any]) -> None:
    wire_with(LoggerLog(logging.getLogger("app"))).send(GET % b"200?secret=1")
    (record,) = records
    assert record.getMessage() == "GET /200 → 200 4B 0.0ms"
    assert record.levelname == "INFO"
    facts = {
        name: getattr(record, name) for name in ("method", "path", "status", "size", "milliseconds", "client")
    }
    assert facts == {
        "method": "GET",
        "path": "/200",
        "status": 200,
        "size": 4,
        "milliseconds": 0.0,
        "client": ("127.0.0.1", 50000),
    }


def test_a_logger_gets_errors_as_exceptions_and_no_colours(records: list[Any], monkeypatch: Any) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    log = LoggerLog(logging.getLogger("app"))
    wire_with(log).send(GET % b"500")
    log.warning("50% of \x1b[2J")
    error, answered, warning = records
    assert error.levelname == "ERROR"
    assert isinstance(error.exc_info[1], ValueError)
    assert warning.getMessage() == r"50% of \x1b[2J"
    assert not any("\x1b" in record.getMessage() for record in records)


def test_basic_config_doubles_no_line(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler(sys.stdout)])
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("time.strftime", lambda _: "12:35:01")
    line_of(Log())
    assert capsys.readouterr().out == "12:35:01 [INFO] GET / → 200 13B 0.2ms\n"
