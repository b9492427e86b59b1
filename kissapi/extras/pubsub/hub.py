"""PubSub: what an app calls to publish and to subscribe. Each event loop has a line of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

from kissapi.backends.awaitables import running_loop
from kissapi.extras.pubsub.memory import Memory
from kissapi.extras.pubsub.subscription import Line, Subscription
from kissapi.http.json_library import to_json
from kissapi.http.limits import check_number


class PubSub:
    """Messages to all that listen: in this process, or by the Redis at `url` wherever it is used.

    `url` is "memory://", "redis://host:6379", "rediss://…" with TLS, or "unix:///run/redis.sock". `prefix`
    stands before the names of channels in Redis, which all its databases share. `options` are those of
    redis.asyncio, such as `password`. It lives as long as a router does in a loop:

        hub = PubSub("redis://cache:6379", prefix="chat:")
        router.lifespan(hub.lifespan)

    Raises `ImportError` for Redis without the package, `ValueError` for a URL that is none.
    """

    def __init__(
        self, url: str = "memory://", *, prefix: str = "", options: Mapping[str, Any] | None = None
    ) -> None:
        self._lines: dict[Any, Any] = {}
        self._make: Callable[[], Line] = partial(Memory, self._lines, os.getpid())
        if url != "memory://":
            self._make = _redis(url, prefix, dict(options or {}))

    async def lifespan(self) -> AsyncIterator[None]:
        """The life of the hub in one loop, for `router.lifespan(hub.lifespan)`.

        Raises `RuntimeError` if Redis does not answer, and then the server does not start.
        """
        loop = running_loop()
        if loop in self._lines:
            raise RuntimeError("this hub lives in this loop already: give its lifespan to one router alone")
        line = self._make()
        await line.start()
        self._lines[loop] = line
        try:
            yield
        finally:
            del self._lines[loop]
            await line.stop()

    async def publish(self, channel: str, message: Any) -> None:
        """Send `message` to all that listen to `channel` now: text, bytes, or a value that becomes JSON.

        Messages of one task arrive in their order. Raises `ConnectionError` if Redis does not take it, and
        then it may be lost; `TypeError` for a value that JSON cannot express.

            await hub.publish(f"orders:{user}", {"id": 7, "state": "paid"})
        """
        if isinstance(message, str):
            data = message.encode()
        elif isinstance(message, (bytes, bytearray, memoryview)):
            data = bytes(message)
        else:
            data = to_json(message)
        await self._line().publish(_checked(channel), data)

    def subscribe(self, *channels: str, size: int = 100, gaps: bool = False) -> Subscription:
        """What is published in `channels`, from the beginning of an `async with` block to its end.

        `async for message in hub.subscribe("room")` is such a block in one line. At most `size` messages, and
        1 MiB, wait for a subscriber; then the oldest are dropped. While Redis is away, all are lost. With
        `gaps=True` the subscriber gets a `Message` with `missed` where that may have been, at once when it
        has passed: what was known before is to be read anew.

            async with hub.subscribe("prices", gaps=True) as messages:
                async for message in messages:
                    prices = await load() if message.missed else prices | message.json
        """
        if not channels:
            raise TypeError('a subscription has channels: hub.subscribe("room")')
        check_number("size", size, 1)
        return Subscription(self._line, tuple(dict.fromkeys(map(_checked, channels))), size, gaps)

    def _line(self) -> Line:
        line: Line | None = self._lines.get(running_loop())
        if line is None:
            raise RuntimeError(
                "this hub is not alive here: router.lifespan(hub.lifespan); in tests, with Client(router) "
                "as client: …"
            )
        return line


def _checked(channel: str) -> str:
    if not isinstance(channel, str):
        raise TypeError(f"a channel is called by a str, not {channel!r}")
    return channel


def _redis(url: str, prefix: str, options: dict[str, Any]) -> Callable[[], Line]:
    try:
        from kissapi.extras.pubsub.redis import Redis, pool_of
    except ModuleNotFoundError as error:
        raise ImportError(
            f"PubSub with {url.partition(':')[0]}:// takes a package: pip install 'kissapi[redis]'",
            name=error.name,
        ) from None
    pool_of(url, options)  # now, so that a wrong URL is an error here
    return partial(Redis, url, prefix, options)
