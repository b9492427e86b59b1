"""Debug and names: a page that has made its own name lead here (DNS rebinding) sees no traceback.

And on_error(500), which gives way to the traceback wherever it is, and to nothing else.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

import pytest

from kissapi import Fail, Request, Router, Server
from kissapi.extras.debug import debug
from tests.wire import Wire, parse_answers

SECRET = "hunter2"


def make_router(page: bool = False) -> Router:
    """`/wrong` and `/below/wrong` raise; with `page`, both routers have a page for 500."""
    router, below = Router(), Router()
    for each in (router, below):

        @each.get("/wrong")
        async def wrong(req: Request) -> None:
            password = SECRET
            raise LookupError(password)

        @each.get("/unsaid")
        async def unsaid(req: Request) -> Any:
            return {"it": {SECRET: 1j}}

        @each.get("/fail")
        async def fail(req: Request) -> None:
            raise Fail(500, "as it is")

    router["/below"] = below
    if page:

        @router.on_error(500)
        async def sorry(req: Request, error: Exception) -> str:
            return "sorry"

        @below.on_error(500)
        def sorry_below(req: Request, error: Exception) -> str:
            return "sorry below"

    return router


def show(router: Router, path: str, *fields: str, parser_class: Any = None) -> tuple[int, str, list[str]]:
    wire = Wire(router, **({"parser_class": parser_class} if parser_class else {}))
    version = "1.1" if any(field.lower().startswith("host:") for field in fields) else "1.0"
    lines = (f"GET {path} HTTP/{version}", "Accept: text/html", *fields)
    wire.send("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    wire.wait(1)
    status, _, body = parse_answers(wire.received, ["GET"])[0]
    return status, body.decode(), wire.lines


FOREIGN = ["evil.example", "evil.example:8000", "192.0.2.1", "localhost.evil.example", "[::2]:80"]


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/wrong", "/unsaid", "/below/wrong"])
def test_another_host_sees_a_plain_500(parser_class: Any, host: str, path: str) -> None:
    router = make_router()
    debug(router)
    status, body, lines = show(router, path, f"Host: {host}", parser_class=parser_class)
    assert (status, body) == (500, "Internal Server Error")
    assert (
        sum(f"[WARNING] debug shows nothing to {host}, which is no name of this" in line for line in lines)
        == 1
    )
    assert any("LookupError" in line or "TypeError" in line for line in lines)  # the log has the mistake


@pytest.mark.parametrize("host", FOREIGN)
def test_another_host_sees_no_routes(parser_class: Any, host: str) -> None:
    router = make_router()
    debug(router)
    assert show(router, "/nowhere", f"Host: {host}", parser_class=parser_class)[:2] == (404, "Not Found")


@pytest.mark.parametrize(
    "host", ["localhost:8000", "app.localhost", "127.0.0.1", "127.3.2.1:80", "[::1]:8000", None]
)
def test_this_machine_sees_all(parser_class: Any, host: str | None) -> None:
    router = make_router()
    debug(router)
    fields = [] if host is None else [f"Host: {host}"]  # no browser leaves it out
    status, body, lines = show(router, "/wrong", *fields, parser_class=parser_class)
    assert status == 500
    assert "<h1>LookupError: hunter2</h1>" in body
    assert "/below/wrong" in show(router, "/nowhere", *fields, parser_class=parser_class)[1]
    assert not any("debug shows nothing" in line for line in lines)


def test_forced_it_is_shown_to_all() -> None:
    router = make_router()
    debug(router, force=True)
    assert "<h1>LookupError: hunter2</h1>" in show(router, "/wrong", "Host: evil.example")[1]
    assert "/below/wrong" in show(router, "/nowhere", "Host: evil.example")[1]


def test_the_apps_own_page_for_500_is_what_others_see() -> None:
    router = make_router(page=True)
    debug(router)
    assert show(router, "/wrong", "Host: evil.example")[:2] == (500, "sorry")
    assert show(router, "/below/wrong", "Host: evil.example")[:2] == (500, "sorry below")


@pytest.mark.parametrize("path", ["/wrong", "/below/wrong"])
def test_the_page_for_500_gives_way_wherever_it_is(path: str) -> None:
    router = make_router(page=True)
    assert "sorry" in show(router, path, "Host: a")[1]
    debug(router)
    assert "<h1>LookupError: hunter2</h1>" in show(router, path, "Host: localhost")[1]


def test_an_answer_to_a_fail_or_to_every_exception_stays() -> None:
    router = make_router(page=True)

    @router.on_error(Exception)
    async def all_else(req: Request, error: Exception) -> str:
        return "all else"

    debug(router)
    assert show(router, "/wrong", "Host: localhost")[1] == "all else"
    assert show(router, "/fail", "Host: localhost")[1] == "sorry"
    assert show(router, "/below/fail", "Host: localhost")[1] == "sorry below"


@pytest.fixture
def backend() -> str:
    return "asyncio"  # for `serve`, where the test names no other


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "selectors"])
def test_over_real_sockets(loop: str, serve: Callable[..., Server]) -> None:
    options: dict[str, Any] = {"backend": loop}
    if loop == "uvloop":
        options = {"loop_factory": pytest.importorskip("uvloop").new_event_loop}
    server = serve(make_router(), debug=True, **options)
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    for host, shown in (("rebound.example", False), (f"localhost:{server.port}", True)):
        client.request("GET", "/wrong", headers={"Host": host})
        answer = client.getresponse()
        assert answer.status == 500
        assert (SECRET.encode() in answer.read()) is shown
    client.close()
