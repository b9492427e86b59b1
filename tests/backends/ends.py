"""Ends: an app, an upgrade and a parser that note how what they do has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from kissapi import Request, Response, Router, sleep
from kissapi.http.upgrade import Upgrade


def ends() -> tuple[Router, list[str]]:
    """A router that notes the ends of what it does."""
    router, seen = Router(), []

    @router.get("/wait")
    async def wait(req: Request) -> str:
        try:
            await sleep(1)
        except BaseException:
            seen.append("cancelled")
            raise
        return "waited"

    @router.get("/pieces/{good}")
    async def pieces(req: Request) -> AsyncIterator[str]:
        yield "piece "
        await sleep(1)
        if req.params["good"] != "yes":
            raise ZeroDivisionError("on purpose")
        yield "whole"

    @router.get("/up")
    async def up(req: Request) -> Response:
        return Upgrade("shout", Shout(seen))

    return router, seen


class Shout:
    """A protocol that says everything loudly."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())

    def eof_received(self) -> bool:
        self.seen.append("eof")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.seen.append("lost" if error is None else type(error).__name__)

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def tick(self, now: float) -> None: ...

    def stop(self) -> None:
        self.transport.write(b"BYE")
        self.transport.close()


WAIT = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
UP = b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\n"


class UntilTheEnd:
    """A protocol whose messages end with the connection."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.finished = False

    def feed_data(self, data: bytes) -> None:
        self.request.body += data

    def feed_eof(self) -> None:
        self.request.method = "SAY"
        self.finished = True
