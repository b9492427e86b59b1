"""Orders, a JSON API: typed input, keys and tokens, CORS, rate limits, ETags, a pool, metrics, OpenAPI.

    python -m kissapi examples.apps.orders.app:make

Needs kissapi[typed,metrics] and httpx. /docs shows the rest, and tries it.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
from msgspec import Meta, Struct, structs

from kissapi import Fail, Request, Response, Router, sleep, spawn
from kissapi.extras.auth import any_of, api_key, bearer
from kissapi.extras.cors import cors
from kissapi.extras.etag import etag
from kissapi.extras.health import health
from kissapi.extras.metrics import metrics
from kissapi.extras.openapi import openapi
from kissapi.extras.ratelimit import ratelimit
from kissapi.extras.request_id import request_id

Size = Annotated[int, Meta(ge=1, le=100)]


class Line(Struct):
    sku: Annotated[str, Meta(min_length=1)]
    quantity: Annotated[int, Meta(gt=0)]


class NewOrder(Struct):
    customer: str
    lines: list[Line]


class Order(NewOrder, kw_only=True):
    id: int
    by: str


async def sweep(app: Any) -> None:
    while True:
        await sleep(60)
        app.swept += 1


def make(limit: str = "1000/minute", bank: str = "http://127.0.0.1:8000/-/live") -> Router:
    """The app; `limit` is for each user, `bank` is asked for rates."""
    root, orders, rows = Router(), Router(), dict[int, Order]()

    @root.lifespan
    async def life(app: Any) -> AsyncIterator[None]:
        async with httpx.AsyncClient() as app.http:  # a pool of connections
            app.notified, app.swept = [], 0
            spawn(sweep(app))
            yield

    root.around(request_id(trust=True))
    root.around(cors(origins=["https://shop.example"]))
    orders.around(any_of(bearer({"t1": "bob"}), api_key({"k1": "ann"})))
    orders.around(ratelimit(limit, key=lambda req: req.user))
    orders.around(etag())
    root["/orders"] = orders
    root.mount("/", metrics(root))
    root.mount("/", health({"http": lambda app: not app.http.is_closed}))
    root.mount("/", openapi(root, title="Orders", version="1", tags={"orders": "To buy things."}))

    @orders.post("/", tags=["orders"], responses={201: Order})
    async def add(req: Request, order: NewOrder) -> Response:
        """Place an order."""
        made = Order(**structs.asdict(order), id=len(rows) + 1, by=req.user)
        rows[made.id] = made
        req.after(req.app.notified.append, made.id)
        return Response(made, 201, {"location": f"/orders/{made.id}"})

    @orders.get("/", tags=["orders"])
    async def every(req: Request, limit: Size = 10, after: int = 0) -> dict[str, list[Order] | int]:
        """The orders behind that with the number `after`, the oldest first."""
        return {"items": [row for row in rows.values() if row.id > after][:limit], "total": len(rows)}

    @orders.get("/{number}", tags=["orders"], responses={404: "There is no such order."})
    async def one(req: Request, number: int) -> Order:
        """One order."""
        if number not in rows:
            raise Fail(404, f"no order {number}")
        return rows[number]

    @root.get("/rate/{currency}")
    async def rate(req: Request, currency: str) -> dict[str, Any]:
        """What the bank says of a currency."""
        answer = await req.app.http.get(bank, headers={"x-request-id": req.id})
        return {"currency": currency, "bank": answer.json()}

    return root
