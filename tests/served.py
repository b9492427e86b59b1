"""A server in a process of its own: its first line tells the port, SIGTERM ends it, with exit code 0."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

START = re.compile(r"\d\d:\d\d:\d\d \[INFO\] Serving on \w+://[^ ]+:(\d+)$")


class Served:
    """Start `command`, wait for its start line; as a context manager, stop it and ask for exit code 0.

    `output` is all that it printed, known when it has ended.
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
        self.output = ""
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            bufsize=0,  # `communicate` would miss what a buffer has read ahead
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        # A server that never prints its line would hold the reader for ever: then both are ended.
        too_late = threading.Timer(seconds, self.process.kill)
        too_late.start()
        try:
            self.port = self._port()
        finally:
            too_late.cancel()

    def lines(self) -> Iterator[str]:
        """What it prints, line by line, until it has ended."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            yield line.decode()

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
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.seconds)
        try:
            client.request("GET", path)
            answer = client.getresponse()
            body = answer.read()
            assert answer.status == 200, (answer.status, body)
            return body
        finally:
            client.close()

    def stop(self) -> int:
        """Ask it to end as an operator does, and give its exit code."""
        assert self.process.stdout is not None
        if self.process.stdout.closed:  # it has been asked before
            return int(self.process.returncode)
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
        try:
            self.output += self.process.communicate(timeout=self.seconds)[0].decode()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.output += self.process.communicate()[0].decode()
            raise AssertionError(f"did not end {self.seconds} s after SIGTERM:\n{self.output}") from None
        return self.process.returncode

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
