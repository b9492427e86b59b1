"""An ASGI app that does what its path says, and notes what has become of it in `seen`."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

PLAIN = [(b"content-type", b"text/plain")]


class App:
    """One app; `seen` are the notes, `state` what its lifespan keeps."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.file = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
            return
        name = scope["path"].removeprefix(scope["root_path"]).strip("/").partition("/")[0]
        await getattr(self, name or "hello")(scope, receive, send)

    async def lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        self.seen.append("startup")
        scope["state"]["pool"] = "open"
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        self.seen.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})

    async def hello(self, scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"Hello")

    async def scope(self, scope: Any, receive: Any, send: Any) -> None:
        await answer(send, json.dumps(scope, default=bytes.decode).encode())

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        body, pieces = b"", 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                self.seen.append("disconnect")
                return
            body += event["body"]
            pieces += 1
            if not event["more_body"]:
                break
        self.seen.append(f"{pieces} pieces")
        await answer(send, body)

    async def duplex(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        more = True
        while more:
            event = await receive()
            more = event.get("more_body", False)
            await send({"type": "http.response.body", "body": event.get("body", b""), "more_body": more})

    async def impatient(self, scope: Any, receive: Any, send: Any) -> None:
        """It gives up waiting for the body again and again."""
        body, more = b"", True
        while more:
            try:
                event = await asyncio.wait_for(receive(), 0.001)
            except TimeoutError:
                self.seen.append("nothing yet")
                continue
            body, more = body + event["body"], event["more_body"]
        await answer(send, body)

    async def pieces(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        for piece in (b"a", b"", b"b", b"c"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.001)
        await send({"type": "http.response.body"})

    async def at_once(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    async def endless(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        size = 0
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(16384), "more_body": True})
                size += 16384
        except OSError:
            self.seen.append("send raises")
            raise
        finally:
            self.seen.append(f"sent {size}")

    async def waits(self, scope: Any, receive: Any, send: Any) -> None:
        """A long poll."""
        await receive()
        self.seen.append("waits")
        self.seen.append((await receive())["type"])

    async def later(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.001)
        await answer(send, b"later")

    async def background(self, scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"answered")
        await asyncio.sleep(0.01)
        self.seen.append("background")
        if "fails" in scope["path"]:
            raise ValueError("in the background")

    async def length(self, scope: Any, receive: Any, send: Any) -> None:
        """`/length/5/3`: 5 bytes are said, 3 are sent, `?pieces` in two, with a pause between."""
        said, sent = map(int, scope["path"].split("/")[-2:])
        headers = [*PLAIN, (b"content-length", b"%d" % said)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["query_string"] == b"pieces":
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0.001)
            sent -= 1
        await send({"type": "http.response.body", "body": b"x" * sent})

    async def status(self, scope: Any, receive: Any, send: Any) -> None:
        status = int(scope["path"].rpartition("/")[2])
        await send({"type": "http.response.start", "status": status, "headers": PLAIN})
        await send({"type": "http.response.body", "body": b"body"})

    async def headers(self, scope: Any, receive: Any, send: Any) -> None:
        fields = [
            (b"Set-Cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"date", b"never"),
            (b"transfer-encoding", b"chunked"),
            (b"x-latin", b"caf\xe9"),
        ]
        await send({"type": "http.response.start", "status": 201, "headers": (each for each in fields)})
        await send({"type": "http.response.body", "body": memoryview(b"view")})

    async def closes(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"last"})

    async def sends(self, scope: Any, receive: Any, send: Any) -> None:
        """Events as the query has them, in JSON."""
        for event in json.loads(scope["path"].split("/", 2)[2]):
            if "headers" in event:
                event["headers"] = [(name.encode(), value.encode()) for name, value in event["headers"]]
            if "body" in event:
                event["body"] = event["body"].encode()
            await send(event)

    async def raises(self, scope: Any, receive: Any, send: Any) -> None:
        how = scope["path"].rpartition("/")[2]
        if how != "before":
            await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        if how in ("piece", "stream"):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        if how == "stream":
            await asyncio.sleep(0.01)
        if how == "after":
            await send({"type": "http.response.body", "body": b"whole"})
        raise ValueError(f"raised {how}")

    async def nothing(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("later"):
            await asyncio.sleep(0.001)

    async def sends_file(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        await send({"type": "http.response.pathsend", "path": self.file})
        if scope["path"].endswith("gone"):
            os.unlink(self.file)

    async def hints(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await asyncio.sleep(0.001)
        await answer(send, b"hinted")

    # WebSockets, by path as well

    async def chat(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        protocol = next(iter(scope["subprotocols"]), None)
        headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        await send({"type": "websocket.accept", "subprotocol": protocol, "headers": headers})
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                self.seen.append(f"closed {event['code']} {event['reason']}".rstrip())
                return
            if event.get("text") == "close":
                await send({"type": "websocket.close", "code": 3456, "reason": "asked"})
            elif event.get("text") == "raise":
                raise ValueError("asked to")
            elif event.get("text") == "end":
                return
            else:
                await send({**event, "type": "websocket.send"})

    async def refuses(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        self.seen.append(f"then {(await receive())['code']}")

    async def denies(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-why", b"tea")]})
        await send({"type": "websocket.http.response.body", "body": b"no ", "more_body": True})
        if scope["path"].endswith("half"):
            return
        await asyncio.sleep(0.001)
        await send({"type": "websocket.http.response.body", "body": b"coffee"})

    async def fails(self, scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("before the answer to a handshake")

    async def slow_accept(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append((await receive())["type"])
        self.seen.append(f"{(await receive())['type']}")


async def answer(send: Any, body: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
    await send({"type": "http.response.body", "body": body})
