"""SimpleQueue, where the queue module is missing: unbounded, first in first out, safe between threads."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class SimpleQueue(Generic[T]):
    """`put` never waits; `get` waits until there is an item."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._count = threading.Semaphore(0)

    def put(self, item: T) -> None:
        self._items.append(item)
        self._count.release()

    def get(self) -> T:
        self._count.acquire()
        return self._items.popleft()

    def empty(self) -> bool:
        return not self._items
