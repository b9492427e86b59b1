"""Segments with text around their parameters, and converters of an app's own."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from kissapi import Fail, Request, Router
from kissapi.routing import converters
from kissapi.routing.covers import Covers
from kissapi.routing.path import parameters_of, parse
from kissapi.routing.pattern import MOST, Pattern, kind_of, parameters
from tests.routing.test_dispatch import ID, found, register, router_of, status


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


def slug(text: str) -> str | None:
    return text if text == text.lower() and " " not in text else None


@pytest.fixture(autouse=True)
def own() -> Iterator[None]:
    """A few converters, which are gone behind the test."""
    Router.converter("slug", slug)
    Router.converter("day", date.fromisoformat, date.isoformat)
    Router.converter("size", Size, lambda size: size.value)
    Router.converter("amount", Decimal)
    yield
    for name in [*converters._OWN]:
        del converters._OWN[name], converters.TYPES[name]


MATCHES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("/{name}.txt", "/a.txt", "/{name}.txt", {"name": "a"}),
    ("/{name}.txt", "/a.txt.txt", "/{name}.txt", {"name": "a.txt"}),
    ("/{name}.txt /{name}.{ext}", "/a.b.txt", "/{name}.txt", {"name": "a.b"}),
    ("/{name}.{ext}", "/archive.tar.gz", "/{name}.{ext}", {"name": "archive", "ext": "tar.gz"}),
    ("/{a}-{b}", "/x-y", "/{a}-{b}", {"a": "x", "b": "y"}),
    ("/v{major:int}.{minor:int}", "/v1.20", "/v{major:int}.{minor:int}", {"major": 1, "minor": 20}),
    ("/{y:int}-{m:int}-{d:int}", "/2026-11-28", "/{y:int}-{m:int}-{d:int}", {"y": 2026, "m": 11, "d": 28}),
    ("/@{user}/x", "/@ann/x", "/@{user}/x", {"user": "ann"}),
    # A parameter takes more if what is behind it does not match otherwise
    ("/{title}-{id:int}", "/red-shoes-42", "/{title}-{id:int}", {"title": "red-shoes", "id": 42}),
    ("/{key:uuid}-{n:int}", f"/{ID}-7", "/{key:uuid}-{n:int}", {"key": UUID(ID), "n": 7}),
    ("/{x:float}-{y:float}", "/-1--2.5", "/{x:float}-{y:float}", {"x": -1.0, "y": -2.5}),
    ("/{on:day}-{t:slug}", "/2026-11-28-a-b", "/{on:day}-{t:slug}", {"on": date(2026, 11, 28), "t": "a-b"}),
    # Precedence: literals, patterns, types, what takes anything, the rest
    ("/{r:path} /{a} /{a:slug} /{a}.txt /b.txt", "/b.txt", "/b.txt", {}),
    ("/{r:path} /{a} /{a:slug} /{a}.txt /b.txt", "/c.txt", "/{a}.txt", {"a": "c"}),
    ("/{r:path} /{a} /{a:slug} /{a}.txt /b.txt", "/c", "/{a:slug}", {"a": "c"}),
    ("/{r:path} /{a} /{a:slug} /{a}.txt /b.txt", "/C", "/{a}", {"a": "C"}),
    ("/{r:path} /{a} /{a:slug} /{a}.txt /b.txt", "/c.txt/d", "/{r:path}", {"r": "c.txt/d"}),
    # … among patterns the one with the most text, then the one with the most types, then the first
    ("/{a}-{b} /x{a}-{b}", "/x1-2", "/x{a}-{b}", {"a": "1", "b": "2"}),
    ("/{a}-{b} /{a:int}-{b}", "/1-2", "/{a:int}-{b}", {"a": 1, "b": "2"}),
    ("/{a}-{b} /{c}.{d}", "/1-2.3", "/{a}-{b}", {"a": "1", "b": "2.3"}),
    # A branch that leads nowhere lets the search go on
    ("/{a}.txt/b /{x}/c", "/a.txt/c", "/{x}/c", {"x": "a.txt"}),
    ("/{u}/{a}.txt /{u}/{b:path}", "/1/2.png", "/{u}/{b:path}", {"u": "1", "b": "2.png"}),
    ("/{u:int}/{a}-b/{c:path}", "/1/2-b/3/", "/{u:int}/{a}-b/{c:path}", {"u": 1, "a": "2", "c": "3/"}),
    # Escapes are decoded after matching, and never split
    ("/{a}é{b}", "/x%C3%A9y", "/{a}%C3%A9{b}", {"a": "x", "b": "y"}),
    ("/{a}-{b}", "/%2d-x%2Fy", "/{a}-{b}", {"a": "-", "b": "x/y"}),
    ("/{a}2{b}", "/x%2Fy2z", "/{a}2{b}", {"a": "x/y", "b": "z"}),
    ("/{a}F /{a}", "/x%2F", "/{a}", {"a": "x/"}),
    ("/{a} b", "/x%20b", "/{a}%20b", {"a": "x"}),
    # Converters
    ("/{on:day}", "/2026-02-28", "/{on:day}", {"on": date(2026, 2, 28)}),
    ("/{on:day} /{other}", "/2026-02-30", "/{other}", {"other": "2026-02-30"}),
    ("/{size:size}/x", "/l/x", "/{size:size}/x", {"size": Size.LARGE}),
    ("/{size:size}/x /{a}/{b}", "/m/x", "/{a}/{b}", {"a": "m", "b": "x"}),
    ("/{n:amount} /{a}", "/1.50", "/{n:amount}", {"n": Decimal("1.50")}),
    ("/{n:amount} /{a}", "/x", "/{a}", {"a": "x"}),
    ("/{t:slug}", "/caf%C3%A9", "/{t:slug}", {"t": "café"}),
]  # fmt: skip


@pytest.mark.parametrize(("routes", "path", "match", "params"), MATCHES)
def test_a_path_leads_to_the_best_match(routes: str, path: str, match: str, params: dict[str, Any]) -> None:
    written = routes.replace(" b", "%20b") if routes.endswith(" b") else routes
    router = router_of(*(f"GET {each}" for each in written.split()))
    where, got = found(router, path)
    assert (parse(where), got) == (parse(match), params)
    assert [type(value) for value in got.values()] == [type(value) for value in params.values()]


NO_MATCHES = [
    ("/{name}.txt", "/.txt"),
    ("/{name}.txt", "/a.txt2"),
    ("/{name}.txt", "/a.txt/"),
    ("/x{a}x", "/x"),
    ("/x{a}x", "/xx"),
    ("/{a}-{b}", "/-b"),
    ("/{a}-{b}", "/a-"),
    ("/v{major:int}.{minor:int}", "/v1.2.3"),
    ("/v{major:int}.{minor:int}", "/v1"),
    ("/{a}F", "/x%2F"),
    ("/{size:size}", "/m"),
    ("/{on:day}/x", "//x"),
]


@pytest.mark.parametrize(("route", "path"), NO_MATCHES)
def test_a_parameter_is_never_empty_and_its_type_matches(route: str, path: str) -> None:
    assert status(router_of(f"GET {route}"), path) == (404, None)


def test_what_is_not_utf_8_is_a_400() -> None:
    for route in ("/{a}.txt", "/{a:slug}.txt", "/{a:slug}"):
        assert status(router_of(f"GET {route}"), "/%FF.txt") == (400, None)


def test_a_pattern_in_a_prefix() -> None:
    root, api = Router(), Router()
    root["/v{version:int}"] = api
    register(api, "GET /{name}.{kind}")
    assert found(root, "/v2/a.b") == ("/{name}.{kind}", {"version": 2, "name": "a", "kind": "b"})
    assert [route.path for route in root.routes()] == ["/v{version:int}/{name}.{kind}"]


def test_the_names_of_a_whole_path_differ() -> None:
    root, api = Router(), Router()
    root["/v{id:int}"] = api
    register(api, "GET /{id}.txt")
    with pytest.raises(ValueError, match="a name of its own"):
        found(root, "/v2/a.txt")


def test_one_pattern_twice_is_one_route() -> None:
    router = router_of("GET /{a}.txt")
    with pytest.warns(UserWarning, match="registered twice"):
        register(router, "GET /{b}.txt")
    assert found(router, "/x.txt") == ("/{b}.txt", {"b": "x"})


def test_other_methods_and_head_of_a_pattern() -> None:
    router = router_of("GET /{a}.txt", "POST /{a}.txt")
    assert found(router, "/x.txt", "HEAD") == ("/{a}.txt", {"a": "x"})
    assert status(router, "/x.txt", "PUT") == (405, "GET, HEAD, OPTIONS, POST")


def test_the_cover_of_a_prefix_with_a_pattern() -> None:
    root, typed, plain = Router(), Router(), Router()
    root["/v{n:int}"], root["/{any}"] = typed, plain

    async def missing(req: Request, error: Fail) -> str:
        return "no"

    typed.on_error(404)(missing)
    covers = Covers(root)
    assert covers.at("/v1/x") is not None
    assert covers.at("/w/x") is None


def test_no_path_is_slow_to_match() -> None:
    match = Pattern("{str}-{float}-{str}-{int}").match
    started = time.perf_counter()
    assert match("-" * 8000) is None
    assert match("1-" * 4000 + "x") is None
    assert match("%2D-" * 2000 + "x") is None
    assert time.perf_counter() - started < 1
    assert Pattern("{str}-{int}").match("x-" * MOST + "7") == ("x-" * (MOST - 1) + "x", 7)
    assert Pattern("{str}-{int}").match("x-" * (MOST + 1) + "7") is None


def test_what_was_put_together_is_taken_apart() -> None:
    random.seed(7)
    for _ in range(300):
        names = ["".join(random.choices("abc%.", k=random.randint(1, 5))) for _ in range(3)]
        path = "-".join(name.replace("%", "%25") for name in names)
        assert Pattern("{str}-{str}-{str}").match(path) == tuple(names)


def test_the_parameters_of_a_path() -> None:
    segments = parse("/a/{b}/v{c:int}.{d}/{e:path}")
    assert parameters_of(segments) == [("str", "b"), ("int", "c"), ("str", "d"), ("path", "e")]
    assert parameters(*segments[2]) == [("int", "c"), ("str", "d")]
    assert kind_of("v{c:int}.{d}") == "v{int}.{str}"


WRONG: list[tuple[tuple[Any, ...], type[Exception], str]] = [
    (("int", int), ValueError, "a name of its own, such as slug, not 'int'"),
    (("path", int), ValueError, "a name of its own"),
    (("literal", int), ValueError, "a name of its own"),
    (("a-b", int), ValueError, "a name of its own"),
    ((int, int), ValueError, "a name of its own"),
    (("hex", "f"), TypeError, "two functions, parse and format"),
    (("hex", int, None), TypeError, "two functions, parse and format"),
    (("slug", int), ValueError, "the converter 'slug' is there already: slug"),
]


@pytest.mark.parametrize(("arguments", "error", "said"), WRONG)
def test_a_wrong_converter(arguments: tuple[Any, ...], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Router.converter(*arguments)


def test_a_converter_may_be_made_again() -> None:
    Router.converter("slug", slug)
    with pytest.raises(ValueError, match=r"unknown type 'hex' .* make one before: Router.converter\(\"hex\""):
        router_of("GET /{a:hex}")


def test_what_a_converter_raises_otherwise_is_a_mistake_of_its_own() -> None:
    def broken(text: str) -> Any:
        return text[1]

    Router.converter("broken", broken)
    with pytest.raises(IndexError):
        found(router_of("GET /{a:broken}"), "/x")
