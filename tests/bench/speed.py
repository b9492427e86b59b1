"""Speed: the ten rows of the README and its picture. `make speed` measures them and writes both.

python -m tests.bench.speed [rounds]
"""

from __future__ import annotations

import re
import sys

from tests.bench import machine, plaintext
from tests.bench.picture import bars
from tests.bench.run import Run, tell
from tests.pages import GUIDE, README

PICTURE = GUIDE / "speed.svg"

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


def main() -> None:
    run = Run(rounds=int(sys.argv[1]) if sys.argv[1:] else 5, seconds=1, quick=False, names=())
    run.measure([row for row in plaintext.rows() if row.key.removeprefix("peers/") in SHOWN])
    if run.left_out:
        raise SystemExit(f"speed: not measured: {run.left_out}; make bench-peers installs the peers")
    rates = {
        SHOWN[key.removeprefix("peers/")]: run.figures.median(key)
        for key in run.figures.rounds
        if "µs" not in key
    }
    costs = {name: run.figures.median(f"peers/{key} µs") for key, name in SHOWN.items()}
    order = sorted(rates, key=lambda name: -rates[name])
    PICTURE.write_text(
        bars("One plain GET, one core", {name: rates[name] for name in order}, "requests/s"), encoding="utf-8"
    )
    lines = ["| | requests/s | µs of processor each |", "|---|---:|---:|"]
    lines += [f"| {name} | {rates[name]:,.0f} | {costs[name]:.1f} |" for name in order]
    text = README.read_text(encoding="utf-8")
    table = "<!-- speed -->\n" + "\n".join(lines) + "\n<!-- end speed -->"
    README.write_text(
        re.sub(r"<!-- speed -->.*?<!-- end speed -->", table, text, flags=re.DOTALL), encoding="utf-8"
    )
    tell("\n".join([machine.describe(), *lines]))


if __name__ == "__main__":
    main()
