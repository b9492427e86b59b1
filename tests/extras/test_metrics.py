"""Metrics: what is counted, by which labels, and how it is kept private."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest

from kissapi import Fail, Request, Response, Router, sleep
from kissapi.extras.auth import basic
from kissapi.extras.testing import Client
from tests.peer import ask, connect, until
from tests.serving import THREE, make, running
from tests.wire import Wire

prometheus = pytest.importorskip("prometheus_client")

from kissapi.extras.metrics import metrics  # noqa: E402

LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


class Seen:
    """The samples of a text: `seen("requests", route="/x")` adds up those that have the labels given."""

    SHORT: ClassVar = {
        "requests": "http_server_request_duration_seconds_count",
        "seconds": "http_server_request_duration_seconds_sum",
        "active": "http_server_active_requests",
        "received": "http_server_request_body_bytes_total",
        "sent": "http_server_response_body_bytes_total",
        "connections": "kissapi_connections",
        "lags": "kissapi_event_loop_lag_seconds_count",
        "method": "http_request_method",
        "route": "http_route",
        "status": "http_response_status_code",
        "error": "error_type",
        "state": "state",
    }

    def __init__(self, text: str) -> None:
        self.samples: list[tuple[str, dict[str, str], float]] = []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()  # type: ignore[union-attr]
                self.samples.append((name, dict(LABEL.findall(labels or "")), float(value)))

    def __call__(self, name: str, **labels: str) -> float:
        wanted = {self.SHORT.get(label, label): value for label, value in labels.items()}
        name = self.SHORT.get(name, name)
        return sum(
            value for each, has, value in self.samples if each == name and wanted.items() <= has.items()
        )

    def values(self, label: str) -> set[str]:
        """The values of `label` in all samples."""
        return {has[self.SHORT[label]] for _, has, _ in self.samples if self.SHORT[label] in has}


def registry_of() -> Any:
    return prometheus.CollectorRegistry()


def app(registry: Any = None) -> Router:
    """The routes below, measured."""
    router, api = Router(), Router()
    router["/api"] = api

    @router.get("/users/{id:int}")
    async def user(req: Request) -> str:
        return "four"

    @router.post("/users/{id:int}")
    async def change(req: Request) -> Response:
        return Response(req.body, 201)

    @api.get("/fail")
    async def fail(req: Request) -> None:
        raise Fail(418, "no")

    @api.get("/error")
    async def error(req: Request) -> None:
        raise KeyError("k")

    @router.post("/upload", stream=True)
    async def upload(req: Request) -> int:
        return len(b"".join([piece async for piece in req.stream()]))

    @router.get("/stream")
    async def stream(req: Request) -> AsyncIterator[str]:
        for _ in range(3):
            yield "piece"
            await sleep(0.05)

    @router.get("/cut")
    async def cut(req: Request) -> AsyncIterator[str]:
        yield "piece"
        await sleep(0.01)
        raise KeyError("k")

    @router.get("/wait")
    async def wait(req: Request) -> str:
        await sleep(60)
        return "x"

    @router.websocket("/echo")
    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    router.mount("/", metrics(router, registry=registry_of() if registry is None else registry))
    return router


def test_requests_are_counted_by_pattern_method_and_status(backend: str, parser_class: Any) -> None:
    client = Client(app(), backend, parser_class=parser_class)
    for number in range(5):
        assert client.get(f"/users/{number}").text == "four"
        client.get(f"/nowhere/{number}")
    client.head("/users/7")
    client.post("/users/7", body="eleven byte")
    client.delete("/users/7")
    client.options("/users/7")
    client.get("/api/fail")
    client.get("/api/error")
    seen = Seen(client.get("/metrics").text)
    assert seen("requests", route="/users/{id:int}", method="GET", status="200", error="") == 5
    assert seen("requests", route="/users/{id:int}", method="HEAD", status="200") == 1
    assert seen("requests", route="/users/{id:int}", method="POST", status="201") == 1
    assert seen("requests", route="", method="GET", status="404") == 5
    assert seen("requests", route="", method="DELETE", status="405") == 1
    assert seen("requests", route="", method="OPTIONS", status="204") == 1
    assert seen("requests", route="/api/fail", status="418", error="") == 1
    assert seen("requests", route="/api/error", status="500", error="500") == 1
    assert seen("requests") == 16
    assert seen("received", route="/users/{id:int}", method="POST") == 11
    assert seen("sent", route="/users/{id:int}", method="GET") == 20
    assert seen("sent", route="/users/{id:int}", method="HEAD") == 0
    assert seen.values("route") == {"", "/users/{id:int}", "/api/fail", "/api/error", "/metrics"}
    # Of its own request it says that it is in progress, and no more.
    assert (seen("active", route="/metrics"), seen("active")) == (1, 1)
    assert seen("requests", route="/metrics") == 0


def test_its_time_is_from_the_first_byte_to_the_last(backend: str) -> None:
    client = Client(app(), backend)
    client.get("/stream")
    seen = Seen(client.get("/metrics").text)
    assert seen("seconds", route="/stream") == pytest.approx(0.15)
    assert seen("http_server_request_duration_seconds_bucket", route="/stream", le="0.1") == 0
    assert seen("http_server_request_duration_seconds_bucket", route="/stream", le="0.25") == 1


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "whole"])
def test_a_body_that_is_taken_as_it_comes(backend: str, parser_class: Any, chunked: bool) -> None:
    client = Client(app(), backend, parser_class=parser_class)
    body: Any = iter([b"x" * 70_000, b"y" * 30_000]) if chunked else b"x" * 100
    assert client.post("/upload", body=body).json == (100_000 if chunked else 100)
    assert Seen(client.get("/metrics").text)("received", route="/upload") == (100_000 if chunked else 100)


def test_what_an_outer_hook_refuses_is_counted_whenever_it_was_added(backend: str) -> None:
    router = Router()
    router.around(basic({"ann": "pear"}))

    @router.get("/")
    async def home(req: Request) -> str:
        return "home"

    site = metrics(router, registry=registry_of())
    outer = Router()
    outer.mount("/", router)
    outer.mount("/internal", site)
    client = Client(outer, backend)
    assert client.get("/").status == 401
    assert Seen(client.get("/internal/metrics").text)("requests", status="401", route="/") == 1


def test_a_method_that_is_unknown_is_one_of_others() -> None:
    class AnyMethod:
        """`METHOD path` on a line."""

        def __init__(self, request: Any) -> None:
            self.request = request
            self.line = self.unread = b""
            self.finished = False

        def feed_data(self, data: bytes) -> None:
            self.line, end, self.unread = (self.line + data).partition(b"\n")
            if end:
                self.request.method, self.request.path = self.line.decode().split()
                self.finished = True

        def encode(self, response: Any) -> bytes:
            return bytes(response.body) + b"\n"

    registry = registry_of()
    router = app(registry)

    @router.route("/line", methods=["CALL"])
    async def line(req: Request) -> str:
        return "called"

    wire = Wire(router, AnyMethod)
    for number in range(20):
        wire.send(b"X%d /users/7\n" % number)
    wire.send(b"CALL /line\n")
    seen = Seen(prometheus.generate_latest(registry).decode())
    assert seen.values("method") == {"_OTHER", "CALL"}
    assert seen("requests", method="_OTHER", route="") == 20
    assert seen("requests", method="CALL", route="/line", status="200") == 1


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are counted more often than once a second."""
    monkeypatch.setattr("kissapi.extras.metrics.router.PERIOD", 0.02)


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("loop", THREE)
def test_on_each_loop_ends_of_all_kinds_and_connections(loop: str) -> None:
    registry = registry_of()
    with running(make(loop, app(registry))) as server:
        client = connect(server.port)

        def seen() -> Seen:
            return Seen(ask(client, GET % b"metrics").partition(b"\r\n\r\n")[2].decode())

        assert b"four" in ask(client, GET % b"users/1")
        other = connect(server.port)
        other.sendall(GET % b"cut")
        assert b"200 OK" in other.recv(1000)
        assert until(lambda: seen()("requests", route="/cut", status="200", error="cut short")) == 1
        leaving = connect(server.port)
        leaving.sendall(GET % b"wait")
        assert until(lambda: seen()("active", route="/wait")) == 1
        assert until(lambda: seen()("connections", state="busy")) >= 1
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        leaving.close()
        assert until(lambda: seen()("requests", route="/wait", status="", error="client left")) == 1
        upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        upgrade += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        socket_client = connect(server.port)
        socket_client.sendall((GET % b"echo")[:-2] + upgrade)
        assert b" 101 " in socket_client.recv(1000)
        now = seen()
        assert (now("active", route="/echo"), now("requests", route="/echo")) == (1, 0)
        socket_client.close()
        assert until(lambda: seen()("requests", route="/echo", status="101")) == 1
        assert until(lambda: seen()("lags")) >= 1
        assert seen()("active", route="/wait") == seen()("active", route="/echo") == 0
    left = Seen(prometheus.generate_latest(registry).decode())
    assert left("connections") == 0, "a loop that has ended has no connections"


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("loop", THREE)
def test_several_loops_of_a_process_add_up(loop: str) -> None:
    registry = registry_of()
    with running(make(loop, app(registry), loops=3)) as server:
        clients = [connect(server.port) for _ in range(6)]
        for client in clients:
            assert b"four" in ask(client, GET % b"users/1")
        numbers = ["connections", "requests"]

        def seen() -> list[float]:
            found = Seen(prometheus.generate_latest(registry).decode())
            return [found(name) for name in numbers]

        until(lambda: seen() == [6, 6])
    assert seen() == [0, 6]


