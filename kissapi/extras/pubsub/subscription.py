"""Subscription: the messages of some channels, as they wait for one subscriber.

What waits has an end: beyond it the oldest messages go, for the newest are worth most. All of it happens on
one event loop; its line puts messages in, the subscriber takes them out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, Protocol

from kissapi.backends.event import Event
from kissapi.core import Fail
from kissapi.http import json_codec
from kissapi.http.json_library import current

MOST = 1 << 20  # bytes of messages that wait for one subscriber, unless it is a single one


class Message(NamedTuple):
    """What was published in `channel`. With `missed` it is none, but says that messages may be lost."""

    channel: str
    data: bytes
    missed: bool = False

    @property
    def text(self) -> str:
        """The data as text. Raises `UnicodeDecodeError` if it is not UTF-8."""
        return self.data.decode()

    @property
    def json(self) -> Any:
        """The value of the data, which is JSON. Raises `ValueError`, which says why, if it is not."""
        library = current.get()
        try:
            return (json_codec.from_json if library is None else library.decode)(self.data)
        except Fail as error:  # made for the body of a request; here no client is to blame
            raise ValueError(f"the message in {self.channel!r} is not JSON: {error.data}") from None


GAP = Message("", b"", True)


class Line(Protocol):
    """What brings the messages of a hub to one event loop."""

    async def start(self) -> None:
        """Begin. Raises `RuntimeError` if that cannot be."""

    async def stop(self) -> None:
        """End all subscriptions, and what was opened."""

    async def publish(self, channel: str, data: bytes) -> None:
        """Send a message to the subscribers of `channel`. Raises `ConnectionError` if it may not be sent."""

    async def add(self, subscription: Subscription) -> None:
        """Give `subscription` the messages of its channels, from the return of this call on."""

    def remove(self, subscription: Subscription) -> None:
        """Give it no more."""


class Subscription:
    """The messages of `channels`, in an `async with` block; `PubSub.subscribe` makes it.

    async with hub.subscribe("room") as messages:
        async for message in messages:
            await ws.send(message.text)
    """

    def __init__(
        self, find_line: Callable[[], Line], channels: tuple[str, ...], size: int, gaps: bool
    ) -> None:
        self.channels = channels
        self._find_line = find_line
        self._line: Line | None = None
        self._size = size
        self._gaps = gaps
        self._messages: deque[Message] = deque()
        self._bytes = 0  # of those
        self._come = Event()
        self._ended = False

    def __repr__(self) -> str:
        return f"<Subscription to {', '.join(self.channels)}: {len(self._messages)} wait>"

    async def __aenter__(self) -> Subscription:
        if self._line is not None:
            raise RuntimeError("a subscription is for one block: call hub.subscribe(…) again")
        self._line = self._find_line()
        try:
            await self._line.add(self)
        except BaseException:
            self.end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end()  # it awaits nothing: a task that is cancelled leaves no subscription behind

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._all() if self._line is None else self

    async def _all(self) -> AsyncIterator[Message]:
        async with self:
            while (message := await anext(self, None)) is not None:
                yield message

    async def __anext__(self) -> Message:
        while not self._messages:
            if self._ended:
                raise StopAsyncIteration
            self._come.clear()
            await self._come.wait()
        message = self._messages.popleft()
        self._bytes -= len(message.data)
        return message

    # For its line

    def put(self, message: Message) -> None:
        """Have `message` wait for the subscriber."""
        messages = self._messages
        messages.append(message)
        self._bytes += len(message.data)
        if len(messages) > self._size or self._bytes > MOST:
            self._drop()
        self._come.set()

    def put_gap(self) -> None:
        """Messages may be lost behind those that wait."""
        if self._gaps and (not self._messages or self._messages[-1] is not GAP):
            self.put(GAP)

    def end(self) -> None:
        """It is over: the loop of the subscriber ends."""
        if self._ended:
            return
        self._ended = True
        if self._line is not None:
            self._line.remove(self)
        self._messages.clear()
        self._come.set()

    def _drop(self) -> None:
        messages, before = self._messages, len(self._messages)
        while len(messages) > 1 and (len(messages) > self._size or self._bytes > MOST):
            self._bytes -= len(messages.popleft().data)
        if self._gaps and len(messages) < before:
            messages.appendleft(GAP)
