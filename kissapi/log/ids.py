"""Ids: what the lines and records bear that are made while a request runs: request_id, trace_id, span_id.

A hook names each, with the function that gives the present one from a context variable: `bear("request_id",
current_id)`. Every log asks `current_ids`. A line about a request that is written later, such as that of the
access log, has the ids that the hook has left on the request. Without such hooks there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_sources: dict[str, Callable[[], str | None]] = {}


class Facts(dict[str, Any]):
    """The arguments of a record that is about a request, its ids among them.

    A type of its own: an app may log a dict that a client has sent, with any `request_id` in it.
    """


def bear(name: str, current: Callable[[], str | None]) -> None:
    """From now on every line, and every record of `logging`, bears what `current()` gives, as `name`.

    A record has "-" where that is None; a line then has nothing.
    """
    _sources[name] = current
    _mark_records()


def current_ids() -> dict[str, str]:
    """The ids of the request that runs here, by name."""
    return {name: found for name, current in _sources.items() if (found := current())}


def tag(ids: Mapping[str, str]) -> str:
    """What stands for `ids` in a line for people: ` [9f2c…]`; "" without any.

    >>> tag({"trace_id": "4bf9", "request_id": "9f2c"})
    ' [9f2c]'
    """
    found = ids.get("request_id") or ids.get("trace_id")
    return f" [{found}]" if found else ""


def _mark_records() -> None:
    try:
        import logging
    except ImportError:
        return
    before = logging.getLogRecordFactory()
    if hasattr(before, "_bears_ids"):
        return

    def make_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = before(*args, **kwargs)
        own = record.args if isinstance(record.args, Facts) else {}
        for name, current in _sources.items():
            setattr(record, name, own.get(name) or current() or "-")
        return record

    make_record._bears_ids = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make_record)
