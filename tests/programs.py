"""Programs: small servers in a process of their own, on each loop there is, with what a test adds to them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.served import Served

ROOT = Path(__file__).parent.parent
LOOPS = [
    pytest.param("asyncio"),
    pytest.param("uvloop", marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="no uvloop here")),
    pytest.param("selectors"),
]

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


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def program(folder: Path, loop: str, more: str = "", **options: Any) -> Served:
    """The program, once it serves."""
    return Served([sys.executable, write(folder, loop, more, **options)], env=environment())


class Started:
    """A process that may not come to serve: its output by lines, and its end. It is killed in the end."""

    def __init__(self, *command: str | Path, cwd: Path | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,  # `communicate` would miss what a buffer has read ahead
        )
        self.output = ""

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_for(self, words: str) -> str:
        """The first line that has `words` in it."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline().decode():
            self.output += line
            if words in line:
                return line
        raise AssertionError(f"it ended, and had said:\n{self.output}")

    def send(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def end(self, seconds: float = 10) -> int:
        """Its exit code."""
        self.output += self.process.communicate(timeout=seconds)[0].decode()
        return self.process.returncode


def until(true: Callable[[], Any], seconds: float = 10) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and has not been waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
