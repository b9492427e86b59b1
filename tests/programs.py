"""Programs: small servers in a process of their own, on each loop there is, with what a test adds to them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.serving import Served

LOOPS = [
    pytest.param("asyncio"),
    pytest.param("uvloop", marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="no uvloop here")),
    pytest.param("selectors"),
]


def spread(loop: str, names: str, *rows: Any) -> pytest.MarkDecorator:
    """The first of `rows` on each loop, each other one on one: most of all on each would show nothing new.

    @spread("loop", "workers, number", (None, SIGTERM), (1, SIGINT))
    """
    each = [(first, rows[0]) for first in LOOPS]
    each += [(LOOPS[(2, 0, 1)[index % 3]], row) for index, row in enumerate(rows[1:])]
    return pytest.mark.parametrize(
        (loop, *names.split(", ")),
        [pytest.param(*on.values, *(row if "," in names else (row,)), marks=on.marks) for on, row in each],
    )


APP = """
import os, signal, sys, time
from kissapi import Request, Router, Server, sleep, to_thread

router = Router()
{loop}

@router.get("/pid")
async def pid(req: Request):
    return str(os.getpid())

options = dict(bind="127.0.0.1:0", router=router, access_log=False, drain_timeout=0.1) | backend
server = Server(**(options | {options!r}))

def say(text):
    os.write(1, text.encode() + b"\\n")

{more}

if __name__ == "__main__":
    server.loop()
"""


def write(folder: Path, loop: str, more: str, **options: Any) -> Path:
    """The program as a file; `more` stands above its start."""
    backend = f"backend = dict(backend={loop!r})"
    if loop == "uvloop":
        backend = "import uvloop\nbackend = dict(loop_factory=uvloop.new_event_loop)"
    file = folder / "app.py"
    file.write_text(APP.format(loop=backend, options=options, more=more))
    return file


def program(folder: Path, loop: str, more: str = "", **options: Any) -> Served:
    """The program, once it serves."""
    return Served([sys.executable, write(folder, loop, more, **options)])
