"""Run: rounds, interleaved, so that what else the machine does falls on all alike; and the figures they give.

A figure is kept for every round. What is compared is compared within one round, and of these ratios the
median counts.
"""

from __future__ import annotations

import functools
import itertools
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from importlib.util import find_spec

from tests.bench.load import Load, LoadError, Press
from tests.bench.machine import cores, taken
from tests.bench.server import BUILD, NGINX, PEERS, PUBLISHED, Candidate, Server, ServerError, say_hello

# What ends the measuring of one candidate, and not that of the others.
WRONG = (LoadError, ServerError, OSError, HTTPException)

FIGURES = BUILD / "bench/figures.json"  # of this run and earlier ones
QUIET = 0.1  # the share of a core that others may have …
PAUSE = 2  # … or we wait for so many seconds until we try again


class Others:
    """What others take of the two cores from now on."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.start = time.perf_counter()
        self.before = self._seconds()

    def _seconds(self) -> tuple[float, float]:
        import resource  # which Windows has not

        at_server, at_load = cores()
        # The load is this process, or wrk, which has ended by now; the server has not.
        load = [resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        own = sum(usage.ru_utime + usage.ru_stime for usage in load)
        return taken(at_server) - self.server.cpu(), taken(at_load) - own

    def share(self) -> float:
        """Of the core of which they took more."""
        seconds = time.perf_counter() - self.start
        return max(now - then for now, then in zip(self._seconds(), self.before, strict=True)) / seconds


class Figures:
    """By key, a figure for each round: `peers/kissapi on asyncio` → requests/s; `… µs` → CPU for one."""

    def __init__(self, rounds: dict[str, list[float]] | None = None) -> None:
        self.rounds: dict[str, list[float]] = rounds if rounds is not None else {}

    def add(self, key: str, value: float) -> None:
        self.rounds.setdefault(key, []).append(value)

    def __contains__(self, key: str) -> bool:
        return bool(self.rounds.get(key))

    def median(self, key: str) -> float:
        return statistics.median(self.rounds[key])

    def least(self, key: str) -> float:
        """The best round: what else the machine does only adds to what a unit takes."""
        return min(self.rounds[key])

    def ratio(self, one: str, other: str) -> float:
        """The median of the ratios in each round."""
        pairs = zip(self.rounds[one], self.rounds[other], strict=False)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    def spread(self, key: str) -> tuple[float, float]:
        return min(self.rounds[key]), max(self.rounds[key])

    def show(self, key: str) -> str:
        """The median, and how far the rounds were from it: half of their spread."""
        least, most = self.spread(key)
        median = self.median(key)
        return f"{median:,.0f} ±{(most - least) / 2 / median:.0%}"


@dataclass(frozen=True)
class Row:
    """One line to be measured: the server, and what it is asked."""

    key: str
    candidate: Candidate
    load: Press = field(default_factory=Load)


@dataclass
class Run:
    """What was asked for, and what came of it."""

    rounds: int = 5
    seconds: int = 2
    quick: bool = False
    names: tuple[str, ...] = ()  # only rows whose key has one of these
    then: str = ""  # a revision of kissapi that is measured beside
    figures: Figures = field(default_factory=Figures)
    failures: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def wants(self, key: str) -> bool:
        """Whether `key`, behind the name of its group, has one of the words asked for."""
        what = key.partition("/")[2].lower()
        return not self.names or any(name.lower() in what for name in self.names)

    def measure(self, rows: Sequence[Row]) -> None:
        """Ask each of `rows` once a round; neighbours with the same candidate share its process.

        One that fails is out of this run, and is told at the end, which is then no success.
        """
        rows = [row for row in rows if self.wants(row.key)]
        rows = [row for row in rows if not self.is_missing(row)]
        for number in range(self.rounds):
            for candidate, group in itertools.groupby(rows, key=lambda row: row.candidate):
                self._measure_together(candidate, list(group), f"round {number + 1} of {self.rounds}")

    def is_missing(self, row: Row) -> bool:
        candidate = row.candidate
        missing = [name for name in candidate.needs if name not in installed()]
        if candidate.command[0] == sys.executable:
            missing = [name for name in ("uvloop", "httptools") if name in candidate.command]
            missing = [name for name in missing if find_spec(name) is None]
        if missing:
            self.left_out[row.key] = f"{', '.join(missing)} not installed"
        return bool(missing)

    def _measure_together(self, candidate: Candidate, rows: Iterable[Row], when: str) -> None:
        rows = [row for row in rows if row.key not in self.failures]
        if not rows:
            return
        with Server(candidate) as server:
            try:
                server.ready(rows[0].load.question)
            except WRONG as error:
                for row in rows:
                    self.fail(row.key, error)
                return
            for row in rows:
                try:
                    found = self._press(server, row.load)
                except WRONG as error:
                    self.fail(row.key, error)
                    continue
                for suffix, value in found.items():
                    self.figures.add(row.key + suffix, value)
                tell(f"{when}: {row.key}: {found['']:,.0f}/s, {found[' µs']:.1f} µs of CPU each")

    def _press(self, server: Server, load: Press) -> dict[str, float]:
        """The figures of this load.

        Once more, and perhaps a third time, if others on this machine have taken their part of either core.
        """
        server.ask(load.question)
        idle = server.connect(load.idle)
        try:
            for sock in idle:
                say_hello(sock)
            for left in reversed(range(1 if self.quick else 3)):
                others = Others(server)
                found = load.press(server, self.seconds)
                share = others.share()
                if share < QUIET or not left:
                    break
                tell(f"others took {share:.0%} of a core: once more")
                time.sleep(PAUSE)
            return found
        finally:
            for sock in idle:
                sock.close()

    def fail(self, key: str, error: Exception) -> None:
        self.failures[key] = f"{type(error).__name__}: {error}"
        for each in [each for each in self.figures.rounds if each == key or each.startswith(f"{key} ")]:
            del self.figures.rounds[each]
        tell(f"{key} FAILED: {error}")


@functools.cache
def installed() -> dict[str, str]:
    """What there is to be measured beside: name → version. `make bench-peers` installs all but nginx."""
    found = {}
    if (PEERS / "bin/python").exists():
        ask = (
            "import importlib.metadata as m, sys; print(sys.version.split()[0]); "
            "print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
        )
        command = [str(PEERS / "bin/python"), "-c", ask]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        theirs, ours = said.split()[0], sys.version.split()[0]
        if theirs == ours:
            found = dict(each.lower().split("==") for each in said.split()[1:])
            if PUBLISHED.exists():
                found["kissapi"] = "0.1.6"
        else:
            tell(f"build/peers has Python {theirs}, this is {ours}: rm -r build/peers; make bench-peers")
    if nginx := shutil.which(NGINX):
        said = subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr
        found["nginx"] = said.rpartition("/")[2].strip()
    return found


def tell(line: str) -> None:
    """Progress, for the person that waits; the tables go to standard output."""
    print(line, file=sys.stderr, flush=True)
