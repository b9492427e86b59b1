"""The short form of `make simulate`: the same seeds each time, on both grounds and with both parsers."""

from __future__ import annotations

from collections import Counter

import pytest

from kissapi.core import BUSY, CLOSING, LEGAL
from tests.simulate.__main__ import COMMAND, tell
from tests.simulate.plan import make
from tests.simulate.world import Failed, World

SEEDS = 64


def test_all_laws_hold_whatever_the_dice_say() -> None:
    seen: Counter[str] = Counter()
    changes: Counter[tuple[str, str]] = Counter()
    for seed in range(SEEDS):
        plan = make(seed)
        try:
            outcome = World(plan).run()
        except Failed as failed:
            pytest.fail(f"{COMMAND} {seed}\nstep {failed.at}: {failed}")
        seen += outcome.counts
        seen[plan.ground] += 1
        seen[plan.parser_class.__name__] += 1
        changes += outcome.changes
    # Dice that make only one kind of thing would prove nothing.
    legal = {(state, after) for state in LEGAL for after in LEGAL[state]}
    assert changes.keys() == legal - {(BUSY, CLOSING)}  # that of a WebSocket
    assert seen["answers"] > SEEDS * 3
    for name in (
        "wire",
        "selectors",
        "HttpParser",
        "PureHttpParser",
        "stops under load",
        "resets",
        "half-closes",
    ):
        assert seen[name] > SEEDS / 10, name
    for name in (
        "cut",
        "stalled",
        "timed out",
        "forced",
        "lingered",
        "idle ends",
        "times without descriptors",
    ):
        assert seen[name], name


def test_a_seed_gives_the_same_run_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for _ in range(2):
        World(make(7)).run(tell)
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert told[0].count("\n") > 50


def test_a_run_with_steps_left_out_is_a_run() -> None:
    plan = make(7)
    for index in range(0, len(plan.steps), 5):
        World(plan._replace(steps=plan.steps[:index] + plan.steps[index + 1 :])).run()
