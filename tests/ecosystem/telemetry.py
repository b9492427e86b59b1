"""OpenTelemetry's ASGI middleware round Sentry's round an app: spans of requests, events of errors."""

from __future__ import annotations

from typing import Any

import sentry_sdk
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from sentry_sdk.transport import Transport
from starlette.applications import Starlette
from starlette.requests import Request  # noqa: TC002
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.ecosystem.site import Site, check

spans = InMemorySpanExporter()
events: list[str] = []


class Kept(Transport):
    """Keeps what would be sent."""

    def capture_envelope(self, envelope: Any) -> None:
        event = envelope.get_event()
        if event is not None:
            value = event["exception"]["values"][-1]
            events.append(f"{value['type']} {value['value']} {event['request']['url']}")


async def hello(request: Request) -> JSONResponse:
    return JSONResponse({"trace": f"{trace.get_current_span().get_span_context().trace_id:032x}"})


async def bug(request: Request) -> JSONResponse:
    raise OSError("no disk")


async def seen(request: Request) -> JSONResponse:
    kinds = {span.name: span.kind.name for span in spans.get_finished_spans()}
    return JSONResponse({"spans": kinds, "events": events})


def make() -> Any:
    sentry_sdk.init(dsn="https://key@example.org/1", transport=Kept, default_integrations=False)
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    inner = Starlette(routes=[Route("/hello", hello), Route("/bug", bug), Route("/seen", seen)])
    return OpenTelemetryMiddleware(SentryAsgiMiddleware(inner), tracer_provider=provider)


def main() -> str:
    with Site("tests.ecosystem.telemetry:make") as site:
        parent = "0af7651916cd43dd8448eb211c80319c"
        headers = {"traceparent": f"00-{parent}-b7ad6b7169203331-01"}
        found = site.ask("/hello", headers=headers).json
        check("the trace goes on", found == {"trace": parent}, found)
        check("an error", site.ask("/bug").status == 500)
        found = site.ask("/seen").json
        check("a span of the server", "SERVER" in found["spans"].values(), found)
        check("one event", found["events"] == [f"OSError no disk {site.url}/bug"], found)
    return "the trace of a client goes on, spans of the server, an event for an error"
