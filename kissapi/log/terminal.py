"""Colours for a terminal, if there is one. The one door to colorama."""

from __future__ import annotations

import os
from typing import Any


def is_terminal(stream: Any) -> bool:
    """Whether `stream`, which may be anything, is one."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def wants_colour(stream: Any, environ: Any = os.environ) -> bool:
    """Whether to colour: PYTHON_COLORS, NO_COLOR, FORCE_COLOR decide, as for CPython; else on a terminal."""
    if environ.get("PYTHON_COLORS") in ("0", "1"):
        return bool(environ["PYTHON_COLORS"] == "1")
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return environ.get("TERM") != "dumb" and is_terminal(stream)


def painter(stream: Any) -> Any:
    """The function `paint(colour, text)` for `stream`; one that leaves `text` as it is without colours."""
    if not wants_colour(stream):
        return lambda colour, text: text
    try:
        import colorama
    except ImportError:
        from kissapi.compat import colorama
    colorama.just_fix_windows_console()
    return lambda colour, text: getattr(colorama.Fore, colour) + text + colorama.Style.RESET_ALL
