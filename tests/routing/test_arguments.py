"""Arguments of handlers: from the path, the query, headers, cookies and forms; what is wrong answers 422."""

from __future__ import annotations

import enum
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial, wraps
from typing import Annotated, Any, Literal, NewType, Optional
from uuid import UUID

import pytest

from kissapi import Cookie, Fail, Header, Query, Request, Response, Router
from kissapi.extras.testing import Client
from kissapi.routing import converters
from kissapi.routing.arguments import Argument, arguments_of
from kissapi.routing.path import parse
from kissapi.routing.signature import NOTHING
from tests.routing.asked import asked, given
from tests.serving import THREE, make, running
from tests.wire import Wire, fetch

KEY = "12345678-1234-5678-1234-567812345678"
UserId = NewType("UserId", int)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1


class Slug(str):
    __slots__ = ()

    def __new__(cls, text: str) -> Slug:
        if not text.islower():
            raise ValueError("must be in lower case")
        return super().__new__(cls, text)


class Thread(str):
    """Knows the thread that has made it."""

    def __init__(self, text: str) -> None:
        self.name = threading.current_thread().name


# What there is


def test_each_argument_has_a_place_and_a_key() -> None:
    async def show(
        req: Request,
        id: int,  # noqa: A002
        other,  # type: ignore[no-untyped-def]
        user_agent: Annotated[str, Header()],
        limit: int = 10,
        *,
        tags: Annotated[list[str], Query("tag")] = [],  # noqa: B006
    ) -> None: ...

    found = arguments_of(show, parse("/{id}/{other}"))
    assert [argument._replace(annotation=None) for argument in found] == [
        Argument("id", "path", "id", None, int, NOTHING, False),
        Argument("other", "path", "other", None, str, NOTHING, False),
        Argument("user_agent", "header", "user-agent", None, str, NOTHING, False),
        Argument("limit", "query", "limit", None, int, 10, False),
        Argument("tags", "query", "tag", None, list[str], [], True),
    ]
    assert repr(found[2].annotation) == "typing.Annotated[str, Header()]"
    assert arguments_of(lambda req: None, parse("/{id}")) == ()
    assert arguments_of(print, parse("/")) == ()


# Scalars

SCALARS: list[tuple[Any, str, str]] = [
    (str, "a b", "'a b'"),
    (int, "-7", "-7"),
    (int, "+7", "7"),
    (int, "12345678901234567890123", "12345678901234567890123"),
    (float, "1e3", "1000.0"),
    (float, "-7", "-7.0"),
    (bool, "Yes", "True"),
    (bool, "0", "False"),
    (UUID, KEY, f"UUID('{KEY}')"),
    (Decimal, "1.50", "Decimal('1.50')"),
    (datetime, "2026-05-01T12:30:00Z", repr(datetime.fromisoformat("2026-05-01T12:30:00Z"))),
    (date, "2026-05-01", "datetime.date(2026, 5, 1)"),
    (time, "12:30", "datetime.time(12, 30)"),
    (Colour, "red", "<Colour.RED: 'red'>"),
    (Size, "1", "<Size.SMALL: 1>"),
    (Literal["a", 2], "2", "2"),
    (Optional[int], "7", "7"),  # noqa: UP045
    (int | None, "7", "7"),
    (int | str, "7", "7"),
    (int | str, "x", "'x'"),
    (UserId, "7", "7"),
    (Slug, "abc", "'abc'"),
    (Annotated[int, "said"], "7", "7"),
]


@pytest.mark.parametrize(("kind", "text", "value"), SCALARS)
def test_a_scalar_of_the_query_and_of_the_path(kind: Any, text: str, value: str) -> None:
    answer = asked(given(kind), "/", query={"value": text})
    assert (answer.status, answer.text) == (200, value)
    if text not in ("+7", "1e3"):  # a float of the path is written as `{x:float}` has it
        assert asked(given(kind), f"/{text.replace(' ', '%20')}", "/{value}").text == value


