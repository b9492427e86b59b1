"""Arounds that note what they see, and what a client gets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from tests.wire import Wire, parse_answers

if TYPE_CHECKING:
    from kissapi import Request, Router

HOST = "HTTP/1.1\r\nHost: a\r\n"


def ask(line: str, *fields: str, body: bytes = b"") -> bytes:
    return "".join([f"{line} {HOST}", *(f"{field}\r\n" for field in fields), "\r\n"]).encode() + body


GET = ask("GET /x")


def answer_to(router: Router, parser_class: Any, data: bytes = GET, **limits: Any) -> tuple[int, bytes]:
    wire = Wire(router, parser_class, **limits).send(data).wait(1)
    ((status, _, body),) = parse_answers(wire.received, [data.partition(b" ")[0].decode()])
    return status, body


def seeing(steps: list[Any], name: str = "") -> Callable[[Request], AsyncIterator[Any]]:
    """An around that notes what it sees."""

    async def around(req: Request) -> AsyncIterator[Any]:
        steps.append(f"{name} begins" if name else req.path)
        try:
            response = yield
            steps.append(f"{name} {response.status}" if name else (response.status, type(response.error)))
        finally:
            steps.append(f"{name} ends" if name else "end")

    return around


async def answer(req: Request) -> str:
    return "answer"
