"""Goals: the ratios that kissapi must reach, each from what this run has measured, none from memory.

They are ratios of the server's processor time for one unit, each in its best round: what else the machine
does only adds. A goal for several loops is met when the worst of them meets it. `then` is the same ratio of
the older kissapi that was measured beside, if one was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench import ladder
from tests.bench.cost import ASKED, START
from tests.bench.plaintext import LOOPS
from tests.bench.profiles import README_APP, key_of
from tests.bench.table import Table

if TYPE_CHECKING:
    from tests.bench.run import Figures

PASS, SHORT, UNKNOWN = "pass", "SHORT", "not measured"
ASYNCIO, UVLOOP, SELECTORS = LOOPS
OURS = "kissapi on LOOP"


@dataclass(frozen=True)
class Goal:
    """`one` is at least `bound` times as fast as `other`, or with `at_most` takes at most so much of it.

    LOOP stands for each of `loops`. With `less`, `bound` is what is left when `other` is taken away; without
    `other`, it is the figure itself. `unit` is the suffix of the figures.
    """

    what: str
    bound: float
    one: str
    other: str = ""
    loops: tuple[str, ...] = ("",)
    at_most: bool = False
    less: bool = False
    unit: str = " µs"

    def values(self, figures: Figures, who: str = "kissapi") -> list[float]:
        """One for each loop that was measured; `who` may be `then`."""
        found = []
        for loop in self.loops:
            one, other = (key.replace("LOOP", loop) + self.unit for key in (self.one, self.other))
            if who != "kissapi":
                one, other = (key.replace("/kissapi on ", f"/{who} on ") for key in (one, other))
                if one == other or f"/{who} on " not in one:
                    continue
            if one not in figures or (self.other and other not in figures):
                continue
            mine, theirs = figures.least(one), figures.least(other) if self.other else 0.0
            if not self.other or self.less:
                found.append(mine - theirs)
            else:
                found.append(mine / theirs if self.at_most else theirs / mine)
        return found

    def verdict(self, figures: Figures) -> str:
        values = self.values(figures)
        if len(values) < len(self.loops):
            return UNKNOWN
        reached = max(values) <= self.bound if self.at_most else min(values) >= self.bound
        return PASS if reached else SHORT


def _peers(bound: float, one: str, other: str) -> Goal:
    return Goal(f"{one} ÷ {other}", bound, f"peers/{one}", f"peers/{other}")


def _faster(bound: float, name: str, other: str) -> Goal:
    """The profile against another one of ours."""
    return Goal(f"{name} ÷ {other}", bound, key_of(name, OURS), key_of(other, OURS), LOOPS)


def _beside(bound: float, name: str, other: str, loops: tuple[str, ...] = LOOPS, of: str = "") -> Goal:
    """The processor time of a profile against that of `other` in the same profile, or in that of `of`."""
    what = f"{name}: ÷ {other.replace(OURS, of)}".replace(" on LOOP", "")
    return Goal(what, bound, key_of(name, OURS), key_of(of or name, other), loops, at_most=True)


def _more(name: str) -> Goal:
    one, other = key_of(name, OURS), key_of("bare value", OURS)
    return Goal(f"{name}: µs over a bare value", 3.0, one, other, LOOPS, at_most=True, less=True)


def _idle(loop: str, bytes_: int) -> Goal:
    what = f"bytes of an idle connection, {loop}"
    return Goal(what, bytes_, f"cost/kissapi on {loop}/{ASKED}", at_most=True, unit="")


RAW, RSGI = "uvicorn + raw on uvloop", "granian RSGI"
BIG, PACED, SSE = "WebSocket 64 KiB", "2,000 GETs a second", "SSE to 2,000"
GOALS = [
    _beside(0.9, "stream, async generator", RAW),
    _beside(1.1, "stream, async generator", RSGI),
    _beside(3, "stream, plain generator", OURS, of="stream, async generator"),
    _beside(1.05, "WebSocket 32 B", "aiohttp on uvloop", (UVLOOP,)),
    _beside(1, "WebSocket 32 B", RAW),
    _beside(1.1, f"{BIG} text", RAW),
    _beside(1.1, f"{BIG} binary", RAW),
    _beside(2.5, f"{BIG} text, no C masker", RAW, of=f"{BIG} text"),
    _beside(2.5, f"{BIG} binary, no C masker", RAW, of=f"{BIG} binary"),
    _beside(1.05, "WebSocket to 500", "aiohttp on uvloop", (UVLOOP, SELECTORS)),
    _beside(1.3, "upload 1 MiB, buffered", "kissapi on selectors", (UVLOOP,)),
    _beside(1, "upload 1 MiB, buffered", "aiohttp on uvloop"),
    _beside(1, "upload 1 MiB, buffered", RAW),
    _beside(1, "upload 1 MiB, buffered", "sanic"),
    _beside(0.75, "POST 2 bytes, chunked", RAW),
    _beside(1, "HttpArena mix", "fastpysgi + falcon", (UVLOOP, SELECTORS)),
    _beside(1, "HttpArena mix", RAW, (UVLOOP, SELECTORS)),
    Goal(
        "plain GET ÷ then",
        1.1,
        key_of("plain GET", OURS),
        key_of("plain GET", "then on LOOP"),
        (ASYNCIO, SELECTORS),
    ),
    *(
        Goal(
            f"{PACED}: latency ÷ then, {part} %",
            1.05,
            key_of(PACED, OURS),
            key_of(PACED, "then on LOOP"),
            LOOPS,
            at_most=True,
            unit=f" p{part} µs",
        )
        for part in (50, 99)
    ),
    Goal("file 1 KiB: µs", 30, key_of("file 1 KiB", OURS), loops=LOOPS, at_most=True),
    _beside(2, "file 1 KiB", "nginx"),
    _beside(1, "JSON, 50 objects", "sanic"),
    _beside(1, "JSON, 50 objects, no msgspec", "sanic", of="JSON, 50 objects"),
    _beside(1.1, SSE, "aiohttp on LOOP", (ASYNCIO, UVLOOP)),
    _beside(1.1, SSE, "aiohttp on asyncio", (SELECTORS,)),
    Goal(
        f"{SSE}: memory ÷ then",
        1,
        key_of(SSE, OURS),
        key_of(SSE, "then on LOOP"),
        LOOPS,
        at_most=True,
        unit=" MiB",
    ),
    *map(_more, ("Response", "Response with a type", "Response with two fields")),
    _faster(0.90, "access log on", "access log off"),
    _faster(0.85, "10 browser headers", "plain GET"),
    _faster(0.95, "parameter route", "plain GET"),
    _faster(0.95, "10,000 idle beside", "0 idle beside"),
    _beside(1.1, "TLS handshake", "a bare ssl loop"),
    Goal(f"{README_APP}: MiB", 14, key_of(README_APP, "kissapi on selectors"), at_most=True, unit=" MiB"),
    *(
        _beside(1, f"ASGI: {app}", other, (ASYNCIO, UVLOOP))
        for app in ("raw", "starlette")
        for other in ("uvicorn on LOOP", "granian")
    ),
    *(_beside(1, "WSGI: flask", other) for other in ("waitress", "gunicorn")),
    _faster(3, "pipelined 16", "plain GET"),
    _faster(0.95, "10,000 routes", "10 routes"),
    _faster(0.85, "JSON, one object", "plain GET"),
    _beside(0.5, "def, in a thread", "uvicorn + starlette on uvloop"),
    _peers(0.65, "kissapi on asyncio", "bare Protocol with httptools on asyncio"),
    _peers(0.60, "kissapi on uvloop", "bare Protocol with httptools on uvloop"),
    _peers(1.20, "kissapi on selectors", "kissapi on asyncio"),
    _peers(1.10, "kissapi on selectors", "socketify"),
    _peers(2.7, "kissapi on asyncio", "uvicorn + raw on asyncio"),
    _peers(4.2, "kissapi on asyncio", "uvicorn + starlette on asyncio"),
    _peers(1.7, "kissapi on uvloop", "granian RSGI"),
    _peers(1.3, "kissapi on uvloop", "fastpysgi + falcon"),
    Goal(
        "stand-in parser ÷ httptools",
        0.80,
        ladder.key_of("LOOP", "stand-in", ladder.ROUTER),
        ladder.key_of("LOOP", "httptools", ladder.ROUTER),
        LOOPS,
    ),
    Goal(
        "cold start: selectors ÷ microdot",
        0.6,
        f"cost/kissapi on selectors/{START}",
        f"cost/microdot/{START}",
        at_most=True,
        unit="",
    ),
    _idle("asyncio", 4500),
    _idle("selectors", 2500),
]


def tables(figures: Figures) -> list[Table]:
    """The goals of which something was measured."""
    lines = []
    for goal in GOALS:
        if values := goal.values(figures):
            sign = "≤" if goal.at_most else "≥"
            then = goal.values(figures, "then")
            lines.append(
                [goal.what, _shown(then), _shown(values), f"{sign} {goal.bound:,}", goal.verdict(figures)]
            )
    met = sum(line[-1] == PASS for line in lines)
    note = (
        f"{met} of {len(lines)} met. Several figures are those of {', '.join(LOOPS)}, and the worst counts."
    )
    return [Table("Goals", ["what", "then", "now", "goal", "verdict"], lines, note)] if lines else []


def _shown(values: list[float]) -> str:
    return " · ".join(f"{value:,.2f}" if value < 100 else f"{value:,.0f}" for value in values) or "–"
