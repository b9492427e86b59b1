"""What requests of other frameworks have: an error that says where it is here."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kissapi import Request, Router
from kissapi.extras.testing import Client
from kissapi.http.hints import _PLACES


@pytest.mark.parametrize("name", _PLACES)
def test_a_name_of_another_framework_says_where_to_look(name: str) -> None:
    request = Request()
    with pytest.raises(AttributeError, match=f"a request has no '{name}': it is ") as raised:
        getattr(request, name)
    assert (raised.value.name, raised.value.obj) == (name, request)
    assert not hasattr(request, name)
    assert not hasattr(Request, name)


def test_what_a_hint_names_is_there() -> None:
    for place in _PLACES.values():
        name = place.removeprefix("req.").partition("(")[0].split()[0].partition(".")[0].rstrip(",")
        assert hasattr(Request, name), place


def test_an_app_may_set_any_of_them() -> None:
    class Mine(Request):
        args: tuple[str, ...] = ("a",)

    assert Mine().args == ("a",)
    request: Any = Request()
    request.data = 7
    assert request.data == copy.copy(request).data == 7
    with pytest.raises(TypeError, match="nothing that a request can be made with"):
        Request(args={})


@pytest.mark.parametrize("body", [{"a": 1}, [1]])
def test_a_value_that_is_called_says_that_it_is_none(body: Any) -> None:
    seen: list[str] = []
    router = Router()

    @router.post("/")
    async def post(req: Request) -> Any:
        for value in (req.json, req.query, req.cookies):
            with pytest.raises(TypeError) as raised:
                value()  # type: ignore[operator]
            seen.append(str(raised.value))
        return req.json

    assert Client(router).post("/", json=body).json == body
    assert seen == [
        f"the {name} cannot be called like a function: leave out the parentheses"
        for name in ("JSON", "query", "cookies")
    ]


def test_a_form_that_is_called() -> None:
    router = Router()

    @router.post("/")
    async def post(req: Request) -> Any:
        with pytest.raises(TypeError, match="the form cannot be called"):
            req.form()  # type: ignore[operator]
        with pytest.raises(TypeError, match="the form cannot be called"):
            req.files()  # type: ignore[operator]

    assert Client(router).post("/", form={"a": "b"}).status == 204


def test_all_values_of_a_name_are_elsewhere() -> None:
    router = Router()

    @router.post("/")
    async def post(req: Request) -> Any:
        for value, place in (req.query, "query_all"), (req.form, "form_all"), (req.files, "files_all"):
            with pytest.raises(AttributeError, match=rf"has no 'getlist': it is req\.{place}\.get\(name"):
                value.getlist("a")  # type: ignore[union-attr]
            assert not hasattr(value, "getlist")

    assert Client(router).post("/", form={"a": "b"}).status == 204
