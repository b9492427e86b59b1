"""Cost: what a server takes before, and beside, its work: start, memory, idle connections, wake-ups."""

from __future__ import annotations

import itertools
import sys
import time
from contextlib import ExitStack

from tests.bench.load import Load
from tests.bench.plaintext import LOOPS, peer, uvicorn
from tests.bench.run import WRONG, Figures, Row, Run
from tests.bench.server import PEERS, Candidate, Server, ours, say_hello, status
from tests.bench.table import Table

IDLE = 4000  # connections to each: together no more than usual limits allow
SETTLED = 1.5  # seconds: the last tick

START, REST = "cold start, ms", "memory at rest, MiB"
SILENT, ASKED = "bytes of a connection that has asked nothing", "bytes of one that has asked once"
ALONE, BESIDE = "wake-ups in 3 s, no connection", f"wake-ups in 3 s, {IDLE:,} idle"
COSTS = (START, REST, SILENT, ASKED, ALONE, BESIDE)


def candidates() -> dict[str, Candidate]:
    # By the same Python: what an environment has installed, Python looks at when it starts.
    python = str(PEERS / "bin/python") if (PEERS / "bin/python").exists() else sys.executable
    patient = {
        f"kissapi on {loop}": ours("kiss.py", loop, "idle_timeout=600", python=python) for loop in LOOPS
    }
    starlette = uvicorn("starlette", "uvloop")
    return patient | {
        "microdot": peer("own.py", "microdot", "PORT", needs="microdot"),
        "uvicorn + starlette on uvloop": Candidate(
            (*starlette.command, "--timeout-keep-alive", "600"), starlette.needs, starlette.path
        ),
    }


def wakes(servers: dict[str, Server], seconds: float = 3) -> dict[str, int]:
    """How often each of them wakes up when no client says anything."""

    def count() -> dict[str, int]:
        return {key: status(server.pids(), "voluntary_ctxt_switches") for key, server in servers.items()}

    before = count()
    time.sleep(seconds)
    return {key: now - before[key] for key, now in count().items()}


def measure(run: Run) -> None:
    rows = [Row(f"cost/{name}", candidate) for name, candidate in candidates().items()]
    rows = [row for row in rows if run.wants(row.key) and not run.is_missing(row)]
    starts = 3 if run.quick else 10
    for number in range(1 + starts):
        for row in rows:
            if row.key not in run.failures:
                _start(run, row, counts=number > 0)  # the first may have had to compile
    _rest(run, [row for row in rows if row.key not in run.failures])


def _start(run: Run, row: Row, counts: bool) -> None:
    try:
        with Server(row.candidate) as server:
            seconds = server.ready()
            if counts:
                run.figures.add(f"{row.key}/{START}", seconds * 1000)
                run.figures.add(f"{row.key}/{REST}", server.memory() / (1 << 20))
    except WRONG as error:
        run.fail(row.key, error)


def _rest(run: Run, rows: list[Row]) -> None:
    """All of them at once: they are idle, most of the time."""
    add = run.figures.add
    with ExitStack() as stack:
        servers = {row.key: stack.enter_context(Server(row.candidate)) for row in rows}
        for server in servers.values():
            server.ready()
            for _ in range(500):
                server.ask(Load())  # warm
        time.sleep(SETTLED)
        for key, count in wakes(servers).items():
            add(f"{key}/{ALONE}", count)
        servers.pop("cost/microdot", None)  # it ends each connection
        before = {key: server.memory() for key, server in servers.items()}
        idle = {key: server.connect(IDLE) for key, server in servers.items()}
        time.sleep(SETTLED)
        for key, server in servers.items():
            add(f"{key}/{SILENT}", (server.memory() - before[key]) / IDLE)
            for sock in idle[key]:
                say_hello(sock)
        time.sleep(SETTLED)
        for key, server in servers.items():
            add(f"{key}/{ASKED}", (server.memory() - before[key]) / IDLE)
        for key, count in wakes(servers).items():
            add(f"{key}/{BESIDE}", count)
        for sock in itertools.chain.from_iterable(idle.values()):
            sock.close()


def tables(figures: Figures) -> list[Table]:
    names = [name for name in candidates() if f"cost/{name}/{REST}" in figures]
    lines = []
    for cost in COSTS:
        keys = [f"cost/{name}/{cost}" for name in names]
        lines.append([cost, *(f"{figures.median(key):,.0f}" if key in figures else "–" for key in keys)])
    note = "Cold start: from exec to the first answer, the median. Memory: resident, of all its processes."
    return [Table("Cost", ["", *names], lines, note)]
