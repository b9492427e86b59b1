"""The short form of `make fuzz`: the same seeds each time, and all that ever failed."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("h11")

from tests.fuzz import referee, replies
from tests.fuzz.grammar import stream
from tests.places import ROOT

CORPUS = sorted((ROOT / "tests/fuzz/corpus").glob("*.http"))
SEEDS = 4000  # in four parts, so that a failure says sooner where it is


@pytest.mark.parametrize("part", range(4))
def test_both_parsers_agree_and_h11_with_them(part: int) -> None:
    ends: Counter[int | str] = Counter()
    taken = seen_alike = 0
    for seed in range(part, SEEDS, 4):
        try:
            outcome, seen = referee.run(seed)
        except AssertionError as error:
            pytest.fail(f"python -m tests.fuzz --seed {seed}\n{error}")
        ends[outcome.end] += 1
        taken += len(outcome.messages)
        seen_alike += seen
    # A grammar that makes only one kind of thing would prove nothing.
    assert taken > SEEDS / 4 / 4
    assert seen_alike > taken * 0.8
    assert ends.keys() >= {400, 413, 414, 417, 431, 501, 505, referee.MORE, referee.CLOSED}


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_what_failed_once(file: Path) -> None:
    for seed in range(8):
        for limits in (None, referee.TIGHT):
            referee.judge(file.read_bytes(), random.Random(seed), limits)


def test_a_seed_gives_the_same_bytes_each_time() -> None:
    assert stream(random.Random(7)) == stream(random.Random(7))


def test_nothing_a_handler_says_splits_a_response(parser_class: Any) -> None:
    statuses = Counter(replies.run(seed, parser_class) for seed in range(400))
    assert statuses[200] > 50
    assert statuses[500] > 50
