"""Serving: the two ways in which a test has a server.

`running` has one in a thread of this process, on any of the three loops: the test reaches its objects.
`Served` and `Started` have one in a process of its own: signals, exit codes, other Pythons.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from kissapi import Router, Server
from tests import peer
from tests.places import ROOT

# In a thread of this process

THREE = ["asyncio", "selectors", "uvloop"]


def options_of(loop: str) -> dict[str, Any]:
    """What makes a `Server` run on `loop`; the test is skipped where that is not installed."""
    if loop != "uvloop":
        return {"backend": loop}
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    return {"backend": "asyncio", "loop_factory": uvloop.new_event_loop}


def make(loop: str, router: Router, **options: Any) -> Server:
    """A server on a free port of 127.0.0.1, or on `bind=…`, that is not running yet: for `on_start`."""
    where = {} if "bind" in options else {"host": "127.0.0.1", "port": 0}
    return Server(router=router, **{**where, "access_log": False, **options_of(loop), **options})


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """`server` at work in a thread of its own, until the end of the block; then it is stopped at once."""
    thread = threading.Thread(target=server.loop, daemon=True)
    thread.start()
    deadline = time.monotonic() + 5
    while server.service is None and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert server.service is not None, "the server did not start"
    try:
        yield server
    finally:
        server.stop()
        server.stop()  # at once: tests that are about stopping do it themselves
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"


# In a process of its own

START = re.compile(r"\d\d:\d\d:\d\d \[INFO\] Serving on \w+://[^ ]+:(\d+)$")


def environment(**more: str) -> dict[str, str]:
    """The variables of a process that imports from this checkout; none of them is a setting of kissapi.

    Unbuffered: what the program prints stands in its place among the lines of the log.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KISSAPI_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and has not been waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


class Started:
    """A process that may never come to serve: its output by lines, and its end. It is killed in the end.

    `output` is all that it has printed and that was read; once it has ended, all.
    """

    def __init__(
        self, command: Sequence[str | Path], *, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> None:
        self.output = ""
        self.process = self._begin(command, cwd, environment() if env is None else env)

    def _begin(self, command: Sequence[str | Path], cwd: Path | None, env: dict[str, str]) -> Any:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            bufsize=0,  # `communicate` would miss what a buffer has read ahead
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def lines(self) -> Iterator[str]:
        """What it prints, line by line, until it has ended."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            yield line.decode()

    def wait_for(self, words: str) -> str:
        """The first line that has `words` in it."""
        for line in self.lines():
            self.output += line
            if words in line:
                return line
        raise AssertionError(f"it ended, and had said:\n{self.output}")

    def send(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.process.pid, number)

    def end(self, seconds: float = 10) -> int:
        """Its exit code, once it has ended by itself."""
        self.output += self.process.communicate(timeout=seconds)[0].decode()
        return self.process.returncode

    def __enter__(self) -> Started:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()


class Served(Started):
    """A process that serves: made, it has printed the line that tells its `port`.

    As a context manager it is stopped by SIGTERM in the end, and must end with exit code 0.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        seconds: float = 20,
    ) -> None:
        self.seconds = seconds
        super().__init__(command, cwd=cwd, env=env)
        # A server that never prints its line would hold the reader for ever: then both are ended.
        too_late = threading.Timer(seconds, self.process.kill)
        too_late.start()
        try:
            self.port = self._port()
        finally:
            too_late.cancel()

    def _port(self) -> int:
        for line in self.lines():
            self.output += line
            if found := START.match(line.rstrip()):
                return int(found[1])
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        raise AssertionError(f"no start line within {self.seconds} s, but:\n{self.output}")

    def get(self, path: str) -> bytes:
        """The body of a 200 to one GET."""
        status, body = peer.get(self.port, path, seconds=self.seconds)
        assert status == 200, (status, body)
        return body

    def stop(self) -> int:
        """Ask it to end as an operator does, and give its exit code."""
        assert self.process.stdout is not None
        if self.process.stdout.closed:  # it has been asked before
            return int(self.process.returncode)
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
        try:
            return self.end(self.seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.output += self.process.communicate()[0].decode()
            raise AssertionError(f"did not end {self.seconds} s after SIGTERM:\n{self.output}") from None

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = self.stop()
        if error is None:
            assert code == 0, f"exit code {code}:\n{self.output}"
        else:
            error.add_note(f"the server ended with {code}, and had said:\n{self.output}")
