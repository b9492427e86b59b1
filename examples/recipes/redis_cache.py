"""A cache in Redis: what is dear to make is made once for all workers and machines, however many ask for it.

While one makes it, the others wait. Without Redis each makes it for itself: slower, and still an answer.

$ curl localhost:8000/reports/pears
{"of": "pears", "made": 1}
$ curl localhost:8000/reports/pears
{"of": "pears", "made": 1}
$ curl localhost:8000/reports/plums
{"of": "plums", "made": 2}
"""

import json
import os
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import count
from typing import Any

from redis.asyncio import Redis, RedisError

from kissapi import App, Request, Response, Router, Server, sleep

PATIENCE = 10  # seconds that making one may take, before another process tries as well


class Cache(App):
    redis: Redis


class Req(Request):
    app: Cache


router = Router()
numbers = count(1)


@router.lifespan
async def connect(app: Cache) -> AsyncGenerator[None, None]:
    url = os.environ.get("REDIS_URL", "redis://localhost:6379")
    app.redis = Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
    yield
    await app.redis.aclose()


async def cached(redis: Redis, key: str, seconds: int, make: Callable[[], Awaitable[Any]]) -> bytes | str:
    """The JSON that is kept at `key`, for `seconds`; what `make` gives if there is none."""
    found: bytes | str | None = None
    try:
        found = await redis.get(key)
        if found is None:
            async with redis.lock(f"{key}:lock", timeout=PATIENCE, blocking_timeout=PATIENCE, sleep=0.02):
                found = await redis.get(key)  # another process may have been faster
                if found is None:
                    found = json.dumps(await make()).encode()
                    # Not all that was made at one time ends at one time.
                    await redis.set(key, found, ex=round(seconds * random.uniform(0.9, 1.1)))
    except RedisError:  # it is away, or the lock was waited for too long
        pass
    return json.dumps(await make()).encode() if found is None else found


async def make_report(of: str) -> dict[str, Any]:
    await sleep(0.1)  # stands for the work
    return {"of": of, "made": next(numbers)}


@router.get("/reports/{of}")
async def report(req: Req, of: str) -> Response:
    body = await cached(req.app.redis, f"report:{of}", 60, lambda: make_report(of))
    return Response(body, content_type="application/json")


server = Server(router=router, request_class=Req)

if __name__ == "__main__":
    server.loop()
