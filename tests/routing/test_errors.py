"""Errors: what routers answer in place of what their handlers and hooks raise."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router
from tests.wire import Wire, parse_answers


class Broken(ValueError):
    pass


def answer_to(router: Router, path: str, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
    wire = Wire(router).send(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).wait(1)
    status, fields, body = parse_answers(wire.received, [method])[0]
    return status, body, fields


def router_of(**raised: Exception) -> Router:
    router = Router()
    for name, error in raised.items():

        async def handler(req: Request, error: Exception) -> None:
            raise error

        router.add_route("GET", f"/{name}", partial(handler, error=error))
    return router


def test_a_status_is_answered_and_kept() -> None:
    router = router_of(gone=Fail(410, "x"), moved=Fail(301))

    @router.on_error(404)
    async def missing(req: Request, error: Fail) -> Any:
        return {"error": f"nothing at {req.path}"}

    @router.on_error(405)
    async def wrong(req: Request, error: Fail) -> Any:
        return Response("no", error.status, error.headers)

    assert answer_to(router, "/x")[:2] == (404, b'{"error":"nothing at /x"}')
    assert answer_to(router, "/gone")[:2] == (410, b"x")
    status, body, fields = answer_to(router, "/gone", "POST")
    assert (status, body, fields["allow"]) == (405, b"no", "GET, HEAD, OPTIONS")


def test_the_headers_of_the_error_stay() -> None:
    router = router_of(closed=Fail(401, "x", {"WWW-Authenticate": "Bearer", "Content-Type": "text/html"}))

    @router.on_error(Fail)
    async def every(req: Request, error: Fail) -> Any:
        return {"error": error.data}

    status, body, fields = answer_to(router, "/closed")
    assert (status, body) == (401, b'{"error":"x"}')
    assert fields["www-authenticate"] == "Bearer"
    assert fields["content-type"] == "application/json"  # that of what the handler returned
    assert answer_to(router, "/closed", "POST")[2]["allow"] == "GET, HEAD, OPTIONS"


def test_the_nearest_class_answers() -> None:
    router = router_of(broken=Broken("b"), value=ValueError("v"), key=KeyError("k"))

    @router.on_error(ValueError)
    async def value(req: Request, error: ValueError) -> str:
        return f"value {error}"

    @router.on_error(Broken)
    async def broken(req: Request, error: Broken) -> Any:
        return Response(f"broken {error}", 409)

    @router.on_error(KeyError)
    async def key(req: Request, error: KeyError) -> Fail:
        return Fail(410, "gone")

    assert answer_to(router, "/broken")[:2] == (409, b"broken b")
    assert answer_to(router, "/value")[:2] == (500, b"value v")
    assert answer_to(router, "/key")[:2] == (410, b"gone")


def test_the_innermost_router_answers_and_what_it_raises_goes_on() -> None:
    outer, inner = router_of(), router_of(broken=Broken(), teapot=Fail(418), value=ValueError())
    outer["/in"] = inner

    @inner.on_error(Broken)
    async def first(req: Request, error: Broken) -> str:
        return "inner"

    @outer.on_error(Exception)
    async def last(req: Request, error: Exception) -> str:
        return f"outer {type(error).__name__}"

    assert answer_to(outer, "/in/broken")[:2] == (500, b"inner")
    assert answer_to(outer, "/in/teapot")[:2] == (418, b"outer Fail")
    assert answer_to(outer, "/in/value")[:2] == (500, b"outer ValueError")


def test_hooks_raise_too_and_one_that_fails_itself_is_a_500() -> None:
    router = router_of(x=Fail(418))

    @router.before
    async def refuse(req: Request) -> None:
        raise Fail(401)

    @router.on_error(401)
    async def answer(req: Request, error: Fail) -> None:
        raise KeyError("mine")

    assert answer_to(router, "/x")[:2] == (500, b"Internal Server Error")


def test_a_mistake_is_logged_even_if_500_is_answered() -> None:
    router = router_of(key=KeyError("k"))

    @router.on_error(500)
    async def sorry(req: Request, error: Exception) -> str:
        return "sorry"

    wire = Wire(router).send(b"GET /key HTTP/1.1\r\nHost: a\r\n\r\n")
    status, _, body = parse_answers(wire.received)[0]
    assert (status, body) == (500, b"sorry")
    assert any("KeyError: 'k'" in line for line in wire.lines)


@pytest.mark.parametrize("wrong", [200, 600, True, "404", BaseException, object()])
def test_what_is_no_error_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a status from 400 to 599 or a class of exceptions"):
        Router().on_error(wrong)


def test_one_that_takes_the_place_of_another_is_a_warning() -> None:
    router = Router()

    async def answer(req: Request, error: Exception) -> str:
        return "answer"

    router.on_error(404)(answer)
    router.on_error(KeyError)(answer)
    for what, name in ((404, "404"), (KeyError, "KeyError")):
        with pytest.warns(UserWarning, match=rf"on_error\({name}\) is there twice; the last one wins"):
            router.on_error(what)(answer)
