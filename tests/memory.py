"""Memory: what Linux says of the memory of a process, by its number; in bytes."""

from __future__ import annotations

import re
from pathlib import Path


def resident(number: int) -> int:
    """What is in memory of it now (RSS)."""
    return _field(number, "status", "VmRSS")


def peak(number: int) -> int:
    """The most that there was since `forget_peak`, between any two looks as well."""
    return _field(number, "status", "VmHWM")


def forget_peak(number: int) -> None:
    """The peak is what there is now."""
    Path(f"/proc/{number}/clear_refs").write_text("5")


def proportional(number: int) -> int:
    """As `resident`, but of pages that several processes share, its part (PSS)."""
    return _field(number, "smaps_rollup", "Pss")


def descendants(number: int) -> list[int]:
    """The processes that it has started, and those of these."""
    found = []
    for child in Path(f"/proc/{number}/task/{number}/children").read_text().split():
        found += [int(child), *descendants(int(child))]
    return found


def _field(number: int, file: str, name: str) -> int:
    text = Path(f"/proc/{number}/{file}").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    assert found, text
    return int(found[1]) * 1024
