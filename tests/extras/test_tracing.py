"""Tracing: a span of each request, by the conventions; its context in all that runs for the request."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from kissapi import Fail, Request, Response, Router, sleep, spawn, to_thread
from kissapi.extras.testing import Client
from kissapi.extras.tracing import SECRETS, tracing
from kissapi.extras.websocket import WebSocket  # noqa: TC001  # handlers are registered by their annotations
from kissapi.log import LoggerLog
from tests.peer import connect, read_all, until
from tests.serving import THREE, make, running
from tests.wire import Wire

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FIELDS = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1", "baggage": "tenant=blue"}


class Spans:
    """A provider, and the spans that have ended."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracer = self.provider.get_tracer("app")

    @property
    def all(self) -> list[ReadableSpan]:
        return list(self._kept.get_finished_spans())

    def one(self) -> ReadableSpan:
        """The only one since the last call."""
        (span,) = self.all
        self._kept.clear()
        return span


@pytest.fixture
def spans() -> Spans:
    return Spans()


def app(spans: Spans, **options: Any) -> Router:
    router = Router()
    router.around(tracing(provider=spans.provider, **options))
    shop = Router()
    router["/shop"] = shop

    @shop.get("/users/{id}")
    async def user(req: Request) -> Any:
        return ids()

    @shop.get("/plain")
    def plain(req: Request) -> Any:
        return ids()

    @router.get("/error")
    async def error(req: Request) -> None:
        raise KeyError("x")

    @router.get("/fail/{status:int}")
    async def fail(req: Request, status: int) -> None:
        raise Fail(status)

    @router.get("/stream")
    async def stream(req: Request) -> AsyncIterator[str]:
        yield f"{ids()}"
        await sleep(0.01)
        yield f"{ids()}"

    @router.get("/sync-stream")
    def sync_stream(req: Request) -> Iterator[str]:
        yield f"{ids()}"
        yield f"{ids()}"

    @router.get("/cut")
    async def cut(req: Request) -> AsyncIterator[str]:
        yield "piece"
        await sleep(0.01)
        raise KeyError("k")

    @router.get("/sleep")
    async def long(req: Request) -> None:
        await sleep(60)

    return router


def ids() -> list[str]:
    """The trace and the span that are current here."""
    found = trace.get_current_span().get_span_context()
    return [trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)]


def ids_of(span: ReadableSpan) -> list[str]:
    assert span.context is not None
    return [trace.format_trace_id(span.context.trace_id), trace.format_span_id(span.context.span_id)]


def facts_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


# What a span says


def test_the_attributes(spans: Spans, parser_class: Any) -> None:
    wire = Wire(app(spans), parser_class)
    wire.send(
        b"GET /shop/users/%37?page=2 HTTP/1.1\r\nHost: Shop.example:8080\r\nUser-Agent: a\xff\xc3\xa9\r\n\r\n"
    )
    span = spans.one()
    assert (span.name, span.kind, span.parent) == ("GET /shop/users/{id}", SpanKind.SERVER, None)
    assert (span.status.status_code, span.events) == (StatusCode.UNSET, ())
    assert facts_of(span) == {
        "client.address": "127.0.0.1",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/shop/users/{id}",
        "network.protocol.version": "1.1",
        "server.address": "shop.example",
        "server.port": 8080,
        "url.path": "/shop/users/7",
        "url.query": "page=2",
        "url.scheme": "http",
        "user_agent.original": "aÿé",
    }


