"""Memory: the line of one event loop, without Redis: messages reach all loops of this process, and no other.

It needs nothing that a small Python lacks, and passes no time: tests and development are as the real thing.
"""

from __future__ import annotations

import os
from typing import Any

from kissapi.backends.awaitables import running_loop, sleep
from kissapi.backends.spawn import current
from kissapi.extras.pubsub.subscription import Message, Subscription


class Memory:
    """The subscriptions of the running loop; `lines` are those of all loops of the hub, made in `process`."""

    def __init__(self, lines: dict[Any, Memory], process: int) -> None:
        self._lines = lines
        self._process = process
        self._loop = running_loop()
        self._channels: dict[str, set[Subscription]] = {}

    async def start(self) -> None:
        log: Any = getattr(current.get(), "log", None)
        if os.getpid() != self._process and log is not None:  # forked: a worker
            log.warning(
                'PubSub("memory://") reaches the clients of this worker alone; workers share a Redis: '
                'PubSub("redis://…")'
            )

    async def stop(self) -> None:
        for subscriptions in tuple(self._channels.values()):
            for subscription in tuple(subscriptions):
                subscription.end()

    async def publish(self, channel: str, data: bytes) -> None:
        message = Message(channel, data)
        for line in tuple(self._lines.values()):
            if line is self:
                line._deliver(message)
                continue
            try:
                line._loop.call_soon_threadsafe(line._deliver, message)
            except RuntimeError:
                pass  # that loop has just been closed, and its subscribers have ended
        await sleep(0)  # subscribers take it: else a loop of publishes is too fast for any of them

    async def add(self, subscription: Subscription) -> None:
        for channel in subscription.channels:
            self._channels.setdefault(channel, set()).add(subscription)

    def remove(self, subscription: Subscription) -> None:
        for channel in subscription.channels:
            subscriptions = self._channels.get(channel, set())
            subscriptions.discard(subscription)
            if not subscriptions:
                self._channels.pop(channel, None)

    def _deliver(self, message: Message) -> None:
        for subscription in self._channels.get(message.channel, ()):
            subscription.put(message)
