"""Goals: the ratios that kissapi must reach, each from what this run has measured, none from memory.

A goal for several loops is met when the worst of them meets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench import ladder
from tests.bench.cost import ASKED, START
from tests.bench.plaintext import LOGGED, LOOPS
from tests.bench.table import Table
from tests.bench.work import STARLETTE, THREAD

if TYPE_CHECKING:
    from tests.bench.run import Figures

PASS, SHORT, UNKNOWN = "pass", "SHORT", "not measured"


@dataclass(frozen=True)
class Goal:
    """`one` ÷ `other` is at least `bound`, or with `at_most` at most; LOOP stands for each of `loops`.

    Without `other`, the figure itself.
    """

    what: str
    bound: float
    one: str
    other: str = ""
    loops: tuple[str, ...] = ("",)
    at_most: bool = False

    def values(self, figures: Figures, unit: str = "") -> list[float]:
        """One for each loop that was measured."""
        found = []
        for loop in self.loops:
            one, other = (key.replace("LOOP", loop) + unit for key in (self.one, self.other))
            if one in figures and not self.other:
                found.append(figures.median(one))
            elif one in figures and other in figures:
                found.append(figures.ratio(one, other))
        return found

    def verdict(self, figures: Figures) -> str:
        values = self.values(figures)
        if len(values) < len(self.loops):
            return UNKNOWN
        reached = max(values) <= self.bound if self.at_most else min(values) >= self.bound
        return PASS if reached else SHORT


def _peers(bound: float, one: str, other: str) -> Goal:
    return Goal(f"{one} ÷ {other}", bound, f"peers/{one}", f"peers/{other}")


def _work(bound: float, one: str, other: str) -> Goal:
    return Goal(f"{one} ÷ {other}", bound, f"work/LOOP/{one}", f"work/LOOP/{other}", LOOPS)


def _idle(loop: str, bytes_: int) -> Goal:
    return Goal(
        f"bytes of an idle connection, {loop}", bytes_, f"cost/kissapi on {loop}/{ASKED}", at_most=True
    )


GOALS = [
    _peers(0.65, "kissapi on asyncio", "bare Protocol with httptools on asyncio"),
    _peers(0.60, "kissapi on uvloop", "bare Protocol with httptools on uvloop"),
    _peers(1.20, "kissapi on selectors", "kissapi on asyncio"),
    _peers(1.10, "kissapi on selectors", "socketify"),
    _peers(2.7, "kissapi on asyncio", "uvicorn + raw on asyncio"),
    _peers(4.2, "kissapi on asyncio", "uvicorn + starlette on asyncio"),
    _peers(1.7, "kissapi on uvloop", "granian RSGI"),
    _peers(1.3, "kissapi on uvloop", "fastpysgi + falcon"),
    Goal(
        "access log on, to a file ÷ off",
        0.90,
        f"peers/kissapi on LOOP{LOGGED}",
        "peers/kissapi on LOOP",
        LOOPS,
    ),
    _work(0.80, "10 browser headers", "plaintext"),
    Goal(
        "stand-in parser ÷ httptools",
        0.80,
        ladder.key_of("LOOP", "stand-in", ladder.ROUTER),
        ladder.key_of("LOOP", "httptools", ladder.ROUTER),
        LOOPS,
    ),
    _work(3, "pipelined 16", "plaintext"),
    _work(0.95, "10,000 routes", "10 routes"),
    _work(0.95, "10,000 idle beside", "0 idle beside"),
    _work(0.85, "JSON", "plaintext"),
    _work(0.90, "parameter route", "plaintext"),
    Goal(
        f"{THREAD} ÷ starlette's on uvicorn and uvloop",
        2,
        f"work/LOOP/{THREAD}",
        f"work/{STARLETTE}/{THREAD}",
        LOOPS,
    ),
    Goal(
        "cold start: selectors ÷ microdot",
        0.6,
        f"cost/kissapi on selectors/{START}",
        f"cost/microdot/{START}",
        at_most=True,
    ),
    _idle("asyncio", 4500),
    _idle("selectors", 2500),
]


def tables(figures: Figures) -> list[Table]:
    head = ["what", "goal", "measured", "by CPU time", "verdict"]
    lines = []
    for goal in GOALS:
        # By processor time, the smaller is the better: the other way round.
        inverted = Goal(goal.what, goal.bound, goal.other, goal.one, goal.loops) if goal.other else goal
        cells = [_shown(goal, goal.values(figures)), _shown(goal, inverted.values(figures, " µs"))]
        sign = "≤" if goal.at_most else "≥"
        lines.append([goal.what, f"{sign} {goal.bound:,}", *cells, goal.verdict(figures)])
    met = sum(goal.verdict(figures) == PASS for goal in GOALS)
    note = (
        f"{met} of {len(GOALS)} met. Several figures are those of {', '.join(LOOPS)}, and the worst counts. "
        "By the server's processor time, what others took of its core is left out."
    )
    return [Table("Goals", head, lines, note)]


def _shown(goal: Goal, values: list[float]) -> str:
    return " · ".join(f"{value:,.2f}" if goal.other else f"{value:,.0f}" for value in values) or "–"
