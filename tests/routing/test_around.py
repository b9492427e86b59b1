"""Around hooks: they see every answer, as a stack, and may change or replace it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router, sleep
from kissapi.extras.files import file
from kissapi.extras.sse import sse
from kissapi.routing.listing import rows
from tests.routing.arounds import GET, answer, answer_to, ask, seeing
from tests.wire import Wire, parse_answers


def test_the_order_is_that_of_a_stack(parser_class: Any) -> None:
    steps: list[Any] = []
    root, below = Router(), Router()
    root["/"] = below
    for name, router in (("root", root), ("below", below)):
        for number in range(2):
            router.around(seeing(steps, f"{name} {number}"))
        router.before(nested=True)(lambda req, name=name: steps.append(f"before {name}"))
        router.after(nested=True)(lambda req, result, name=name: steps.append(f"after {name}"))

    @below.get("/x", around=[seeing(steps, "own")])
    async def handler(req: Request) -> None:
        steps.append("handler")

    names = ["root 0", "root 1", "below 0", "below 1", "own"]
    assert answer_to(root, parser_class) == (204, b"")
    assert steps == [
        *(f"{name} begins" for name in names),
        *("before root", "before below", "handler", "after below", "after root"),
        *(f"{name} {what}" for name in reversed(names) for what in ("204", "ends")),
    ]


def test_nested_unless_told_otherwise(parser_class: Any) -> None:
    steps: list[Any] = []
    root, below = Router(), Router()
    root["/below"] = below
    root.get("/x")(answer)
    below.get("/x")(answer)
    root.around(nested=False)(seeing(steps, "own"))
    root.add_hook("around", seeing(steps, "added"), nested=False)
    root.around(nested=True)(seeing(steps, "nested"))
    answer_to(root, parser_class, ask("GET /below/x"))
    assert steps == ["nested begins", "nested 200", "nested ends"]
    answer_to(root, parser_class)
    assert steps[3:6] == ["own begins", "added begins", "nested begins"]


def pieces(first: Any, then: Exception | None = None) -> Iterator[Any]:
    yield first
    if then is not None:
        raise then


def site(tmp: Any) -> Router:
    router = Router()
    (tmp / "ten.txt").write_text("0123456789")
    results: dict[str, Callable[[], Any]] = {
        "text": lambda: "text",
        "json": lambda: {"a": 1},
        "none": lambda: None,
        "response": lambda: Response("made", 201),
        "fail": lambda: Fail(418),
        "object": object,
        "stream": lambda: pieces("piece"),
        "bad-piece": lambda: pieces(5),
        "sse": lambda: sse(iter(["a"])),
        "file": lambda: file(tmp / "ten.txt"),
    }
    for name, make in results.items():

        async def handler(req: Request, make: Callable[[], Any]) -> Any:
            return make()

        def plain(req: Request, make: Callable[[], Any]) -> Any:
            return make()

        router.add_route("GET", f"/{name}", partial(handler, make=make))
        router.add_route("GET", f"/plain/{name}", partial(plain, make=make))
    for name, error in {"Fail": Fail(403), "KeyError": KeyError("k"), "Exit": SystemExit(1)}.items():

        async def raising(req: Request, error: BaseException) -> Any:
            raise error

        async def late(req: Request, error: BaseException) -> AsyncIterator[str]:
            await sleep(0.01)
            raise error
            yield ""

        async def events(req: Request, late: Any) -> Response:
            return sse(late(req))

        router.add_route("GET", f"/raise/{name}", partial(raising, error=error))
        if name != "Exit":
            stream = partial(late, error=error)
            router.add_route("GET", f"/stream/{name}", stream)
            router.add_route("GET", f"/sse/{name}", partial(events, late=stream))

    @router.post("/small", max_body=3)
    async def small(req: Request) -> bytes:
        return req.body

    @router.post("/taken", stream=True, max_body=3)
    async def taken(req: Request) -> bytes:
        return b"".join([piece async for piece in req.stream()])

    return router


CASES: list[tuple[bytes, int, Any]] = [
    (ask("GET /text"), 200, None),
    (ask("HEAD /text"), 200, None),
    (ask("GET /json"), 200, None),
    (ask("GET /none"), 204, None),
    (ask("GET /response"), 201, None),
    (ask("GET /fail"), 418, None),
    (ask("GET /object"), 500, TypeError),
    (ask("GET /stream"), 200, None),
    (ask("HEAD /stream"), 200, None),
    (ask("GET /bad-piece"), 500, TypeError),
    (ask("GET /plain/bad-piece"), 500, TypeError),
    (ask("GET /plain/stream"), 200, None),
    (ask("GET /plain/object"), 500, TypeError),
    (ask("GET /sse"), 200, None),
    (ask("GET /file"), 200, None),
    (ask("GET /file", "Range: bytes=20-"), 416, Fail),
    (ask("GET /file", "Range: bytes=2-4"), 206, None),
    (ask("GET /raise/Fail"), 403, Fail),
    (ask("GET /raise/KeyError"), 500, KeyError),
    (ask("GET /raise/Exit"), 500, SystemExit),
    (ask("GET /stream/Fail"), 403, Fail),
    (ask("GET /stream/KeyError"), 500, KeyError),
    (ask("GET /sse/Fail"), 403, Fail),
    (ask("GET /sse/KeyError"), 500, KeyError),
    (ask("GET /nowhere"), 404, Fail),
    (ask("GET /no/where/%41"), 404, Fail),
    (ask("POST /text", "Content-Length: 0"), 405, Fail),
    (ask("OPTIONS /text"), 204, None),
    (ask("OPTIONS *"), 204, None),
    (ask("OPTIONS /nowhere"), 404, Fail),
    (ask("POST /small", "Content-Length: 4", body=b"abcd"), 413, Fail),
    (ask("POST /small", "Content-Length: 4"), 413, Fail),
    (ask("POST /small", "Content-Length: 4", "Expect: 100-continue"), 413, Fail),
    (ask("POST /small", "Transfer-Encoding: chunked", body=b"4\r\n"), 413, Fail),
    (ask("POST /taken", "Content-Length: 4"), 413, Fail),
    (ask("POST /taken", "Transfer-Encoding: chunked", body=b"4\r\nabcd\r\n0\r\n\r\n"), 413, Fail),
    (ask("POST /taken", "Content-Length: 3", body=b"abc"), 200, None),
    (ask("POST /small", "Content-Length: 3", body=b"ab"), 408, Fail),
    (ask("POST /taken", "Content-Length: 3", body=b"ab"), 408, Fail),
    (ask("POST /nowhere", "Content-Length: 2", "Expect: 100-continue"), 404, Fail),
]
NAMES = [f"{status} {data.decode().replace(chr(13), '')}" for data, status, _ in CASES]


@pytest.mark.parametrize("with_errors", [False, True], ids=["", "on_error"])
@pytest.mark.parametrize(("data", "status", "error"), CASES, ids=NAMES)
def test_it_sees_every_answer_once(
    parser_class: Any, tmp_path: Any, data: bytes, status: int, error: Any, with_errors: bool
) -> None:
    router, steps, seen = site(tmp_path), [], []
    if with_errors:
        # Everything raised but SystemExit is answered by it, with the same status.
        @router.on_error(Exception)
        async def page(req: Request, error: Exception) -> dict[str, str]:
            steps.append("on_error")
            return {"error": str(error)}

    @router.around
    async def see(req: Request) -> AsyncIterator[Any]:
        steps.append(req.path)
        response = yield
        assert isinstance(response, Response)
        seen.append((response.status, type(response.error) if response.error is not None else None))
        response.headers["x-seen"] = "yes"
        steps.append("end")

    wire = Wire(router, parser_class, max_body=3, body_timeout=0.5).send(data).wait(2)
    ((got, fields, body),) = parse_answers(wire.received, [data.partition(b" ")[0].decode()])
    assert (got, fields["x-seen"]) == (status, "yes")
    assert seen == [(status, error)]
    asked = with_errors and error not in (None, SystemExit)
    assert steps[1:] == ["on_error"] * asked + ["end"]
    assert body.startswith(b'{"error":') == asked
    assert ("Traceback" in "\n".join(wire.lines)) == (status == 500)


@pytest.mark.parametrize(
    "data", [b"GET\r\n\r\n", b"GET /x HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 70_000, b"GET"]
)
def test_a_message_that_cannot_be_parsed_goes_through_none(parser_class: Any, data: bytes) -> None:
    steps: list[Any] = []
    router = Router()
    router.around(seeing(steps))
    wire = Wire(router, parser_class).send(data).wait(60)
    assert parse_answers(wire.received)[0][0] in (400, 408, 431)
    assert steps == []


# What it may do


def test_it_may_answer_in_place_of_the_handler(parser_class: Any) -> None:
    steps: list[Any] = []
    router = Router()
    router.around(seeing(steps, "outer"))

    @router.around
    async def maintenance(req: Request) -> AsyncIterator[Any]:
        response = yield Response(iter(["back ", "soon"]), 503)
        steps.append(response.status)

    router.around(seeing(steps, "inner"))
    router.get("/x")(answer)
    assert answer_to(router, parser_class) == (503, b"back soon")
    assert steps == ["outer begins", 503, "outer 503", "outer ends"]


@pytest.mark.parametrize("line", ["GET /x", "GET /none", "OPTIONS /none", "POST /x"])
def test_it_may_answer_where_there_is_no_route(parser_class: Any, line: str) -> None:
    router = Router()
    router.get("/x")(answer)

    @router.around
    async def all_the_same(req: Request) -> AsyncIterator[Any]:
        yield Response("mine", 299)

    assert answer_to(router, parser_class, ask(line)) == (299, b"mine")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [Fail(401), KeyError("mine")], ids=["Fail", "KeyError"])
@pytest.mark.parametrize("answered", [False, True], ids=["", "on_error"])
@pytest.mark.parametrize("line", ["GET /x", "GET /stream", "GET /none"])
def test_what_it_raises_is_the_answer_that_outer_arounds_see(
    parser_class: Any, line: str, answered: bool, error: Exception, when: str
) -> None:
    steps: list[Any] = []
    seen: list[Any] = []
    router = Router()
    router.around(seeing(steps, "outer"))

    @router.around
    async def look(req: Request) -> AsyncIterator[Any]:
        response = yield
        seen.append((response.status, response.error))

    @router.around
    async def broken(req: Request) -> AsyncIterator[Any]:
        if when == "before":
            raise error
        yield
        raise error

    if answered:

        @router.on_error(type(error))
        async def page(req: Request, error: Exception) -> str:
            return "page"

    @router.get("/stream")
    async def stream(req: Request) -> AsyncIterator[str]:
        try:
            yield "first"
            yield "second"
        finally:
            steps.append("closed")

    router.get("/x")(answer)
    status = 401 if isinstance(error, Fail) else 500
    got, body = answer_to(router, parser_class, ask(line))
    assert got == status
    if answered and not (line == "GET /none" and when == "after" and isinstance(error, Fail)):
        assert body == b"page"  # else it has answered the 404 already, and is asked once
    assert seen == [(status, error)]
    begun = ["closed"] if line == "GET /stream" and when == "after" else []
    assert steps == ["outer begins", *begun, f"outer {status}", "outer ends"]


async def never_yields(req: Request) -> AsyncIterator[Any]:
    if req.path == "":
        yield


async def yields_twice(req: Request) -> AsyncIterator[Any]:
    yield
    yield


async def yields_even_then(req: Request) -> AsyncIterator[Any]:
    yield
    try:
        yield
    finally:
        yield


async def yields_text(req: Request) -> AsyncIterator[Any]:
    yield "no"


@pytest.mark.parametrize("line", ["GET /x", "GET /none"])
@pytest.mark.parametrize("hook", [never_yields, yields_twice, yields_even_then, yields_text])
def test_a_wrong_one_is_named_in_the_log(parser_class: Any, hook: Any, line: str) -> None:
    steps: list[Any] = []
    router = Router()
    router.around(seeing(steps, "outer"))
    router.around(hook)
    router.get("/x")(answer)
    wire = Wire(router, parser_class).send(ask(line))
    assert parse_answers(wire.received)[0][0] == 500
    assert f"the around hook {hook.__name__} yield" in "\n".join(wire.lines).replace("never ", "")
    assert steps == ["outer begins", "outer 500", "outer ends"]


def test_it_may_change_all_of_the_answer(parser_class: Any) -> None:
    router = Router()

    @router.around
    async def shout(req: Request) -> AsyncIterator[Any]:
        response = yield
        body = response.body

        async def louder() -> AsyncIterator[bytes]:
            async for piece in body:
                yield piece.upper()

        response.status = 201
        response.body = body.upper() if isinstance(body, bytes) else louder()

    @router.get("/stream")
    async def stream(req: Request) -> AsyncIterator[str]:
        for piece in ("", "a", "b", "c"):
            yield piece

    router.get("/x")(answer)
    assert answer_to(router, parser_class) == (201, b"ANSWER")
    assert answer_to(router, parser_class, ask("GET /stream")) == (201, b"ABC")


def test_the_first_piece_is_drawn_inside_and_the_rest_outside(parser_class: Any) -> None:
    steps: list[Any] = []
    router = Router()
    router.around(seeing(steps, "around"))

    @router.get("/x")
    async def stream(req: Request) -> AsyncIterator[str]:
        steps.append("first")
        yield "a"
        steps.append("second")
        yield "b"

    assert answer_to(router, parser_class) == (200, b"ab")
    assert steps == ["around begins", "first", "around 200", "around ends", "second"]


async def changed(req: Request, result: Any) -> None: ...


def test_routes_names_arounds() -> None:
    router = Router()
    router.around(yields_twice)
    router.before(answer)
    router.get("/x", around=[never_yields])(answer)
    here = __name__
    hooks = f"around {here}.yields_twice, around {here}.never_yields, tests.routing.arounds.answer"
    assert rows(router)[0].hooks == hooks
    router.after(changed)
    assert rows(router)[0].hooks == f"{hooks}, …, {here}.changed"


SAME = Response("the same", 203, {"x-same": "1"})


@pytest.mark.parametrize("by", ["handler", "before", "around", "on_error"])
def test_a_response_that_is_used_again_is_not_changed(parser_class: Any, by: str) -> None:
    router = Router()

    @router.around
    async def cookies(req: Request) -> AsyncIterator[Any]:
        response = yield
        response.set_cookie("user", req.path[1:])

    if by == "before":
        router.before(lambda req: SAME)
    elif by == "around":

        @router.around
        async def early(req: Request) -> AsyncIterator[Any]:
            yield SAME

    elif by == "on_error":

        @router.on_error(418)
        async def teapot(req: Request, error: Fail) -> Response:
            return SAME

    @router.get("/{user}")
    async def handler(req: Request) -> Response:
        if by == "on_error":
            raise Fail(418)
        return SAME

    wire = Wire(router, parser_class).send(ask("GET /ann"), ask("GET /bob"))
    answers = parse_answers(wire.received)
    assert [(status, fields["x-same"], body) for status, fields, body in answers] == [
        (203, "1", b"the same")
    ] * 2
    assert wire.received.count(b"Set-Cookie: user=bob") == wire.received.count(b"Set-Cookie:") - 1 == 1
    assert list(SAME.headers) == ["x-same"]


def test_a_stream_that_cannot_be_encoded_is_closed(parser_class: Any) -> None:
    steps: list[str] = []
    router = Router()

    @router.around
    async def broken(req: Request) -> AsyncIterator[Any]:
        response = yield
        response.headers["content-length"] = "many"

    @router.get("/x")
    async def stream(req: Request) -> AsyncIterator[str]:
        try:
            yield "a"
        finally:
            steps.append("closed")

    assert answer_to(router, parser_class)[0] == 500
    assert steps == ["closed"]


def test_the_warning_of_a_slow_handler_names_its_hooks(parser_class: Any) -> None:
    router = Router()

    def lookup(req: Request) -> None:
        wire.loop.clock.now += 1

    router.before(lookup)
    router.around(yields_twice)
    router.get("/x")(answer)
    wire = Wire(router, parser_class)
    wire.send(GET)
    (line,) = [line for line in wire.lines if "held up the loop for 1000 ms" in line]
    assert "handler answer or one of its hooks (yields_twice, " in line
    assert "lookup) held up" in line


def test_error_handlers_are_asked_inside_of_arounds_where_there_are_hooks_too(parser_class: Any) -> None:
    steps: list[Any] = []
    router = Router()
    router.around(seeing(steps, "around"))
    router.before(lambda req: None)

    @router.on_error(403)
    async def page(req: Request, error: Fail) -> str:
        return "page"

    @router.get("/x")
    async def handler(req: Request) -> None:
        raise Fail(403)

    assert answer_to(router, parser_class) == (403, b"page")
    assert steps == ["around begins", "around 403", "around ends"]
