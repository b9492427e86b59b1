"""Victim: the app in a process of its own, and what the system says of that process."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import memory
from tests.places import ROOT
from tests.serving import Served


def command(backend: str, **options: Any) -> list[str]:
    """What starts the app."""
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return [sys.executable, "-m", "tests.torture.app", backend, given]


class Victim(Served):
    """As a context manager it must end with exit code 0."""

    def __init__(self, backend: str, **options: Any) -> None:
        super().__init__(command(backend, **options), cwd=ROOT)
        self.about = Path(f"/proc/{self.process.pid}")

    def counts(self) -> dict[str, int]:
        """What its handlers have counted."""
        counted: dict[str, int] = json.loads(self.get("/counts"))
        return counted

    def memory(self) -> int:
        return memory.resident(self.process.pid)

    def peak(self) -> int:
        return memory.peak(self.process.pid)

    def forget_peak(self) -> None:
        memory.forget_peak(self.process.pid)

    def descriptors(self) -> int:
        return len(os.listdir(self.about / "fd"))

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = (self.about / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def time_until(fact: Callable[[], Any], what: str, seconds: float = 10) -> float:
    """Wait for `fact`; the seconds that took. Raises AssertionError that names `what`."""
    start = time.monotonic()
    while not fact():
        assert time.monotonic() - start < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.005)
    return time.monotonic() - start
