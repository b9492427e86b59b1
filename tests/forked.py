"""Forked: programs that begin as forks of one process, which has imported kissapi and asyncio.

A Python that imports them takes 100 ms of a processor before the program's first line, a fork 10 ms. The
stem is started with the first program and ends with this process. For each program it forks a guard, which
forks the program, tells its number, waits for it and tells its exit code. The program is a Python source that
is run as by `python -c`: its end is that of any Python.

What is about the start of a process, its signals or its memory has a Python of its own: tests/serving.py.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import cache

from tests.places import ROOT

STEM = """
import asyncio, json, os, socket, sys
import kissapi.backends.asyncio, kissapi.backends.loop, kissapi.process, kissapi.server.running
stem = socket.socket(fileno=0)
guards = []
while True:
    said, sent, *_ = socket.recv_fds(stem, 65536, 2)
    guards = [each for each in guards if os.waitpid(each, os.WNOHANG if said else 0)[0] == 0]
    if not said:
        sys.exit()
    while not said.endswith(b"\\n"):
        said += stem.recv(65536)
    output, told = sent
    if guard := os.fork():
        guards.append(guard)
        os.close(output), os.close(told)
        continue
    stem.detach()
    if program := os.fork():
        try:
            os.close(output)
            os.write(told, b"%d\\n" % program)
            os.write(told, b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]))
        finally:
            os._exit(0)
    os.close(told)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, number in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, number)
    os.close(nothing), os.close(output)
    break
source, arguments, variables = json.loads(said)
os.environ.clear()
os.environ.update(variables)
sys.argv = ["-c", *arguments]
exec(source, {"__name__": "__main__"})
"""


class Stem:
    def __init__(self) -> None:
        self.asks, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", STEM],
                stdin=theirs,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            )
        self.one_at_a_time = threading.Lock()
        atexit.register(self.end)

    def end(self) -> None:
        self.asks.close()
        self.process.wait(10)


stem = cache(Stem)


class Forked:
    """A program at work; the names are those of `subprocess.Popen`, as far as `Started` uses them."""

    def __init__(self, source: str, arguments: list[str], env: dict[str, str]) -> None:
        self.returncode: int | None = None
        self._output = b""
        self._told, told = socket.socketpair()
        output, ours = os.pipe()
        self.stdout = open(output, "rb", buffering=0)  # noqa: SIM115  # closed by `communicate`
        said = json.dumps([source, arguments, env]).encode() + b"\n"
        with stem().one_at_a_time:
            sent = socket.send_fds(stem().asks, [said], [ours, told.fileno()])
            stem().asks.sendall(said[sent:])
            os.close(ours)
            told.close()
            self.pid = self._number(20)

    def _number(self, seconds: float | None) -> int:
        """The next that the guard tells. Byte by byte: two may be there."""
        self._told.settimeout(seconds)
        digits = b""
        while not digits.endswith(b"\n"):
            digits += self._told.recv(1) or b"the guard is gone\n"
        return int(digits)

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            try:
                self.returncode = self._number(timeout)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("a fork", timeout or 0) from None
            self._told.close()
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def communicate(self, timeout: float = float("inf")) -> tuple[bytes, None]:
        """What is left to read of its output, once it has ended."""
        end = time.monotonic() + timeout
        while not self.stdout.closed:
            left = min(end - time.monotonic(), 1 << 20)
            if not select.select([self.stdout], [], [], max(left, 0))[0]:
                raise subprocess.TimeoutExpired("a fork", timeout)
            if piece := self.stdout.read(65536):
                self._output += piece
            else:
                self.stdout.close()
        self.wait(max(0.001, min(end - time.monotonic(), 1 << 20)))
        return self._output, None