WRONG: list[tuple[Any, str, str]] = [
    (int, "ten", "must be a whole number, not 'ten'"),
    (int, "1.5", "must be a whole number, not '1.5'"),
    (int, "1_000", "must be a whole number, not '1_000'"),
    (int, "٣", "must be a whole number, not '٣'"),
    (int, "-", "must be a whole number, not '-'"),
    (int, " 7", "must be a whole number, not ' 7'"),
    (int, "7" * 5000, f"must be a whole number, not '{'7' * 39}…"),
    (float, "nan", "must be a number, not 'nan'"),
    (float, "1e999", "must be a number, not '1e999'"),
    (float, "1_0", "must be a number, not '1_0'"),
    (bool, "maybe", "must be true or false, not 'maybe'"),
    (UUID, "x", "must be a UUID, not 'x'"),
    (float, " 1", "must be a number, not ' 1'"),
    (Decimal, "x", "must be a number, not 'x'"),
    (Decimal, "1_000", "must be a number, not '1_000'"),
    (Decimal, " 1 ", "must be a number, not ' 1 '"),
    (Decimal, "٣", "must be a number, not '٣'"),
    (Decimal, "NaN", "must be a number, not 'NaN'"),
    (Decimal, "sNaN", "must be a number, not 'sNaN'"),
    (Decimal, "Infinity", "must be a number, not 'Infinity'"),
    (date, "1 May", "must be a date such as 2026-05-01, not '1 May'"),
    (datetime, "now", "must be a date and time such as 2026-05-01T12:30:00Z, not 'now'"),
    (time, "25:00", "must be a time such as 12:30:00, not '25:00'"),
    (Colour, "green", "must be 'red' or 'blue', not 'green'"),
    (Literal["a", 2], "b", "must be 'a' or '2', not 'b'"),
    (int | None, "x", "must be a whole number, not 'x'"),
    (int | bool, "x", "must be true or false, not 'x'"),
    (Slug, "ABC", "must be in lower case"),
    (list[int], "x", "must be a whole number, not 'x'"),
]


@pytest.mark.parametrize(("kind", "text", "detail"), WRONG)
def test_a_wrong_one_is_422_and_says_what_it_must_be(kind: Any, text: str, detail: str) -> None:
    answer = asked(given(kind), query={"value": text})
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json == {
        "title": "Unprocessable Content",
        "status": 422,
        "detail": f"value: {detail}",
        "errors": [{"parameter": "value", "detail": detail}],
    }


@pytest.mark.parametrize("kind", [str, int, bool, int | None, list[int]])
def test_a_missing_one_has_its_default_or_is_422(kind: Any) -> None:
    assert asked(given(kind, None)).text == "None"
    answer = asked(given(kind))
    assert (answer.status, answer.json["detail"]) == (422, "value: is missing")


def test_a_blank_one_is_missing_but_for_text() -> None:
    """A browser sends each field of a form, also those left blank."""
    assert asked(given(int, 3), "/?value=").text == "3"
    assert asked(given(int), "/?value=").json["errors"] == [{"parameter": "value", "detail": "is missing"}]
    assert asked(given(str, "x"), "/?value=").text == "''"
    assert asked(given(int | str, 3), "/?value").text == "''"
    assert asked(given(list[int]), "/?value=&value=1").text == "[1]"
    assert asked(given(list[str]), "/?value=&value=1").text == "['', '1']"


LISTS: list[tuple[Any, str]] = [
    (list[int], "[2, 1, 1]"),
    (list[str], "['2', '1', '1']"),
    (list, "['2', '1', '1']"),
    (set[int], "{1, 2}"),
    (frozenset[int], "frozenset({1, 2})"),
    (tuple[int, ...], "(2, 1, 1)"),
    (list[int] | None, "[2, 1, 1]"),
]


@pytest.mark.parametrize(("kind", "value"), LISTS)
def test_repeated_keys_are_a_list(kind: Any, value: str) -> None:
    assert asked(given(kind), "/?value=2&value=1&value=1").text == value


def test_a_default_that_can_change_is_copied() -> None:
    async def add(req: Request, seen: list[int] = []) -> list[int]:  # noqa: B006
        seen.append(1)
        return seen

    router = Router()
    router.get("/")(add)
    client = Client(router)
    assert [client.get("/").json for _ in range(2)] == [[1], [1]]


def test_all_that_is_wrong_is_told_at_once(parser_class: Any) -> None:
    router = Router()

    @router.get("/{id}")
    async def show(
        req: Request,
        id: int,  # noqa: A002
        limit: int,
        token: Annotated[int, Header("X-Token")],
        theme: Annotated[Colour, Cookie()],
        page: int = 1,
    ) -> None: ...

    status, fields, body = fetch(
        router, "/7?page=x", "Cookie: theme=pink", method="GET", parser_class=parser_class
    )
    assert (status, fields["content-type"]) == (422, "application/problem+json")
    for part in (
        b'{"parameter":"limit","detail":"is missing"}',
        b'{"header":"x-token","detail":"is missing"}',
        b'{"cookie":"theme","detail":"must be \'red\' or \'blue\', not \'pink\'"}',
        b'{"parameter":"page","detail":"must be a whole number, not \'x\'"}',
        b'"detail":"limit: is missing, and 3 more"',
    ):
        assert part in body


