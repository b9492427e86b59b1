"""Within: a coroutine that has a hub, in the handler of a server at work."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Request, Router
from kissapi.extras.pubsub import PubSub
from tests.peer import get
from tests.serving import make, running

if TYPE_CHECKING:
    from tests.redis_server import RedisServer

# Loop and line: the same behaviour, whatever brings the messages.
LINES = [("asyncio", "memory"), ("uvloop", "memory"), ("selectors", "memory"), ("asyncio", "redis")]
each_line = pytest.mark.parametrize(("loop", "line"), [*LINES, ("uvloop", "redis")])


class Place:
    """Where a hub of `line` runs, on `loop`; its channels begin with a prefix of this test."""

    def __init__(self, loop: str, line: str, request: pytest.FixtureRequest) -> None:
        self.loop = loop
        self.redis: RedisServer | None = None
        self.prefix = f"{request.node.name}:"
        self.url = "memory://"
        if line == "redis":
            self.redis = request.getfixturevalue("redis_server")
            self.url = self.redis.url

    def hub(self, **options: Any) -> PubSub:
        return PubSub(self.url, prefix=self.prefix, **options)

    def subscribers(self, hub: PubSub, channel: str) -> int:
        """How many have subscribed to `channel`: connections to Redis, or subscriptions in memory."""
        if self.redis is not None:
            return self.redis.subscribers(self.prefix + channel)
        return sum(len(line._channels.get(channel, ())) for line in hub._lines.values())

    def run(self, body: Callable[[PubSub], Coroutine[Any, Any, None]]) -> None:
        """Run `body` with a hub; raises what it raises."""
        hub, router, errors = self.hub(), Router(), list[BaseException]()
        router.lifespan(hub.lifespan)

        @router.get("/")
        async def handler(req: Request) -> None:
            try:
                await body(hub)
            except BaseException as error:
                errors.append(error)

        with running(make(self.loop, router)) as server:
            get(server.port, "/")
        for error in errors:
            raise error


@pytest.fixture
def place(loop: str, line: str, request: pytest.FixtureRequest) -> Place:
    return Place(loop, line, request)
