"""JSON records: every record is one line of JSON, whatever is in it; and all else that Python says."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from kissapi.extras.json_records import JsonFormatter
from kissapi.log.ids import Facts


def line(*args: Any, **more: Any) -> dict[str, Any]:
    """The line of one record."""
    logger = logging.getLogger("shop")
    record = logger.makeRecord("shop", logging.WARNING, __file__, 7, args[0], args[1:], None, **more)
    text = JsonFormatter().format(record)
    assert text.isascii()
    assert text.isprintable()
    found: dict[str, Any] = json.loads(text)
    return found


class Broken:
    def __repr__(self) -> str:
        raise KeyError("x")


def test_a_record() -> None:
    found = line("sold %d of %s", 3, "té\n", extra={"shop": "é", "count": 3})
    assert found.pop("time").endswith("Z")
    assert {name: found[name] for name in ("level", "logger", "message", "shop", "count")} == {
        "level": "WARNING",
        "logger": "shop",
        "message": "sold 3 of té\n",
        "shop": "é",
        "count": 3,
    }
    assert found.keys() <= {"level", "logger", "message", "shop", "count"}  # no ids outside of a request


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "nan"),
        (Broken(), "<Broken, and its repr raises KeyError>"),
        (3 + 4j, "(3+4j)"),
        ([1, {"a": object}], "[1, {'a': <class 'object'>}]"),
        ({"a": [1]}, {"a": [1]}),
    ],
)
def test_facts_that_json_cannot_say(value: Any, told: Any) -> None:
    found = line("text", extra={"fact": value, "other": 7})
    assert (found["fact"], found["other"]) == (told, 7)


def test_facts_do_not_take_the_place_of_what_every_line_has() -> None:
    found = line("text", extra={"time": "never", "level": "low", "logger": "me"})
    assert (found["level"], found["logger"], found["time"] != "never") == ("WARNING", "shop", True)


def test_a_text_that_does_not_fit_its_arguments() -> None:
    assert line("%d sold", "x")["message"] == "'%d sold' % ('x',)"
    assert line("%(text)s", Facts(text="as it is"))["message"] == "as it is"


def test_errors() -> None:
    record = logging.makeLogRecord({"msg": "failed", "levelname": "ERROR", "stack_info": "Stack:\n  here"})
    try:
        raise KeyError("a\x1b[2Jb")
    except KeyError:
        record.exc_info = sys.exc_info()
    found = json.loads(JsonFormatter().format(record))
    assert found["traceback"].startswith("Traceback (most recent call last):\n")
    assert found["traceback"].endswith("KeyError: 'a\\x1b[2Jb'")
    assert found["stack"] == "Stack:\n  here"
    record.exc_info, record.exc_text = None, "Traceback: as text"
    assert json.loads(JsonFormatter().format(record))["traceback"] == "Traceback: as text"
