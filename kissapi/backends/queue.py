"""Queue: items from coroutines to coroutines, first in, first out, on every backend."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

from kissapi.backends.event import Event
from kissapi.backends.loop_bound import LoopBound, wake_next

T = TypeVar("T")


class QueueEmpty(Exception):
    """`get_nowait` finds no item."""


class QueueFull(Exception):
    """`put_nowait` finds no room."""


class Queue(LoopBound, Generic[T]):
    """First in, first out. `asyncio.Queue`, on every backend.

    With `maxsize` items it is full, and `put` waits; 0 is no limit. It belongs to the event loop that first
    awaits it; another loop, or another thread, gets a `RuntimeError`.

        news: kissapi.Queue[str] = kissapi.Queue(maxsize=100)
        await news.put("it rains")
        text = await news.get()
    """

    def __init__(self, maxsize: int = 0) -> None:
        self.maxsize = maxsize
        self._items: deque[T] = deque()
        self._getters: deque[Any] = deque()
        self._putters: deque[Any] = deque()
        self._unfinished = 0
        self._finished = Event()
        self._finished.set()

    def __repr__(self) -> str:
        return f"<Queue of {len(self._items)}, at most {self.maxsize if self.maxsize > 0 else 'any number'}>"

    def qsize(self) -> int:
        """How many items are in it."""
        return len(self._items)

    def empty(self) -> bool:
        """Whether there is none."""
        return not self._items

    def full(self) -> bool:
        """Whether there is no room for another one."""
        return 0 < self.maxsize <= len(self._items)

    async def put(self, item: T) -> None:
        """Add `item`, once there is room."""
        loop = self._bind()
        while self.full():
            await self._wait(loop, self._putters, self.full)
        self.put_nowait(item)

    def put_nowait(self, item: T) -> None:
        """Add `item` now. Raises `Queue.Full` if there is no room."""
        self._check_thread()
        if self.full():
            raise QueueFull(f"there are {self.maxsize} items, which is the most")
        self._items.append(item)
        self._unfinished += 1
        self._finished.clear()
        wake_next(self._getters)

    async def get(self) -> T:
        """Take the first item, once there is one."""
        loop = self._bind()
        while not self._items:
            await self._wait(loop, self._getters, self.empty)
        return self.get_nowait()

    def get_nowait(self) -> T:
        """Take the first item now. Raises `Queue.Empty` if there is none."""
        self._check_thread()
        if not self._items:
            raise QueueEmpty("there is no item")
        item = self._items.popleft()
        wake_next(self._putters)
        return item

    def task_done(self) -> None:
        """The work on an item that was taken is done; see `join`. Raises `ValueError` for more than came."""
        self._check_thread()
        if not self._unfinished:
            raise ValueError("task_done() was called more often than items were put")
        self._unfinished -= 1
        if not self._unfinished:
            self._finished.set()

    async def join(self) -> None:
        """Wait until `task_done` was called for every item that was put."""
        self._bind()
        await self._finished.wait()

    async def _wait(self, loop: Any, waiters: deque[Any], must_wait: Any) -> None:
        waiter = loop.create_future()
        waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            waiter.cancel()
            if waiter in waiters:
                waiters.remove(waiter)
            elif not must_wait() and not waiter.cancelled():
                wake_next(waiters)  # it was woken and then cancelled: the next one goes in its place
            raise

    def _forget_waiters(self) -> None:
        self._getters.clear()
        self._putters.clear()

    Empty = QueueEmpty
    Full = QueueFull
