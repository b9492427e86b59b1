"""Dispatch: which handler a method and a path lead to, and what is answered when there is none."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any
from uuid import UUID

import pytest

from kissapi import Fail, Request, Response, Router, core
from kissapi.routing.dispatch import Dispatch
from tests.calls import count_calls
from tests.wire import exchange, parse_answers


def router_of(*routes: str) -> Router:
    """A router with a handler for each "METHOD /path", which answers which one it is and its parameters."""
    router = Router()
    for route in routes:
        register(router, route)
    return router


def register(router: Router, route: str, label: str = "") -> None:
    async def handler(req: Request) -> Any:
        return label or path, req.params

    method, path = route.split(" ")
    router.add_route(method, path, handler)


def run(coroutine: Any) -> Any:
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


def found(router: Router, path: str, method: str = "GET") -> Any:
    return run(Dispatch(router).handle(Request(method=method, path=path)))


def status(router: Router, path: str, method: str = "GET") -> tuple[int, str | None]:
    with pytest.raises(Fail) as raised:
        found(router, path, method)
    return raised.value.status, (raised.value.headers or {}).get("Allow")


ID = "12345678-1234-5678-1234-567812345678"

MATCHES = [
    # Literal beats typed beats untyped beats the rest, whatever the order of registration
    ("/{rest:path} /{a} /{a:int} /7", "/7", "/7", {}),
    ("/{rest:path} /{a} /{a:int}", "/7", "/{a:int}", {"a": 7}),
    ("/{rest:path} /{a}", "/7", "/{a}", {"a": "7"}),
    ("/{rest:path}", "/7", "/{rest:path}", {"rest": "7"}),
    # The rest behind literals, looked up without a search where nothing else may follow them
    ("/a/{rest:path} /{x}/b", "/a/b/c.css", "/a/{rest:path}", {"rest": "b/c.css"}),
    ("/a/{rest:path} /{x}/b", "/a/", "/a/{rest:path}", {"rest": ""}),
    ("/a/{rest:path} /{x}/b", "/a/b", "/a/{rest:path}", {"rest": "b"}),
    ("/a/{rest:path} /{x}/b", "/ab/b", "/{x}/b", {"x": "ab"}),
    ("/a/{rest:path}", "/a//b/", "/a/{rest:path}", {"rest": "/b/"}),
    ("/a/{rest:path}", "/a/%41%2F", "/a/{rest:path}", {"rest": "A/"}),
    ("/a/{rest:path} /a/{x}/c", "/a/b/c", "/a/{x}/c", {"x": "b"}),
    ("/a/{rest:path} /a/b/{more:path}", "/a/b/c", "/a/b/{more:path}", {"more": "c"}),
    ("/a/{rest:path} /a/b/{more:path}", "/a/c/d", "/a/{rest:path}", {"rest": "c/d"}),
    ("/{rest:path}", "//", "/{rest:path}", {"rest": "/"}),
    ("/7 /{a:int} /{a} /{rest:path}", "/7", "/7", {}),
    ("/7 /{a:int} /{a} /{rest:path}", "/8", "/{a:int}", {"a": 8}),
    ("/7 /{a:int} /{a} /{rest:path}", "/x", "/{a}", {"a": "x"}),
    ("/7 /{a:int} /{a} /{rest:path}", "/x/y", "/{rest:path}", {"rest": "x/y"}),
    # … then the order of registration
    ("/{a:int} /{a:float}", "/7", "/{a:int}", {"a": 7}),
    ("/{a:float} /{a:int}", "/7", "/{a:float}", {"a": 7.0}),
    ("/{a:int} /{a:float}", "/7.5", "/{a:float}", {"a": 7.5}),
    ("/{a:int} /{a:uuid}", f"/{ID}", "/{a:uuid}", {"a": UUID(ID)}),
    # A branch that leads nowhere lets the search go on, and its captures are forgotten
    ("/a/b /{x}/c", "/a/c", "/{x}/c", {"x": "a"}),
    ("/{x:int}/b /{y}/c", "/7/c", "/{y}/c", {"y": "7"}),
    ("/a/{x}/b /{y}/{z:path}", "/a/1/c", "/{y}/{z:path}", {"y": "a", "z": "1/c"}),
    ("/a/b/c/d /a/b/{x}/e /a/{y}/c/f /{z:path}", "/a/b/c/f", "/a/{y}/c/f", {"y": "b"}),
    ("/a/b/c/d /a/b/{x}/e /a/{y}/c/f /{z:path}", "/a/b/c/g", "/{z:path}", {"z": "a/b/c/g"}),
    ("/{a}/x /{b}/y", "/1/y", "/{b}/y", {"b": "1"}),
    # The rest of the path may be empty; a segment may not
    ("/files/{rest:path}", "/files/", "/files/{rest:path}", {"rest": ""}),
    ("/files/{rest:path}", "/files/a//b/", "/files/{rest:path}", {"rest": "a//b/"}),
    # Captures are decoded after matching: %2F stays inside its segment
    ("/{a}", "/a%2Fb", "/{a}", {"a": "a/b"}),
    ("/{a}/{b}", "/a%2Fb/c%20d", "/{a}/{b}", {"a": "a/b", "b": "c d"}),
    ("/{rest:path}", "/caf%C3%A9/a+b%2Fc", "/{rest:path}", {"rest": "café/a+b/c"}),
    ("/{a}", "/%2525", "/{a}", {"a": "%25"}),
    ("/café/{a}", "/caf%C3%A9/x", "/café/{a}", {"a": "x"}),
    # A trailing slash is significant
    ("/a /a/", "/a/", "/a/", {}),
    ("/a /a/", "/a", "/a", {}),
    ("//a", "//a", "//a", {}),
]


@pytest.mark.parametrize(("routes", "path", "route", "params"), MATCHES)
def test_a_path_leads_to_the_most_specific_route(routes: str, path: str, route: str, params: Any) -> None:
    assert found(router_of(*(f"GET {each}" for each in routes.split())), path) == (route, params)


MISSES = [
    ("/a", "/A"),
    ("/a", "/a/"),
    ("/a/", "/a"),
    ("/{a}", "/"),
    ("/{a}/b", "//b"),
    ("/{a:int}", "/x"),
    ("/{a:int}", "/7/"),
    ("/files/{rest:path}", "/files"),
    ("/a/b", "/a%2Fb"),
    ("/a", "a"),
    ("/", ""),
    ("/", "*"),
    ("/{rest:path}", "x"),
    ("/a/{rest:path}", "/a"),
    ("/a/{rest:path}", "/ab/c"),
    ("/a/{rest:path}", "a/b"),
]


@pytest.mark.parametrize(("route", "path"), MISSES)
def test_what_no_route_matches_is_404(route: str, path: str) -> None:
    assert status(router_of(f"GET {route}"), path) == (404, None)


@pytest.mark.parametrize("path", ["/%FF", "/a%00b"])
def test_a_capture_that_is_not_text_is_400(path: str) -> None:
    assert status(router_of("GET /{a}"), path) == (400, None)
    assert status(router_of("GET /{a:path}"), path) == (400, None)


# Methods


def test_405_and_options_list_the_methods_of_all_routes_that_match() -> None:
    router = router_of("GET /x", "POST /x", "PUT /{a}", "DELETE /{rest:path}", "PATCH /y")
    allow = "DELETE, GET, HEAD, OPTIONS, POST, PUT"
    assert status(router, "/x", "PATCH") == (405, allow)
    answer = found(router, "/x", "OPTIONS")
    assert isinstance(answer, Response)
    assert (answer.status, answer.body, answer.headers) == (204, b"", {"allow": allow})
    assert status(router, "/y/z/", "GET") == (405, "DELETE, OPTIONS")


def test_a_method_that_one_route_lacks_is_looked_for_in_the_others() -> None:
    router = router_of("GET /users/me", "POST /users/{id}", "PUT /{rest:path}")
    assert found(router, "/users/me", "GET") == ("/users/me", {})
    assert found(router, "/users/me", "POST") == ("/users/{id}", {"id": "me"})
    assert found(router, "/users/me", "PUT") == ("/{rest:path}", {"rest": "users/me"})


@pytest.mark.parametrize("order", [("GET", "HEAD"), ("HEAD", "GET")])
def test_head_goes_to_get_unless_it_has_a_handler_of_its_own(order: tuple[str, str]) -> None:
    assert found(router_of("GET /{a}"), "/7", "HEAD") == ("/{a}", {"a": "7"})
    router = Router()
    for method in order:
        register(router, f"{method} /x", label=method)
    assert found(router, "/x", "HEAD") == ("HEAD", {})
    assert found(router, "/x", "GET") == ("GET", {})


def test_options_may_have_a_handler_of_its_own() -> None:
    assert found(router_of("OPTIONS /x", "GET /x"), "/x", "OPTIONS") == ("/x", {})


@pytest.mark.parametrize("path", ["/nowhere", "/a/b", "/%41"])
def test_options_for_every_path_makes_no_path_exist(path: str) -> None:
    router = router_of("OPTIONS /", "OPTIONS /{rest:path}", "GET /x")
    assert status(router, path, "GET") == (404, None)
    assert status(router, "/", "POST") == (404, None)
    assert found(router, path, "OPTIONS")[0] == "/{rest:path}"
    assert status(router, "/x", "POST") == (405, "GET, HEAD, OPTIONS")


def test_options_on_what_is_not_there_is_404() -> None:
    assert status(router_of("GET /x"), "/y", "OPTIONS") == (404, None)


def test_options_for_the_whole_server_lists_every_method(parser_class: Any) -> None:
    ask = b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
    router = router_of("GET /x", "PURGE /y/{z}")
    ((code, fields, _),) = parse_answers(exchange(router, ask, parser_class=parser_class))
    assert (code, fields["allow"]) == (204, "GET, HEAD, OPTIONS, PURGE")
    ((code, fields, _),) = parse_answers(exchange(Router(), ask, parser_class=parser_class))
    assert (code, fields["allow"]) == (204, "OPTIONS")


WIRED = [
    ("/~user", "/%7Euser", "/~user"),
    ("/~user", "/%7euser", "/~user"),
    ("/{a}", "/%61%2fb", "/a%2Fb"),
    ("/a%2fb", "/a%2Fb", "/a%2Fb"),
    ("/café", "/caf%c3%a9", "/caf%C3%A9"),
]


@pytest.mark.parametrize(("route", "target", "path"), WIRED)
def test_a_hook_sees_the_one_form_of_the_path_that_was_matched(
    parser_class: Any, route: str, target: str, path: str
) -> None:
    router = Router()
    seen = []
    router.before(lambda req: seen.append(req.path))
    router.get(route)(lambda req: req.params)
    request = f"GET {target}?q=%7E HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    ((code, _, _),) = parse_answers(exchange(router, request, parser_class=parser_class))
    assert (code, seen) == (200, [path])


# Cost

PATHS = ["/items/00003", "/users/7/posts", "/static/a/b", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
def test_ten_thousand_routes_match_in_as_many_steps_as_ten(path: str) -> None:
    few, many = (count_calls(outcome, dispatch_of(size).handle, Request(path=path)) for size in (10, 10_000))
    assert many == few < 40


@cache
def dispatch_of(size: int) -> Dispatch:
    router = router_of("GET /users/{id:int}/posts", "GET /static/{rest:path}")
    for number in range(size // 2):
        register(router, f"GET /items/{number:05}")
        register(router, f"GET /users/{{id}}/{number:05}")
    return Dispatch(router)


def outcome(call: Callable[..., Any], *arguments: Any) -> None:
    try:
        call(*arguments).close()
    except Fail:
        pass


def test_a_path_that_is_no_string_names_no_handler_and_does_no_harm() -> None:
    dispatch = Dispatch(router_of("GET /x"))
    request = Request()
    request.path = b"/x"  # type: ignore[assignment]
    with pytest.raises(TypeError):
        dispatch.handle(request)


@pytest.mark.parametrize("seed", range(50))
def test_what_is_found_by_its_place_is_what_the_search_finds(seed: int) -> None:
    dice = random.Random(seed)
    router = Router()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some come twice
        for number in range(20):
            parts = [
                dice.choice(("a", "b", f"{{s{place}}}", f"{{n{place}:int}}", f"{{f{place}:float}}"))
                for place in range(dice.randint(1, 3))
            ]
            if dice.random() < 0.2:
                parts.append(f"{{rest{number}:path}}")
            register(router, f"{dice.choice(('GET', 'GET', 'POST'))} /{'/'.join(parts)}")
        dispatch = Dispatch(router)
    found = 0
    for _ in range(200):
        parts = [dice.choice(("a", "b", "c", "7", "1.5", "%2F", "{}", "")) for _ in range(dice.randint(1, 4))]
        request = Request(path="/" + "/".join(parts))
        searched = Request(path=request.path)
        try:
            target = core.Dispatch.find(dispatch, searched)
        except Fail:
            with pytest.raises(Fail):
                dispatch.handle(request)
            continue
        found += 1
        assert run(dispatch.handle(request)) == (target.route.path, searched.params)
    assert found
