"""The long run: many seeds, and what was seen in them; of one that fails, the fewest steps that fail."""

from __future__ import annotations

import argparse
import re
import time
import warnings
from collections import Counter
from typing import Any

from tests.simulate.plan import Plan, make
from tests.simulate.world import LEGAL, Failed, Outcome, World

COMMAND = "python -m tests.simulate --seed"


def kept(plan: Plan, steps: list[int]) -> Plan:
    """`plan` with only these of its steps."""
    return plan._replace(steps=tuple(plan.steps[index] for index in steps))


def fails(plan: Plan) -> Failed | None:
    try:
        World(plan).run()
    except Failed as failed:
        return failed
    return None


def kind(failed: Failed | None) -> str:
    """What of a failure is the same whichever request it befell."""
    return re.sub(r"\d+", "0", str(failed))[:30]


def shortest(plan: Plan, seconds: float = 10) -> list[int]:
    """Steps that are enough for a failure, none of which can be left out, if there is time to find them."""
    end, same = time.monotonic() + seconds, kind(fails(plan))
    steps = list(range(len(plan.steps)))
    size = max(1, len(steps) // 2)
    while size and time.monotonic() < end:
        start = len(steps)
        found = False
        while start > 0 and time.monotonic() < end:
            fewer = steps[: max(0, start - size)] + steps[start:]
            if kind(fails(kept(plan, fewer))) == same:
                steps, found = fewer, True
            start -= size
        if not found or size > 1:
            size //= 2
    return steps


def report(plan: Plan) -> str:
    """How a failure is seen again."""
    steps = shortest(plan)
    failed = fails(kept(plan, steps)) or fails(plan)
    if failed is None:
        return f"fails, but not again: {COMMAND} {plan.seed}"
    keep = ",".join(map(str, steps))
    few = f"{len(steps)} steps do: {COMMAND} {plan.seed} --keep {keep or 'none'}"
    return f"again by: {COMMAND} {plan.seed}\n{few}\n{failed}"


def tell(world: World, step: Any) -> None:
    print(f"  {world.at:3} {world.now:10.3f} s  {step}")
    for client in world.clients.values():
        if client.link is not None and client.link.connection is not None:
            print(f"{'':19}{client} {client.link.connection!r} read {client.read} of {client.said}", end="")
            print(f", answered {client.answered} of {len(client.expected)}, {client.link.unsent()} unsent")


def show(outcomes: list[Outcome], seconds: float) -> None:
    count = sum((outcome.counts for outcome in outcomes), Counter[str]())
    changes = sum((outcome.changes for outcome in outcomes), Counter[tuple[str, str]]())
    first = ("clients", "requests", "answers", "resets", "half-closes", "stops", "stops under load")
    print(f"simulate: {len(outcomes)} seeds, {count.pop('steps', 0)} steps in {seconds:.1f} s")
    print("simulate: " + ", ".join(f"{count.pop(name, 0)} {name}" for name in first))
    print("simulate: " + ", ".join(f"{number} {name}" for name, number in sorted(count.items())))
    print("simulate: " + ", ".join(f"{a}→{b} {changes[a, b]}" for a, b in sorted(changes)))
    missing = {(state, after) for state in LEGAL for after in LEGAL[state]} - changes.keys()
    if missing:
        print(f"simulate: never seen: {sorted(missing)}")


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.simulate", description="Servers made of dice.")
    options.add_argument("--seeds", type=int, default=1000, help="how many (1000)")
    options.add_argument("--first", type=int, default=0, help="the first of them (0)")
    options.add_argument("--seed", type=int, help="run this one only, and tell its steps")
    options.add_argument("--keep", help="only these of its steps: 3,7,12")
    chosen = options.parse_args()
    warnings.simplefilter("error")
    if chosen.seed is not None:
        plan = make(chosen.seed)
        if chosen.keep is not None:
            plan = kept(plan, [int(index) for index in chosen.keep.split(",") if index.isdigit()])
        print(f"simulate: seed {chosen.seed}: {plan}")
        try:
            World(plan).run(tell)
        except Failed as failed:
            print(f"simulate: FAILED at step {failed.at}: {failed}")
            return 1
        print("simulate: all laws hold")
        return 0
    began = time.monotonic()
    outcomes: list[Outcome] = []
    failures = 0
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        try:
            outcomes.append(World(make(seed)).run())
        except Failed:
            failures += 1
            print(f"simulate: FAILED: seed {seed}: {report(make(seed))}", flush=True)
            if failures == 5:
                break
    show(outcomes, time.monotonic() - began)
    print(f"simulate: {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
