"""Nearest: the end of a message about a name that is unknown: which of the known ones may be meant.

raise TypeError(f"{name!r} is no argument{did_you_mean(name, NAMES)}")
"""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(given: object, names: Iterable[str]) -> str:
    """A question for the end of a message: the name that is nearest to `given`; "" if none is near.

    >>> did_you_mean("prot", ["host", "port"])
    ': did you mean port?'
    """
    try:
        from difflib import get_close_matches  # only where a mistake is told
    except ImportError:  # a small Python
        return ""
    near = get_close_matches(str(given), [*names], n=1)
    return f": did you mean {near[0]}?" if near else ""
