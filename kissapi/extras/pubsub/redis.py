"""Redis: the line of one event loop to a Redis, by redis.asyncio.

One connection has all subscriptions of the loop. Its task writes what is to be subscribed and reads what
comes; when either fails, both end, and a new connection subscribes to all of it again. So redis-py must not
reconnect by itself: that would be a gap of which the subscribers do not hear. Messages are published over
connections of their own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from kissapi.backends.awaitables import running_loop, sleep
from kissapi.backends.event import Event
from kissapi.backends.spawn import current, spawn
from kissapi.backends.timeout import timeout
from kissapi.extras.pubsub.subscription import Message, Subscription

PATIENCE = 5.0  # seconds that Redis may take for an answer
HEARTBEAT = 5.0  # seconds between two pings
PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds before the first and the later tries to connect again
CONNECTIONS = 8  # of one loop, at most: one listens, the others publish
TURN = 16  # messages that are read before the subscribers have a turn


def pool_of(url: str, options: dict[str, Any]) -> Any:
    """Connections to the Redis at `url`. Raises `ValueError` for a URL that is none."""
    defaults = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    pool: Any = redis.asyncio.BlockingConnectionPool.from_url(
        url, max_connections=CONNECTIONS, timeout=PATIENCE, **{**defaults, **options}
    )
    # Afterwards, for what the URL says goes before arguments.
    pool.connection_kwargs.update(retry=Retry(NoBackoff(), 0), decode_responses=False)
    return pool


class Channel:
    """A channel, as this loop uses it."""

    __slots__ = ("asked", "has_gap", "is_live", "settled", "subscriptions")

    def __init__(self, is_away: bool) -> None:
        self.subscriptions: set[Subscription] = set()
        self.settled = Event()  # its subscribers wait for nothing: it is live, or Redis is away
        self.begin()
        if is_away:
            self.lose()

    def begin(self) -> None:
        """There is no connection, or a new one."""
        self.asked = False  # Redis was asked to subscribe …
        self.is_live = False  # … and has said that it has
        self.has_gap = False  # subscribers miss messages until then

    def lose(self) -> None:
        """The connection is lost."""
        self.begin()
        self.has_gap = True
        self.settled.set()


class Redis:
    """The subscriptions of the running loop, by the Redis at `url`."""

    def __init__(self, url: str, prefix: str, options: dict[str, Any]) -> None:
        self._prefix = prefix
        self._redis: Any = redis.asyncio.Redis.from_pool(pool_of(url, options))
        self._channels: dict[str, Channel] = {}
        self._changed = Event()  # there is something to write
        self._is_away = False
        self._pause = PAUSE
        self._log: Any = getattr(current.get(), "log", None)

    async def start(self) -> None:
        if asyncio._get_running_loop() is not running_loop():
            raise RuntimeError(
                "PubSub needs asyncio for Redis, and this server runs on selectors: leave out backend, or "
                'use PubSub("memory://")'
            )
        try:
            await self._redis.ping()
        except (redis.asyncio.RedisError, OSError) as error:
            await self._redis.aclose()
            raise RuntimeError(f"PubSub cannot use Redis: {error}") from error
        spawn(self._run())  # cancelled when the server stops

    async def stop(self) -> None:
        for channel in tuple(self._channels.values()):
            for subscription in tuple(channel.subscriptions):
                subscription.end()
        await self._redis.aclose()

    async def publish(self, channel: str, data: bytes) -> None:
        try:
            await self._redis.publish(self._prefix + channel, data)
        except (redis.asyncio.ConnectionError, redis.asyncio.TimeoutError) as error:
            raise ConnectionError(f"the message to {channel!r} may be lost: {error}") from error

    async def add(self, subscription: Subscription) -> None:
        channels = []
        for name in subscription.channels:
            channel = self._channels.get(name)
            if channel is None:
                channel = self._channels[name] = Channel(self._is_away)
            channel.subscriptions.add(subscription)
            channels.append(channel)
        self._changed.set()
        for channel in channels:
            await channel.settled.wait()

    def remove(self, subscription: Subscription) -> None:
        for name in subscription.channels:
            if name in self._channels:
                self._channels[name].subscriptions.discard(subscription)
        self._changed.set()

    # The connection

    async def _run(self) -> None:
        """Listen, over one connection after the other."""
        while True:
            try:
                async with self._redis.pubsub() as connection:
                    await connection.connect()
                    await _both(self._write(connection), self._read(connection))
            except Exception as error:  # whatever it is, it may pass: a password that was changed, a failover
                self._lose(error)
            _check_cancelled()
            await sleep(self._pause * random.uniform(0.5, 1))  # not all processes at once
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _write(self, connection: Any) -> None:
        """Subscribe and unsubscribe as the subscribers come and go, and ping."""
        while True:
            self._changed.clear()
            wanted, unwanted = [], []
            for name, channel in tuple(self._channels.items()):
                if channel.subscriptions:
                    if not channel.asked:
                        channel.asked = True
                        wanted.append(self._prefix + name)
                elif channel.is_live or not channel.asked:  # else Redis is about to confirm it
                    del self._channels[name]
                    if channel.asked:
                        unwanted.append(self._prefix + name)
            if wanted:
                await connection.subscribe(*wanted)
            if unwanted:
                await connection.unsubscribe(*unwanted)
            await connection.ping()
            _check_cancelled()
            try:
                async with timeout(HEARTBEAT):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _read(self, connection: Any) -> None:
        """Hand out what comes."""
        read = 0
        while True:
            message = await connection.get_message(timeout=HEARTBEAT + PATIENCE)
            _check_cancelled()
            if message is None:
                raise ConnectionError(f"Redis has not answered a ping for {PATIENCE:g} s")
            kind = message["type"]
            if kind == "pong":
                self._return()
                continue
            name = message["channel"].decode()[len(self._prefix) :]
            channel = self._channels.get(name)
            if channel is None:
                continue  # its last subscriber has gone
            if kind == "message":
                come = Message(name, message["data"])
                for subscription in channel.subscriptions:
                    subscription.put(come)
            elif kind == "subscribe":
                self._confirm(channel)
            read += 1
            if read % TURN == 0:
                await sleep(0)  # what has come at once is read without a wait

    def _confirm(self, channel: Channel) -> None:
        channel.is_live = True
        channel.settled.set()
        if channel.has_gap:
            channel.has_gap = False
            for subscription in channel.subscriptions:
                subscription.put_gap()
        if not channel.subscriptions:
            self._changed.set()

    def _lose(self, error: Exception) -> None:
        for channel in self._channels.values():
            channel.lose()
        if not self._is_away:
            self._is_away = True
            self._log.warning(
                f"PubSub: Redis is away, and subscribers miss messages until it is back: {error}"
            )

    def _return(self) -> None:
        self._pause = PAUSE
        if self._is_away:
            self._is_away = False
            self._log.warning("PubSub: Redis is back")


async def _both(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run them until one fails, and raise that when all have ended; `TaskGroup` leaves its task cancelled."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _check_cancelled() -> None:
    """Raise what was swallowed: by `asyncio.wait_for` before Python 3.12, which redis-py uses."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
