"""Metrics: what Prometheus scrapes: requests, latencies, connections, bytes and the lag of the loop.

    from kissapi.extras.metrics import metrics

    router.mount("/", metrics(router))  # GET /metrics

The library prometheus_client keeps the values and writes them; this counts. Names and labels are those of
OpenTelemetry for HTTP servers, as Prometheus writes them, so that dashboards made for those fit. Bytes are
counters: its histograms of sizes cost more than they tell. What it has no name for begins with `kissapi_`:

    http_server_request_duration_seconds    histogram: method, route, status, error; its count is the requests
    http_server_active_requests             gauge: method, route
    http_server_request_body_bytes_total    counter: method, route
    http_server_response_body_bytes_total   counter: method, route
    kissapi_connections                     gauge: state
    kissapi_event_loop_lag_seconds          histogram

A label has few values, whatever clients send: a route is the path as it was registered, "" where there is
none, and a method that no route and no standard knows is `_OTHER`. A message that cannot be parsed goes to no
router, and is not counted.

`instruments` has the metrics, `router` attaches them to an app, `processes` merges those of several workers.
"""

from kissapi.extras.metrics.router import metrics

__all__ = ["metrics"]
