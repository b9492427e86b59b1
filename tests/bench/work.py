"""Work: what an app does beside saying hello, on each loop; uvicorn's raw ASGI on uvloop for comparison."""

from __future__ import annotations

from tests.bench.load import Load
from tests.bench.plaintext import LOOPS, uvicorn
from tests.bench.run import Figures, Row, Run
from tests.bench.server import Candidate, ours
from tests.bench.table import Table

BROWSER = (  # with Host, ten
    "Connection: keep-alive",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Cookie: session=0123456789abcdef",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
)
SMALL, LARGE = b"x" * 1024, b"x" * 1024 * 1024
THREAD = "def, in a thread"

WORK: dict[str, Load] = {
    "plaintext": Load(),
    "JSON": Load("/json", b'{"message": "Hello, world!"}'),
    "parameter route": Load("/users/7", b"7"),
    "10 browser headers": Load(fields=BROWSER),
    "pipelined 16": Load(pipelined=16),
    "POST 1 KiB, echoed": Load("/echo", SMALL, body=SMALL),
    "POST 1 MiB, echoed": Load("/echo", LARGE, body=LARGE),
    "256 connections": Load(connections=256),
    "2,000 connections": Load(connections=2000),
    "one request a connection": Load(fields=("Connection: close",)),
    "10 ms of sleep, 1,000 connections": Load("/sleep", connections=1000),
    THREAD: Load("/blocking"),
}
# These need a server of their own: (options of kiss.py, load).
APART: dict[str, tuple[tuple[str, ...], Load]] = {
    "10 routes": (("routes=10",), Load("/section9/thing9/7", b"7")),
    "10,000 routes": (("routes=10000",), Load("/section99/thing9999/7", b"7")),
    "0 idle beside": (("idle_timeout=600",), Load()),
    "10,000 idle beside": (("idle_timeout=600",), Load(idle=10_000)),
    "access log on, to a file": (("log=on",), Load()),
}
REFERENCE, STARLETTE = "uvicorn raw", "starlette"


def rows() -> list[Row]:
    found = []
    for loop in LOOPS:
        found += _rows(loop, ours("kiss.py", loop), WORK)
        for name, (options, load) in APART.items():
            found += _rows(loop, ours("kiss.py", loop, *options), {name: load})
    found += _rows(STARLETTE, uvicorn("starlette", "uvloop"), {THREAD: WORK[THREAD]})
    alike = {name: load for name, load in WORK.items() if name != THREAD}
    return found + _rows(REFERENCE, uvicorn("raw", "uvloop"), alike)


def _rows(who: str, candidate: Candidate, loads: dict[str, Load]) -> list[Row]:
    return [Row(f"work/{who}/{name}", candidate, load) for name, load in loads.items()]


def measure(run: Run) -> None:
    run.measure([row for row in rows() if not (run.quick and row.key.startswith(f"work/{REFERENCE}/"))])


def tables(figures: Figures) -> list[Table]:
    head = ["work"]
    for who in (*LOOPS, REFERENCE):
        head += [f"{who}, requests/s", "µs each"]
    lines = []
    for name in (*WORK, *APART):
        line = [name]
        for who in (*LOOPS, STARLETTE if name == THREAD else REFERENCE):
            key = f"work/{who}/{name}"
            if key in figures:
                line += [figures.show(key), f"{figures.median(f'{key} µs'):.1f}"]
            else:
                line += ["–", "–"]
        lines.append(line)
    note = f"32 connections where nothing else is said. Beside “{THREAD}” stands Starlette on uvicorn."
    bars = {
        f"{loop}: {name}": figures.median(f"work/{loop}/{name}")
        for name in (*WORK, *APART)
        for loop in LOOPS
        if f"work/{loop}/{name}" in figures
    }
    return [Table("Work", head, lines, note, bars, "requests/s")]
