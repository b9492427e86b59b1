"""The router of `metrics`, and what it attaches to the router that is measured: an around, and a sampler."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from kissapi.backends.awaitables import sleep
from kissapi.backends.clock import clock
from kissapi.backends.spawn import spawn
from kissapi.core import BUSY, CLOSING, IDLE, STREAMING
from kissapi.extras.metrics.instruments import BUCKETS, Instruments, instruments_of
from kissapi.extras.metrics.processes import VARIABLE, folder_of_workers
from kissapi.http.request_line import METHODS
from kissapi.http.response import Response
from kissapi.routing.hooks import Hook
from kissapi.routing.router import Router

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from kissapi.http.app import App
    from kissapi.http.request import Request

_OPENMETRICS = "application/openmetrics-text"

PERIOD = 1.0  # seconds between two samples of a loop
_HANDSHAKE = "HANDSHAKE"  # of TLS, or of a proxy that has yet to tell the client's address
_STATES = (_HANDSHAKE, IDLE, BUSY, STREAMING, CLOSING)


def metrics(
    router: Router,
    *,
    registry: CollectorRegistry | None = None,
    path: str = "/metrics",
    buckets: Iterable[float] = BUCKETS,
) -> Router:
    """A router that answers GET of `path` with the metrics of `router` and of all that is mounted in it.

    It counts each request for `router` outside of all its other hooks, whatever they are, to the end of the
    answer: a stream, a file or a WebSocket to its own. `registry` is the app's, by default that of
    prometheus_client, so what the app counts itself is there as well. `buckets` are the bounds of the
    histogram of durations, in seconds. OpenMetrics is for a client that asks for it.

    With several workers each of them answers for all; for that the environment variable
    PROMETHEUS_MULTIPROC_DIR names a folder where prometheus_client keeps the values, before Python starts.
    Without it no worker starts, and a line says why. Raises `TypeError` for what is no router,
    `ValueError` for one that is measured already and for names that the registry has, `RuntimeError` while a
    server runs.

        router.mount("/", metrics(router))

        site = metrics(router)
        site.around(basic({"prometheus": "secret"}))  # it tells much of an app: not for everyone
    """
    if not isinstance(router, Router):
        raise TypeError(f"metrics are those of a Router, not of {router!r}")
    router._check_open()
    folder = folder_of_workers()
    registry = REGISTRY if registry is None else registry
    instruments = instruments_of(registry, buckets)
    if router in instruments.routers:
        raise ValueError("this router is measured already: mount what metrics() gave in both places")
    instruments.routers.add(router)
    made_in = os.getpid()
    router.around_hooks.insert(0, Hook(_counting(instruments), nested=True))

    @router.on_start
    def watch(app: App) -> None:
        if folder is None and os.getpid() != made_in:
            raise SystemExit(  # a line for people, not a traceback: it is the environment that is wrong
                "kissapi: metrics of several workers need a folder where all of them count, else a scrape "
                f"tells those of one: {VARIABLE}=/run/shop in the environment, before Python starts"
            )
        spawn(_sample(instruments, app))

    site = Router()

    # A plain def, for a worker thread: 6,000 samples take 0.3 s.
    @site.get(path, hidden=True)
    def scrape(req: Request) -> Response:
        # Not the field itself: a version in it that is no number makes prometheus_client fail.
        wanted = _OPENMETRICS if _OPENMETRICS in req.headers.get("accept", "") else ""
        encode, content_type = choose_encoder(wanted)
        if folder is None:
            return Response(encode(registry), content_type=content_type)
        with folder.merged() as merged:
            return Response(encode(merged), content_type=content_type)

    scrape.__qualname__ = "scrape"
    return site


def _counting(instruments: Instruments) -> Any:
    """The around hook that counts."""

    async def hook(req: Request) -> AsyncGenerator[None, Response]:
        connection: Any = req._connection
        began = connection.received_at
        method = req.method
        if method not in METHODS and method not in connection.service.dispatch.methods:
            method = "_OTHER"
        series = instruments.of(method, req.route.path if req.route is not None else "")
        status = 0

        def ended(outcome: str, sent: int) -> None:
            reader = req._reader
            received = len(req.__dict__.get("body", b"")) if reader is None else reader.total
            series.ended(connection.service.clock() - began, status, outcome, received, sent)

        series.active.inc()
        req.on_end(ended)
        response = yield
        status = response.status

    hook.__qualname__ = "metrics"
    return hook


async def _sample(instruments: Instruments, app: App) -> None:
    """Once a second, until it is cancelled: the connections of this loop by state, and its lag."""
    before = dict.fromkeys(_STATES, 0)

    def tell(now: Mapping[str, int]) -> None:
        for state in _STATES:  # several loops add up: each adds by how much its own have changed
            instruments.connections.labels(state.lower()).inc(now[state] - before[state])

    try:
        while True:
            now = Counter(getattr(each, "state", _HANDSHAKE) for each in app._connections)
            tell(now)
            before = {state: now[state] for state in _STATES}
            due = clock() + PERIOD
            await sleep(PERIOD)
            instruments.lag.observe(max(0.0, clock() - due))
    finally:
        tell(dict.fromkeys(_STATES, 0))
