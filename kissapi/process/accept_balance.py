"""Accept balancing: how many clients each worker has, in memory that all see, so that none takes too many.

Counts decide which worker should accept the next client, never whether it is accepted. All workers wake when
a client comes. Without counts the first worker to wake gets it, and often all that wait: measured with 200
keep-alive connections over two workers, 53 to 147 as a rule, and once 0 to 200. So a worker that is ahead
pauses, and the others go first. If they do not, they are busy or hang, and it accepts a few more.
"""

from __future__ import annotations

from typing import Any

try:
    import mmap
except ImportError:  # a small Python, without balancing
    mmap = None  # type: ignore[assignment]

AHEAD = 4  # clients more than the least loaded worker: enough that short connections never wait
_VACANT = 0xFFFFFFFF


class Slots:
    """The counts of at most `size` workers of one server."""

    def __init__(self, size: int) -> None:
        self._counts: Any = [_VACANT]
        if mmap is not None:
            self._counts = memoryview(mmap.mmap(-1, 4 * size)).cast("I")
            for place in range(size):
                self._counts[place] = _VACANT
        self._free = list(range(len(self._counts) if mmap is not None else 0))

    def assign(self) -> Slot | None:
        """A slot for one worker; None if there is none left, which does no harm."""
        return Slot(self._counts, self._free.pop(0)) if self._free else None

    def release(self, slot: Slot | None) -> None:
        """The worker that had `slot` has ended."""
        if slot is not None:
            slot.vacate()
            self._free.append(slot.place)


class Slot:
    """One worker's place among the counts."""

    PAUSE = 0.005  # seconds; in less, a busy system has not given the others their turn

    def __init__(self, counts: Any, place: int) -> None:
        self.place = place
        self._counts = counts
        self._granted = 0  # with so many clients this worker has paused …
        self._more = 0  # … and may accept so many more, whatever the others have
        self._least = -1  # what the least loaded worker had at that time

    def may_accept(self, count: int) -> bool:
        """Whether this worker, which has `count` clients, may accept the next; if not, then in `PAUSE`."""
        self._counts[self.place] = count
        least: int = min(self._counts)
        if count < least + AHEAD or self._granted <= count < self._granted + self._more:
            return True
        # If the least loaded worker has accepted none since, it hangs: pause less and less often.
        self._more = 2 * self._more if least == self._least else AHEAD
        self._granted, self._least = count, least
        return False

    def record(self, count: int) -> None:
        """This worker has `count` clients now."""
        self._counts[self.place] = count

    def vacate(self) -> None:
        """The others need not wait for this worker any more."""
        self._counts[self.place] = _VACANT
