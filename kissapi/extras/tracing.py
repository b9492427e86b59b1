"""Tracing: an around hook that makes a span of each request. It needs opentelemetry-api.

    from kissapi.extras.tracing import tracing

    router.around(tracing())

Where spans go is the app's business: it sets up OpenTelemetry's SDK, or runs without it. Names and attributes
are the stable conventions for HTTP servers (OpenTelemetry semantic conventions 1.23). The span begins before
the hooks inside of this one, and ends with the answer's last byte, or when the client has left. It is current
in handlers, in worker threads, in streams, in WebSockets and in what runs after the answer: the context of a
request is its own, so nothing is put back, and nothing reaches the next request. Each line of the log bears
`trace_id` and `span_id`; see `kissapi.log.ids`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

try:
    from opentelemetry import trace
    from opentelemetry.context import Context, attach
    from opentelemetry.propagate import extract
    from opentelemetry.trace import Link, Span, SpanKind, StatusCode
except ImportError as error:
    raise ImportError("tracing needs opentelemetry-api: pip install 'kissapi[tracing]'") from error

import kissapi
from kissapi.core import Fail
from kissapi.http.authority import USUAL_PORTS, split_port
from kissapi.http.pieces import close
from kissapi.http.uri import unescape
from kissapi.log.ids import bear

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from kissapi.http.body_writer import BodyWriter
    from kissapi.http.request import Request
    from kissapi.http.response import Response

__all__ = ["SECRETS", "tracing"]

# Parameters of queries whose values no span has. The conventions name the first four, which sign links.
SECRETS = frozenset(
    "awsaccesskeyid signature sig x-goog-signature x-amz-signature x-amz-credential x-amz-security-token "
    "access_token api_key apikey auth authorization client_secret code id_token key password passwd pwd "
    "refresh_token secret session token".split()
)
# What any client may send is no name of a span: RFC 9110 §9, and PATCH (RFC 5789).
METHODS = "CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,TRACE"
SCHEMA = "https://opentelemetry.io/schemas/1.23.1"

# An end that is the client's is no error of the server.
_OF_THE_CLIENT = frozenset(("client left", "client takes nothing"))


def tracing(
    *,
    skip: Callable[[Request], bool] | None = None,
    secrets: Iterable[str] = SECRETS,
    public: bool = False,
    provider: TracerProvider | None = None,
) -> Callable[[Request], AsyncGenerator[None, Response]]:
    """Make a span of each request, called `GET /users/{id}`; make it the outermost hook.

    It goes on with the trace that the client's `traceparent` tells, or what else OTEL_PROPAGATORS names. With
    `public=True`, for clients that are not to be believed, it begins a new one, which links to the client's.
    `skip(req)` is true for requests that get no span. `secrets` are parameters of the query, in any case,
    whose values are hidden; `url.query` has the others. `provider` takes the place of the one that
    `set_tracer_provider` has set. Status 500 and above, and an answer that the server cuts short, are errors;
    what was raised is recorded. An end before the last byte is the attribute `kissapi.outcome`: see
    `Request.on_end`.

        router.around(tracing(skip=lambda req: req.path == "/-/ready", secrets={*SECRETS, "voucher"}))
    """
    # The variable is of the conventions: of clients of another protocol, such as WebDAV.
    known = frozenset(os.environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", METHODS).split(","))
    hidden = frozenset(name.lower() for name in secrets)
    tracer = trace.get_tracer("kissapi", kissapi.__version__, provider, SCHEMA)
    bear("trace_id", _trace_id)
    bear("span_id", _span_id)

    async def hook(req: Request) -> AsyncGenerator[None, Response]:
        if skip is not None and skip(req):
            yield
            return
        context = extract(req.headers, Context())  # an empty one: the app may have started inside of a span
        links = []
        if public:
            theirs = trace.get_current_span(context).get_span_context()
            links = [Link(theirs)] if theirs.is_valid else []
            context = Context()
        route = req.route.path if req.route is not None else ""
        method = req.method if req.method in known else "HTTP"
        span = tracer.start_span(
            f"{method} {route}" if route else method,
            context,
            SpanKind.SERVER,
            _facts_of(req, method, route, hidden),
            links,
        )
        attach(trace.set_span_in_context(span, context))
        ids = span.get_span_context()
        if ids.is_valid:
            req._log_ids = {
                **req._log_ids,
                "trace_id": trace.format_trace_id(ids.trace_id),
                "span_id": trace.format_span_id(ids.span_id),
            }
        if not span.is_recording():
            yield
            return
        req.on_end(partial(_end, span))
        response = yield
        span.set_attribute("http.response.status_code", response.status)
        if response.status >= 500:
            error = response.error
            _fail(span, str(response.status) if error is None or isinstance(error, Fail) else error)
        if hasattr(response.body, "__anext__") or hasattr(response.body, "send_to"):
            kind = response.content_type
            response.body = _Watched(response.body, span)
            if kind is not None:
                response.content_type = kind

    hook.__qualname__ = "tracing"
    return hook


def _facts_of(req: Request, method: str, route: str, hidden: frozenset[str]) -> dict[str, Any]:
    """What is known of a request when its span begins: samplers may look at it."""
    scheme, _, authority = req.base_url.partition("://")
    host, port = split_port(authority)
    facts: dict[str, Any] = {
        "http.request.method": method if method != "HTTP" else "_OTHER",
        "url.scheme": scheme,
        "url.path": req.path,
        "server.address": host.strip("[]"),
        "server.port": int(port or USUAL_PORTS[scheme]),
        "network.protocol.version": req.http_version,
    }
    if method == "HTTP":
        facts["http.request.method_original"] = req.method
    if route:
        facts["http.route"] = route
    if req.query_string:
        facts["url.query"] = _without(hidden, req.query_string)
    client, agent = req.client, req.headers.get("user-agent")
    if client is not None:
        facts["client.address"] = client[0]
    if agent is not None:
        facts["user_agent.original"] = agent
    return facts


def _without(hidden: frozenset[str], query: str) -> str:
    """`query` as it came, but for the values of the parameters that are `hidden`.

    >>> _without(frozenset(["token"]), "page=2&Token=s3cret&%74oken")
    'page=2&Token=REDACTED&%74oken'
    """
    pairs = []
    for pair in query.split("&"):
        name, equals, _ = pair.partition("=")
        told = unescape(name.replace("+", " ")).decode("utf-8", "replace").strip().lower()
        pairs.append(f"{name}=REDACTED" if equals and told in hidden else pair)
    return "&".join(pairs)


class _Watched:
    """A body that is made while it is sent: what it raises is recorded. It sends itself; see `BodyWriter`."""

    __slots__ = ("_body", "_span")

    def __init__(self, body: Any, span: Span) -> None:
        self._body = body
        self._span = span

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    async def send_to(self, writer: BodyWriter) -> None:
        """Send all pieces."""
        try:
            if hasattr(self._body, "send_to"):
                await self._body.send_to(writer)
            else:
                async for piece in self._body:
                    await writer.send(piece)
        except Exception as error:
            self._span.record_exception(error)
            raise

    async def aclose(self) -> None:
        """Close the body: its `finally` blocks run."""
        await close(self._body)


def _fail(span: Span, what: BaseException | str) -> None:
    """Mark an error: what was raised, or a word for it."""
    span.set_status(StatusCode.ERROR)
    if not isinstance(what, str):
        span.record_exception(what)
        kind = type(what)
        what = (
            kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        )
    span.set_attribute("error.type", what)


def _end(span: Span, outcome: str, size: int) -> None:
    if outcome != "sent":
        span.set_attribute("kissapi.outcome", outcome)
        if outcome not in _OF_THE_CLIENT:
            _fail(span, outcome)
    span.end()


def _trace_id() -> str | None:
    ids = trace.get_current_span().get_span_context()
    return trace.format_trace_id(ids.trace_id) if ids.is_valid else None


def _span_id() -> str | None:
    ids = trace.get_current_span().get_span_context()
    return trace.format_span_id(ids.span_id) if ids.is_valid else None
