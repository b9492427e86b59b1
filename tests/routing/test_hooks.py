"""Hooks: which run, in which order, and what becomes of what they return and raise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router
from tests.wire import Wire, parse_answers

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def answer_to(router: Router, parser_class: Any, request: bytes = GET) -> tuple[int, bytes]:
    ((status, _, body),) = parse_answers(Wire(router, parser_class).send(request).received)
    return status, body


def noting(steps: list[str], step: str, asynchronous: bool = False) -> Callable[..., Any]:
    def hook(req: Request, result: Any = None) -> None:
        steps.append(step)

    async def async_hook(req: Request, result: Any = None) -> None:
        steps.append(step)

    return async_hook if asynchronous else hook


def noting_handler(steps: list[str]) -> Callable[..., Any]:
    async def handler(req: Request) -> None:
        steps.append("handler")

    return handler


def test_hooks_run_in_the_order_they_were_added_sync_or_async(parser_class: Any) -> None:
    steps: list[str] = []
    router = Router()
    for number in range(4):
        router.add_hook("after", noting(steps, f"after {number}", asynchronous=number % 2 == 1))
        router.add_hook("before", noting(steps, f"before {number}", asynchronous=number % 2 == 0))

    @router.get("/x")
    async def handler(req: Request) -> str:
        steps.append("handler")
        return "done"

    assert answer_to(router, parser_class) == (200, b"done")
    assert steps == [*(f"before {n}" for n in range(4)), "handler", *(f"after {n}" for n in range(4))]


def test_hooks_added_after_the_route_run_too(parser_class: Any) -> None:
    router = Router()
    router.get("/x")(answer)

    @router.before
    async def count(req: Request) -> None:
        req.state.count = 1

    @router.after
    def show(req: Request, result: Any) -> str:
        return f"{result} {req.state.count}"

    assert answer_to(router, parser_class) == (200, b"answer 1")


async def answer(req: Request) -> str:
    return "answer"


def nested_routers(steps: list[str], nested: bool) -> Router:
    root, api, users = Router(), Router(), Router()
    root["/api"] = api
    api["/users/{id}"] = users
    for name, router in (("root", root), ("api", api), ("users", users)):
        router.add_hook("before", noting(steps, f"before {name}"), nested)
        router.add_hook("after", noting(steps, f"after {name}"), nested)
        router.get("/x")(answer)
        router.get("/{any}")(answer)
    return root


OWN_HOOKS = [
    ("/x", "root"),
    ("/other", "root"),
    ("/api/x", "api"),
    ("/api/other", "api"),
    ("/api/users/7/x", "users"),
    ("/api/users/7/other", "users"),
]


@pytest.mark.parametrize(("path", "owner"), OWN_HOOKS)
def test_only_the_router_that_owns_the_route_runs_its_hooks(path: str, owner: str) -> None:
    steps: list[str] = []
    Wire(nested_routers(steps, nested=False)).send(GET.replace(b"/x", path.encode()))
    assert steps == [f"before {owner}", f"after {owner}"]


def test_nested_hooks_run_from_the_outermost_router_in_and_back_out() -> None:
    steps: list[str] = []
    Wire(nested_routers(steps, nested=True)).send(GET.replace(b"/x", b"/api/users/7/x"))
    assert steps == [
        *("before root", "before api", "before users"),
        *("after users", "after api", "after root"),
    ]


NO_ROUTE = [(b"GET /none HTTP", 404), (b"POST /x HTTP", 405), (b"OPTIONS /x HTTP", 204)]


@pytest.mark.parametrize(("line", "status"), NO_ROUTE)
def test_where_no_handler_is_found_no_hook_runs(parser_class: Any, line: bytes, status: int) -> None:
    steps: list[str] = []
    router = Router()
    router.get("/x")(answer)
    router.add_hook("before", noting(steps, "before"), nested=True)
    router.add_hook("after", noting(steps, "after"), nested=True)
    assert answer_to(router, parser_class, GET.replace(b"GET /x HTTP", line))[0] == status
    assert steps == []


@pytest.mark.parametrize("returned", ["None", "the request"])
def test_a_before_hook_that_goes_on_may_change_the_request(parser_class: Any, returned: str) -> None:
    router = Router()

    @router.before
    async def change(req: Request) -> Request | None:
        req.params["id"] = "changed"
        return None if returned == "None" else req

    @router.get("/{id}")
    async def handler(req: Request) -> Any:
        return req.params["id"]

    assert answer_to(router, parser_class) == (200, b"changed")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("refusal", [Response("no", 403), Fail(403, "no")], ids=["Response", "Fail"])
def test_a_before_hook_may_answer(parser_class: Any, refusal: Any, asynchronous: bool) -> None:
    steps: list[str] = []
    router = Router()
    router.before(noting(steps, "first"))

    async def refuse(req: Request) -> Any:
        return refusal

    router.before(refuse if asynchronous else lambda req: refusal)
    router.before(noting(steps, "second"))
    router.after(noting(steps, "after"))
    router.get("/x")(noting_handler(steps))
    assert answer_to(router, parser_class) == (403, b"no")
    assert steps == ["first"]


def test_error_handlers_see_a_fail_that_a_before_hook_returns(parser_class: Any) -> None:
    router = Router()
    router.before(lambda req: Fail(401))
    router.get("/x")(answer)

    @router.on_error(401)
    async def ask(req: Request, error: Fail) -> str:
        return f"{error.data}: who are you?"

    assert answer_to(router, parser_class) == (401, b"Unauthorized: who are you?")


@pytest.mark.parametrize("returned", ["no", False, 403, ("no", 403), {}])
def test_anything_else_that_a_before_hook_returns_is_a_mistake(parser_class: Any, returned: Any) -> None:
    steps: list[str] = []
    router = Router()

    @router.before
    async def guard(req: Request) -> Any:
        return returned

    router.get("/x")(noting_handler(steps))
    wire = Wire(router, parser_class).send(GET)
    assert parse_answers(wire.received)[0][0] == 500
    assert f"guard returned {returned!r}: None goes on to the handler" in "\n".join(wire.lines)
    assert steps == []


def test_nested_hooks_by_decorator() -> None:
    steps: list[str] = []
    root, below = Router(), Router()
    root["/x"] = below
    below.get("/")(answer)
    root.before(nested=True)(noting(steps, "nested before"))
    root.after(nested=True)(noting(steps, "nested after"))
    root.before()(noting(steps, "own"))
    root.after(nested=False)(noting(steps, "own"))
    Wire(root).send(GET)
    assert steps == ["nested before", "nested after"]


def test_hooks_of_one_route_run_inside_those_of_its_router(parser_class: Any) -> None:
    steps: list[str] = []
    router = Router()
    router.before(noting(steps, "before"))
    router.after(noting(steps, "after"))
    own = {"before": [noting(steps, "own before")], "after": [noting(steps, "own after")]}
    router.get("/x", **own)(answer)  # type: ignore[arg-type]
    router.add_route("POST", "/x", answer, before=(noting(steps, "posted"),))
    assert answer_to(router, parser_class) == (200, b"answer")
    assert steps == ["before", "own before", "own after", "after"]
    steps.clear()
    answer_to(router, parser_class, GET.replace(b"GET", b"POST"))
    assert steps == ["before", "posted", "after"]


def test_hooks_of_a_route_are_lists_of_functions() -> None:
    router = Router()

    async def generator(req: Request) -> AsyncIterator[None]:
        yield

    with pytest.raises(TypeError, match=r"before is a list of hooks: before=\[check\]"):
        router.get("/x", before=answer)(answer)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the after hook is 7, which cannot be called"):
        router.get("/x", after=[7])(answer)  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"generator \(.*test_hooks\.py:\d+\) has a yield: @router\.around"):
        router.before(generator)
    with pytest.raises(TypeError, match="leave out the decorator below it"):
        router.around(asynccontextmanager(generator))  # type: ignore[type-var]
    with pytest.raises(TypeError, match=r"answer \(.*test_hooks\.py:\d+\): an around hook is an async gen"):
        router.get("/x", around=[answer])(answer)
    with pytest.raises(TypeError, match=r"no option 'methods'; @router\.route\(path, methods=\["):
        router.get("/x", methods=["GET", "POST"])(answer)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="this route has no option 'hooks'"):
        router.get("/x", hooks=[answer])(answer)  # type: ignore[call-arg]


def test_an_after_hook_gets_the_result_before_conversion_and_none_means_unchanged(parser_class: Any) -> None:
    router = Router()
    seen = []

    @router.get("/x")
    async def handler(req: Request) -> Any:
        return {"a": 1}

    router.after(lambda req, result: seen.append(result))
    router.after(lambda req, result: [result])
    router.after(lambda req, result: seen.append(result))
    router.after(lambda req, result: Response({"in": result}, 201))
    assert answer_to(router, parser_class) == (201, b'{"in":[{"a":1}]}')
    assert seen == [{"a": 1}, [{"a": 1}]]


def test_false_results_of_after_hooks_are_results(parser_class: Any) -> None:
    router = Router()
    router.get("/x")(answer)
    router.after(lambda req, result: "")
    assert answer_to(router, parser_class) == (200, b"")


@pytest.mark.parametrize("place", ["before", "handler", "after"])
@pytest.mark.parametrize("error", [Fail(403, "Forbidden"), ValueError("oops")])
def test_what_is_raised_anywhere_answers_at_once(parser_class: Any, place: str, error: Exception) -> None:
    steps: list[str] = []
    router = Router()

    def step(name: str) -> Callable[..., Any]:
        async def run(req: Request, result: Any = None) -> None:
            steps.append(name)
            if name == place:
                raise error

        return run

    for kind in ("before", "after"):
        router.add_hook(kind, step(kind))
        router.add_hook(kind, noting(steps, f"second {kind}"))
    step_of_handler = step("handler")

    @router.get("/x")
    async def handler(req: Request) -> None:
        await step_of_handler(req)

    expected = (403, b"Forbidden") if isinstance(error, Fail) else (500, b"Internal Server Error")
    assert answer_to(router, parser_class) == expected
    assert steps[-1] == place
