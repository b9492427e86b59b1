"""Publish and subscribe: messages from any handler to all that listen, over workers and machines by Redis.

    hub = PubSub(os.environ.get("REDIS_URL", "memory://"))
    router.lifespan(hub.lifespan)

    await hub.publish("prices", {"pear": 3})

    async with hub.subscribe("prices") as messages:
        async for message in messages:
            print(message.json)

`memory://` is one process, on every backend and in tests: it needs no package and no server. `redis://…` is
every process that uses the same Redis, and takes `kissapi[redis]` and asyncio or uvloop.

A message is sent once, to those that listen then; it is kept nowhere. A subscriber that is slow loses the
oldest messages that wait for it. One that must know of lost messages says `gaps=True`.

hub.py           `PubSub`: what an app calls; it has a line for each event loop
subscription.py  `Subscription`, `Message`: what a subscriber sees, and what waits for it
memory.py        the line in memory
redis.py         the line to Redis: one connection for all subscribers of its loop
"""

from kissapi.extras.pubsub.hub import PubSub
from kissapi.extras.pubsub.subscription import Message, Subscription

__all__ = ["Message", "PubSub", "Subscription"]
