"""A kissapi app on Ray Serve: replicas on one machine or many, as many as the load needs.

    pip install 'ray[serve]'
    serve run examples.deploy.ray_serve:app

Ray's proxy listens (uvicorn), and hands each request to a replica, an actor with an event loop and an app of
its own. What replicas share belongs in a store: see the chapter "Beyond one machine".
"""

import os
from collections.abc import AsyncIterator
from typing import Any

from ray import serve

from kissapi import Request, Router, sleep
from kissapi.extras.asgi import to_asgi
from kissapi.extras.websocket import WebSocket

router = Router()


@router.get("/")
async def home(req: Request) -> dict[str, Any]:
    await sleep(0.02)  # stands for the work
    return {"replica": os.getpid(), "number": req.query.get("number", 0, int)}


@router.get("/count")
async def counted(req: Request) -> AsyncIterator[str]:
    for number in range(3):
        yield f"{number}\n"
        await sleep(0.2)


@router.websocket("/echo")
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def build() -> Any:
    """The app of one replica: a function that makes it is sent there, and not what it has opened."""
    return to_asgi(router)


@serve.deployment(
    num_replicas=2,
    max_ongoing_requests=100,  # of one replica, by default 5; WebSockets and streams count all their life
    graceful_shutdown_timeout_s=15,  # more than kissapi's `shutdown_timeout`, 10 s
)
@serve.ingress(build)
class Shop:
    pass


app = Shop.bind()  # type: ignore[attr-defined]  # the decorator adds it

# As many replicas as the load needs, in place of two: serve run examples.deploy.ray_serve:scaled
scaled = Shop.options(  # type: ignore[attr-defined]
    num_replicas="auto",
    autoscaling_config={
        "min_replicas": 1,
        "max_replicas": 10,
        "target_ongoing_requests": 20,  # of one replica, on average; above it more are started
        "upscale_delay_s": 3,  # seconds that the load must last
        "downscale_delay_s": 60,
    },
).bind()
