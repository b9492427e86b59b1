"""Router: what is registered is found; what is registered wrongly is refused where it stands, with advice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kissapi import Request, Router
from kissapi.routing.dispatch import Dispatch
from tests.calls import count_calls


async def handler(req: Request) -> None:
    pass


def other(req: Request) -> None:
    pass


def listed(router: Router) -> list[str]:
    return [f"{route.method} {route.path}" for route in router.routes()]


@pytest.mark.parametrize("method", "get post put patch delete head options".split())
def test_each_method_has_a_decorator_which_gives_back_the_handler(method: str) -> None:
    router = Router()
    assert getattr(router, method)("/x")(handler) is handler
    assert listed(router) == [f"{method.upper()} /x"]


def test_several_methods_on_one_path() -> None:
    router = Router()
    router.get("/submit")(handler)
    router.post("/submit")(other)
    assert [route.handler for route in router.routes()] == [handler, other]


def test_route_takes_any_methods_in_any_case_from_any_iterable() -> None:
    router = Router()
    decorator = router.route("/x", methods=(name for name in ("get", "PURGE", "m-search")))
    decorator(handler)
    assert listed(router) == ["GET /x", "PURGE /x", "M-SEARCH /x"]


def test_a_route_knows_its_router_its_handler_and_its_whole_path() -> None:
    root, api, users = Router(), Router(), Router()
    root["/api"] = api
    api.mount("/users/{id:int}", users)
    users.get("/posts/{post}")(handler)
    (route,) = root.routes()
    assert (route.path, route.handler) == ("/api/users/{id:int}/posts/{post}", handler)
    assert route.router is users
    assert route.chain == (root, api, users)


def test_repr_counts_what_was_registered() -> None:
    router = Router()
    router.get("/")(handler)
    router["/sub"] = Router()
    assert repr(router) == "<Router with 2 entries>"


PREFIXES = ["/api", "api", "/api/", "//api//"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_slashes_round_a_prefix_do_not_matter(prefix: str) -> None:
    root, sub = Router(), Router()
    root[prefix] = sub
    sub.get("/x")(handler)
    assert listed(root) == ["GET /api/x"]


@pytest.mark.parametrize("prefix", ["", "/"])
def test_a_router_mounted_at_the_root_adds_nothing_to_its_paths(prefix: str) -> None:
    root, sub = Router(), Router()
    root[prefix] = sub
    sub.get("/")(handler)
    sub.get("/x")(handler)
    assert listed(root) == ["GET /", "GET /x"]


def test_routes_registered_after_mounting_are_served() -> None:
    root, sub = Router(), Router()
    root["/api"] = sub
    sub.get("/")(handler)
    assert listed(root) == ["GET /api/", "GET /api"]


def test_a_router_may_be_mounted_in_several_places() -> None:
    root, sub = Router(), Router()
    sub.get("/x")(handler)
    root["/a"] = sub
    root["/b"] = sub
    root["/b"] = sub  # said twice, meant once
    assert listed(root) == ["GET /a/x", "GET /b/x"]


# Duplicates

TWICE = [("/x", "/x"), ("/{a}", "/{b}"), ("/{a:int}/x", "/{b:int}/x"), ("/%7Ex", "/~x"), ("/{a}", "/{a:str}")]


@pytest.mark.parametrize(("first", "second"), TWICE)
def test_the_last_of_two_for_one_method_and_path_wins_with_a_warning(first: str, second: str) -> None:
    router = Router()
    router.get(first)(handler)
    with pytest.warns(UserWarning, match=r"registered twice; the last one wins") as warned:
        router.get(second)(other)
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match=r"registered twice; the last one wins") as warned:
        router.add_route("GET", second, other)
    assert warned[0].filename == __file__
    assert [route.handler for route in router.routes()] == [other]


DIFFERENT = [("/x", "/x/"), ("/{a}", "/{a:int}"), ("/{a}", "/{a:path}"), ("/x", "/X"), ("/a%2Fb", "/a/b")]


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_paths_that_differ_are_no_duplicates(first: str, second: str) -> None:
    router = Router()
    router.get(first)(handler)
    router.post(first)(handler)
    router.get(second)(handler)
    assert len(listed(router)) == 3


def test_a_route_that_a_mount_reaches_again_warns_at_start_and_the_last_wins() -> None:
    root, sub = Router(), Router()
    root.get("/api/x")(handler)
    root["/api"] = sub
    sub.get("/x")(other)
    with pytest.warns(UserWarning, match=r"GET /api/x is there twice; the last one wins"):
        dispatch = Dispatch(root)
    assert dispatch.find(Request(path="/api/x")).route.handler is other


def test_a_route_costs_as_much_to_register_after_a_thousand_others() -> None:
    router = Router()

    def register(number: int) -> None:
        router.get(f"/items/{number:05}")(handler)

    first = count_calls(register, 0)
    for number in range(1, 1000):
        register(number)
    assert count_calls(register, 1000) == first


# What is wrong is said where it stands


def mount_in_itself(router: Router) -> None:
    router["/x"] = router


def mount_in_a_circle(router: Router) -> None:
    inner, innermost = Router(), Router()
    router["/inner"] = inner
    inner["/innermost"] = innermost
    innermost["/x"] = router


WRONG: list[tuple[Callable[[Router], object], type[Exception], str]] = [
    (lambda router: router.get("x"), ValueError, '"/x"'),
    (lambda router: router.get(handler), TypeError, '@router.get("/path")'),  # type: ignore[arg-type]
    (lambda router: router.get("/")("no"), TypeError, "cannot be called"),  # type: ignore[type-var]
    (lambda router: router.get("/{id}/{id}"), ValueError, "a name of its own"),
    (lambda router: router.route("/", methods="GET"), ValueError, '["GET", "PUT"]'),
    (lambda router: router.route("/", methods=[]), ValueError, '["GET", "PUT"]'),
    (lambda router: router.route("/", methods=["G T"]), ValueError, "'G T' is no method"),
    (lambda router: router.route("/", methods=[""]), ValueError, "'' is no method"),
    (lambda router: router.route("/", methods=[1]), ValueError, "1 is no method"),  # type: ignore[list-item]
    (lambda router: router.add_route("é", "/", handler), ValueError, "is no method"),
    (lambda router: router.mount("/x", handler), TypeError, "only a Router"),  # type: ignore[arg-type]
    (lambda router: router.mount(1, Router()), TypeError, '"/api"'),  # type: ignore[arg-type]
    (lambda router: router.mount("/{x:path}", Router()), ValueError, "cannot take the rest"),
    (lambda router: router.mount("/a?b", Router()), ValueError, "no query"),
    (mount_in_itself, ValueError, "inside itself"),
    (mount_in_a_circle, ValueError, "inside itself"),
    (lambda router: router.add_hook("beside", handler), ValueError, "or \"around\", not 'beside'"),
    (lambda router: router.add_hook("around", handler), TypeError, "write `async def` with one `yield`"),
    (lambda router: router.around(None)(handler), TypeError, "write `async def` with one `yield`"),  # type: ignore[call-overload]
    (lambda router: router.add_hook("before", None), TypeError, "cannot be called"),  # type: ignore[arg-type]
    (lambda router: router.before(1), TypeError, "cannot be called"),  # type: ignore[type-var]
]


@pytest.mark.parametrize(("register", "error", "advice"), WRONG)
def test_a_wrong_registration_says_what_to_do(
    register: Callable[[Router], object], error: type[Exception], advice: str
) -> None:
    router = Router()
    with pytest.raises(error) as raised:
        register(router)
    assert type(raised.value) is error
    assert advice in str(raised.value)
    assert not listed(router)


def test_a_parameter_name_in_both_prefix_and_path_is_refused_at_start() -> None:
    root, sub = Router(), Router()
    root["/users/{id}"] = sub
    sub.get("/posts/{id}")(handler)
    with pytest.raises(ValueError, match=r"'id' is in '/users/{id}/posts/{id}' twice: give each a name"):
        Dispatch(root)


WHILE_SERVED: list[Callable[[Router], object]] = [
    lambda router: router.get("/")(handler),
    lambda router: router.add_route("GET", "/", handler),
    lambda router: router.mount("/x", Router()),
    lambda router: router.add_hook("before", handler),
    lambda router: router.before(handler),
]


@pytest.mark.parametrize("register", WHILE_SERVED)
def test_nothing_is_registered_while_a_server_runs(register: Callable[[Router], Any]) -> None:
    root, mounted = Router(), Router()
    root["/mounted"] = mounted
    root["/again"] = mounted
    root.count_servers(1)
    root.count_servers(1)  # two servers
    root.count_servers(-1)
    for router in (root, mounted):
        with pytest.raises(RuntimeError, match=r"is being served: register .* before the server starts"):
            register(router)
    root.count_servers(-1)
    for router in (root, mounted):
        register(router)
