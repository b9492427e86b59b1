"""Calls: work counted in Python and C calls, which are the same on every machine, busy or not."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def list_calls(function: Callable[..., object], *arguments: Any) -> list[str]:
    """The calls that `function(*arguments)` makes, itself included: `py Router.get`, `c dict.setdefault`."""
    calls: list[str] = []

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            calls.append(f"py {frame.f_code.co_qualname}")
        elif event == "c_call":
            calls.append(f"c {argument.__qualname__}")

    before = sys.getprofile()
    gc.disable()  # a collection has callbacks, too: Hypothesis's
    sys.setprofile(profile)
    try:
        function(*arguments)
    finally:
        sys.setprofile(before)
        gc.enable()
    return calls[:-1]  # the last is setprofile


def count_calls(function: Callable[..., object], *arguments: Any) -> int:
    """How many calls `function(*arguments)` makes, itself included."""
    return len(list_calls(function, *arguments))
