"""Server(json=…): the library that reads and writes JSON, on every loop and with both parsers."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from kissapi import Request, Response, Router, Server
from kissapi.extras.sse import Event, sse
from kissapi.extras.testing import Client
from kissapi.http.json_library import JsonLibrary
from tests import peer
from tests.serving import THREE, make, running


@dataclass
class Item:
    name: str


class Model:
    """As pydantic's: no library but ours knows it."""

    def model_dump(self, mode: str, by_alias: bool) -> Any:
        return {"model": mode}


class Marked:
    """A library that leaves a mark on what it writes, and on what it reads."""

    @staticmethod
    def dumps(value: Any, default: Any = None) -> str:
        return json.dumps(value, default=default) + " "

    @staticmethod
    def loads(data: bytes) -> Any:
        return json.loads(data)


router = Router()


@router.get("/dict")
async def a_dict(req: Request) -> Any:
    return {"a": 1}


@router.get("/large")
async def large(req: Request) -> Any:
    return ["x" * 100_000]


@router.get("/item")
async def item(req: Request) -> Any:
    return Item("pear")


@router.get("/model")
async def model(req: Request) -> Any:
    return [Model()]


@router.get("/response")
async def response(req: Request) -> Any:
    return Response({"a": 1}, 201)


@router.get("/thread")
def thread(req: Request) -> Any:
    return Response({"a": 1})


@router.get("/events")
async def events(req: Request) -> Any:
    def pieces() -> Iterator[Event]:
        yield Event({"a": 1})

    return sse(pieces())


@router.post("/echo")
async def echo(req: Request) -> Any:
    return req.json


@router.get("/bad")
async def bad(req: Request) -> Any:
    return {"a": [1j]}


MARKED = ["/dict", "/item", "/model", "/response", "/thread", "/large"]


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
def test_every_answer_is_its_work(backend: str, parser_class: Any) -> None:
    server = Server(router=router, json=Marked, backend=backend, parser_class=parser_class)

    @server.on_start
    async def start() -> None: ...

    with Client(server) as client, Client(router, backend) as other:
        for path in MARKED:
            assert client.get(path).body.endswith(b" "), path
            assert not other.get(path).body.endswith(b" "), path
        assert client.head("/dict").headers["content-length"] == "9"
        assert client.post("/echo", body=b'{"a":1}').body == b'{"a": 1} '
        assert client.get("/events").text == 'data: {"a": 1} \n\n'
        answer = client.post("/echo", body=b"{")
        assert (answer.status, answer.text[:37]) == (400, "Bad Request: the body is not JSON: Ex")
        assert client.post("/echo", body=b" ").text == "Bad Request: the body is not JSON: it is empty"
        assert client.get("/bad").status == 500
        assert 'result["a"][0]: complex is not JSON serializable' in "\n".join(client.log)


@pytest.mark.parametrize("loop", THREE)
def test_on_a_real_loop(loop: str) -> None:
    with running(make(loop, router, json=Marked)) as server:
        for path in MARKED:
            status, body = peer.get(server.port, path)
            assert status in (200, 201)
            assert body.endswith(b" "), path


@pytest.mark.parametrize("name", ["msgspec.json", "orjson", "json"])
def test_libraries_of_the_field(name: str) -> None:
    pytest.importorskip(name)
    client = Client(Server(router=router, json=sys.modules[name]))
    assert client.get("/model").json == [{"model": "json"}]
    assert client.get("/item").json == {"name": "pear"}
    assert client.post("/echo", json={"a": ["é"]}).json == {"a": ["é"]}
    for body in (b"", b"{", b"\xff", b"[" * 2000 + b"]" * 2000):
        answer = client.post("/echo", body=body)
        assert (answer.status, answer.text[:33]) == (400, "Bad Request: the body is not JSON")
    answer = client.post("/echo", body=b"[]")
    assert (answer.status, answer.text) == (200, "[]")
    assert client.get("/bad").status == 500
    assert 'result["a"][0]: complex is not JSON serializable' in "\n".join(client.log)


def test_an_object_without_a_hook_does() -> None:
    class Plain:
        def encode(self, value: Any) -> bytes:
            return json.dumps(value).encode()

        def decode(self, data: bytes) -> Any:
            return json.loads(data)

    client = Client(Server(router=router, json=Plain()))
    assert client.get("/dict").body == b'{"a": 1}'
    assert client.get("/item").status == 500
    assert "result.name" not in "\n".join(client.log)


WRONG: list[tuple[Any, str]] = [
    (3, "must have dumps and loads, or encode and decode"),
    ("orjson", "must have dumps and loads, or encode and decode"),
    (json.dumps, "must have dumps and loads"),
    (json.JSONEncoder(), "must have dumps and loads"),
    (ModuleType("empty"), "must have dumps and loads"),
    (codecs, "cannot write"),
    (
        type("Numbers", (), {"dumps": lambda self, value: 7, "loads": lambda self, data: data})(),
        "str or bytes",
    ),
    (type("Other", (), {"dumps": lambda self, value: b"", "loads": lambda self, data: 1})(), "another value"),
]


@pytest.mark.parametrize(("given", "says"), WRONG)
def test_what_is_no_library_is_said_at_once(given: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        Server(router=router, json=given)


def test_it_is_a_setting() -> None:
    server = Server(router=router, json=Marked)
    settings = server.settings.replace(port=8001)
    assert isinstance(settings.json, JsonLibrary)
    assert settings.json.given is Marked
    assert settings.replace(json=None).json is None
