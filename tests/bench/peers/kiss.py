"""kissapi: every route that the bench asks for, on each loop, with all its limits and deadlines on.

python kiss.py PORT asyncio|uvloop|selectors [OPTION=VALUE …]

The options: `log=on`, `parser=pure`, `routes=10000` more routes, `rung=connection` for no routing at all
(each request gets one coroutine, whatever it asks), `websocket=on`, `static=FOLDER`, `tls=FOLDER` of cert.pem
and key.pem, `without=websockets` to hide a package, and every limit by its name.

It serves on kissapi 0.2, too, so that a bench has both in one run.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from kissapi import HttpParser, Request, Response, Router, Server, sleep

if TYPE_CHECKING:
    from kissapi.extras.websocket import WebSocket
    from kissapi.routing.dispatch import Dispatch

router = Router()
hooked = Router()
router["/hooked"] = hooked
bodies: dict[int, bytes] = {}
listeners: set[Any] = set()
PIECE = b"x" * 1024
OBJECTS = [
    {"id": number, "name": f"Thing {number}", "price": 19.99 + number, "tags": ["new", "sale"], "sold": None}
    for number in range(50)
]


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


@router.get("/objects")
async def objects(req: Request) -> list[dict[str, Any]]:
    return OBJECTS


@router.get("/response")
async def response(req: Request) -> Response:
    return Response("Hello, world!")


@router.get("/response/type")
async def typed(req: Request) -> Response:
    return Response("Hello, world!", content_type="text/plain")


@router.get("/response/fields")
async def fields(req: Request) -> Response:
    return Response("Hello, world!", 200, {"x-one": "1", "x-two": "2"})


@router.get("/sum")
async def add(req: Request) -> str:
    return str(int(req.query["a"]) + int(req.query["b"]))


@router.post("/sum")
async def add_body(req: Request) -> str:
    return str(int(req.query["a"]) + int(req.query["b"]) + int(req.body))


@router.get("/stream")
async def stream(req: Request) -> AsyncIterator[bytes]:
    for _ in range(1000):
        yield PIECE


@router.get("/stream/plain")
def stream_plain(req: Request) -> Iterator[bytes]:
    for _ in range(1000):
        yield PIECE


async def echo_messages(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def tell_all(ws: WebSocket) -> None:
    from kissapi.extras.websocket import broadcast

    listeners.add(ws)
    try:
        async for message in ws:
            broadcast(listeners, message)
    finally:
        listeners.discard(ws)


@router.get("/sse")
async def events(req: Request) -> Response:
    from kissapi.extras.sse import sse

    async def ticks() -> AsyncIterator[dict[str, int]]:
        number = 0
        while True:
            yield {"tick": number}
            number += 1
            await sleep(0.25)

    return sse(ticks())


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
        from kissapi.routing.dispatch import Dispatch

        Dispatch.handle = handle_unrouted  # type: ignore[method-assign,assignment]
    for name in filter(None, options.pop("without", "").split(",")):
        sys.modules[name] = None  # type: ignore[assignment]
    if options.pop("websocket", "") == "on":  # no import for the others
        router.websocket("/ws")(echo_messages)
        router.websocket("/broadcast")(tell_all)
    if folder := options.pop("static", ""):
        from kissapi.extras.files import static

        router.mount("/", static("/static", folder))
    where: dict[str, Any] = {"backend": loop}
    if loop == "uvloop":
        import uvloop

        where = {"loop_factory": uvloop.new_event_loop}
    if folder := options.pop("tls", ""):
        where |= {"certfile": f"{folder}/cert.pem", "keyfile": f"{folder}/key.pem"}
    limits: Any = {name: int(value) for name, value in options.items()}
    return Server("127.0.0.1", port, router=router, access_log=log, parser_class=parser, **where, **limits)


if __name__ == "__main__":
    make(int(sys.argv[1]), sys.argv[2], dict(option.split("=") for option in sys.argv[3:])).loop()
