"""Speed: the ten rows of the README and its picture. `make speed` measures them and writes both.

python -m tests.bench.speed [rounds]
"""

from __future__ import annotations

import sys

from tests.bench import machine, pages, plaintext
from tests.bench.run import Run, tell


def main() -> None:
    run = Run(rounds=int(sys.argv[1]) if sys.argv[1:] else 5, seconds=1)
    run.measure([row for row in plaintext.rows() if row.key.removeprefix("peers/") in pages.SHOWN])
    if run.left_out or run.failures:
        wrong = run.left_out | run.failures
        raise SystemExit(f"speed: not measured: {wrong}; make bench-peers installs the peers")
    pages.write(run.figures)
    tell("\n".join([machine.describe(), *pages.speed_table(run.figures)]))


if __name__ == "__main__":
    main()
