"""python -m tests.bench: see the head of the package."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import time

from tests.bench import cost, goals, growth, ladder, machine, pages, plaintext, profiles
from tests.bench.run import FIGURES, Run, tell
from tests.bench.server import BUILD

GROUPS = {"ladder": ladder, "peers": plaintext, "profiles": profiles, "cost": cost, "growth": growth}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("groups", nargs="*", metavar="group", help=", ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--names", default="", help="only rows with one of these words, by comma")
    parser.add_argument("--then", default="", help="a revision of git: that kissapi is measured beside")
    options = parser.parse_args()
    groups = [name for each in options.groups for name in each.split(",")] or [*GROUPS]
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    if shutil.which("wrk") is None:
        raise SystemExit("bench: wrk is missing: apt-get install wrk")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end, too
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    run = Run(
        rounds=options.rounds or (1 if options.quick else 5),
        seconds=options.seconds or (1 if options.quick else 2),
        quick=options.quick,
        names=tuple(options.names.split(",")) if options.names else (),
        then=options.then,
    )
    return report(run, groups)


def report(run: Run, groups: list[str]) -> int:
    """Measure and print; the exit code."""
    start = time.monotonic()
    print(f"# kissapi's bench\n\n{machine.describe()}", flush=True)
    print(f"- median of {run.rounds} interleaved rounds of {run.seconds} s; wrk, one thread\n", flush=True)
    os.sched_setaffinity(0, {machine.cores()[1]})  # what is asked in this process is load
    try:
        for name in groups:
            GROUPS[name].measure(run)
            for table in GROUPS[name].tables(run.figures):
                print(table.markdown(), flush=True)
                if file := table.draw(BUILD / "bench"):
                    tell(f"drawn: {file.relative_to(BUILD.parent)}")
    finally:  # what was measured until it was stopped
        FIGURES.parent.mkdir(parents=True, exist_ok=True)
        known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
        FIGURES.write_text(json.dumps(known | run.figures.rounds, indent=1))
    for table in goals.tables(run.figures):
        print(table.markdown(), flush=True)
    if not run.quick:
        for file in pages.write(run.figures):
            tell(f"written: {file.name}")
    for what, why in run.left_out.items():
        print(f"- left out: {what}: {why}")
    if run.left_out:
        print("\n`make bench-peers` installs the peers; nginx comes with `apt-get install nginx-light`.")
    for what, why in run.failures.items():
        print(f"- FAILED: {what}: {why}")
    tell(
        f"bench: {time.monotonic() - start:.0f} s; figures of this and earlier runs: build/bench/figures.json"
    )
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
