"""Bodies: JSON as dataclasses, TypedDicts, Structs, attrs and models; errors have JSON pointers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import pytest

from kissapi import Form, Query, Request, Router
from kissapi.extras.testing import Answer, Client
from kissapi.routing.dispatch import Dispatch
from tests.wire import exchange, parse_answers

msgspec = pytest.importorskip("msgspec")
attrs = pytest.importorskip("attrs")
pydantic = pytest.importorskip("pydantic")


@dataclass
class Item:
    price: float
    name: str = ""


@dataclass
class Order:
    customer: str
    items: list[Item] = field(default_factory=list)
    notes: dict[str, Item] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.customer == "nobody":
            raise ValueError("nobody orders nothing")


class OrderDict(TypedDict):
    customer: str
    items: list[Item]


class OrderTuple(NamedTuple):
    customer: str
    items: list[Item] = []  # noqa: RUF012


class OrderStruct(msgspec.Struct, rename="camel"):
    customer: str
    items: list[Item] = []  # noqa: RUF012
    due_date: date | None = None


@attrs.define
class OrderAttrs:
    customer: str
    items: list[Item] = attrs.field(factory=list)


class ItemModel(pydantic.BaseModel):
    price: float


class OrderModel(pydantic.BaseModel):
    customer: str
    items: list[ItemModel] = []  # noqa: RUF012


@pydantic.dataclasses.dataclass
class OrderPydantic:
    customer: str
    items: list[ItemModel] = field(default_factory=list)


def posted(kind: Any, default: Any = ..., **options: Any) -> Answer:
    """The answer of a handler that takes a body of that type."""

    def handler(req: Request, order: Any) -> str:
        return repr(order)

    handler.__annotations__ = {"order": kind}
    handler.__defaults__ = None if default is ... else (default,)
    router = Router()
    router.post("/")(handler)
    return Client(router).post("/", **options)


KINDS = [Order, OrderDict, OrderStruct, OrderAttrs, OrderModel, OrderPydantic]


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_of_each_kind(kind: Any) -> None:
    answer = posted(kind, json={"customer": "ann", "items": [{"price": 2}]})
    assert answer.status == 200, answer.text
    assert "'ann'" in answer.text
    assert "price=2.0" in answer.text
    answer = posted(kind, json={"customer": "ann", "items": [{"price": 1}, {"price": 2}, {"price": "x"}]})
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    (error,) = answer.json["errors"]
    assert error["pointer"] == "#/items/2/price"
    answer = posted(kind, json={"items": [{"price": 1}]})
    (error,) = answer.json["errors"]
    assert error["pointer"] == "#/customer"


@pytest.mark.parametrize("kind", [list[Order], list[OrderModel], list[OrderStruct]])
def test_a_list_of_them(kind: Any) -> None:
    assert posted(kind, json=[{"customer": "ann"}, {"customer": "bob"}]).text.count("customer=") == 2
    (error,) = posted(kind, json=[{"customer": "ann"}, {"customer": 7}]).json["errors"]
    assert error["pointer"] == "#/1/customer"
    (error,) = posted(kind, json={"customer": 7}).json["errors"]
    assert error["pointer"] == "#"


@pytest.mark.parametrize("kind", [dict[str, Order], dict[str, OrderModel]])
def test_a_dict_of_them(kind: Any) -> None:
    assert posted(kind, json={"a": {"customer": "ann"}}).text.startswith("{'a': Order")
    answer = posted(kind, json={"a": {"customer": "ann"}, "b/c": {"customer": 7}})
    (error,) = answer.json["errors"]
    # msgspec does not say which key it was.
    assert error["pointer"] == ("#/b~1c/customer" if kind == dict[str, OrderModel] else "#")


OTHERS: list[tuple[Any, Any, str]] = [
    (dict, {"a": [1]}, "{'a': [1]}"),
    (dict[str, Any], {"a": [1]}, "{'a': [1]}"),
    (list[Any], [1, "a"], "[1, 'a']"),
    (list[list[int]], [[1]], "[[1]]"),
    (OrderTuple, ["ann"], "OrderTuple(customer='ann', items=[])"),
    (Annotated[Order, "said"], {"customer": "ann"}, "Order(customer='ann', items=[], notes={})"),
    (
        OrderStruct,
        {"customer": "ann", "dueDate": "2026-05-01"},
        "OrderStruct(customer='ann', items=[], due_date=datetime.date(2026, 5, 1))",
    ),
]


@pytest.mark.parametrize(("kind", "sent", "value"), OTHERS)
def test_other_bodies(kind: Any, sent: Any, value: str) -> None:
    answer = posted(kind, json=sent)
    assert (answer.status, answer.text) == (200, value)


ERRORS: list[tuple[Any, str, str]] = [
    ({"customer": "ann", "items": [{}]}, "#/items/0/price", "is missing"),
    (
        {"customer": "ann", "notes": {"a": {"price": "x"}}},
        "#/notes",
        "a value in it: Expected `float`, got `str`",
    ),
    ({"customer": "nobody"}, "#", "nobody orders nothing"),
    ([], "#", "Expected `object`, got `array`"),
]


@pytest.mark.parametrize(("sent", "pointer", "detail"), ERRORS)
def test_what_is_wrong_and_where(sent: Any, pointer: str, detail: str) -> None:
    assert posted(Order, json=sent).json["errors"] == [{"pointer": pointer, "detail": detail}]


def test_an_unknown_field_is_told_by_its_pointer() -> None:
    class Strict(msgspec.Struct, forbid_unknown_fields=True):
        name: str

    answer = posted(Strict, json={"name": "a", "a~/b": 1})
    assert answer.json["errors"] == [{"pointer": "#/a~0~1b", "detail": "is no field"}]


def test_pydantic_tells_all_at_once() -> None:
    answer = posted(OrderModel, json={"items": [{"price": "x"}, {}]})
    assert [each["pointer"] for each in answer.json["errors"]] == [
        "#/customer",
        "#/items/0/price",
        "#/items/1/price",
    ]


class CatModel(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int


class DogModel(pydantic.BaseModel):
    kind: Literal["dog"]


class OwnerModel(pydantic.BaseModel):
    pets: list[CatModel | DogModel] = []  # noqa: RUF012
    first: Annotated[CatModel | DogModel, pydantic.Field(discriminator="kind")] | None = None
    age: int | float | None = None
    named: dict[int, int] = {}  # noqa: RUF012


POINTERS: list[tuple[Any, Any, set[str]]] = [
    (CatModel | DogModel, {"kind": "cow"}, {"#/kind", "#/lives"}),
    (CatModel | DogModel, [], {"#"}),
    (OwnerModel, {"pets": [{"kind": "cat", "lives": "x"}]}, {"#/pets/0/lives", "#/pets/0/kind"}),
    (OwnerModel, {"pets": ["x"]}, {"#/pets/0"}),
    (OwnerModel, {"first": {"kind": "cat", "lives": "x"}}, {"#/first/lives"}),
    (OwnerModel, {"first": {"kind": "cat"}}, {"#/first/lives"}),
    (OwnerModel, {"first": {"kind": "cow"}}, {"#/first"}),
    (OwnerModel, {"age": "old"}, {"#/age"}),
    (OwnerModel, {"age": {}}, {"#/age"}),
    (OwnerModel, {"named": {"x": 1}}, {"#/named/x"}),
]


@pytest.mark.parametrize(("kind", "body", "pointers"), POINTERS)
def test_pointers_lead_into_the_body(kind: Any, body: Any, pointers: set[str]) -> None:
    errors = posted(kind, json=body).json["errors"]
    assert {each["pointer"] for each in errors} == pointers


def test_an_answer_has_a_hundred_errors_at_most() -> None:
    answer = posted(list[ItemModel], json=[{}] * 1000)
    assert len(answer.json["errors"]) == 100
    assert answer.json["detail"] == "#/0/price: Field required, and 999 more"


JSON = {"content-type": "application/json"}


def test_pydantic_counts_what_is_too_much_to_tell() -> None:
    answer = posted(list[ItemModel], body=b"[" + b"1," * 50_000 + b"1]", headers=JSON)
    assert answer.json["errors"] == [{"pointer": "#", "detail": "has 50001 mistakes, too many to list"}]


NO_JSON: list[tuple[bytes, str]] = [
    (b"{", "truncated"),
    (b"{} x", "trailing characters (byte 4)"),
    (b"\xff", ""),
    (b" ", ""),
    (b'{"a": NaN}', ""),
    (b'{"customer":' * 100_000, ""),
]


@pytest.mark.parametrize("kind", [dict, Order, OrderModel])
@pytest.mark.parametrize(("body", "why"), NO_JSON)
def test_a_body_that_is_no_json_is_400(kind: Any, body: bytes, why: str) -> None:
    answer = posted(kind, body=body, headers=JSON)
    if answer.status != 422:  # it is wrong before it is no JSON
        assert answer.status == 400
        assert answer.text.startswith("Bad Request: the body is not JSON: ")
    if kind is dict:
        assert why in answer.text


def test_a_body_that_is_not_utf8_says_so() -> None:
    assert posted(dict, body=b'{"a": "\xff"}', headers=JSON).text.endswith("is not JSON: it is not UTF-8")


def test_another_content_type_is_415_with_a_hint() -> None:
    answer = posted(Order, form={"customer": "ann"})
    assert answer.status == 415
    assert answer.text == (
        "Unsupported Media Type: the body must be application/json, "
        "not application/x-www-form-urlencoded; curl --json '{}'"
    )
    assert posted(Order, body=b"{}").status == 415
    for kind in ("Application/JSON; charset=utf-8", "application/vnd.order+json"):
        assert posted(Order, body=b'{"customer": "ann"}', headers={"content-type": kind}).status == 200


def test_no_body_at_all_is_missing_or_the_default() -> None:
    assert posted(Order).json["errors"] == [{"pointer": "#", "detail": "is missing"}]
    assert posted(Order | None, None).text == "None"
    assert posted(Order | None, None, body=b"null", headers=JSON).text == "None"
    assert posted(list[Order], []).text == "[]"


def test_wrong_scalars_and_a_wrong_body_are_told_together() -> None:
    router = Router()

    @router.post("/")
    async def add(req: Request, limit: int, order: Order, *, page: int = 1) -> None: ...

    answer = Client(router).post("/?limit=x&page=y", json={"customer": 7})
    assert [next(iter(each)) for each in answer.json["errors"]] == ["parameter", "pointer", "parameter"]


def test_both_parsers_and_bodies_in_pieces(parser_class: Any) -> None:
    router = Router()

    @router.put("/{id}")
    def put(req: Request, id: int, order: Order) -> Order:  # noqa: A002
        return order

    head = b"PUT /7 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n"
    data = head + b'{"customer": "ann"}'
    for pieces in ([data], [head, data[len(head) :]], [data[at : at + 1] for at in range(len(data))]):
        ((status, _, body),) = parse_answers(exchange(router, *pieces, parser_class=parser_class))
        assert (status, body) == (200, b'{"customer":"ann","items":[],"notes":{}}')


# Constraints

CONSTRAINTS: list[tuple[Any, str, str]] = [
    (Annotated[int, msgspec.Meta(ge=1)], "0", "Expected `int` >= 1, not 0"),
    (Annotated[int, msgspec.Meta(ge=1)] | None, "0", "Expected `int` >= 1, not 0"),
    (Annotated[str, msgspec.Meta(max_length=2)], "abc", "Expected `str` of length <= 2, not 'abc'"),
    (list[Annotated[int, msgspec.Meta(ge=1)]], "0", "Expected `int` >= 1, not [0]"),
    (Annotated[list[int], msgspec.Meta(min_length=2)], "5", "Expected `array` of length >= 2, not [5]"),
    (Annotated[int, pydantic.Field(ge=1)], "0", "Input should be greater than or equal to 1, not 0"),
    (
        Annotated[list[int], pydantic.Field(min_length=2)],
        "5",
        "List should have at least 2 items after validation, not 1",
    ),
]


@pytest.mark.parametrize(("kind", "wrong", "detail"), CONSTRAINTS)
def test_constraints_of_scalars(kind: Any, wrong: str, detail: str) -> None:
    def handler(req: Request, value: Any) -> str:
        return repr(value)

    handler.__annotations__ = {"value": kind}
    router = Router()
    router.get("/")(handler)
    paths = ["/?value="]
    if "list" not in str(kind):
        router.get("/{value}")(handler)
        paths.append("/")
    client = Client(router)
    assert client.get("/?value=1&value=1").status == 200
    for path in paths:
        answer = client.get(path + wrong)
        assert answer.status == 422
        assert answer.json["errors"] == [{"parameter": "value", "detail": detail}]


# The fields of a query and of a form


@dataclass
class Filter:
    page: int = 1
    words: list[str] = field(default_factory=list)
    exact: bool = False


class FilterModel(pydantic.BaseModel):
    page: int = 1
    words: list[str] = pydantic.Field([], alias="w")
    exact: bool = False


class FilterStruct(msgspec.Struct, rename={"words": "w"}):
    page: int = 1
    words: list[str] = []  # noqa: RUF012
    exact: bool = False


@pytest.mark.parametrize("kind", [Filter, FilterModel, FilterStruct])
def test_the_fields_of_a_query_as_one(kind: Any) -> None:
    def handler(req: Request, found: Any) -> list[Any]:
        return [found.page, found.words, found.exact]

    handler.__annotations__ = {"found": Annotated[kind, Query()]}
    router = Router()
    router.get("/")(handler)
    client = Client(router)
    words = "words" if kind is Filter else "w"
    assert client.get("/").json == [1, [], False]
    assert client.get(f"/?page=2&{words}=a&{words}=b&exact=true&other=x").json == [2, ["a", "b"], True]
    assert client.get("/?page=").json == [1, [], False]
    answer = client.get("/?page=x")
    assert (answer.status, answer.json["errors"][0]["parameter"]) == (422, "page")


def test_the_fields_of_a_form_as_one() -> None:
    router = Router()

    @router.post("/")
    async def fill(req: Request, found: Annotated[Filter, Form()], token: Annotated[str, Form()] = "") -> Any:
        return [found, token]

    @router.post("/maybe")
    async def maybe(req: Request, found: Annotated[Filter | None, Form()] = None) -> Any:
        return [found]

    client = Client(router)
    answer = client.post("/", form={"page": "3", "words": "a", "token": "t"})
    assert answer.json == [{"page": 3, "words": ["a"], "exact": False}, "t"]
    assert client.post("/", form={"page": "x"}).json["errors"] == [
        {"field": "page", "detail": "Expected `int`, got `str`"}
    ]
    assert client.post("/maybe", form={"token": "t"}).json == [None]
    assert client.post("/maybe", form={"page": "2"}).json == [{"page": 2, "words": [], "exact": False}]


# A WebSocket


def test_a_websocket_gets_its_arguments_from_the_handshake() -> None:
    router = Router()

    @router.websocket("/rooms/{room}")
    async def join(ws: Any, room: int, *, name: str = "nobody") -> None:
        await ws.send(f"{name} in {room}")

    client = Client(router)
    with client.websocket("/rooms/7?name=ann") as ws:
        assert ws.receive() == "ann in 7"
    assert [route.path for route in router.routes()] == ["/rooms/{room:int}"]
    assert client.get("/rooms/x").status == 404

    @router.websocket("/pages/{page}")
    async def watch(ws: Any, page: int, since: int) -> None: ...

    assert Client(router).get("/pages/7").status == 422


# Without a package


@pytest.mark.parametrize("kind", [Order, Annotated[Filter, Form()]])
def test_without_msgspec_a_typed_body_says_what_to_install(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "msgspec", None)
    router = Router()

    def handler(req: Request, order: Any) -> None: ...

    handler.__annotations__ = {"order": kind}
    router.post("/")(handler)
    with pytest.raises(
        ImportError, match=r"POST /: .*typed bodies need msgspec: pip install 'kissapi\[typed\]'"
    ):
        Dispatch(router)


def test_a_type_that_no_library_knows_is_a_type_error() -> None:
    router = Router()

    @dataclass
    class Wrong:
        value: Callable[[], None] | Order | Item

    def handler(req: Request, wrong: Any) -> None: ...

    handler.__annotations__ = {"wrong": Wrong}
    router.post("/")(handler)
    with pytest.raises(TypeError, match=r"POST /: .*handler \(.*test_bodies.py:\d+\): "):
        Dispatch(router)
