"""Instruments: the metrics of one registry, and of each route the series that its requests are counted in.

A request takes a look-up in a dict and four or five calls: the series of a label are made once. All of it may
be used by several loops, and by several apps of a process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
except ImportError as error:
    raise ImportError("metrics need prometheus-client: pip install 'kissapi[metrics]'") from error

# Seconds: the boundaries that OpenTelemetry advises for http.server.request.duration.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
LAGS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

_ROUTE = ("http_request_method", "http_route")


class Instruments:
    """The metrics of `registry`; `buckets` are those of the duration, in seconds.

    A gauge of several workers is the sum over those that live: `livesum`.
    """

    def __init__(self, registry: CollectorRegistry, buckets: tuple[float, ...]) -> None:
        self.buckets = buckets
        self.routers: WeakSet[Any] = WeakSet()  # those that are counted
        self.duration = Histogram(
            "http_server_request_duration_seconds",
            "From the first byte of a request to the end of its answer.",
            (*_ROUTE, "http_response_status_code", "error_type"),
            buckets=buckets,
            registry=registry,
        )
        self.active = Gauge(
            "http_server_active_requests",
            "Requests that are being answered.",
            _ROUTE,
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.received = Counter(
            "http_server_request_body_bytes", "Bytes of bodies that came.", _ROUTE, registry=registry
        )
        self.sent = Counter(
            "http_server_response_body_bytes", "Bytes of bodies that went out.", _ROUTE, registry=registry
        )
        self.connections = Gauge(
            "kissapi_connections",
            "Connections by their state.",
            ("state",),
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.lag = Histogram(
            "kissapi_event_loop_lag_seconds",
            "How late a timer of the event loop is; one sample a second.",
            buckets=LAGS,
            registry=registry,
        )
        self._series: dict[tuple[str, str], Series] = {}

    def of(self, method: str, route: str) -> Series:
        """What the requests for `route` are counted in."""
        found = self._series.get((method, route))
        if found is None:
            found = self._series.setdefault((method, route), Series(self, method, route))
        return found


class Series:
    """The series of one method and route."""

    __slots__ = ("_durations", "_instruments", "_labels", "active", "received", "sent")

    def __init__(self, instruments: Instruments, method: str, route: str) -> None:
        self._instruments = instruments
        self._labels = method, route
        self._durations: dict[tuple[int, str], Any] = {}
        self.active = instruments.active.labels(method, route)
        self.received = instruments.received.labels(method, route)
        self.sent = instruments.sent.labels(method, route)

    def ended(self, seconds: float, status: int, outcome: str, received: int, sent: int) -> None:
        """A request has ended. `status` is 0 where no answer began; `outcome` is that of `on_end`."""
        duration = self._durations.get((status, outcome))
        if duration is None:
            error = outcome if outcome != "sent" else str(status) if status >= 500 else ""
            duration = self._instruments.duration.labels(*self._labels, status or "", error)
            self._durations[status, outcome] = duration
        self.active.dec()
        duration.observe(seconds)
        if received:
            self.received.inc(received)
        if sent:
            self.sent.inc(sent)


_known: WeakKeyDictionary[CollectorRegistry, Instruments] = WeakKeyDictionary()
_lock = threading.Lock()


def instruments_of(registry: CollectorRegistry, buckets: Iterable[float]) -> Instruments:
    """Those of `registry`, the same for all apps that have it.

    Raises `ValueError` for other buckets than it has, and what prometheus_client raises: `ValueError` for a
    registry with a metric of one of these names.
    """
    bounds = tuple(float(bound) for bound in buckets)
    with _lock:
        known = _known.get(registry)
        if known is None:
            known = _known[registry] = Instruments(registry, bounds)
    if known.buckets != bounds:
        raise ValueError(
            f"this registry has buckets already, {known.buckets}: apps with others take a registry of their "
            "own, metrics(router, registry=CollectorRegistry())"
        )
    return known
