"""Load: what is asked, over how many connections, and the only answer that counts; asked by wrk."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.machine import cores


class LoadError(Exception):
    """wrk met an answer that is not 2xx, or a socket error: the figure is worth nothing."""


@dataclass(frozen=True)
class Load:
    """One request, asked over and over; with a `body` it is a POST."""

    path: str = "/"
    answer: bytes = b"Hello, world!"
    connections: int = 32
    body: bytes = b""
    fields: tuple[str, ...] = ()
    pipelined: int = 1
    idle: int = 0  # connections that stay open beside, and ask nothing more

    @property
    def method(self) -> str:
        return "POST" if self.body else "GET"

    def script(self) -> str:
        """What wrk is to be told in Lua."""
        lines = []
        if self.body:
            assert self.body == b"x" * len(self.body)
            lines += [f'wrk.method, wrk.body = "POST", string.rep("x", {len(self.body)})']
        if self.pipelined > 1:
            lines += [
                f"function init(arguments) requests = string.rep(wrk.format(), {self.pipelined}) end",
                "function request() return requests end",
            ]
        return "\n".join(lines)


def press(load: Load, port: int, seconds: int, folder: Path) -> tuple[float, int]:
    """Requests per second, and how many in all. Raises `LoadError`."""
    command = ["taskset", "-c", str(cores()[1]), "wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s"]
    for field in load.fields:
        command += ["-H", field]
    if script := load.script():
        file = folder / "load.lua"
        file.write_text(script)
        command += ["-s", str(file)]
    command += [f"http://127.0.0.1:{port}{load.path}"]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        raise LoadError(ran.stderr.strip() or ran.stdout.strip())
    return read_report(ran.stdout)


def read_report(report: str) -> tuple[float, int]:
    """What wrk says: requests per second, and how many in all. Raises `LoadError`."""
    for wrong in (r"Socket errors: .*", r"Non-2xx or 3xx responses: \d+"):
        if found := re.search(wrong, report):
            raise LoadError(found[0])
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    total = re.search(r"(\d+) requests in ", report)
    if rate is None or total is None or int(total[1]) == 0:
        raise LoadError(f"no request was answered:\n{report}")
    return float(rate[1]), int(total[1])
