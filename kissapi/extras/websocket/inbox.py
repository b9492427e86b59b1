"""Inbox: the messages that have come, until the handler asks for them.

It is bounded: the session checks `is_full` after each message, and then pauses reading.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsproto.events import BytesMessage, TextMessage

ENOUGH = 64 * 1024  # bytes (or characters) from which on an inbox is full …
MANY = 64  # … and messages


class Inbox:
    """The messages of one WebSocket, in order; `loop` makes the future that their reader awaits."""

    __slots__ = ("_loop", "_messages", "_parts", "_reader", "_size")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._messages: deque[str | bytes] = deque()
        self._size = 0
        self._parts = bytearray()  # of an incomplete message
        self._reader: Any = None

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def is_full(self) -> bool:
        return self._size >= ENOUGH or len(self._messages) >= MANY

    @property
    def is_half_empty(self) -> bool:
        """Whether to resume reading: not after each message of a full inbox."""
        return self._size <= ENOUGH // 2 and len(self._messages) <= MANY // 2

    def put(self, event: TextMessage | BytesMessage) -> None:
        """Add a message, or the next part of one."""
        data: Any = event.data
        is_text = isinstance(data, str)
        if self._parts or not event.message_finished:
            # No list of parts, nor StringIO, which is one up to 3.11: a million parts are a million objects.
            self._parts += data.encode() if is_text else data
            if not event.message_finished:
                return
            data, self._parts = self._parts, bytearray()
            if is_text:
                data = data.decode()
        self._messages.append(data if is_text else bytes(data))
        self._size += len(data)
        self.wake()

    def pop(self) -> str | bytes:
        message = self._messages.popleft()
        self._size -= len(message)
        return message

    async def wait(self) -> None:
        """Wait until `wake` is called. Raises `RuntimeError` if a task waits already."""
        if self._reader is not None:
            raise RuntimeError("two tasks wait for the messages of one WebSocket: let one take them all")
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
