"""to_asgi: the scope of a request, the settings of a server, and the life of an app."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router, Server
from kissapi.extras.asgi import to_asgi
from tests.extras.asgi.driver import Call, Driver

# Scopes


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"path": "/a b/é"}, "/a%20b/%C3%A9"),
        ({"path": "/100%"}, "/100%25"),
        ({"path": "/a/b", "raw_path": b"/a%2Fb"}, "/a%2Fb"),
        ({"path": "/a/b", "raw_path": b"/a%2fb?x=1"}, "/a%2Fb"),
        ({"path": "/api/x", "raw_path": b"/api/x", "root_path": "/api"}, "/x"),
        ({"path": "/x", "raw_path": b"/x", "root_path": "/api"}, "/x"),
        ({"path": "/apix", "raw_path": b"/apix", "root_path": "/api"}, "/apix"),
        ({"path": "/api", "raw_path": None, "root_path": "/api/"}, "/"),
        ({"path": "/a b/é", "raw_path": b"/a%20b/%C3%A9", "root_path": "/a b"}, "/%C3%A9"),
        ({"path": "", "raw_path": b""}, "/"),
    ],
)
def test_paths(scope: dict[str, Any], path: str) -> None:
    router = Router()

    @router.get("/{rest:path}")
    async def show(req: Request) -> Any:
        return req.path

    with Driver(to_asgi(router)) as driver:
        assert driver.ask("GET", "/", **{"raw_path": None, **scope}).body.decode() == path


def test_urls_have_the_place_where_the_app_is_mounted() -> None:
    router = Router()

    @router.get("/x")
    async def show(req: Request) -> Any:
        return [req.url, req.url_for("show", a=1), req.base_url]

    with Driver(to_asgi(router)) as driver:
        answer = driver.ask("GET", "/api/x?q=1", root_path="/api", scheme="https")
        assert answer.body == (b'["https://localhost/api/x?q=1","/api/x?a=1","https://localhost"]')


def test_a_body_over_http_2_needs_no_length() -> None:
    router = Router()

    @router.post("/")
    async def post(req: Request) -> Any:
        return [req.http_version, req.text]

    async def main(driver: Driver) -> Any:
        return await driver.call(driver.http("POST", "/", http_version="2"), [b"ab", b"c"])

    with Driver(to_asgi(router)) as driver:
        assert driver.run(main(driver)).body == b'["2","abc"]'


def test_handlers_see_the_context_of_middleware_and_of_the_start() -> None:
    span: ContextVar[str] = ContextVar("span", default="none")
    pool: ContextVar[str] = ContextVar("pool", default="none")
    router = Router()

    @router.on_start
    async def start() -> None:
        pool.set("pool")

    @router.get("/")
    async def show(req: Request) -> Any:
        span.set("changed")
        return [span.get(), pool.get()]

    app = to_asgi(router)

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            span.set("span")
        await app(scope, receive, send)
        if scope["type"] == "http":
            assert (span.get(), pool.get()) == ("span", "none")

    with Driver(traced) as driver:
        assert driver.ask("GET", "/").body == b'["changed","pool"]'


def test_the_settings_of_a_server() -> None:
    router = Router()

    @router.post("/")
    async def post(req: Request) -> Any:
        return Response(req.body, headers={"x-frame": "own"})

    server = Server(router=router, headers={"X-Frame": "deny", "X-More": "1"}, max_body=3)
    with Driver(to_asgi(server)) as driver:
        answer = driver.ask("POST", "/", body=b"abc")
        assert (answer.headers["x-frame"], answer.headers["x-more"]) == ("own", "1")
        answer = driver.ask("POST", "/", body=b"abcd")
        assert (answer.status, answer.headers["x-frame"]) == (413, "deny")


# The life of the app


def life_router(seen: list[str]) -> Router:
    router = Router()

    @router.lifespan
    async def life(app: Any) -> AsyncIterator[None]:
        seen.append("start")
        app.value = 7
        yield
        seen.append("stop")

    @router.get("/")
    async def value(req: Request) -> int:
        return int(req.app.value)

    return router


def test_the_lifespan() -> None:
    seen: list[str] = []
    app = to_asgi(life_router(seen))
    for _ in range(2):  # a second life, in another loop
        with Driver(app) as driver:
            assert driver.ask("GET", "/").body == b"7"
        assert seen == ["start", "stop"]
        seen.clear()


def test_without_lifespan_the_first_request_starts_the_app() -> None:
    seen: list[str] = []

    async def main(driver: Driver) -> None:
        answers = await asyncio.gather(*(driver.call(driver.http("GET", "/")) for _ in range(3)))
        assert [answer.body for answer in answers] == [b"7"] * 3

    with Driver(to_asgi(life_router(seen)), lifespan=False) as driver:
        driver.run(main(driver))
        assert driver.ask("GET", "/").body == b"7"
    assert seen == ["start"]


@pytest.mark.parametrize("lifespan", [True, False])
def test_a_start_that_fails(lifespan: bool, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []
    router = life_router(seen)

    @router.on_start
    async def fail() -> None:
        raise LookupError("no database")

    async def main(driver: Driver) -> None:
        if lifespan:
            call = Call(driver.app, {"type": "lifespan"}, {"type": "lifespan.startup"})
            await call.end()
            message = "LookupError: no database"
            assert call.sent == [{"type": "lifespan.startup.failed", "message": message}]
        else:
            for _ in range(2):  # the next request tries again
                with pytest.raises(LookupError):
                    await driver.call(driver.http("GET", "/"))

    with Driver(to_asgi(router), lifespan=False) as driver:
        driver.run(main(driver))
    assert seen == ["start", "stop"] * (1 if lifespan else 2)
    assert "no database" in capsys.readouterr().out


def test_what_is_no_app_is_refused() -> None:
    with pytest.raises(TypeError, match="to_asgi takes a Router or a Server"):
        to_asgi("main:router")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ASGI servers run asyncio"):
        to_asgi(Server(router=Router(), backend="selectors"))
    with pytest.raises(ValueError, match="parser_class"):
        to_asgi(Server(router=Router(), parser_class=lambda request: None))

    async def main() -> None:
        with pytest.raises(ValueError, match="webtransport"):
            await to_asgi(Router())({"type": "webtransport"}, None, None)  # type: ignore[arg-type]

    asyncio.run(main())


def test_it_can_be_sent_to_another_process() -> None:
    with Driver(pickle.loads(pickle.dumps(to_asgi(Router())))) as driver:
        assert driver.ask("GET", "/").status == 404


def test_a_fail_before_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    router = Router()

    @router.get("/")
    async def fail(req: Request) -> AsyncIterator[str]:
        if req.query:
            raise Fail(418, "no coffee")
        yield "x"

    with Driver(to_asgi(router)) as driver:
        assert driver.ask("GET", "/?a=1").status == 418
