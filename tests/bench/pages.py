"""Pages: what was measured, written where it is shown: the README, the chapter of the guide, their picture.

A whole `make bench` writes them, and `make speed` the part of the README. Where the bench was run in parts,
`python -m tests.bench.pages` writes what build/bench/figures.json has of all of them.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from tests.bench import goals, machine, profiles
from tests.bench.picture import bars
from tests.bench.run import FIGURES, Figures
from tests.pages import GUIDE, README

PICTURE = GUIDE / "speed.svg"
CHAPTER = GUIDE / "performance.md"

# The rows of `plaintext`, and what the README calls them.
SHOWN = {
    "nginx": "nginx (C)",
    "kissapi on uvloop": "kissapi, uvloop",
    "kissapi on selectors": "kissapi, selectors",
    "kissapi on asyncio": "kissapi, asyncio",
    "granian RSGI": "granian, raw RSGI (Rust)",
    "uvicorn + raw on uvloop": "uvicorn, raw ASGI, uvloop",
    "aiohttp on uvloop": "aiohttp, uvloop",
    "uvicorn + starlette on uvloop": "Starlette on uvicorn, uvloop",
    "sanic": "sanic",
    "uvicorn + fastapi on uvloop": "FastAPI on uvicorn, uvloop",
}


def write(figures: Figures) -> list[Path]:
    """The files that were written: what is measured in full is shown anew, the rest stays as it is."""
    written = []
    if all(f"peers/{name}" in figures for name in SHOWN):
        lines = speed_table(figures)
        _replace(README, "speed", lines)
        rates = {SHOWN[name]: figures.median(f"peers/{name}") for name in _by_rate(figures)}
        PICTURE.write_text(bars("One plain GET, one core", rates, "requests/s"), encoding="utf-8")
        written += [README, PICTURE]
    wanted = [goal for goal in goals.GOALS if "profiles/" in goal.one and "/then on" not in goal.other]
    if all(goal.verdict(figures) != goals.UNKNOWN for goal in wanted):
        _replace(CHAPTER, "profiles", profile_tables(figures))
        written.append(CHAPTER)
    return written


def speed_table(figures: Figures) -> list[str]:
    lines = ["| | requests/s | µs of processor each |", "|---|---:|---:|"]
    for name in _by_rate(figures):
        rate, cost = figures.median(f"peers/{name}"), figures.median(f"peers/{name} µs")
        lines.append(f"| {SHOWN[name]} | {rate:,.0f} | {cost:.1f} |")
    return lines


def profile_tables(figures: Figures) -> list[str]:
    """Goals first, then what they were worked out from."""
    lines = [f"{time.strftime('%d %B %Y')}. {machine.summary()}.", ""]
    own = Figures({key: rounds for key, rounds in figures.rounds.items() if key.startswith("profiles/")})
    for table in (*goals.tables(own), *profiles.tables(own)):
        lines += [*table.markdown().splitlines()[2:], ""]
    return lines[:-1]


def _by_rate(figures: Figures) -> list[str]:
    return sorted(SHOWN, key=lambda name: -figures.median(f"peers/{name}"))


def _replace(page: Path, name: str, lines: list[str]) -> None:
    page.write_text(replaced(page.read_text(encoding="utf-8"), name, lines), encoding="utf-8")


def replaced(text: str, name: str, lines: list[str]) -> str:
    """`text` with `lines` between the two comments that it has for them."""
    table = "\n".join([f"<!-- {name} -->", *lines, f"<!-- end {name} -->"])
    return re.sub(rf"<!-- {name} -->.*?<!-- end {name} -->", lambda _: table, text, flags=re.DOTALL)


if __name__ == "__main__":
    for file in write(Figures(json.loads(FIGURES.read_text()))):
        print(f"written: {file.name}")
