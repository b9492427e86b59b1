"""The long run: seeds until the time is over; what fails is kept, and the seed is printed to run it again.

A fifth of the time goes to heads on every CPython found, for each has regular expressions of its own.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from pathlib import Path

from tests import cpythons
from tests.fuzz import referee, replies
from tests.fuzz.grammar import stream

CORPUS = Path(__file__).parent / "corpus"


def keep(seed: int) -> Path:
    """Save the bytes of a failing seed for tests/http/test_fuzz.py."""
    file = CORPUS / f"seed-{seed}.http"
    file.write_bytes(stream(random.Random(seed)))
    return file


def heads(seconds: float) -> int:
    """On how many CPythons the fast road and the careful one differ."""
    found = cpythons.find()
    failures = 0
    for python in found:
        done = cpythons.run(
            python,
            "tests/fuzz/heads.py",
            f"seconds={seconds / len(found)}",
            library=cpythons.httptools(python),
        )
        print(done.stdout, end="", flush=True)
        failures += done.returncode != 0
    return failures


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Both parsers must agree.")
    options.add_argument("--seconds", type=float, default=60, help="how long (60)")
    options.add_argument("--seed", type=int, help="run this one only")
    chosen = options.parse_args()
    if referee.HttpParser.library is referee.PureHttpParser.library:
        print("fuzz: httptools is not installed: there is nothing to compare with")
    if chosen.seed is not None:
        print(stream(random.Random(chosen.seed)))
        outcome, _ = referee.run(chosen.seed)
        print(f"fuzz: agreed: {outcome}")
        replies.run(chosen.seed, referee.HttpParser)
        return 0

    end = time.monotonic() + chosen.seconds
    failures = heads(chosen.seconds / 5)
    first = seed = random.SystemRandom().randrange(1 << 40)
    ends: Counter[int | str] = Counter()
    answers: Counter[int] = Counter()
    taken = with_h11 = 0
    while time.monotonic() < end:
        seed += 1
        try:
            outcome, seen = referee.run(seed)
            ends[outcome.end] += 1
            taken += len(outcome.messages)
            with_h11 += seen
        except AssertionError as error:
            failures += 1
            print(
                f"fuzz: DIFFERENCE, kept as {keep(seed).name}; again by: python -m tests.fuzz --seed {seed}"
            )
            print(error)
        if seed % 4 == 0:
            try:
                answers[replies.run(seed, referee.PARSERS[seed // 4 % 2])] += 1
            except Exception as error:
                failures += 1
                print(f"fuzz: BAD RESPONSE, again by: python -m tests.fuzz --seed {seed}\n{error!r}")
    print(f"fuzz: {seed - first} streams from seed {first + 1}, each read four times")
    print(f"fuzz: {taken} requests taken, {with_h11} of them seen alike by h11")
    print("fuzz: ends: " + ", ".join(f"{end} {count}" for end, count in ends.most_common()))
    print(
        f"fuzz: {answers.total()} responses: "
        + ", ".join(f"{status} {count}" for status, count in answers.most_common(8))
    )
    print(f"fuzz: {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
