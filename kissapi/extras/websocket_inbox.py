"""Inbox: messages that have come, and that the handler has yet to take.

Law: it holds one message more than it has room for, at most. Who fills it looks first, and stops reading.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsproto.events import BytesMessage, TextMessage

ENOUGH = 64 * 1024  # bytes (or characters) from which on it is full …
MANY = 64  # … and messages


class Inbox:
    """The messages of one WebSocket, in order; `loop` makes the future that their reader waits for."""

    __slots__ = ("_loop", "_messages", "_parts", "_reader", "_size")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._messages: deque[str | bytes] = deque()
        self._size = 0
        self._parts = bytearray()  # of a message that comes in pieces
        self._reader: Any = None

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def is_full(self) -> bool:
        return self._size >= ENOUGH or len(self._messages) >= MANY

    @property
    def is_half_empty(self) -> bool:
        """Whether it is worth the while to read on: not after each message of a full one."""
        return self._size <= ENOUGH // 2 and len(self._messages) <= MANY // 2

    def put(self, event: TextMessage | BytesMessage) -> None:
        """Take in a message, or the next piece of one."""
        data: Any = event.data
        is_text = isinstance(data, str)
        if self._parts or not event.message_finished:
            # No list of pieces, which StringIO is up to 3.11: a million of them are a million objects.
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
        """Until `wake` is called. Raises `RuntimeError` if somebody waits already."""
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
