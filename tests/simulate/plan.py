"""Plan: what happens in one run, step by step, made of a seed before it begins.

A step says all there is to say about it and makes sense in any state, so a plan is still one with some
of its steps left out. That is how the shortest one that fails is found.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from kissapi import HttpParser
from kissapi.http.pure import PureHttpParser
from tests.simulate.app import EACH
from tests.simulate.traffic import Item, item

CLIENTS = 10
QUICK = {
    "head_timeout": 2, "body_timeout": 3, "idle_timeout": 2.5, "write_timeout": 4, "linger_timeout": 0.5,
    "drain_timeout": 0.3, "shutdown_timeout": 5,
}  # fmt: skip


class Step(NamedTuple):
    """One thing that happens; `what` is a method of `World`."""

    what: str
    client: int = -1
    size: float = 0
    late: bool = False
    item: Item | None = None

    def __str__(self) -> str:
        said = f" {self.item.name!r}" if self.item else ""
        late = " late" if self.late else ""
        who = f" client {self.client}" if self.client >= 0 else ""
        return f"{self.what}{who}{said}{f' {self.size:g}' if self.size else ''}{late}"


class Plan(NamedTuple):
    """The surroundings, and the steps."""

    seed: int
    ground: str
    parser_class: Any
    limits: dict[str, float | None]
    rooms: tuple[float, ...]
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        limits = ", ".join(f"{name}={value}" for name, value in self.limits.items())
        return f"{self.ground}, {self.parser_class.__name__}, {limits}"


def make(seed: int) -> Plan:
    """The plan of a seed."""
    dice = random.Random(seed)
    limits: dict[str, float | None] = dict(QUICK) if dice.random() < 0.6 else {}
    limits["read_size"] = dice.choice((64 * 1024, 64 * 1024, 4096, 300))
    ground = dice.choice(("wire", "selectors", "selectors"))
    if ground == "selectors" and dice.random() < 0.15:
        limits["max_connections"] = dice.randint(1, 3)
    rooms = tuple(dice.choice((float("inf"), float("inf"), 100_000, 5000, 100, 0)) for _ in range(CLIENTS))
    busiest = dice.randint(1, CLIENTS)
    numbers = [client * EACH for client in range(CLIENTS)]
    steps = []
    weights = dice.choice((CALM, CALM, CROWDED, ROUGH))
    for what in dice.choices(list(weights), list(weights.values()), k=dice.randint(8, 100)):
        client = dice.randrange(busiest)
        late = dice.random() < 0.2
        if what == "say":
            steps.append(Step(what, client, late=late, item=item(dice, numbers[client])))
            numbers[client] += 1
            if dice.random() < 0.85:
                size = dice.choice((1, 7, 50, 1 << 20, 1 << 20, 1 << 20))
                steps.append(Step("carry", client, size, late))
        elif what == "carry":
            steps.append(Step(what, client, dice.choice((1, 20, 100, 3000, 1 << 20)), late))
        elif what == "read":
            steps.append(Step(what, client, dice.choice((1, 100, 5000, 100_000, 1 << 20))))
        elif what == "wait":
            seconds = dice.choice((0.001, 0.01, 0.02, 0.3, 0.3, 0.7, 2, 3, 5, 16, 31))
            steps.append(Step(what, size=seconds))
        elif what in ("turn", "exhaust"):
            steps.append(Step(what, size=dice.randint(1, 4)))
        else:
            steps.append(Step(what, client, late=late))
    if dice.random() < 0.5:
        at = dice.randint(0, len(steps))
        steps.insert(at, Step("stop"))
        if dice.random() < 0.2:
            steps.insert(dice.randint(at, len(steps)), Step("force"))
    return Plan(
        seed,
        ground,
        limits=limits,
        rooms=rooms,
        steps=tuple(steps),
        parser_class=(PureHttpParser if dice.random() < 0.3 else HttpParser),
    )


CALM = {"say": 30, "carry": 15, "read": 10, "wait": 12, "turn": 15, "end": 1, "reset": 1}
CROWDED = {"say": 60, "carry": 5, "read": 10, "wait": 3, "turn": 10, "end": 1, "reset": 1, "exhaust": 1}
ROUGH = {"say": 25, "carry": 20, "read": 10, "wait": 10, "turn": 15, "end": 5, "reset": 6, "exhaust": 1}
