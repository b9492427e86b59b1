"""Cases: many of them in one test, where pytest's own work for a test takes longer than the case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def about(case: object) -> Iterator[None]:
    """What fails in this block says of which case."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"the case: {case}")
        raise
