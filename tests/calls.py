"""Calls: work counted in Python and C calls, which are the same on every machine, busy or not."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def count_calls(function: Callable[..., object], *arguments: Any) -> int:
    """How many calls `function(*arguments)` makes, itself included."""
    calls = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1

    before = sys.getprofile()
    gc.disable()  # a collection has callbacks, too: Hypothesis's
    sys.setprofile(profile)
    try:
        function(*arguments)
    finally:
        sys.setprofile(before)
        gc.enable()
    return calls - 1  # the last is setprofile