@pytest.mark.parametrize(
    ("host", "address", "port"),
    [("a", "a", 80), ("[::1]:9", "::1", 9), ("a:80", "a", 80)],
)
def test_where_it_came_to(spans: Spans, host: str, address: str, port: int) -> None:
    Wire(app(spans)).send(f"HEAD /shop/plain HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).wait(1)
    span = spans.one()
    facts = facts_of(span)
    assert (span.name, facts["server.address"], facts["server.port"]) == ("HEAD /shop/plain", address, port)


def test_a_method_that_is_not_known_is_no_name(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    for method, known, name in (("PURGE", False, "HTTP"), ("POST", True, "POST")):
        Wire(app(spans)).send(f"{method} /shop/plain HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        span = spans.one()
        facts = facts_of(span)
        assert (span.name, facts["http.request.method"]) == (name, method if known else "_OTHER")
        assert facts.get("http.request.method_original") == (None if known else method)
        assert facts["http.response.status_code"] == 405
        assert "http.route" not in facts
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET,PURGE")
    Wire(app(spans)).send(b"PURGE / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert spans.one().name == "PURGE"


def test_secrets_of_the_query_are_hidden(spans: Spans) -> None:
    query = "a=1&Token=x&acc%65ss_token=y&sig&b=c=d&+key=z&voucher=v&%ff=1"
    Client(app(spans)).get(f"/shop/plain?{query}")
    told = "a=1&Token=REDACTED&acc%65ss_token=REDACTED&sig&b=c=d&+key=REDACTED&voucher=v&%ff=1"
    assert facts_of(spans.one())["url.query"] == told
    Client(app(spans, secrets={*SECRETS, "Voucher"})).get("/shop/plain?voucher=v&b")
    assert facts_of(spans.one())["url.query"] == "voucher=REDACTED&b"


@pytest.mark.parametrize(
    ("path", "status", "name", "error"),
    [
        ("/nowhere/7", 404, "GET", None),
        ("/fail/404", 404, "GET /fail/{status:int}", None),
        ("/fail/503", 503, "GET /fail/{status:int}", "503"),
        ("/error", 500, "GET /error", "KeyError"),
    ],
)
def test_errors_are_those_of_the_server(
    spans: Spans, backend: str, path: str, status: int, name: str, error: str | None
) -> None:
    assert Client(app(spans), backend).get(path).status == status
    span = spans.one()
    facts = facts_of(span)
    assert (span.name, facts["http.response.status_code"], facts.get("error.type")) == (name, status, error)
    assert (span.status.status_code is StatusCode.ERROR) is (status >= 500)
    assert [event.name for event in span.events] == ["exception"] * (error == "KeyError")


def test_what_an_error_handler_answers_is_no_error(spans: Spans) -> None:
    class Known(Exception):
        pass

    router = app(spans)

    @router.get("/known")
    async def known(req: Request) -> None:
        raise Known

    @router.on_error(Known)
    async def answer(req: Request, error: Known) -> Fail:
        return Fail(409 if "busy" not in req.query else 503)

    Client(router).get("/known")
    span = spans.one()
    assert (facts_of(span)["http.response.status_code"], span.status.is_ok, span.events) == (409, True, ())
    Client(router).get("/known?busy")
    kind = f"{Known.__module__}.{Known.__qualname__}"
    assert facts_of(spans.one())["error.type"] == kind


# Where it begins, and how it ends


def test_a_trace_goes_on_and_out(spans: Spans, backend: str) -> None:
    router = app(spans)

    @router.get("/out")
    def out(req: Request) -> Any:
        sent: dict[str, str] = {}
        inject(sent)
        return [sent, dict(baggage.get_all())]

    client = Client(router, backend)
    sent, bags = client.get("/out", headers=FIELDS).json
    span = spans.one()
    assert span.parent is not None
    assert (trace.format_span_id(span.parent.span_id), span.parent.is_remote) == (PARENT, True)
    assert ids_of(span)[0] == TRACE
    assert sent == {**FIELDS, "traceparent": f"00-{TRACE}-{ids_of(span)[1]}-01"}
    assert bags == {"tenant": "blue"}
    for wrong in (
        "",
        "00-0-0-01",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
        f"ff-{TRACE}-{PARENT}-01",
    ):
        client.get("/out", headers={"traceparent": wrong})
        assert spans.one().parent is None


def test_a_public_server_begins_a_trace_of_its_own(spans: Spans) -> None:
    client = Client(app(spans, public=True))
    client.get("/shop/plain", headers=FIELDS)
    span = spans.one()
    assert (span.parent, [trace.format_trace_id(link.context.trace_id) for link in span.links]) == (
        None,
        [TRACE],
    )
    assert ids_of(span)[0] != TRACE
    client.get("/shop/plain")
    assert spans.one().links == ()


def test_a_server_that_starts_inside_of_a_span_gives_it_no_children(spans: Spans) -> None:
    with spans.tracer.start_as_current_span("start"):
        Client(app(spans)).get("/shop/plain")
    assert spans.all[0].parent is None


@pytest.mark.parametrize("path", ["/shop/users/7", "/shop/plain", "/stream", "/sync-stream"])
def test_it_is_current_wherever_the_request_runs(spans: Spans, backend: str, path: str) -> None:
    text = Client(app(spans), backend).get(path).text.replace("'", '"').replace(", ", ",")
    assert text.replace("][", "]|[").split("|") == [
        f'["{one}","{two}"]' for one, two in [ids_of(spans.one())]
    ] * (2 if "stream" in path else 1)
    assert ids()[0] == "0" * 32


@pytest.mark.parametrize("kind", THREE)
def test_what_runs_beside_and_after_the_answer_has_its_context(spans: Spans, kind: str) -> None:
    router, seen = app(spans), dict[str, list[str]]()
    done = threading.Event()

    @router.get("/work")
    async def work(req: Request) -> str:
        async def background() -> None:
            seen["background"] = ids()

        def after() -> None:
            seen["after"] = ids()
            done.set()

        seen["thread"] = await to_thread(ids)
        await spawn(background())
        req.after(after)
        with spans.tracer.start_as_current_span("child"):
            return "ok"

    with running(make(kind, router)) as server, connect(server.port) as client:
        client.sendall(
            b"GET /work HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /shop/plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        read_all(client)
        assert done.wait(5)
        child, span, other = until(lambda: spans.all if len(spans.all) == 3 else None)
    assert seen == dict.fromkeys(["background", "thread", "after"], ids_of(span))
    assert child.parent is not None
    assert child.parent.span_id == span.context.span_id
    assert (other.parent, ids_of(other)[0] == ids_of(span)[0]) == (None, False)  # no leak to the next request
    assert facts_of(span)["client.address"] == "127.0.0.1"


def test_pipelined_requests_have_a_context_each(spans: Spans, parser_class: Any) -> None:
    first = "".join(f"{name}: {value}\r\n" for name, value in FIELDS.items())
    data = (
        f"GET /shop/plain HTTP/1.1\r\nHost: a\r\n{first}\r\n"
        + "GET /shop/users/7 HTTP/1.1\r\nHost: a\r\n\r\n" * 2
    )
    Wire(app(spans), parser_class).send(data.encode()).wait(1)
    traces = [ids_of(span)[0] for span in spans.all]
    assert (traces[0], len(set(traces))) == (TRACE, 3)


def test_it_ends_with_the_last_byte(spans: Spans) -> None:
    wire = Wire(app(spans)).send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
    assert spans.all == []
    wire.wait(1)
    assert facts_of(spans.one())["http.response.status_code"] == 200


def test_a_stream_that_fails_is_an_error(spans: Spans, backend: str) -> None:
    with pytest.raises(ConnectionResetError):
        Client(app(spans), backend).get("/cut")
    span = spans.one()
    facts = facts_of(span)
    assert (facts["error.type"], facts["kissapi.outcome"]) == ("cut short", "cut short")
    assert span.status.status_code is StatusCode.ERROR
    assert [(event.attributes or {})["exception.type"] for event in span.events] == ["KeyError"]


def test_a_client_that_leaves_is_no_error(spans: Spans, parser_class: Any) -> None:
    for path in ("/sleep", "/stream"):
        wire = Wire(app(spans), parser_class).send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wire.lose()
        wire.wait(1)
        span = spans.one()
        facts = facts_of(span)
        assert (facts["kissapi.outcome"], span.status.status_code) == ("client left", StatusCode.UNSET)
        assert facts.get("http.response.status_code") == (200 if path == "/stream" else None)


def test_a_body_that_is_refused_has_a_span(spans: Spans, parser_class: Any) -> None:
    router = app(spans)

    @router.post("/upload")
    async def upload(req: Request) -> None:
        pass

    Wire(router, parser_class, max_body=9).send(
        b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
    )
    span = spans.one()
    assert (span.name, facts_of(span)["http.response.status_code"]) == ("POST /upload", 413)


@pytest.mark.parametrize("fails", [False, True])
def test_a_websocket_is_one_span(spans: Spans, backend: str, fails: bool) -> None:
    router = app(spans)

    @router.websocket("/chat")
    async def chat(ws: WebSocket) -> None:
        await ws.send(ids()[1])
        if fails:
            raise KeyError("x")

    with Client(router, backend).websocket("/chat") as socket:
        seen = socket.receive()
    span = spans.one()
    facts = facts_of(span)
    assert (span.name, facts["http.response.status_code"], seen) == ("GET /chat", 101, ids_of(span)[1])
    assert facts.get("kissapi.outcome") == ("cut short" if fails else None)
    assert (span.status.status_code is StatusCode.ERROR) is fails


# What an app may want


def test_some_requests_have_none(spans: Spans) -> None:
    client = Client(app(spans, skip=lambda req: req.path.startswith("/shop")))
    assert client.get("/shop/plain", headers=FIELDS).json == ["0" * 32, "0" * 16]
    assert spans.all == []


def test_an_around_inside_adds_what_it_knows(spans: Spans) -> None:
    router = app(spans)

    @router.around
    async def more(req: Request) -> AsyncIterator[None]:
        span = trace.get_current_span()
        span.set_attribute("tenant", req.headers.get("x-tenant", ""))
        response: Response = yield  # type: ignore[misc]
        span.set_attribute("app.type", response.content_type or "")

    Client(router).get("/shop/plain", headers={"x-tenant": "blue"})
    facts = facts_of(spans.one())
    assert (facts["tenant"], facts["app.type"]) == ("blue", "application/json")


def test_without_an_sdk_the_trace_of_the_client_goes_through(backend: str) -> None:
    router = Router()
    router.around(tracing())

    @router.get("/")
    async def home(req: Request) -> Any:
        return ids()

    assert Client(router, backend).get("/", headers=FIELDS).json == [TRACE, PARENT]
    assert Client(router, backend).get("/").json == ["0" * 32, "0" * 16]


def test_the_log_tells_the_trace(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    router = app(spans)
    logger = logging.getLogger("tests.tracing")

    @router.get("/log")
    async def log(req: Request) -> str:
        with spans.tracer.start_as_current_span("child"):
            logger.warning("inside")
        return "ok"

    wire = Wire(router)
    wire.service.log = LoggerLog(logger)
    with caplog.at_level(logging.INFO, "tests.tracing"):
        wire.send(b"GET /log HTTP/1.1\r\nHost: a\r\n\r\nGET /error HTTP/1.1\r\nHost: a\r\n\r\n")
        logger.info("outside")
    child, span, other = spans.all
    found = [[record.trace_id, record.span_id] for record in caplog.records]  # type: ignore[attr-defined]
    assert [record.getMessage().partition(" →")[0] for record in caplog.records] == [
        "inside",
        f"GET /error [{ids_of(other)[0]}]: app.<locals>.error raised KeyError",
        "GET /log",
        "GET /error",
        "outside",
    ]
    assert found == [ids_of(child), ids_of(other), ids_of(span), ids_of(other), ["-", "-"]]
    wire = Wire(router).send(b"GET /log HTTP/1.1\r\nHost: a\r\n\r\n")
    assert f"GET /log [{ids_of(spans.all[-1])[0]}] → 200" in wire.lines[-1]
