"""What test_minimal.py serves on a small Python: one route for each promise, and kissapi's names only.

It serves the web app, or with the argument `custom` the protocol of `MyParser`. `default` names no backend,
`asyncio` the one that is not there, and `command` with more arguments is the command line.
"""

import sys
import threading
from typing import Any

import kissapi
from kissapi import Fail, Request, Router, Server
from kissapi.extras.auth import basic
from kissapi.extras.compress import compress
from kissapi.extras.etag import etag
from kissapi.extras.health import health
from kissapi.extras.openapi import openapi
from kissapi.extras.ratelimit import ratelimit
from kissapi.extras.request_id import request_id

root = Router()


@root.get("/")
async def hello(req: Request) -> str:
    return "Hello, world!"


@root.post("/json")
async def json_both_ways(req: Request) -> Any:
    return {"got": req.json}


@root.post("/importable")
async def importable(req: Request) -> Any:
    """Which of the modules named in the body this Python has."""
    return [name for name in req.json if can_import(name)]


def can_import(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


@root.get("/users/{id}")
async def user(req: Request) -> str:
    return f"user {req.params['id']}"


@root.lifespan
async def work(app: Any) -> Any:
    app.queue, app.done = kissapi.Queue(), kissapi.Event()

    async def each() -> None:
        await app.queue.get()
        app.done.set()

    kissapi.spawn(each())
    yield


@root.get("/spawned")
async def spawned(req: Request) -> str:
    await req.app.queue.put("work")
    async with kissapi.timeout(5):
        await kissapi.gather(req.app.done.wait(), kissapi.sleep(0))
    return "done"


@root.websocket("/shout")
async def shout(ws: Any) -> None:
    await ws.send((await ws.receive()).upper())
    await ws.close(4000, "bye")


@root.get("/double/{n:int}")
async def double(req: Request) -> Any:
    return {"double": req.params["n"] * 2}


@root.get("/typed/{id}")
def typed(req: Request, id: int, *, limit: int = 10, on: bool = False) -> Any:  # noqa: A002
    return [id, limit, on]


@root.get("/search")
async def search(req: Request) -> Any:
    return req.query


@root.get("/forbidden")
async def forbidden(req: Request) -> str:
    raise Fail(403, "Forbidden")


@root.get("/taken")
async def taken(req: Request) -> str:
    raise Fail(409, {"error": "taken"})


@root.get("/broken")
async def broken(req: Request) -> str:
    raise RuntimeError("as asked")


@root.get("/nap")
async def nap(req: Request) -> str:
    await kissapi.sleep(0.2)
    return "rested"


@root.get("/thread")
async def in_a_thread(req: Request) -> str:
    worker = await kissapi.to_thread(threading.get_ident)
    return "another thread" if worker != threading.get_ident() else "the same thread"


@root.get("/plain")
def plain(req: Request) -> str:
    return "from a plain def"


# A sub-router with hooks: they run for it, and for it alone.
api = Router()
root["/api/v1"] = api


async def with_token(req: Request) -> None:
    if "x-token" not in req.headers:
        raise Fail(401, {"error": "no token"})


async def wrapped(req: Request, result: Any) -> Any:
    return {"data": result}


api.add_hook("before", with_token)
api.add_hook("after", wrapped)


@api.get("/items/{id}")
async def item(req: Request) -> Any:
    return {"id": req.params["id"]}


# What extras do without a package.
covered = Router()
root["/covered"] = covered
root.mount("/", health())
root.mount("/", openapi(root, title="Small", version="1"))
for hook in (
    request_id(trust=True), compress(minimum=10), etag(), ratelimit("2/hour"), basic({"ann": "pear"})
):  # fmt: skip
    covered.around(hook)


@covered.get("/")
async def guarded(req: Request) -> str:
    return f"{req.user} {req.id} " * 10


class MyParser:
    def __init__(self, request: Any) -> None:
        self.request = request
        self.finished = False
        self._buffer = b""

    def feed_data(self, data: bytes) -> None:
        self._buffer += data
        if b"\r\n\r\n" in self._buffer:
            header_part, body = self._buffer.split(b"\r\n\r\n", 1)
            lines = header_part.split(b"\r\n")
            command, path = lines[0].split(b" ", 1)
            self.request.method = command.decode()
            self.request.path = path.decode()
            self.finished = True


custom = Router()


@custom.route("/greet/{name}", methods=["HELLO"])
async def greet(req: Request) -> str:
    return f"hello {req.params['name']}"


if __name__ == "__main__":
    kind = sys.argv[1] if sys.argv[1:] else ""
    if kind == "command":
        from kissapi.cli.main import main

        sys.exit(main(sys.argv[2:]))
    elif kind == "custom":
        server = Server(host="127.0.0.1", port=0, backend="selectors", router=custom, parser_class=MyParser)
    elif kind in ("default", "asyncio"):
        server = Server(host="127.0.0.1", port=0, backend=None if kind == "default" else kind, router=root)
    else:
        server = Server(host="127.0.0.1", port=0, backend="selectors", router=root)
    server.loop()
