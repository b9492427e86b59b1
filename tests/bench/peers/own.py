"""Frameworks that bring a server of their own: each function is one app, as its documentation writes it.

python own.py NAME PORT [log]
"""

from __future__ import annotations

import logging
import sys
from typing import Any


def aiohttp(port: int, log: bool) -> None:
    import asyncio
    import itertools
    import json

    from aiohttp import web

    async def hello(request: Any) -> web.Response:
        return web.Response(text="Hello, world!")

    async def length(request: Any) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def echo(request: Any) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        async for message in ws:
            if message.type == web.WSMsgType.TEXT:
                await ws.send_str(message.data)
            else:
                await ws.send_bytes(message.data)
        return ws

    listeners: set[web.WebSocketResponse] = set()

    async def broadcast(request: Any) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        listeners.add(ws)
        try:
            async for message in ws:
                for each in list(listeners):
                    await each.send_str(message.data)
        finally:
            listeners.discard(ws)
        return ws

    async def sse(request: Any) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        for number in itertools.count():
            await stream.write(f"data: {json.dumps({'tick': number})}\n\n".encode())
            await asyncio.sleep(0.25)
        return stream

    app = web.Application(client_max_size=1 << 26)
    app.add_routes([web.get("/", hello), web.post("/length", length), web.get("/sse", sse)])
    app.add_routes([web.get("/ws", echo), web.get("/broadcast", broadcast)])
    if log:
        logging.basicConfig(level=logging.INFO, stream=sys.stdout)
        web.run_app(app, host="127.0.0.1", port=port, print=None)
    else:
        web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


def aiohttp_uvloop(port: int, log: bool) -> None:
    import asyncio

    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    aiohttp(port, log)


def sanic(port: int, log: bool) -> None:
    from sanic import Sanic, text
    from sanic import json as as_json

    app = Sanic("hello")
    things = [
        {
            "id": number,
            "name": f"Thing {number}",
            "price": 19.99 + number,
            "tags": ["new", "sale"],
            "sold": None,
        }
        for number in range(50)
    ]

    @app.get("/")
    async def hello(request: Any) -> Any:
        return text("Hello, world!")

    @app.get("/objects")
    async def objects(request: Any) -> Any:
        return as_json(things)  # by ujson, which comes with sanic: no blanks, ASCII

    @app.post("/length")
    async def length(request: Any) -> Any:
        return text(str(len(request.body)))

    app.run(host="127.0.0.1", port=port, single_process=True, access_log=log, motd=False)


def robyn(port: int, log: bool) -> None:
    from robyn import Robyn

    app = Robyn(__file__)

    @app.get("/")
    async def hello(request: Any) -> str:
        return "Hello, world!"

    app.start(host="127.0.0.1", port=port, _check_port=False)


def socketify(port: int, log: bool) -> None:
    from socketify import App

    app = App()

    def hello(response: Any, request: Any) -> None:
        response.write_header("Content-Type", "text/plain")
        response.end("Hello, world!")

    app.get("/", hello)
    app.listen({"port": port, "host": "127.0.0.1"}, lambda config: None)
    app.run()


def tornado(port: int, log: bool) -> None:
    import asyncio

    from tornado.web import Application, RequestHandler

    class Hello(RequestHandler):
        async def get(self) -> None:
            self.set_header("Content-Type", "text/plain")
            self.write("Hello, world!")

    async def main() -> None:
        quiet = {} if log else {"log_function": lambda handler: None}
        Application([("/", Hello)], **quiet).listen(port, "127.0.0.1")
        await asyncio.get_running_loop().create_future()

    asyncio.run(main())


def microdot(port: int, log: bool) -> None:
    from microdot import Microdot

    app = Microdot()

    @app.get("/")
    async def hello(request: Any) -> str:
        return "Hello, world!"

    app.run(host="127.0.0.1", port=port)


def kissapi016(port: int, log: bool) -> None:
    from kissapi import Request, Router, Server

    router = Router()

    @router.get("/")
    async def hello(req: Request) -> str:
        return "Hello, world!"

    logger = None if log else logging.getLogger("quiet")
    Server("127.0.0.1", port, router=router, logger=logger).loop()


if __name__ == "__main__":
    globals()[sys.argv[1]](int(sys.argv[2]), "log" in sys.argv[3:])
