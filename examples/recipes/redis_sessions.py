"""Sessions in Redis: a logout ends one at once, here or everywhere, on all workers and machines.

A session ends unused after an hour, and in any case after a day. The login itself is in `login.py`.

$ curl localhost:8000/members/
log in first
$ curl -d name=ann localhost:8000/login
welcome, ann
"""

import os
import secrets
import time
from collections.abc import AsyncGenerator

from redis.asyncio import Redis

from kissapi import App, Fail, Request, Router, Server
from kissapi.extras.csrf import csrf
from kissapi.extras.sessions import sessions

SECRETS = (
    os.environ.get("SECRETS") or secrets.token_hex()
).split()  # the newest first, on all machines the same
UNUSED, LONGEST = 3600, 24 * 3600  # seconds


class Club(App):
    redis: Redis


class Req(Request):
    app: Club


router, members = Router(), Router()
router.around(sessions(SECRETS, max_age=UNUSED, store=lambda req: req.app.redis))
router.around(csrf())
router["/members"] = members


@router.lifespan
async def connect(app: Club) -> AsyncGenerator[None, None]:
    url = os.environ.get("REDIS_URL", "redis://localhost:6379")
    app.redis = Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    try:
        await app.redis.ping()  # a wrong address is an error now, and not at the first login
        yield
    finally:
        await app.redis.aclose()


@router.post("/login")
async def log_in(req: Req) -> str:
    name = req.form["name"]
    req.session.clear()  # with a new id: one that was known before the login opens nothing
    req.session.update(user=name, since=time.time())
    return f"welcome, {name}"


@router.post("/logout")
async def log_out(req: Req) -> None:
    req.session.clear()


@members.before(nested=True)
async def require_user(req: Req) -> None:
    name, since = req.session.get("user"), req.session.get("since", 0)
    ended = await req.app.redis.get(f"logout:{name}") if name else None
    if name is None or since <= float(ended or 0) or time.time() - since > LONGEST:
        req.session.clear()
        raise Fail(403, "log in first")
    req.user = name


@members.get("/")
async def home(req: Req) -> str:
    return f"hello, {req.user}"


@members.post("/logout-everywhere")
async def log_out_everywhere(req: Req) -> None:
    # Sessions that began before now are void. When this is forgotten, they are too old in any case.
    await req.app.redis.set(f"logout:{req.user}", time.time(), ex=LONGEST)
    req.session.clear()


server = Server(router=router, request_class=Req)

if __name__ == "__main__":
    server.loop()
