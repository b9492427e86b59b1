"""The document: which routes it has, under which paths and names, and that it is OpenAPI 3.1."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any

import pytest

from kissapi import Request, Response, Router
from kissapi.extras.auth import api_key, basic, bearer
from kissapi.extras.openapi import document_of, openapi
from kissapi.routing.markers import Cookie, File, Form, Header, Query


@dataclass
class Line:
    sku: str
    quantity: int


@dataclass
class Order:
    """What a customer wants."""

    customer: str
    lines: list[Line]


@dataclass
class Filter:
    text: str
    size: int = 10


async def show(req: Request) -> None: ...


def document(router: Router, root: Router | None = None, **options: Any) -> dict[str, Any]:
    """The document as a client reads it; it is valid."""
    options = {"title": "Shop", "version": "1", **options}
    found: dict[str, Any] = json.loads(json.dumps(openapi(router, **options).document(root)))
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(found)
    return found


def operation(router: Router, path: str = "/", method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = document(router)["paths"][path][method]
    return found


def test_the_whole_of_a_small_app() -> None:
    router = Router()

    @router.post("/orders", tags=["orders"], responses={201: Order, 409: "it is there already"})
    async def add(req: Request, order: Order) -> Response:
        """Place an order.

        It is sent
        tomorrow.
        """
        return Response(order, 201)

    found = document(router, description="To buy things", tags={"orders": "Orders"}, servers=["/shop"])
    assert found == {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1", "description": "To buy things"},
        "servers": [{"url": "/shop"}],
        "tags": [{"name": "orders", "description": "Orders"}],
        "paths": {
            "/orders": {
                "post": {
                    "operationId": "add",
                    "tags": ["orders"],
                    "summary": "Place an order.",
                    "description": "It is sent\ntomorrow.",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
                    },
                    "responses": {
                        "201": {
                            "description": "Created",
                            "content": {
                                "application/json": {"schema": {"$ref": "#/components/schemas/Order"}}
                            },
                        },
                        "400": {"description": "Bad Request"},
                        "409": {"description": "it is there already"},
                        "415": {"description": "Unsupported Media Type"},
                        "422": {
                            "description": "Unprocessable Content",
                            "content": {
                                "application/problem+json": {
                                    "schema": {"$ref": "#/components/schemas/Problem"}
                                }
                            },
                        },
                    },
                }
            }
        },
        "components": {
            "schemas": {
                "Line": {
                    "title": "Line",
                    "type": "object",
                    "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}},
                    "required": ["sku", "quantity"],
                },
                "Order": {
                    "title": "Order",
                    "description": "What a customer wants.",
                    "type": "object",
                    "properties": {
                        "customer": {"type": "string"},
                        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
                    },
                    "required": ["customer", "lines"],
                },
                "Problem": found["components"]["schemas"]["Problem"],
            }
        },
    }


def test_an_app_without_routes_has_a_document() -> None:
    assert document(Router()) == {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "paths": {},
    }


def test_mounted_routes_have_their_prefix_and_its_parameters_and_each_path_stands_once() -> None:
    users, api, root = Router(), Router(), Router()
    users.get("/")(show)
    users.get("/{id:int}")(show)
    users.get("/me/")(show)
    api["/users"] = users
    root["/{tenant}/v{major:int}"] = api
    found = document(root)["paths"]
    assert [*found] == [
        "/{tenant}/v{major}/users",
        "/{tenant}/v{major}/users/{id}",
        "/{tenant}/v{major}/users/me/",
    ]
    names = [(each["name"], each["schema"]["type"]) for each in found[[*found][1]]["get"]["parameters"]]
    assert names == [("tenant", "string"), ("major", "integer"), ("id", "integer")]


def test_the_document_is_of_one_router_with_the_paths_and_hooks_of_those_above() -> None:
    shop, api, root = Router(), Router(), Router()
    shop.get("/orders")(show)
    root.get("/elsewhere")(show)
    api["/shop"] = shop
    root["/api"] = api
    root.around(basic({"ann": "secret"}))
    found = document(shop, root)
    assert [*found["paths"]] == ["/api/shop/orders"]
    assert found["paths"]["/api/shop/orders"]["get"]["security"] == [{"basic": []}]
    assert [*document(shop)["paths"]] == ["/orders"]
    assert [*document(shop, Router())["paths"]] == ["/orders"], "it is not reached from there"


def test_what_is_left_out() -> None:
    router = Router()
    router.get("/hidden", hidden=True)(show)
    router.route("/odd", ["PROPFIND"])(show)
    router.get("/shown")(show)
    router.head("/shown")(show)
    router.options("/shown")(show)
    assert {path: [*item] for path, item in document(router)["paths"].items()} == {
        "/shown": ["get", "head", "options"]
    }


def test_a_websocket_is_left_out() -> None:
    router = Router()

    @router.websocket("/chat")
    async def chat(ws: Any) -> None: ...

    assert document(router)["paths"] == {}


def test_names_are_unique() -> None:
    one, other, root = Router(), Router(), Router()
    one.get("/{id}")(show)
    one.get("/named", name="special")(show)
    other.route("/", ["GET", "PUT"])(show)
    other.get("/made")(partial(show))
    root["/one"], root["/other"] = one, other
    found = document(root)["paths"]
    names = {
        f"{method} {path}": each["operationId"] for path in found for method, each in found[path].items()
    }
    assert names == {
        "get /one/{id}": "show_get_one_id",
        "get /one/named": "special",
        "get /other": "show_get_other",
        "put /other": "show_put_other",
        "get /other/made": "show_get_other_made",
    }


def test_of_two_kinds_of_one_parameter_the_first_stands() -> None:
    router = Router()
    router.get("/{id:int}", summary="A number")(show)
    router.get("/{id}", summary="A name")(show)
    assert operation(router, "/{id}")["summary"] == "A number"


def test_words() -> None:
    router = Router()

    class Callable:
        """Of the class, not of the handler."""

        async def __call__(self, req: Request) -> None: ...

    @router.get("/doc")
    async def doc(req: Request) -> None:
        """One line."""

    router.get("/short", summary="Short")(doc)
    router.get("/none")(show)
    router.get("/object")(Callable())
    doc.__deprecated__ = "use /short"  # type: ignore[attr-defined]
    found = document(router)["paths"]
    assert [found["/doc"]["get"].get(key) for key in ("summary", "description", "deprecated")] == [
        "One line.",
        None,
        True,
    ]
    assert (found["/short"]["get"]["summary"], found["/short"]["get"]["description"]) == (
        "Short",
        "One line.",
    )
    assert not {"summary", "description", "deprecated"} & found["/none"]["get"].keys()
    assert "summary" not in found["/object"]["get"]


def test_parameters_of_each_place() -> None:
    router = Router()

    @router.get("/{id}/{rest:path}")
    async def find(
        req: Request,
        id: int,  # noqa: A002
        q: str,
        tags: list[str] = [],  # noqa: B006
        since: str | None = None,
        size: Annotated[int, Query("page-size")] = 10,
        user_agent: Annotated[str, Header()] = "",
        theme: Annotated[str | None, Cookie()] = None,
    ) -> None: ...

    found = operation(router, "/{id}/{rest}")
    assert found["parameters"] == [
        {"name": "rest", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
        {"name": "q", "in": "query", "required": True, "schema": {"type": "string"}},
        {
            "name": "tags",
            "in": "query",
            "schema": {"type": "array", "items": {"type": "string"}, "default": []},
        },
        {"name": "since", "in": "query", "schema": {"type": "string"}},
        {"name": "page-size", "in": "query", "schema": {"type": "integer", "default": 10}},
        {"name": "user-agent", "in": "header", "schema": {"type": "string", "default": ""}},
        {"name": "theme", "in": "cookie", "schema": {"type": "string"}},
    ]
    assert [*found["responses"]] == ["204", "404", "422"]


def test_a_path_that_may_not_fit_is_another_one() -> None:
    router = Router()

    @router.get("/days/{day}")
    async def of_day(req: Request, day: date) -> None: ...

    @router.get("/texts/{name}.txt")
    async def of_text(req: Request, name: str) -> None: ...

    @router.get("/names/{name}")
    async def of_name(req: Request, name: str) -> None: ...

    found = document(router)["paths"]
    assert {path: "404" in item["get"]["responses"] for path, item in found.items()} == {
        "/days/{day}": True,
        "/texts/{name}.txt": True,
        "/names/{name}": False,
    }
    assert found["/texts/{name}.txt"]["get"]["parameters"][0]["name"] == "name"


def test_a_record_in_the_query_is_a_parameter_for_each_field() -> None:
    router = Router()

    @router.get("/")
    async def find(req: Request, wanted: Annotated[Filter, Query()]) -> None: ...

    assert operation(router)["parameters"] == [
        {"name": "text", "in": "query", "required": True, "schema": {"type": "string"}},
        {"name": "size", "in": "query", "schema": {"type": "integer", "default": 10}},
    ]


def test_forms_and_files() -> None:
    router = Router()

    @router.post("/plain")
    async def plain(
        req: Request, name: Annotated[str, Form()], age: Annotated[int | None, Form()] = None
    ) -> None: ...

    @router.post("/files")
    async def files(
        req: Request, name: Annotated[str, Form()], many: Annotated[list[bytes], File("photo")]
    ) -> None: ...

    @router.post("/record")
    async def record(req: Request, order: Annotated[Filter, Form()]) -> None: ...

    @router.post("/mixed")
    async def mixed(
        req: Request, order: Annotated[Filter, Form()], photo: Annotated[bytes, File()] = b""
    ) -> None: ...

    body = operation(router, "/plain", "post")["requestBody"]
    assert body["content"]["application/x-www-form-urlencoded"]["schema"] == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name"],
    }
    body = operation(router, "/files", "post")["requestBody"]
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    assert body["content"]["multipart/form-data"]["schema"]["properties"] == {
        "name": {"type": "string"},
        "photo": {"type": "array", "items": file},
    }
    body = operation(router, "/record", "post")["requestBody"]
    assert body["content"]["application/x-www-form-urlencoded"]["schema"]["$ref"].endswith("/Filter")
    body = operation(router, "/mixed", "post")["requestBody"]
    assert body["content"]["multipart/form-data"]["schema"]["allOf"] == [
        {"$ref": "#/components/schemas/Filter"},
        {"type": "object", "properties": {"photo": file}},
    ]


def test_security_of_hooks() -> None:
    router, root = Router(), Router()
    router.get("/both", around=[api_key({"k": "ann"})])(show)
    router.get("/one")(show)
    root["/in"] = router
    root.get("/out")(show)
    router.around(bearer({"t": "ann"}))
    found = document(root)
    assert found["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer"},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    ways = {path: item["get"].get("security") for path, item in found["paths"].items()}
    assert ways == {"/in/both": [{"bearer": [], "x-api-key": []}], "/in/one": [{"bearer": []}], "/out": None}
    assert "401" in found["paths"]["/in/one"]["get"]["responses"]
    assert "401" not in found["paths"]["/out"]["get"]["responses"]


def test_security_that_is_optional_and_schemes_that_are_alternatives() -> None:
    async def either(req: Request) -> AsyncGenerator[None, Response]:
        yield

    either.security = {"a": {"type": "http", "scheme": "basic"}, "b": {"type": "http", "scheme": "bearer"}}  # type: ignore[attr-defined]
    router = Router()
    router.get("/optional", around=[bearer({"t": "ann"}, required=False)])(show)
    router.get("/either", around=[either])(show)
    assert operation(router, "/optional")["security"] == [{"bearer": []}, {}]
    assert operation(router, "/either")["security"] == [{"a": []}, {"b": []}]


def test_the_first_document_of_an_app_is_printed_and_one_of_all_routes_without() -> None:
    root, api = Router(), Router()
    api.get("/orders")(show)
    root["/api"] = api
    assert json.loads(document_of(root, title="app:root"))["info"]["title"] == "app:root"
    api.mount("/", openapi(api, title="Orders", version="2"))
    found = json.loads(document_of(root))
    assert found["info"] == {"title": "Orders", "version": "2"}
    assert [*found["paths"]] == ["/api/orders"]


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"router": object()}, TypeError, "openapi describes a Router"),
    ({"ui": "swager"}, ValueError, "not 'swager': did you mean swagger?"),
    ({"title": 7}, TypeError, "the title of an API is a string, not 7"),
    ({"version": 1.0}, TypeError, "the version of an API is a string, not 1.0"),
    ({"servers": "/shop"}, TypeError, r"servers is a list of strings: servers=\['/shop'\]"),
    ({"tags": "a"}, TypeError, "tags is a list of strings"),
]


@pytest.mark.parametrize(("options", "error", "said"), WRONG)
def test_what_is_wrong_is_told(options: dict[str, Any], error: type[Exception], said: str) -> None:
    options = {"router": Router(), "title": "a", "version": "1", **options}
    with pytest.raises(error, match=said):
        openapi(options.pop("router"), **options)
