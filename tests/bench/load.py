"""Load: what is asked, over how many connections, and the only answer that counts; asked by wrk.

A load has a `press`, which asks it of a server and returns figures by the suffix of their key: "" is units a
second, " µs" the server's processor time for one, " MiB" the memory of its processes at the end. `drive.py`
has those that wrk cannot ask.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tests.bench.machine import cores

if TYPE_CHECKING:
    from tests.bench.server import Server


class LoadError(Exception):
    """An answer was wrong, or none came: the figure is worth nothing."""


class Press(Protocol):
    """What a row is measured by."""

    @property
    def question(self) -> Load:
        """What the server must answer before anything counts."""

    @property
    def idle(self) -> int:
        """Connections that stay open beside, and ask nothing more."""

    def press(self, server: Server, seconds: float) -> dict[str, float]:
        """Ask for so many seconds. Raises `LoadError`."""


@dataclass(frozen=True)
class Load:
    """One request, asked over and over; with a `body` it is a POST, and with `and_then` others take turns."""

    path: str = "/"
    answer: bytes = b"Hello, world!"
    connections: int = 32
    body: bytes = b""
    fields: tuple[str, ...] = ()
    pipelined: int = 1
    idle: int = 0
    chunked: bool = False  # the body is one chunk
    any_json: bool = False  # an answer of the same value counts, whatever its blanks
    scheme: str = "http"
    and_then: tuple[Load, ...] = ()
    checked: bool = True  # each answer, in Lua: wrk asks a fifth less then

    @property
    def question(self) -> Load:
        return self

    @property
    def method(self) -> str:
        return "POST" if self.body else "GET"

    def accepts(self, body: bytes) -> bool:
        if self.any_json:
            return bool(json.loads(body) == json.loads(self.answer))
        return body == self.answer

    def script(self, lengths: set[int]) -> str:
        """What wrk is to be told in Lua: the requests, and the lengths that their answers may have."""
        lines = [_MAKE, f"function init(arguments) wrong, turn = 0, 0; requests = {{ {self._made()} }} end"]
        lines.append("function request() turn = turn % #requests + 1; return requests[turn] end")
        if self.checked:
            allowed = ", ".join(f"[{length}] = true" for length in sorted(lengths))
            lines += [f"lengths = {{ {allowed} }}", _CHECK]
        return "\n".join(lines)

    def _made(self) -> str:
        made = []
        for load in (self, *self.and_then):
            body = f'"{load.body.decode()}"'  # a long one is one letter, over and over
            if len(load.body) > 1 and load.body == load.body[:1] * len(load.body):
                body = f'string.rep("{load.body[:1].decode()}", {len(load.body)})'
            chunked = str(load.chunked).lower()
            made.append(
                f'string.rep(make("{load.method}", "{load.path}", {body}, {chunked}), {load.pipelined})'
            )
        return ", ".join(made)

    def press(self, server: Server, seconds: float) -> dict[str, float]:
        lengths = {len(server.ask(load)) for load in (self, *self.and_then)}
        file = server.folder / "load.lua"
        file.write_text(self.script(lengths))
        command = ["taskset", "-c", str(cores()[1]), "wrk", "-t1", f"-c{self.connections}"]
        command += [f"-d{max(1, round(seconds))}s", "-s", str(file)]
        for field in self.fields:
            command += ["-H", field]
        before = server.cpu()
        ran = subprocess.run(
            [*command, f"{self.scheme}://127.0.0.1:{server.port}{self.path}"], capture_output=True, text=True
        )
        if ran.returncode:
            raise LoadError(ran.stderr.strip() or ran.stdout.strip())
        rate, total = read_report(ran.stdout)
        return server.figures(before, total, total / rate)


_MAKE = """
function make(method, path, body, chunked)
  local fields = {}
  for name, value in pairs(wrk.headers) do fields[name] = value end
  if chunked then
    fields["Transfer-Encoding"] = "chunked"
    return wrk.format(method, path, fields) .. string.format("%x\\r\\n%s\\r\\n0\\r\\n\\r\\n", #body, body)
  end
  return wrk.format(method, path, fields, body ~= "" and body or nil)
end
"""
_CHECK = """
threads = {}
function setup(thread) table.insert(threads, thread) end
function response(status, fields, body)
  if status ~= 200 or not lengths[#body] then wrong = wrong + 1 end
end
function done()
  for _, thread in ipairs(threads) do
    if thread:get("wrong") > 0 then print("Wrong answers: " .. thread:get("wrong")) end
  end
end
"""


def read_report(report: str) -> tuple[float, int]:
    """What wrk says: requests per second, and how many in all. Raises `LoadError`."""
    for wrong in (r"Socket errors: .*", r"Non-2xx or 3xx responses: \d+", r"Wrong answers: \d+"):
        if found := re.search(wrong, report):
            raise LoadError(found[0])
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    total = re.search(r"(\d+) requests in ", report)
    if rate is None or total is None or int(total[1]) == 0:
        raise LoadError(f"no request was answered:\n{report}")
    return float(rate[1]), int(total[1])