@pytest.mark.parametrize("covered", [False, True])
def test_a_mistake_leaves_no_reference_cycle(covered: bool) -> None:
    router = Router()

    @router.get("/")
    async def show(
        req: Request, number: int | bool, more: list[int], day: date, token: Slug | None = None
    ) -> None: ...

    if covered:

        @router.around
        async def around(req: Request) -> AsyncIterator[Any]:
            yield

    def ask() -> None:
        assert (
            b" 422 " in wire.send(b"GET /?number=x&more=y&day=z&token=A HTTP/1.1\r\nHost: a\r\n\r\n").received
        )

    wire = Wire(router)
    ask()
    gc.collect()
    gc.disable()
    try:
        ask()
        assert gc.collect() == 0
    finally:
        gc.enable()


# The path


def test_a_type_of_the_path_is_the_kind_of_its_segment() -> None:
    router = Router()

    @router.get("/{id}")
    async def by_name(req: Request, id: str) -> str:  # noqa: A002
        return f"name {id}"

    @router.get("/{id}")
    async def by_number(req: Request, id: int) -> str:  # noqa: A002
        return f"number {id}"

    @router.get("/keys/{key}/{x}")
    def by_key(req: Request, key: UUID, x: float, missing: str = "no") -> str:
        return f"{key!r} {x!r} {missing}"

    assert [route.path for route in router.routes()] == ["/{id}", "/{id:int}", "/keys/{key:uuid}/{x:float}"]
    client = Client(router)
    assert [client.get(path).text for path in ("/7", "/ann", "/-7")] == ["number 7", "name ann", "number -7"]
    assert client.get(f"/keys/{KEY}/1.5").text == f"UUID('{KEY}') 1.5 no"
    assert client.get("/keys/x/1.5").status == 404


def test_a_parameter_of_the_path_without_a_type_has_its_value() -> None:
    async def show(req, id, rest):  # type: ignore[no-untyped-def]  # noqa: A002
        return [id, rest]

    assert asked(show, "/7/a/b", "/{id:int}/{rest:path}").json == [7, "a/b"]
    assert asked(show, "/x%20y/a", "/{id}/{rest:path}").json == ["x y", "a"]


def test_a_path_with_a_value_of_another_type_is_404() -> None:
    async def show(req: Request, day: date, colour: Colour = Colour.RED) -> str:
        return f"{day:%d.%m.} {colour.name}"

    assert asked(show, "/2026-05-01?colour=blue", "/{day}").text == "01.05. BLUE"
    assert asked(show, "/today", "/{day}").status == 404


def test_what_a_mount_prefix_has_is_bound_too() -> None:
    root, teams = Router(), Router()

    @teams.get("/users")
    async def users(req: Request, team: int) -> int:
        return team

    root["/teams/{team}"] = teams
    assert [route.path for route in root.routes()] == ["/teams/{team:int}/users"]
    assert Client(root).get("/teams/7/users").json == 7
    assert Client(root).get("/teams/x/users").status == 404
    assert Client(teams).get("/users?team=8").json == 8


def test_parameters_with_text_around_them_and_of_converters_of_an_app() -> None:
    router = Router()

    @router.get("/{name}-v{major}.txt")
    async def show(req: Request, name: str, major: int, limit: int = 3) -> list[Any]:
        return [name, major, limit]

    assert [route.path for route in router.routes()] == ["/{name}-v{major:int}.txt"]
    assert Client(router).get("/a-b-v7.txt?limit=1").json == ["a-b", 7, 1]
    assert Client(router).get("/a-vx.txt").status == 404
    Router.converter("half", lambda text: float(text) / 2)
    try:
        assert asked(given(float), "/7", "/{value:half}").text == "3.5"
    finally:
        del converters._OWN["half"], converters.TYPES["half"]


def test_a_whole_number_may_be_a_float() -> None:
    assert asked(given(float), "/7", "/{value:int}").text == "7.0"


# Headers and cookies


