"""Diagnostics: what the command line says beside the log, on standard error: as text, or as JSON.

A server that cannot start has no log yet. `kissapi.cli.main` chooses the form, once for the process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

_write: Callable[[str, str, str, str], None] | None = None  # of JSON; None for text


def speak_json() -> None:
    """From now on say it in JSON, and have Python itself do so: `--log-format json`."""
    from kissapi.extras import json_records  # only now: `logging` costs 10 ms

    global _write  # noqa: PLW0603  # standard error is one for the process, too
    json_records.speak_json()
    _write = json_records.write_json


def speaks_json() -> bool:
    """Whether it is said in JSON."""
    return _write is not None


def say(what: str, trace: str = "", level: str = "ERROR") -> None:
    """Say `what`, in one line; `trace` is the traceback that it is about, or ""."""
    sys.stdout.flush()
    if _write is not None:
        _write(level, "kissapi", what, trace.rstrip("\n"))
    else:
        print(f"{trace}kissapi: {what}", file=sys.stderr, flush=True)