def test_the_states_of_connections_and_the_lag(backend: str) -> None:
    with Client(app(), backend) as client:
        client.wait(5)
        seen = Seen(client.get("/metrics").text)
        assert seen.values("state") == {"handshake", "idle", "busy", "streaming", "closing"}
        assert 4 <= seen("lags") <= 6
        assert seen("kissapi_event_loop_lag_seconds_bucket", le="0.0025") == seen(
            "lags"
        )  # of a virtual clock


def test_openmetrics_for_a_client_that_asks_for_it(backend: str) -> None:
    client = Client(app(), backend)
    plain = client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# EOF" not in plain.text
    wanted = "application/openmetrics-text; version=1.0.0; q=0.8, text/plain; version=0.0.4; q=0.5"
    other = client.get("/metrics", headers={"accept": wanted})
    assert other.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert other.text.endswith("# EOF\n")
    for wrong in ("x", "=;", "1.0.0\t", "９"):
        fields = {"accept": f"application/openmetrics-text; version={wrong}".encode().decode("latin-1")}
        answer = client.get("/metrics", headers=fields)
        assert (answer.status, answer.headers["content-type"]) == (200, other.headers["content-type"])
    assert client.head("/metrics").status == 200
    assert client.post("/metrics").status == 405


def test_counters_of_the_app_stand_beside_ours(backend: str) -> None:
    registry = registry_of()
    orders = prometheus.Counter("orders", "Orders.", registry=registry)
    client = Client(app(registry), backend)
    orders.inc(3)
    seen = Seen(client.get("/metrics").text)
    assert seen("orders_total") == 3
    again = Client(app(registry), backend)  # a second app of the process counts on in the same registry
    client.get("/users/1")
    again.get("/users/1")
    assert Seen(again.get("/metrics").text)("requests", route="/users/{id:int}") == 2


