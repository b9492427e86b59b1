"""What an around hook of kissapi.extras costs a GET, in µs of one core, in process: no socket, no log.

`python -m tests.bench.extras` prints the table of the guide: what a GET takes without hooks, and what each
hook adds to the same GET.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from kissapi import Request, Router
from kissapi.backends.loop import running
from kissapi.extras.auth import api_key, basic, bearer
from kissapi.extras.compress import compress
from kissapi.extras.etag import etag, tag_of
from kissapi.extras.metrics import metrics
from kissapi.extras.ratelimit import ratelimit
from kissapi.extras.request_id import request_id
from kissapi.extras.tracing import tracing
from tests.wire import Wire

ROUNDS, TIMES = 300, 20
TEXT = "All work and no play makes Jack a dull boy. " * 100


async def nothing(req: Request) -> AsyncIterator[None]:
    yield


async def check(token: str) -> str | None:
    return "ann" if token == "t" else None


def counting() -> Callable[..., Any]:
    """The hook that `metrics` attaches."""
    router = Router()
    metrics(router, registry=CollectorRegistry())
    return router.around_hooks[0].function


GZIP = "Accept-Encoding: gzip"
ROWS: list[tuple[str, Callable[..., Any] | None, Any, str]] = [
    ("a GET without hooks", None, "Hello", ""),
    ("an around that does nothing", nothing, "Hello", ""),
    ("basic, a mapping", basic({"ann": "pear"}), "Hello", "Authorization: Basic YW5uOnBlYXI="),
    ("bearer, a mapping", bearer({"t": "ann"}), "Hello", "Authorization: Bearer t"),
    ("bearer, an async def", bearer(check), "Hello", "Authorization: Bearer t"),
    ("api_key, a mapping", api_key({"t": "ann"}), "Hello", "X-API-Key: t"),
    ("request_id", request_id(), "Hello", ""),
    ("tracing, without an SDK", tracing(), "Hello", ""),
    ("tracing, a span of the SDK, no exporter", tracing(provider=TracerProvider()), "Hello", ""),
    ("metrics", counting(), "Hello", ""),  # of several workers: with PROMETHEUS_MULTIPROC_DIR=/tmp/values
    ("ratelimit, one limit in memory", ratelimit("1000000/second"), "Hello", ""),
    ("etag, 5 bytes", etag(), "Hello", ""),
    ("etag, 304", etag(), "Hello", f"If-None-Match: {tag_of(b'Hello')}"),
    ("compress, 5 bytes: too few", compress(), "Hello", GZIP),
    ("compress, 4,400 bytes, not accepted", compress(), TEXT, ""),
    ("compress, 4,400 bytes, gzip", compress(), TEXT, GZIP),
]


def gets(hook: Callable[..., Any] | None, result: Any, field: str) -> Callable[[], float]:
    """A function that asks `TIMES` GETs, on a connection that is kept alive: seconds that one has taken."""
    router = Router()
    if hook is not None:
        router.add_hook("around", hook)

    @router.get("/")
    async def handler(req: Request) -> Any:
        return result

    wire = Wire(router)
    wire.service.answered = None
    wire.service.clock = time.perf_counter
    written: list[bytes] = []
    wire.transport.write = written.append  # type: ignore[method-assign, assignment]
    data = f"GET / HTTP/1.1\r\nHost: a\r\n{field}{field and chr(13) + chr(10)}\r\n".encode()
    wire.send(data)
    assert written[0].startswith((b"HTTP/1.1 200", b"HTTP/1.1 304")), written[0]
    receive = wire.connection.data_received

    def ask() -> float:
        running.loop = wire.loop  # type: ignore[assignment]
        try:
            start = time.perf_counter()
            for _ in range(TIMES):
                receive(data)
            return (time.perf_counter() - start) / TIMES
        finally:
            running.loop = None
            written.clear()

    return ask


def main() -> None:
    for name, hook, result, field in ROWS:
        bare, covered = gets(None, result, field), gets(hook, result, field)
        # In turns, for the machine may be slow now and then: the least of each is of the fast times.
        pairs = [(bare(), covered()) for _ in range(ROUNDS)]
        least = min(pair[0] for pair in pairs)
        cost = min(pair[1] for pair in pairs) - least
        print(f"| {name} | {least * 1e6:.1f} |" if hook is None else f"| {name} | + {cost * 1e6:.1f} |")


if __name__ == "__main__":
    main()
