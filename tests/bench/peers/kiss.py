"""kissapi: every route that the bench asks for, on each loop, with all its limits and deadlines on.

python kiss.py PORT asyncio|uvloop|selectors [OPTION=VALUE …]

The options: `log=on`, `parser=pure`, `routes=10000` more routes, `rung=connection` for no routing at all
(each request gets one coroutine, whatever it asks), and every limit by its name.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from typing import Any

from kissapi import HttpParser, Request, Router, Server, sleep
from kissapi.routing.dispatch import Dispatch

router = Router()
hooked = Router()
router["/hooked"] = hooked
bodies: dict[int, bytes] = {}


@router.get("/")
@hooked.get("/")
async def hello(req: Request) -> str:
    return "Hello, world!"


@hooked.before
async def before(req: Request) -> None:
    pass


@hooked.after
async def after(req: Request, result: object) -> None:
    pass


@router.get("/json")
async def json(req: Request) -> dict[str, str]:
    return {"message": "Hello, world!"}


@router.get("/users/{id}")
async def user(req: Request) -> str:
    return str(req.params["id"])


@router.post("/echo")
async def echo(req: Request) -> bytes:
    return req.body


@router.get("/sleep")
async def nap(req: Request) -> str:
    await sleep(0.01)
    return "Hello, world!"


@router.get("/blocking")
def blocking(req: Request) -> str:
    return "Hello, world!"


@router.get("/bytes/{size:int}")
async def many(req: Request) -> bytes:
    size = req.params["size"]
    if size not in bodies:
        bodies[size] = b"x" * size
    return bodies[size]


@router.post("/length")
async def length(req: Request) -> str:
    return str(len(req.body))


def handle_unrouted(dispatch: Dispatch, request: Request) -> Coroutine[Any, Any, Any]:
    """Every request is a hello: what a connection costs without a router behind it."""
    return hello(request)


def add_routes(count: int) -> None:
    """`/section7/thing1007/{id}` and so on: a hundred sections, whose things are as many as it takes."""
    for number in range(count):
        router.get(f"/section{number % 100}/thing{number}/{{id}}")(user)


def make(port: int, loop: str, options: dict[str, str]) -> Server:
    options = dict(options)
    log = options.pop("log", "off") == "on"
    parser: type[HttpParser] = HttpParser
    if options.pop("parser", "") == "pure":
        from kissapi.http.pure import PureHttpParser

        parser = PureHttpParser
    add_routes(int(options.pop("routes", "0")))
    if options.pop("rung", "") == "connection":
        Dispatch.handle = handle_unrouted  # type: ignore[method-assign,assignment]
    where: dict[str, Any] = {"backend": loop}
    if loop == "uvloop":
        import uvloop

        where = {"loop_factory": uvloop.new_event_loop}
    limits: Any = {name: int(value) for name, value in options.items()}
    return Server("127.0.0.1", port, router=router, access_log=log, parser_class=parser, **where, **limits)


if __name__ == "__main__":
    make(int(sys.argv[1]), sys.argv[2], dict(option.split("=") for option in sys.argv[3:])).loop()
