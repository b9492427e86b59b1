"""Inbox: the messages that have come, until the handler asks for them.

It is bounded: the session checks `is_full` after each message, and then pauses reading.
"""

from __future__ import annotations

from collections import deque
from typing import Any

ENOUGH = 64 * 1024  # bytes (or characters) from which on an inbox is full …
MANY = 64  # … and messages


class Inbox:
    """The messages of one WebSocket, in order; `loop` makes the future that their reader awaits."""

    __slots__ = ("_loop", "_reader", "_size", "is_full", "messages")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._reader: Any = None
        self._size = 0
        self.is_full = False
        self.messages: deque[str | bytes] = deque()

    @property
    def is_half_empty(self) -> bool:
        """Whether to resume reading: not after each message of a full inbox."""
        return self._size <= ENOUGH // 2 and len(self.messages) <= MANY // 2

    def put(self, message: str | bytes) -> None:
        self.messages.append(message)
        self._size += len(message)
        self.is_full = self._size >= ENOUGH or len(self.messages) >= MANY
        self.wake()

    def pop(self) -> str | bytes:
        message = self.messages.popleft()
        self._size -= len(message)
        self.is_full = self._size >= ENOUGH
        return message

    def wait(self) -> Any:
        """To be awaited until `wake` is called. Raises `RuntimeError` if a task waits already."""
        if self._reader is not None and not self._reader.done():
            raise RuntimeError("two tasks wait for the messages of one WebSocket: let one take them all")
        self._reader = self._loop.create_future()
        return self._reader

    def wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():  # else its task was cancelled
            reader.set_result(None)
