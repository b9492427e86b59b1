"""RSGI, granian's own protocol: one call that answers."""

from __future__ import annotations

from typing import Any


async def raw(scope: Any, protocol: Any) -> None:
    protocol.response_str(200, [("content-type", "text/plain")], "Hello, world!")