def test_without_a_registry_it_is_that_of_prometheus_client() -> None:
    router = Router()
    router.mount("/", metrics(router, path="/internal/metrics"))
    assert "python_info" in Client(router).get("/internal/metrics").text


def test_it_may_be_guarded(backend: str) -> None:
    router = Router()
    site = metrics(router, registry=registry_of())
    site.around(basic({"prometheus": "secret"}))
    router.mount("/", site)
    client = Client(router, backend)
    assert client.get("/metrics").status == 401
    answer = client.get("/metrics", headers={"authorization": "Basic cHJvbWV0aGV1czpzZWNyZXQ="})
    assert Seen(answer.text)("requests", route="/metrics", status="401") == 1


def test_it_can_be_served_at_another_address(backend: str) -> None:
    router = Router()

    @router.get("/")
    async def home(req: Request) -> str:
        return "home"

    site = metrics(router, registry=registry_of())
    public, internal = Client(router, backend), Client(site, backend)
    assert public.get("/").text == "home"
    assert public.get("/metrics").status == 404
    seen = Seen(internal.get("/metrics").text)
    assert seen("requests") == 2
    assert "/metrics" not in seen.values("route"), "the other address is not measured"


def test_mistakes() -> None:
    registry = registry_of()
    router = app(registry)
    with pytest.raises(ValueError, match="is measured already"):
        metrics(router, registry=registry)
    with pytest.raises(ValueError, match="has buckets already"):
        metrics(Router(), registry=registry, buckets=[1, 2])
    with pytest.raises(TypeError, match="metrics are those of a Router"):
        metrics(print)  # type: ignore[arg-type]
    taken = registry_of()
    prometheus.Gauge("kissapi_connections", "Ours.", registry=taken)
    with pytest.raises(ValueError, match="kissapi_connections"):
        metrics(Router(), registry=taken)
    with running(make("selectors", router)), pytest.raises(RuntimeError, match="is being served"):
        metrics(router, registry=registry_of())


def test_an_app_without_it_imports_nothing_of_it() -> None:
    program = "import sys; import kissapi, kissapi.server; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
