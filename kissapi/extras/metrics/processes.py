"""Processes: the values of all workers, which prometheus_client keeps in files of one folder.

Each process writes to files of its own, and whichever is scraped adds up all of them. So nothing is lost when
a worker is killed. Two things are left to do:

- A new worker goes on with the files of one that has ended: else there would be more of them with each worker
  that is replaced, and each scrape would read them all. What was counted is still there.
- The gauges of a worker that has ended are removed: its requests are over.

The folder may outlive the program: what has been counted in it goes on after a restart.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_FILE = re.compile(r"(counter|histogram|summary|gauge_[a-z]+)_(\d+)\.db")


class Folder:
    """The folder of the files; `path` must be there."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    @contextmanager
    def merged(self) -> Iterator[CollectorRegistry]:
        """A registry with the values of all processes, to be read inside of the block; it may wait."""
        with self._alone():
            for pid in {pid for _, pid in self._files() if not _alive(pid)}:
                mark_process_dead(pid, self.path)
            registry = CollectorRegistry()
            _Collector(registry, self.path)  # type: ignore[no-untyped-call]
            yield registry

    def adopt(self) -> None:
        """Go on with files of a process that has ended: for one that has just been forked."""
        with self._alone():
            mine = os.getpid()
            mark_process_dead(mine, self.path)  # the number may have been that of another one
            for kind, pid in self._files():
                file = self.path / f"{kind}_{mine}.db"
                if not kind.startswith("gauge") and not file.exists() and not _alive(pid):
                    (self.path / f"{kind}_{pid}.db").rename(file)

    def _files(self) -> list[tuple[str, int]]:
        """Kind and process of each file."""
        found = (_FILE.fullmatch(name) for name in os.listdir(self.path))
        return [(each[1], int(each[2])) for each in found if each is not None]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Of all processes, this one alone reads or renames files; they are written to all the time."""
        import fcntl  # not on Windows

        with open(self.path / "lock", "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)  # closing it does not, if a fork has it too


class _Collector(MultiProcessCollector):
    """Leaves out empty files: another process has just made them, and they have no header yet."""

    def collect(self) -> Any:
        files = [str(file) for file in Path(self._path).glob("*.db") if file.stat().st_size]
        return self.merge(files, accumulate=True)  # type: ignore[no-untyped-call]


def folder_of_workers() -> Folder | None:
    """The folder that the environment names, made if need be; None if it names none.

    Raises `RuntimeError` if it was named too late, or where there are no workers.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    if not hasattr(os, "register_at_fork"):  # Windows
        raise RuntimeError(f"{VARIABLE} is for workers, which need os.fork: unset it, and use loops=")
    if values.ValueClass is values.MutexValue:
        raise RuntimeError(
            f"{VARIABLE} was set when prometheus_client had been imported, which reads it only once: "
            "set it before Python starts"
        )
    os.makedirs(path, exist_ok=True)
    return _adopting(path)


@cache
def _adopting(path: str) -> Folder:
    folder = Folder(path)
    # Right after a fork, when the process has counted nothing yet.
    os.register_at_fork(after_in_child=folder.adopt)
    return folder


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):  # of another user: that number is in use again
        return False
    return True
