"""Driver: an ASGI server for tests, in the process of the test and without sockets.

It keeps to the letter of ASGI 3, and checks that the app does: which message may follow which, and the types
in them. `Driver(app)` runs the lifespan; with `lifespan=False` it is a server that has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import unquote

Fields = Sequence[tuple[str, str]]
SECONDS = 5  # that anything may take


class Answer:
    """What an app has sent: `pieces` of a body, or `path` of a file."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.messages = messages
        start, *rest = messages
        assert start["type"].endswith(".start")
        self.status: int = start["status"]
        self.lines = [(name.decode(), value.decode()) for name, value in start["headers"]]
        self.headers = dict(self.lines)
        self.pieces = [message["body"] for message in rest if message.get("body")]
        self.body = b"".join(self.pieces)
        self.path: str | None = next((each["path"] for each in rest if "path" in each), None)
        assert all(name == name.lower() for name in self.headers)


class Call:
    """One scope at work: `give` messages to the app, look at those that it has `sent`."""

    def __init__(self, app: Any, scope: dict[str, Any], *messages: dict[str, Any]) -> None:
        self.given: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []  # `next` takes those that it has passed out of here
        self._before: list[dict[str, Any]] = []  # all of them
        self.room = asyncio.Event()  # while it is clear, the client takes nothing
        self.room.set()
        self.gone = False  # then `send` raises, as it has to since spec_version 2.4
        self._news = asyncio.Event()
        for message in messages:
            self.given.put_nowait(message)
        self.task = asyncio.get_running_loop().create_task(app(scope, self.given.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        if self.gone:
            raise OSError("the client has left")
        await self.room.wait()
        _check(self._before, message)
        self._before.append(message)
        self.sent.append(message)
        self._news.set()

    def give(self, message: dict[str, Any]) -> None:
        self.given.put_nowait(message)

    def leave(self) -> None:
        """The client leaves."""
        self.gone = True
        self.give({"type": "http.disconnect"})

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until `done()`, which is asked when a message has come."""
        async with asyncio.timeout(SECONDS):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def next(self, kind: str) -> dict[str, Any]:
        """Wait for a message of that type; it, and those before it, count no more."""
        await self.until(lambda: any(message["type"] == kind for message in self.sent))
        at = next(at for at, message in enumerate(self.sent) if message["type"] == kind)
        message, self.sent = self.sent[at], self.sent[at + 1 :]
        return message

    async def end(self) -> None:
        """Wait for the app. Raises what it raises."""
        async with asyncio.timeout(SECONDS):
            await self.task


def _check(before: list[dict[str, Any]], message: dict[str, Any]) -> None:
    kind = message["type"]
    if kind in ("http.response.start", "websocket.http.response.start"):
        assert not before
        assert type(message["status"]) is int
        assert all(type(name) is bytes and type(value) is bytes for name, value in message["headers"])
    elif kind in ("http.response.body", "websocket.http.response.body", "http.response.pathsend"):
        assert before, "a body before its head"
        assert before[-1].get("more_body", before[-1]["type"].endswith(".start")), "after the end"
        assert type(message.get("body", b"")) is bytes
    elif kind == "websocket.send":
        assert (message.get("text") is None) != (message.get("bytes") is None)


async def until(done: Callable[[], object]) -> None:
    """Let the loop turn until `done()`: for what no message tells."""
    async with asyncio.timeout(SECONDS):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0)


class Driver:
    """Runs `app` in an event loop of its own."""

    def __init__(self, app: Any, *, lifespan: bool = True, **scope: Any) -> None:
        self.app = app
        self.scope = scope  # what differs in each scope
        self._lifespan = lifespan
        self._runner = asyncio.Runner()
        self._life: Call | None = None

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(main)

    def __enter__(self) -> Driver:
        if self._lifespan:
            self.run(self._start())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        try:
            if self._life is not None:
                self.run(self._stop())
        finally:
            self._runner.close()

    async def _start(self) -> None:
        life = self._life = Call(self.app, {"type": "lifespan", "asgi": {}}, {"type": "lifespan.startup"})
        await life.until(lambda: bool(life.sent))
        assert life.sent == [{"type": "lifespan.startup.complete"}], life.sent

    async def _stop(self) -> None:
        assert self._life is not None
        self._life.give({"type": "lifespan.shutdown"})
        await self._life.end()
        assert self._life.sent[1:] == [{"type": "lifespan.shutdown.complete"}]

    def http(self, method: str, target: str, headers: Fields = (), **more: Any) -> dict[str, Any]:
        """The scope of a request."""
        path, _, query = target.partition("?")
        fields = [("host", "localhost"), *headers]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
            **self.scope,
            **more,
        }

    def websocket(self, target: str, headers: Fields = (), **more: Any) -> dict[str, Any]:
        """The scope of a WebSocket; as over HTTP/2, without the fields of a handshake."""
        scope = {**self.http("GET", target, headers), "type": "websocket", "scheme": "ws", "subprotocols": []}
        del scope["method"]
        return {**scope, **more}

    async def call(self, scope: dict[str, Any], pieces: Iterable[bytes] = ()) -> Answer:
        """The answer to a request, whose body comes in `pieces`."""
        *first, last = [*pieces] or [b""]
        messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in first]
        call = Call(self.app, scope, *messages, {"type": "http.request", "body": last, "more_body": False})
        await call.end()
        return Answer(call.sent)

    def ask(
        self, method: str, target: str, headers: Fields = (), body: bytes | Sequence[bytes] = b"", **more: Any
    ) -> Answer:
        """The answer to a request; a list as its body comes piece by piece."""
        pieces = [body] if isinstance(body, bytes) else [*body]
        if isinstance(body, bytes) and body:
            headers = [*headers, ("content-length", str(len(body)))]
        elif not isinstance(body, bytes):
            headers = [*headers, ("transfer-encoding", "chunked")]
        answer: Answer = self.run(self.call(self.http(method, target, headers, **more), pieces))
        return answer
