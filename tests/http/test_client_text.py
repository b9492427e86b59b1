"""Text of a client: whatever its octets are, it can be looked at and handed back: 200 or 400, never 500."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Request, Response, Router
from tests.peer import talk
from tests.serving import THREE
from tests.wire import Wire, parse_answers

if TYPE_CHECKING:
    from kissapi import Server


@pytest.fixture(params=THREE)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def router_of() -> Router:
    """What hands a client its text back in every way there is."""
    router = Router()

    def said(req: Request) -> str:
        if req.body:
            return str(req.json)
        return req.headers.get("x", "") + "".join(req.cookies.values()) + "".join(req.query.values())

    @router.route("/text", methods=["GET", "POST"])
    async def text(req: Request) -> str:
        return said(req)

    @router.route("/json", methods=["GET", "POST"])
    async def as_json(req: Request) -> Any:
        return req.json if req.body else {said(req): [said(req)]}

    @router.get("/field")
    async def field(req: Request) -> Response:
        response = Response(None, headers={"X": said(req), "Location": said(req)})
        if req.cookies:
            response.set_cookie("c", req.cookies["c"])
        return response

    @router.get("/stream")
    async def stream(req: Request) -> Any:
        yield said(req)

    @router.get("/sync")
    def sync(req: Request) -> str:
        return said(req)

    @router.get("/path/{name}")
    async def path(req: Request) -> Response:
        return Response(req.params["name"], headers={"X": req.path})

    return router


OCTETS = [
    b"caf\xe9",
    b"caf\xc3\xa9",
    b"\xff",
    b"\x80",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf5\x80",
    b"\xe9\xc3\xa9",
]
READ = ["café", "café", "ÿ", "\x80", "Ã", "í\xa0\x80", "õ\x80", "éé"]
WAYS = ["text", "json", "field", "stream", "sync"]


def lines(way: str, octets: bytes) -> list[bytes]:
    return [
        b"GET /%s HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (way.encode(), octets),
        b"GET /%s HTTP/1.1\r\nHost: a\r\nCookie: c=%s\r\n\r\n" % (way.encode(), octets),
    ]


@pytest.mark.parametrize(("octets", "text"), [*zip(OCTETS, READ, strict=True)])
def test_a_field_is_utf_8_or_by_the_octet_what_it_was_of_old(
    parser_class: Any, octets: bytes, text: str
) -> None:
    for chunks in (lines("text", octets), [bytes((octet,)) for octet in b"".join(lines("text", octets))]):
        wire = Wire(router_of(), parser_class).send(*chunks)
        assert [body.decode() for _, _, body in parse_answers(wire.received)] == [text, text]


@pytest.fixture
def server(serve: Callable[..., Server], parser_class: Any) -> Server:
    return serve(router_of(), parser_class=parser_class)


def test_octets_that_are_no_utf_8_are_handed_back(server: Server) -> None:
    asked = [line for way in WAYS for octets in OCTETS for line in lines(way, octets)]
    answers = parse_answers(talk(server.port, *asked, end=True))
    assert [status for status, _, _ in answers] == [200] * len(asked)
    for _, fields, body in answers:
        assert body.decode() or fields["x"]  # valid UTF-8, as it says
        if fields.get("content-type") == "application/json":
            json.dumps(json.loads(body), ensure_ascii=False).encode()


TARGETS = [
    (b"/path/%FF", 400),
    (b"/path/%C3", 400),
    (b"/path/%ED%A0%80", 400),
    (b"/path/\xff", 400),
    (b"/path/%C3%A9", 200),
    (b"/text?q=%FF", 400),
    (b"/json?q=%ED%A0%80", 400),
    (b"/field?%FF=1", 400),
    (b"/text?q=\xff", 400),
    (b"/json?q=%C3%A9", 200),
]


@pytest.mark.parametrize(("target", "status"), TARGETS)
def test_a_target_that_is_no_utf_8_is_refused(server: Server, target: bytes, status: int) -> None:
    received = talk(server.port, b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target, end=True)
    assert [found for found, _, _ in parse_answers(received)] == [status]


BODIES = [
    (b"1e999", 400),
    (b"-1e400", 400),
    (b"[1e309]", 400),
    (b"[1e308]", 200),
    (b'["\\ud800"]', 400),
    (b'["\\ud83d\\ude00"]', 200),
    (b"[" * 985 + b"]" * 985, 400),  # could be read, on CPython 3.11, and not be written
    (b"[" * 256 + b"]" * 256, 200),
    (b"1" * 5000, 400),
    (b"NaN", 400),
    (b"\xff", 400),
]


@pytest.mark.parametrize(("body", "status"), BODIES, ids=lambda each: repr(each)[:20])
def test_a_body_is_refused_or_handed_back(server: Server, body: bytes, status: int) -> None:
    head = b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    asked = [head % (way, len(body)) + body for way in (b"text", b"json")]
    assert [found for found, _, _ in parse_answers(talk(server.port, *asked, end=True))] == [status, status]


def test_what_an_app_makes_of_its_own_is_its_own_mistake(parser_class: Any) -> None:
    router = Router()
    router.get("/")(lambda req: "\ud800")
    wire = Wire(router, parser_class).send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").wait(1)
    assert parse_answers(wire.received)[0][0] == 500
