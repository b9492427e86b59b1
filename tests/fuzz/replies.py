"""Replies: whatever a handler says, one well-formed response comes of it, or a ValueError of its making.

What h11 reads from the wire is one response for each request, with nothing between and nothing behind.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import h11

from kissapi import Fail, Request, Response, Router
from tests.wire import Wire

# CR, LF and NUL, and what becomes one of them if somebody is careless with characters.
# fmt: off
TEXTS = [
    "a", "x-y", "text/html", "", " ", "\t", "a b", "é", "\u2028", "\x85", "\u010d\u010a", "\ud800",
    "\udc8d\udc8a",
    "\r", "\n", "\r\n", "\r\n\r\n", "\x00", "\x0b", "\x1f", "\x7f", ":", "a:b", "=", ";", ",", '"',
    "a\r\nX: b",
    "a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "content-length", "Transfer-Encoding", "connection", "close",
    "chunked",
    "Date", "Set-Cookie", "x" * 300,
]
STATUSES = [
    200, 201, 204, 205, 206, 299, 301, 304, 400, 404, 405, 413, 500, 599, 99, 100, 101, 600, "200", None,
    True, 200.0,
]
# fmt: on
REQUESTS = [b"GET / HTTP/1.1", b"GET / HTTP/1.1", b"HEAD / HTTP/1.1", b"POST / HTTP/1.1", b"GET / HTTP/1.0"]


CUT = 0


def some_text(dice: random.Random) -> str:
    return "".join(dice.choices(TEXTS, k=dice.choice((1, 1, 1, 2, 3))))


def some_body(dice: random.Random) -> Any:
    return dice.choice(
        (
            some_text(dice),
            some_text(dice).encode("utf-8", "replace"),
            None,
            {some_text(dice): 1},
            [],
            5,
            object(),
        )
    )


async def some_stream(dice: random.Random) -> AsyncIterator[str]:
    for _ in range(3):
        yield some_text(dice)


def some_result(dice: random.Random) -> Any:
    """What a handler returns, or raises."""
    headers = [(some_text(dice), some_text(dice)) for _ in range(dice.choice((0, 0, 1, 1, 3)))]
    status = dice.choice(STATUSES) if dice.random() < 0.5 else 200
    kind = dice.random()
    if kind < 0.2:
        return some_body(dice)
    if kind < 0.3:
        raise Fail(status, some_body(dice), dict(headers))  # type: ignore[arg-type]
    if kind < 0.4:
        return some_stream(dice)
    content_type = some_text(dice) if dice.random() < 0.3 else None
    response = Response(some_body(dice), status, headers, content_type)  # type: ignore[arg-type]
    if dice.random() < 0.3:
        response.set_cookie(some_text(dice), some_text(dice), path=some_text(dice), domain=some_text(dice))
    if dice.random() < 0.2:
        response.headers[some_text(dice)] = some_text(dice)
    return response


def run(seed: int, parser_class: Any) -> int:
    """Ask for what the seed makes of it, twice on one connection; the status of the first answer, or CUT."""
    dice = random.Random(seed)
    router = Router()

    async def handler(req: Request) -> Any:
        return some_result(dice)

    for method in ("GET", "POST"):
        router.add_route(method, "/", handler)
    line = dice.choice(REQUESTS)
    wire = Wire(router, parser_class).send((line + b"\r\nHost: a\r\n\r\n") * 2)
    for _ in range(3):
        wire.wait(1)
    method = line.split()[0].decode()
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    client.receive_data(wire.received)
    if wire.closed or wire.transport.closing:
        client.receive_data(b"")
    statuses = []
    while True:
        client.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
        client.send(h11.EndOfMessage())
        try:
            statuses.append(read_answer(client, seed))
        except h11.RemoteProtocolError as error:
            if not wire.transport.aborted or "incomplete" not in str(error):
                raise AssertionError(f"seed {seed}: {wire.received!r}") from error
            return CUT  # a stream that failed on its way: half a body must not pass for a whole one
        if client.our_state is not h11.DONE or client.their_state is not h11.DONE or len(statuses) == 2:
            break
        client.start_next_cycle()
    rest, _ = client.trailing_data
    assert rest == b"", f"seed {seed}: {rest!r} behind the last answer"
    assert len(statuses) == 2 or wire.closed or wire.transport.closing, f"seed {seed}: {wire.received!r}"
    return statuses[0]


def read_answer(client: h11.Connection, seed: int) -> int:
    status = 0
    while True:
        event = client.next_event()
        if isinstance(event, h11.Response):
            status = event.status_code
            fields = [name for name, _ in event.headers]
            assert fields.count(b"date") == 1, f"seed {seed}: {event}"
            assert fields.count(b"content-length") + fields.count(b"transfer-encoding") <= 1, (
                f"seed {seed}: {event}"
            )
        elif isinstance(event, h11.EndOfMessage):
            return status
        else:
            assert isinstance(event, h11.Data), f"seed {seed}: {event}"
