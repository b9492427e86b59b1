"""Share: how many clients each worker has, in memory that all of them see, so that none takes too many.

Law: counts decide who should take the next client, never whether it is taken. All workers wake when a client
comes, and whoever is first would get it, or a whole crowd of them: measured with 200 keep-alive connections
over two workers, 53 to 147 as a rule, and once 0 to 200. So one that is ahead lets the others go first; in a
moment they are busy, or hang, and it takes a few more.
"""

from __future__ import annotations

from typing import Any

try:
    import mmap
except ImportError:  # a small Python: there whoever is first gets them
    mmap = None  # type: ignore[assignment]

AHEAD = 4  # clients more than the least loaded worker: enough that short connections never wait
_NOBODY = 0xFFFFFFFF


class Shares:
    """The counts of at most `size` workers."""

    def __init__(self, size: int) -> None:
        self._counts: Any = [_NOBODY]
        if mmap is not None:
            self._counts = memoryview(mmap.mmap(-1, 4 * size)).cast("I")
            for place in range(size):
                self._counts[place] = _NOBODY
        self._free = list(range(len(self._counts) if mmap is not None else 0))

    def take(self) -> Share | None:
        """A place for one worker; None if there is none left, which does no harm."""
        return Share(self._counts, self._free.pop(0)) if self._free else None

    def give_back(self, share: Share | None) -> None:
        """The worker has ended."""
        if share is not None:
            share.leave()
            self._free.append(share.place)


class Share:
    """One worker's place among the counts."""

    PAUSE = 0.005  # seconds; less is over before a busy system has given the others their turn

    def __init__(self, counts: Any, place: int) -> None:
        self.place = place
        self._counts = counts
        self._granted = 0  # from so many clients on …
        self._more = 0  # … it may have so many more, whatever the others have
        self._least = -1  # what the least loaded worker had then

    def has_turn(self, count: int) -> bool:
        """Whether this worker, which has `count` clients, may take the next now; if not, then in `PAUSE`."""
        self._counts[self.place] = count
        least: int = min(self._counts)
        if count < least + AHEAD or self._granted <= count < self._granted + self._more:
            return True
        # If nothing has changed there, it hangs: we wait less and less often.
        self._more = 2 * self._more if least == self._least else AHEAD
        self._granted, self._least = count, least
        return False

    def has(self, count: int) -> None:
        """Some of its clients have gone, and now it has `count`."""
        self._counts[self.place] = count

    def leave(self) -> None:
        """Nobody need wait for this worker any more."""
        self._counts[self.place] = _NOBODY
