"""RSGI, granian's own protocol: one call that answers."""

from __future__ import annotations

from typing import Any

PIECE = b"x" * 1024
TEXT = [("content-type", "text/plain")]


async def raw(scope: Any, protocol: Any) -> None:
    if scope.path == "/stream":
        stream = protocol.response_stream(200, TEXT)
        for _ in range(1000):
            await stream.send_bytes(PIECE)
    else:
        protocol.response_str(200, TEXT, "Hello, world!")
