"""The client's end of a WebSocket without a socket, and apps for it to talk to."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from kissapi import Router, sleep
from kissapi.extras.websocket.session import TURN
from tests.frames import Frame, handshake, parse
from tests.wire import Wire, parse_answers

if TYPE_CHECKING:
    from kissapi.extras.websocket import WebSocket

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


def echo_router(**settings: Any) -> Router:
    router = Router()

    @router.websocket("/ws", **settings)
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    return router


class Client:
    """The client's end of a WebSocket over a `Wire`; its handshake has succeeded."""

    def __init__(self, router: Router, *fields: str, parser_class: Any = None, **options: Any) -> None:
        if parser_class is not None:
            options["parser_class"] = parser_class
        self.wire = Wire(router, **options).send(handshake("/ws", *fields))
        head, end, _ = self.wire.received.partition(b"\r\n\r\n")
        assert end
        self.head = len(head + end)
        ((status, self.fields, _),) = parse_answers(head + end, ["HEAD"])
        assert status == 101, self.wire.received

    @property
    def frames(self) -> list[Frame]:
        return parse(self.wire.received[self.head :])

    def send(self, *chunks: bytes) -> Client:
        self.wire.send(*chunks)
        return self


def recording_router(seen: list[object], *, error: Exception | None = None, rest: float = 0) -> Router:
    router = Router()

    @router.websocket("/ws")
    async def record(ws: WebSocket) -> None:
        try:
            async for message in ws:
                seen.append(message)
                if error is not None:
                    raise error
                await sleep(0.125)  # a binary fraction: exact by every clock
            seen.append(ws.close_code)
            await sleep(rest)
            seen.append("rested")
        finally:
            seen.append("finally")

    return router


FRAMES = 256  # in a turn, by the clock of `slow_down`


def slow_down(wire: Any) -> None:
    """Each look at the clock takes so long that a turn has as many frames."""
    moments = itertools.count()
    wire.service.clock = lambda: 1000 + next(moments) * TURN / FRAMES
