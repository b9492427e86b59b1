"""What a route may be registered with: limits, hooks, and what describes it."""

from __future__ import annotations

from typing import Any

import pytest

from kissapi import Fail, Request, Router


async def show(req: Request) -> None: ...


def test_a_route_carries_what_describes_it() -> None:
    router, root = Router(), Router()
    conflict = Fail(409, "sold")
    router.get(
        "/{id:int}",
        name="order",
        tags=["orders", "shop"],
        summary="One order",
        responses={200: dict, 404: "no such order", 409: conflict},
        hidden=True,
    )(show)
    router.add_route("DELETE", "/{id:int}", show)
    root["/orders"] = router
    described, bare = root.routes()
    assert (described.name, described.tags, described.summary) == ("order", ("orders", "shop"), "One order")
    assert described.responses == {200: dict, 404: "no such order", 409: conflict}
    assert described.hidden
    assert (bare.name, bare.tags, bare.summary, bare.responses, bare.hidden) == (None, (), None, {}, False)


def test_a_websocket_has_the_same() -> None:
    router = Router()

    @router.websocket("/chat", name="chat", tags=["live"], hidden=True)
    async def chat(ws: Any) -> None: ...

    with pytest.raises(TypeError, match="this route has no option 'max_body'; there are name"):
        router.websocket("/chat", max_body=7)  # type: ignore[call-arg]
    (route,) = router.routes()
    assert (route.name, route.tags, route.hidden) == ("chat", ("live",), True)


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"tag": ["a"]}, TypeError, "this route has no option 'tag': did you mean tags?"),
    ({"zzz": 1}, TypeError, "there are name, tags, summary"),
    ({"tags": "orders"}, TypeError, 'tags is a list of strings such as ["orders"]'),
    ({"tags": [1]}, TypeError, "tags is a list of strings"),
    ({"tags": 5}, TypeError, "tags is a list of strings"),
    ({"name": 7}, TypeError, "the name of a route is a string, not 7"),
    ({"summary": b"x"}, TypeError, "the summary of a route is a string"),
    ({"responses": ["x"]}, TypeError, "responses are by status"),
    ({"responses": {"404": "x"}}, ValueError, "a number from 100 to 599, not '404'"),
    ({"responses": {99: "x"}}, ValueError, "a number from 100 to 599"),
    ({"responses": {True: "x"}}, ValueError, "a number from 100 to 599"),
    ({"max_body": -1}, ValueError, "max_body"),
    ({"before": show}, TypeError, "before is a list of hooks"),
]


@pytest.mark.parametrize(("options", "error", "said"), WRONG)
def test_a_wrong_option_is_told_where_it_stands(
    options: dict[str, Any], error: type[Exception], said: str
) -> None:
    router = Router()
    with pytest.raises(error) as raised:
        router.get("/", **options)
    assert said in str(raised.value)
    assert list(router.routes()) == []
