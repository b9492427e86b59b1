"""A program as users write it, for type checkers: `make check` gives it to mypy --strict, and a test runs it.

`assert_type` is what a checker must infer. A mistake that it must find is ignored by its code: if it is found
no more, the ignore is an error itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, assert_type

from kissapi import (
    Cookie,
    Event,
    Fail,
    File,
    Header,
    Headers,
    Link,
    Query,
    Queue,
    Request,
    Response,
    Router,
    Server,
    Upload,
    gather,
    html,
    redirect,
    sleep,
    spawn,
    timeout,
    to_thread,
)
from kissapi.extras.cors import cors
from kissapi.extras.csrf import csrf
from kissapi.extras.sessions import Flash, Session, sessions
from kissapi.extras.sse import Event as Message
from kissapi.extras.sse import sse
from kissapi.extras.testing import Client
from kissapi.http import given

if TYPE_CHECKING:
    from kissapi.extras.websocket import WebSocket


class App:
    """What `on_start` has opened."""

    stock: dict[str, int]
    news: Queue[str]


class Shop(Request):
    """A request that knows it."""

    app: App
    session: Session
    user: str = "nobody"


router = Router()
server = Server(router=router, request_class=Shop, max_body=1 << 20, idle_timeout=5)


@server.on_start
async def open_stock(app: App) -> None:
    app.stock = {"pears": 3}


@router.lifespan
async def tell(app: App) -> AsyncIterator[None]:
    app.news = Queue(maxsize=3)
    spawn(app.news.put("open"))
    yield
    assert_type(await gather(app.news.get(), sleep(0)), tuple[str, None])


@server.on_stop
def close_stock(app: App) -> None:
    assert_type(Event().is_set(), bool)
    app.stock.clear()


@router.before
def who(req: Shop) -> None:
    req.user = req.headers.get("x-user", "nobody")
    req.state.seen = True


@router.after
def counted(req: Request, result: Any) -> None:
    assert_type(req.state, SimpleNamespace)


@router.before(nested=True)
def check(req: Request) -> Response | Fail | None:
    return Fail(403) if req.path == "/closed" else None


@router.around
async def tagged(req: Shop) -> AsyncGenerator[None, Response]:
    response = yield
    response.headers["x-error"] = str(response.error)
    req.on_end(lambda outcome, size: assert_type((outcome, size), tuple[str, int]))


@router.around(nested=False)
async def closed(req: Request) -> AsyncGenerator[Response | None, Response]:
    yield Response("closed", 503) if req.path == "/closed" else None


account = Router()
account.around(cors(["https://shop.example"], credentials=True, expose=["x-total"]))
account.around(sessions(["a secret of thirty-two letters or so"], max_age=3600, same_site="Strict"))
account.around(csrf(exempt=lambda req: req.path == "/webhook"))
router["/account"] = account


@account.post("/login")
async def welcome(req: Shop) -> list[Flash]:
    assert_type(req.session["user"], Any)
    assert_type(req.csrf_token, str)
    req.session.flash("Welcome", "success")
    return req.session.flashes()


Router.converter("day", date.fromisoformat, date.isoformat)


@router.get(
    "/described/{kind}", name="stock", tags=["shop"], responses={404: "no such thing"}, before=[check]
)
async def described(req: Shop) -> None:
    assert_type(req.url_for("stock", kind="pears", page=2), str)
    assert_type(req.url_for(check), str)
    assert_type((req.url, req.base_url), tuple[str, str])
    assert_type(req.headers.get_all("accept"), list[str])


def wrong() -> None:
    """Handlers and hooks that cannot be called: each is an error for mypy and pyright."""
    router.around(counted)  # type: ignore[type-var]
    router.around(sessions)  # type: ignore[type-var]

    @router.get("/wrong")  # type: ignore[type-var]
    async def without_request() -> str:
        return "x"

    @router.before  # type: ignore[type-var]
    async def hook_without_request() -> None: ...

    @router.after  # type: ignore[type-var]
    async def without_result(req: Request) -> None: ...

    @router.on_error(404)  # type: ignore[type-var]
    async def without_error(req: Request) -> str:
        return "x"

    @router.websocket("/wrong")  # type: ignore[type-var]
    def no_coroutine(ws: WebSocket) -> None: ...

    router.add_route("GET", "/wrong", lambda: "x")  # type: ignore[misc,arg-type]


@dataclass
class Order:
    """What a client sends."""

    kind: str
    count: int = 1


@router.post("/orders/{shop}")
async def add_order(
    req: Shop,
    shop: int,
    order: Order,
    *,
    rush: bool = False,
    agent: Annotated[str, Header("user-agent")] = "",
) -> Order:
    return Order(order.kind, order.count + shop + rush)


async def call_it() -> None:
    """A decorator keeps the type of the handler."""
    assert_type(await add_order(Shop(), 7, Order("pear"), rush=True), Order)
    await add_order(Shop(), "7", Order("pear"))  # type: ignore[arg-type]


@router.get("/orders")
def list_orders(
    req: Request, kinds: Annotated[list[str], Query("kind")], user: Annotated[str, Cookie()] = "nobody"
) -> list[str]:
    return [*kinds, user]


@router.post("/images")
async def add_image(req: Request, image: Upload, thumb: Annotated[bytes, File()] = b"") -> int:
    assert_type(image.size, int)
    return image.size + len(thumb)


@router.get("/stock/{kind}", before=[check], around=[closed])
async def stock(req: Shop) -> dict[str, int]:
    kind: str = req.params["kind"]
    if kind not in req.app.stock:
        raise Fail(404)
    async with timeout(2.5):
        assert_type(await gather(sleep(0), sleep(0), sleep(0), sleep(0)), list[None])
    return {kind: req.app.stock[kind]}


@router.get("/accepts")
def accepts(req: Request) -> list[str]:
    assert_type(req.headers, Headers)
    assert_type(req.headers.get_all("accept"), list[str])
    assert_type(req.headers["host"], str)
    assert_type(req.headers.get("accept"), str | None)
    assert_type(req.cookies, given.Cookies)
    assert_type(req.cookies.get("user"), str | None)
    assert_type(req.query, given.Query[str])
    assert_type(req.query.setdefault("kind", ""), str)
    assert_type(req.query["kind"], str)
    assert_type(req.query.get("page", 1, int), int)
    assert_type(req.query.get("page", None, float), float | None)
    assert_type(req.headers.get("content-length", 0, int), int)
    assert_type(req.query_all, given.Query[list[str]])
    assert_type(req.params, dict[str, Any])
    assert_type(req.client, tuple[str, int] | None)
    assert_type(req.text, str)
    assert_type(req.body, bytes)
    return req.headers.get_all("accept")


@router.post("/form")
async def form(req: Request) -> str:
    assert_type(req.form["name"], str)
    assert_type(req.form_all, given.Form[list[str]])
    assert_type(req.files.get("image"), Upload | None)
    assert_type(req.form.get("count", 1, int), int)
    return req.files["image"].read().decode()


@router.post("/parts", stream=True)
async def parts(req: Request) -> dict[str, int]:
    return {part.name: len(await part.read()) async for part in req.parts()}


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
    async def each() -> AsyncIterator[Message]:
        yield Message({"n": await to_thread(int, "5")}, id=1)

    return sse(each())


@router.on_error(404)
async def missing(req: Request, error: Fail) -> dict[str, str]:
    return {"error": str(error.data)}


class Guest(Link):
    name = "a guest"


class Line(Request):
    link: Guest


async def greet(line: Line) -> str:
    line.link.push("news")
    await line.link.send(1)
    return line.link.name.upper()


class Lines:
    """A parser of another protocol: the fields are `Headers` there, too."""

    link_class = Guest

    def __init__(self, request: Request) -> None:
        self.request = request
        self.finished = False

    def feed_data(self, data: bytes) -> None:
        self.request.path = data.decode().rstrip("\n")
        self.request.headers = Headers({"connection": "close"})
        self.finished = True


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
    req.args  # type: ignore[attr-defined]  # noqa: B018
    router.get("/", tag=["shop"])  # type: ignore[call-arg]
    redirect(None)  # type: ignore[arg-type]
