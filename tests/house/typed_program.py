"""A program as users write it, for type checkers: `make check` gives it to mypy --strict, and a test runs it.

`assert_type` is what a checker must infer. A mistake that it must find is ignored by its code: if it is found
no more, the ignore is an error itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, assert_type

from kissapi import Fail, Headers, Request, Response, Router, Server, html, redirect, sleep, to_thread
from kissapi.extras.sse import Event, sse
from kissapi.extras.testing import Client


class Shop(Request):
    """One that knows what `on_start` has opened."""

    stock: dict[str, int]
    user: str = "nobody"


router = Router()
server = Server(router=router, request_class=Shop, max_body=1 << 20, idle_timeout=5)


@server.on_start
async def open_stock() -> None:
    Shop.stock = {"pears": 3}


@server.on_stop
def close_stock() -> None:
    Shop.stock.clear()


@router.before
def who(req: Shop) -> None:
    req.user = req.headers.get("x-user", "nobody")
    req.state.seen = True


@router.after
def counted(req: Request, result: Any) -> None:
    assert_type(req.state, SimpleNamespace)


@router.get("/stock/{kind}")
async def stock(req: Shop) -> dict[str, int]:
    kind: str = req.params["kind"]
    if kind not in req.stock:
        raise Fail(404)
    return {kind: req.stock[kind]}


@router.get("/accepts")
def accepts(req: Request) -> list[str]:
    assert_type(req.headers, Headers)
    assert_type(req.headers.get_all("accept"), list[str])
    assert_type(req.headers["host"], str)
    assert_type(req.headers.get("accept"), str | None)
    assert_type(req.cookies, dict[str, str])
    assert_type(req.query, dict[str, str])
    assert_type(req.query_all, dict[str, list[str]])
    assert_type(req.params, dict[str, Any])
    assert_type(req.client, tuple[str, int] | None)
    assert_type(req.text, str)
    assert_type(req.body, bytes)
    return req.headers.get_all("accept")


@router.post("/login")
async def login(req: Request) -> Response:
    response = redirect("/", 303)
    response.set_cookie("user", req.text, expires=datetime.now(UTC) + timedelta(days=1), secure=True)
    response.delete_cookie("guest", path="/login")
    response.headers.add("x-user", req.text)
    assert_type(response.headers, Headers)
    assert_type(response.status, int)
    return response


@router.get("/page")
async def page(req: Request) -> Response:
    return html("<p>page")


@router.get("/ticks")
async def ticks(req: Request) -> AsyncIterator[str]:
    yield "tick"
    await sleep(0.001)


@router.get("/lines")
def lines(req: Request) -> Iterator[str]:
    yield "line"


@router.get("/events")
async def events(req: Request) -> Response:
    async def each() -> AsyncIterator[Event]:
        yield Event({"n": await to_thread(int, "5")}, id=1)

    return sse(each())


@router.on_error(404)
async def missing(req: Request, error: Fail) -> dict[str, str]:
    return {"error": str(error.data)}


class Lines:
    """A parser of another protocol: the fields are `Headers` there, too."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._finished = False

    def feed_data(self, data: bytes) -> None:
        self.request.path = data.decode().rstrip("\n")
        self.request.headers = Headers({"connection": "close"})
        self._finished = True


def others() -> Server:
    return Server(port=0, router=router, parser_class=Lines)


def ask() -> Client:
    return Client(server)


def mistakes(req: Request, response: Response) -> None:
    req.headers = {"a": "b"}  # type: ignore[assignment]  # has no get_all
    router.database = {}  # type: ignore[attr-defined]
    response.set_cookie("user", None)  # type: ignore[arg-type]
    response.set_cookie("user", "ann", expires=3600)  # type: ignore[arg-type]
    response.headers["x"] = 1  # type: ignore[assignment]
    Fail("404")  # type: ignore[arg-type]
    redirect(None)  # type: ignore[arg-type]
