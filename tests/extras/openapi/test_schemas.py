"""Schemas: of types of each library, of two of one name, and of what no library can describe."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from types import ModuleType
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict
from uuid import UUID

import msgspec
import pytest

from kissapi import Fail, Request, Response, Router
from kissapi.extras.openapi.components import merge
from kissapi.extras.openapi.schemas import Schemas
from tests.extras.openapi.test_document import Line, document, operation

pydantic = pytest.importorskip("pydantic")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(NamedTuple):
    x: int
    y: int


class Movie(TypedDict):
    name: str


class Node(msgspec.Struct):
    value: int
    next: Node | None = None


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True):
    name: str


class Item(pydantic.BaseModel):  # type: ignore[misc,name-defined]
    """A thing."""

    price: Annotated[int, pydantic.Field(gt=0)]
    line: Line
    parts: list[Item] = []  # noqa: RUF012


@dataclass
class Basket:
    items: list[Item]


@dataclass
class Other:
    x: int


class Opaque:
    pass


class Span(NamedTuple):
    start: datetime
    clock: time


class Times(msgspec.Struct):
    when: datetime
    maybe: datetime | None
    many: dict[str, list[time]]
    pair: tuple[datetime, int]
    bounded: Annotated[datetime, msgspec.Meta(tz=True)]
    span: Span
    more: Times | list[Span] | None = None


Name = NewType("Name", str)


def schema(kind: Any, mode: str = "validation") -> tuple[dict[str, Any], dict[str, Any]]:
    schemas = Schemas()
    found = schemas.of(kind, mode)
    schemas.fill()
    return found, schemas.components


SIMPLE: list[tuple[Any, dict[str, Any]]] = [
    (str, {"type": "string"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (None, {"type": "null"}),
    (Any, {}),
    (UUID, {"type": "string", "format": "uuid"}),
    (Decimal, {"type": "string", "format": "decimal"}),
    (datetime, {"type": "string", "format": "date-time"}),
    (date, {"type": "string", "format": "date"}),
    (list[int], {"type": "array", "items": {"type": "integer"}}),
    (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    (Literal["a", "b"], {"enum": ["a", "b"]}),
    (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (Annotated[str, "said"], {"type": "string"}),
    (Name, {"type": "string"}),
]


@pytest.mark.parametrize(("kind", "expected"), SIMPLE)
@pytest.mark.parametrize("library", ["msgspec", "nothing"])
def test_simple(kind: Any, expected: dict[str, Any], library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if library == "nothing":
        monkeypatch.setitem(sys.modules, "msgspec.json", None)
    assert schema(kind) == (expected, {})


def test_without_a_library_enums_are_known_and_records_are_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec.json", None)
    assert schema(Colour)[0] == {"enum": ["red", "blue"]}
    assert schema(Line)[0] == {}
    assert schema(tuple[int, ...])[0] == {"type": "array", "items": {"type": "integer"}}
    assert schema(tuple[int, str])[0] == {"type": "array"}
    found, components = schema(list[Item])
    assert found == {"type": "array", "items": {"$ref": "#/components/schemas/Item"}}
    assert set(components) == {"Item", "Line"}


def test_constraints() -> None:
    assert schema(Annotated[int, msgspec.Meta(ge=1, le=5)])[0] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 5,
    }
    assert schema(Annotated[int, pydantic.Field(ge=1)])[0] == {"type": "integer", "minimum": 1}


@pytest.mark.parametrize("kind", [Colour, Point, Movie, Node, Line, Item])
def test_a_type_with_a_name_is_a_component(kind: Any) -> None:
    found, components = schema(kind)
    assert found == {"$ref": f"#/components/schemas/{kind.__name__}"}
    assert kind.__name__ in components


def test_a_type_that_has_itself_refers_to_itself() -> None:
    _, components = schema(Node)
    assert components["Node"]["properties"]["next"]["anyOf"][1] == {"type": "null"}
    assert components["Node"]["properties"]["next"]["anyOf"][0] == {"$ref": "#/components/schemas/Node"}
    assert schema(Item)[1]["Item"]["properties"]["parts"]["items"] == {"$ref": "#/components/schemas/Item"}


def test_models_of_pydantic_inside_of_others() -> None:
    found, components = schema(dict[str, Basket])
    assert found == {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Basket"}}
    assert components["Basket"]["properties"]["items"]["items"] == {"$ref": "#/components/schemas/Item"}
    assert components["Item"]["properties"]["price"]["exclusiveMinimum"] == 0


def test_times_have_their_formats_wherever_they_are() -> None:
    _, components = schema(list[Times])
    found = components["Times"]["properties"]
    when = {"type": "string", "format": "date-time"}
    clock = {"type": "string", "format": "time"}
    assert found["when"] == when
    assert found["maybe"]["anyOf"] == [when, {"type": "null"}]
    assert found["many"]["additionalProperties"]["items"] == clock
    assert found["pair"]["prefixItems"] == [when, {"type": "integer"}]
    assert found["bounded"] == when
    assert {"$ref": "#/components/schemas/Times"} in found["more"]["anyOf"]
    assert components["Span"]["prefixItems"] == [when, clock]


def test_a_model_that_differs_as_input_and_output_has_two_names() -> None:
    schemas = Schemas()
    taken, given = schemas.of(list[Item]), schemas.of(Item, "serialization")
    same = schemas.of(Line, "serialization")
    schemas.of(Line)
    schemas.fill()
    assert taken["items"] == {"$ref": "#/components/schemas/Item"}
    assert same["$ref"] == "#/components/schemas/Line"
    assert given["$ref"] in ("#/components/schemas/Item", "#/components/schemas/Item-Output")
    assert {"Item", "Line"} <= schemas.components.keys()


def test_two_types_of_one_name() -> None:
    elsewhere = ModuleType("elsewhere")
    other = type("Line", (), {"__annotations__": {"text": str}, "__module__": "elsewhere"})
    elsewhere.Line = dataclass(other)  # type: ignore[attr-defined]
    schemas = Schemas()
    found = [schemas.of(Line), schemas.of(elsewhere.Line)]
    schemas.fill()
    names = [each["$ref"].rpartition("/")[2] for each in found]
    assert len(set(names)) == 2
    assert [[*schemas.components[name]["properties"]] for name in names] == [["sku", "quantity"], ["text"]]


def test_what_refers_to_a_component_of_another_name_has_another_name_too() -> None:
    def of(kind: str) -> dict[str, Any]:
        mapping = {"mapping": {"a": "#/components/schemas/A"}, "propertyName": "kind"}
        return {
            "A": {"type": kind},
            "B": {"items": [{"$ref": "#/components/schemas/A"}]},
            "C": {"anyOf": [{"$ref": "#/components/schemas/B"}], "discriminator": mapping},
            "D": {"type": "null"},
        }

    components = of("string")
    names = merge(components, of("integer"), "Output")
    assert names == {"A": "A-Output", "B": "B-Output", "C": "C-Output"}
    assert components["B-Output"] == {"items": [{"$ref": "#/components/schemas/A-Output"}]}
    assert components["C-Output"]["discriminator"]["mapping"] == {"a": "#/components/schemas/A-Output"}
    assert components["C"] == of("string")["C"]
    assert merge(components, {"A": {"type": "null"}}, "Output") == {"A": "A-Output_"}


def test_unions() -> None:
    assert schema(Cat | Dog)[0]["discriminator"]["propertyName"] == "type"
    # msgspec cannot read these, for it could not tell them apart; as an answer they are fine.
    found, components = schema(Line | Other | None)
    assert found["anyOf"] == [
        {"$ref": "#/components/schemas/Line"},
        {"$ref": "#/components/schemas/Other"},
        {"type": "null"},
    ]
    assert set(components) == {"Line", "Other"}


def test_what_cannot_be_described_is_anything() -> None:
    assert schema(Opaque) == ({"title": "Opaque"}, {})
    assert schema(list[Opaque]) == ({"type": "array", "items": {"title": "Opaque"}}, {})


RETURNED: list[tuple[Any, dict[str, Any]]] = [
    ("", {"200": None}),  # without an annotation
    (Any, {"200": None}),
    (Response, {"200": None}),
    (None, {"204": None}),
    (str, {"200": "text/plain"}),
    (bytes | None, {"200": "text/plain", "204": None}),
    (AsyncIterator[str], {"200": "text/plain"}),
    (dict[str, int], {"200": "application/json"}),
    (Line | Fail | None, {"200": "application/json", "204": None}),
    (Line | Response, {"200": "application/json"}),
    ("NotThere", {"200": None}),
]


@pytest.mark.parametrize(("kind", "expected"), RETURNED)
def test_what_a_handler_returns(kind: Any, expected: dict[str, Any]) -> None:
    async def handler(req: Request) -> None: ...

    if kind == "":
        del handler.__annotations__["return"]
    else:
        handler.__annotations__["return"] = kind
    router = Router()
    router.get("/")(handler)
    answers = operation(router)["responses"]
    assert {status: next(iter(each.get("content", [None]))) for status, each in answers.items()} == expected


def test_what_a_route_was_registered_with() -> None:
    router = Router()
    raw = {"description": "A picture", "content": {"image/png": {}}}
    responses = {
        200: Annotated[list[Line], "all lines"],
        202: None,
        206: raw,
        404: Fail(404, "no such order"),
        409: Fail(409, {"error": "sold"}),
        410: Fail(410, None),
        418: str,
    }

    @router.get("/", responses=responses)
    async def show(req: Request) -> Response: ...

    found = document(router)["paths"]["/"]["get"]["responses"]
    assert found["200"]["description"] == "all lines"
    assert found["200"]["content"]["application/json"]["schema"]["items"]["$ref"].endswith("/Line")
    assert found["202"] == {"description": "Accepted"}
    assert found["206"] == raw
    text = {"schema": {"type": "string"}}
    assert found["404"] == {
        "description": "no such order",
        "content": {"text/plain": {**text, "example": "no such order"}},
    }
    assert found["409"] == {
        "description": "Conflict",
        "content": {"application/json": {"example": {"error": "sold"}}},
    }
    assert found["410"] == {"description": "Gone"}
    assert found["418"] == {"description": "I'm a Teapot", "content": {"text/plain": text}}


def test_a_type_that_a_handler_returns_stands_beside_those_it_was_registered_with() -> None:
    router = Router()

    @router.get("/", responses={201: Other})
    async def show(req: Request) -> Line: ...

    assert [*operation(router)["responses"]] == ["200", "201"]