def test_headers_and_cookies() -> None:
    async def show(
        req: Request,
        x_token: Annotated[str, Header],
        accept: Annotated[list[str], Header()] = [],  # noqa: B006
        theme: Annotated[str, Cookie()] = "light",
        sizes: Annotated[list[int], Cookie("size")] = [],  # noqa: B006
    ) -> list[Any]:
        return [x_token, accept, theme, sizes]

    headers = [("X-Token", "t"), ("accept", "a"), ("Accept", "b"), ("cookie", "theme=dark; size=3")]
    assert asked(show, headers=headers).json == ["t", ["a", "b"], "dark", [3]]
    assert asked(show, headers={"x-token": "t"}).json == ["t", [], "light", []]


# Handlers of every kind, on every loop


async def stream(req: Request, count: int, *, word: str = "a") -> AsyncIterator[str]:
    for _ in range(count):
        yield word


def stream_in_thread(req: Request, count: int, *, word: str = "a") -> Iterator[str]:
    for _ in range(count):
        yield word


def passing(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Streams:
    async def method(self, req: Request, count: int, word: str = "a") -> str:
        return word * count

    __call__ = method


@pytest.mark.parametrize(
    "handler",
    [
        stream,
        stream_in_thread,
        passing(stream),
        Streams(),
        Streams().method,
        partial(Streams.method, Streams()),
        passing(Streams().method),
    ],
)
def test_a_handler_of_any_kind(handler: Callable[..., Any]) -> None:
    assert asked(handler, "/?count=3&word=b").text == "bbb"
    assert asked(handler, "/?count=x").status == 422


def test_what_a_partial_gives_is_not_bound() -> None:
    async def show(req: Request, table: dict[str, str], key: str) -> str:
        return table[key]

    assert asked(partial(show, table={"a": "b"}), "/?key=a").text == "b"


def test_a_body_that_streams_and_arguments() -> None:
    router = Router()

    @router.post("/{name}", stream=True)
    async def upload(req: Request, name: str, limit: int = 3) -> str:
        return name + str(sum([len(piece) async for piece in req.stream()]) * limit)

    client = Client(router)
    assert client.post("/a?limit=2", body=b"abc").text == "a6"
    for _ in range(2):
        assert client.post("/a?limit=x", body=iter([b"abc"] * 9)).status == 422


@pytest.mark.parametrize("loop", THREE)
def test_on_every_loop(loop: str) -> None:
    import http.client

    router = Router()

    @router.get("/{id}")
    async def show(req: Request, id: int, limit: int = 10) -> list[int]:  # noqa: A002
        return [id, limit]

    @router.get("/threads/{id}")
    def show_in_thread(req: Request, id: int, *, limit: int = 10, by: Thread | None = None) -> list[Any]:  # noqa: A002
        return [id, limit, by is not None and by.name != threading.current_thread().name]

    with running(make(loop, router)) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        said = []
        for target in ("/7?limit=3", "/threads/7?by=x", "/x", "/7?limit=x", "/threads/7?limit=x", "/7"):
            client.request("GET", target)
            answer = client.getresponse()
            said.append((answer.status, answer.read()))
        client.close()
    assert said[0] == (200, b"[7,3]")
    assert said[1] == (200, b"[7,10,true]")  # it is bound on the loop
    assert said[5] == (200, b"[7,10]")
    assert [status for status, _ in said] == [200, 200, 404, 422, 422, 200]


# The order


def test_binding_comes_after_before_hooks_and_on_error_sees_its_mistakes() -> None:
    router = Router()
    seen: list[Any] = []

    @router.around
    async def around(req: Request) -> AsyncIterator[Any]:
        response: Any = yield
        seen.append((response.status, type(response.error)))

    @router.before
    def check(req: Request) -> Fail | None:
        return Fail(401) if "token" not in req.query else None

    @router.get("/")
    async def show(req: Request, limit: int) -> int:
        return limit

    client = Client(router)
    assert [client.get(f"/{query}").status for query in ("", "?token", "?token&limit=1")] == [401, 422, 200]

    @router.on_error(422)
    async def invalid(req: Request, error: Any) -> Any:
        return Response({"wrong": [each["parameter"] for each in error.errors]}, 400)

    answer = Client(router).get("/?token&limit=x")
    assert (answer.status, answer.json) == (400, {"wrong": ["limit"]})
    assert [status for status, _ in seen] == [401, 422, 200, 400]


def test_a_traceback_says_whose_arguments_were_read(capfd: pytest.CaptureFixture[str]) -> None:
    class Odd(str):
        def __init__(self, text: str) -> None:
            raise RuntimeError("not the client's mistake")

    assert asked(given(Odd), "/?value=1").status == 500
    assert '  File "<arguments of given.<locals>.handler (' in "".join(capfd.readouterr())
