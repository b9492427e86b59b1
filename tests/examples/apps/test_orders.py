"""examples/apps/orders: credentials, typed input, ETags, CORS, limits, metrics, OpenAPI, without a socket."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("prometheus_client")

from examples.apps.orders.app import make  # noqa: E402
from kissapi.extras.testing import Client  # noqa: E402

TOKEN = {"Authorization": "Bearer t1"}
ORDER = {"customer": "c", "lines": [{"sku": "a", "quantity": 2}]}
SHOP = {"Origin": "https://shop.example"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the bank is asked."""
    seen: list[Any] = []

    def bank(request: Any) -> Any:
        seen.append(request)
        return httpx.Response(200, json={"rate": 1.1})

    monkeypatch.setattr(httpx, "AsyncClient", partial(httpx.AsyncClient, transport=httpx.MockTransport(bank)))
    return seen


@pytest.fixture
def client(asked: list[Any]) -> Iterator[Client]:
    with Client(make(), backend="asyncio") as client:
        yield client


def test_credentials(client: Client) -> None:
    answer = client.get("/orders")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="api", ApiKey realm="api"'
    assert client.get("/orders", headers={"X-API-Key": "k1"}).status == 200
    assert client.get("/orders", headers=TOKEN).status == 200
    assert client.get("/orders/nowhere/else").status == 401
    assert client.get("/nowhere").status == 404


def test_what_is_wrong_is_told(client: Client) -> None:
    wrong = {"customer": "c", "lines": [{"sku": "a", "quantity": 0}]}
    answer = client.post("/orders", json=wrong, headers=TOKEN)
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json["errors"][0]["pointer"] == "#/lines/0/quantity"
    assert (
        client.post("/orders", body="{", headers={**TOKEN, "Content-Type": "application/json"}).status == 400
    )
    assert client.post("/orders", body="{}", headers={**TOKEN, "Content-Type": "text/plain"}).status == 415
    for size in ("x", "0", "101"):
        answer = client.get("/orders", query={"limit": size}, headers=TOKEN)
        assert (answer.status, answer.json["errors"][0]["parameter"]) == (422, "limit")
    assert client.get("/orders/x", headers=TOKEN).status == 404


def test_orders_in_pages_with_etags(client: Client) -> None:
    for number in (1, 2, 3):
        made = client.post("/orders", json=ORDER, headers=TOKEN)
        assert (made.status, made.headers["location"]) == (201, f"/orders/{number}")
        assert made.json == {**ORDER, "id": number, "by": "bob"}
    query = {"limit": "1", "after": "1"}
    page = client.get("/orders", query=query, headers=TOKEN)
    assert ([order["id"] for order in page.json["items"]], page.json["total"]) == ([2], 3)
    known = {**TOKEN, "If-None-Match": page.headers["etag"]}
    assert client.get("/orders", query=query, headers=known).status == 304
    assert client.get("/orders/3", headers=TOKEN).json["id"] == 3
    missing = client.get("/orders/9", headers=TOKEN)
    assert (missing.status, missing.text) == (404, "no order 9")


def test_pages_of_the_shop_may_ask(client: Client) -> None:
    asks = {
        **SHOP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    for answer, status in (
        (client.options("/orders", headers=asks), 204),
        (client.get("/orders", headers=SHOP), 401),
        (client.get("/nowhere", headers=SHOP), 404),
    ):
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == SHOP["Origin"]


def test_a_user_who_asks_too_often() -> None:
    with Client(make("2/minute"), backend="asyncio") as client:
        assert [client.get("/orders", headers=TOKEN).status for _ in range(3)] == [200, 200, 429]
        assert client.get("/orders", headers={"X-API-Key": "k1"}).status == 200
        client.wait(61)
        assert client.get("/orders", headers=TOKEN).status == 200


def test_the_bank_is_asked_with_the_id_of_the_request(client: Client, asked: list[Any]) -> None:
    answer = client.get("/rate/EUR", headers={"X-Request-ID": "abc"})
    assert (answer.json, answer.headers["x-request-id"]) == (
        {"currency": "EUR", "bank": {"rate": 1.1}},
        "abc",
    )
    assert asked[0].headers["x-request-id"] == "abc"


def test_metrics_and_health(client: Client) -> None:
    assert client.get("/-/live").status == client.get("/-/ready").status == 200
    client.get("/nowhere")
    client.get("/orders/7", headers=TOKEN)
    text = client.get("/metrics").text
    counted = 'http_server_request_duration_seconds_count{error_type="",http_request_method="GET",'
    assert counted + 'http_response_status_code="404",http_route=""}' in text
    assert counted + 'http_response_status_code="404",http_route="/orders/{number:int}"}' in text


def test_its_document(client: Client) -> None:
    found = client.get("/openapi.json").json
    pytest.importorskip("openapi_spec_validator").validate(found)
    assert [*found["paths"]] == ["/orders", "/orders/{number}", "/rate/{currency}"]
    assert {"Line", "NewOrder", "Order", "Problem"} == found["components"]["schemas"].keys()
    assert [*found["paths"]["/orders"]["post"]["responses"]] == "201 400 401 415 422 429".split()
    assert found["paths"]["/orders"]["post"]["security"] == [{"bearer": []}, {"x-api-key": []}]
    assert found["paths"]["/orders/{number}"]["get"]["parameters"][0]["schema"] == {"type": "integer"}
    assert client.get("/docs").status == 200


def test_what_runs_beside_requests(asked: list[Any]) -> None:
    router = make()
    apps: list[Any] = []
    router.on_start(lambda app: apps.extend([app]))
    with Client(router, backend="asyncio") as client:
        client.post("/orders", json=ORDER, headers=TOKEN)
        client.wait(125)
        assert (apps[0].notified, apps[0].swept) == ([1], 2)
    assert apps[0].http.is_closed
