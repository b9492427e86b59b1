"""`req.app` and what extras add to a request: declared, typed; an error that helps where it is not there."""

from __future__ import annotations

from typing import Any

import pytest

from kissapi import App, Request, Router
from kissapi.extras.testing import Client


class Shop:
    """What the app has."""

    stock: int


class Req(Request):
    """A request of the shop."""

    app: Shop
    user: str


def test_a_request_by_hand() -> None:
    assert Request(app=App(stock=3)).app.stock == 3
    assert Req(app=App(stock=3), user="ann").user == "ann"
    with pytest.raises(RuntimeError, match=r"has no app: Req\(app=kissapi.App\(…\)\)"):
        Req().app  # noqa: B018


def test_a_request_class_says_what_the_app_has(backend: str) -> None:
    router = Router()

    @router.on_start
    def start(app: Shop) -> None:
        app.stock = 3

    @router.get("/")
    async def home(req: Req) -> int:
        return req.app.stock

    with Client(router, backend, request_class=Req) as client:
        assert client.get("/").json == 3
    with Client(router, backend, request_class=Req) as client:  # a new life, a new app
        assert client.get("/").json == 3


@pytest.mark.parametrize(
    ("attribute", "needs"),
    [
        ("session", "sessions"),
        ("user", "basic"),
        ("id", "request_id"),
        ("csrf_token", "csrf"),
    ],
)
def test_what_extras_add_needs_them(attribute: str, needs: str) -> None:
    request: Any = Request()
    with pytest.raises(AttributeError, match=rf"^req\.{attribute} needs .*router\.around\({needs}\("):
        getattr(request, attribute)
    assert getattr(request, attribute, None) is None
    setattr(request, attribute, "set")
    assert getattr(request, attribute) == "set"
    assert getattr(Request(**{attribute: "made"}), attribute) == "made"
