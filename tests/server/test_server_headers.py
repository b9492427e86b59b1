"""Server(headers=…): fields of every answer, at no cost for a request, and less than what a response says."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router, Server
from kissapi.cli.main import make_server
from kissapi.cli.options import make_parser, read
from kissapi.extras.testing import Client
from kissapi.http.server_headers import ServerHeaders
from kissapi.http.upgrade import Upgrade
from tests.calls import count_calls
from tests.serving import THREE, make, running
from tests.wire import Wire, exchange, parse_answers

FIELDS = {"X-Frame-Options": "DENY", "server": "kiss"}
ON_EVERY = {"x-frame-options": "DENY", "server": "kiss"}


class Silent:
    """A protocol to upgrade to."""

    def connection_made(self, transport: Any) -> None:
        pass

    def connection_lost(self, error: Exception | None) -> None:
        pass


router = Router()


@router.get("/text")
async def text(req: Request) -> str:
    return "text"


@router.get("/json")
async def json(req: Request) -> dict[str, int]:
    return {"a": 1}


@router.get("/nothing")
async def nothing(req: Request) -> None:
    pass


@router.get("/large")
async def large(req: Request) -> str:
    return "x" * 100_000


@router.get("/made")
async def made(req: Request) -> Response:
    return Response("made", 201, {"Location": "/text"})


@router.get("/not-modified")
async def not_modified(req: Request) -> Response:
    return Response(None, 304)


@router.get("/stream")
async def stream(req: Request) -> AsyncIterator[str]:
    yield "a"
    yield "b"


@router.get("/wrong")
async def wrong(req: Request) -> None:
    raise KeyError("x")


@router.get("/later")
async def later(req: Request) -> Response:
    return Response("no", 426, {"Upgrade": "shout"})


@router.get("/up")
async def up(req: Request) -> Response:
    return Upgrade("shout", Silent())


@router.get("/own")
async def own(req: Request) -> Response:
    return Response("own", headers={"x-frame-options": "SAMEORIGIN"})


@router.get("/own-stream")
async def own_stream(req: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        yield "a"

    return Response(pieces(), headers={"X-FRAME-OPTIONS": "SAMEORIGIN"})


@router.get("/own-fail")
async def own_fail(req: Request) -> None:
    raise Fail(403, "no", {"X-Frame-Options": "SAMEORIGIN"})


@router.get("/own-up")
async def own_up(req: Request) -> Response:
    return Upgrade("shout", Silent(), {"X-Frame-Options": "SAMEORIGIN"})


def get(path: str, fields: str = "", version: str = "1.1", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/{version}\r\nHost: a\r\n{fields}\r\n".encode()


def fields_of(sent: bytes, parser_class: Any, method: str = "GET") -> tuple[int, dict[str, str]]:
    wire = Wire(router, parser_class, headers=ServerHeaders(FIELDS)).send(sent)
    wire.wait(120)
    status, fields, _ = parse_answers(wire.received, [method])[0]
    return status, fields


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (200, get("/text")),
        (200, get("/text", "Connection: close\r\n")),
        (200, get("/text", "Connection: keep-alive\r\n", "1.0")),
        (200, get("/text", version="1.0")),
        (200, get("/json")),
        (204, get("/nothing")),
        (200, get("/large")),
        (201, get("/made")),
        (304, get("/not-modified")),
        (200, get("/stream")),
        (200, get("/stream", version="1.0")),
        (500, get("/wrong")),
        (426, get("/later")),
        (404, get("/missing")),
        (405, get("/text", method="DELETE")),
        (204, get("/text", method="OPTIONS")),
        (400, b"GET /text HTTP/1.1\r\n\r\n"),
        (400, b"nonsense\r\n\r\n"),
        (414, get("/" + "x" * 9000)),
        (408, b"GET /text HTTP/1.1\r\nHo"),
        (408, get("/text", "Content-Length: 5\r\n", method="POST") + b"abc"),
        (413, get("/text", "Content-Length: 99999999999\r\n", method="POST")),
    ],
)
def test_every_answer_has_them(status: int, sent: bytes, parser_class: Any) -> None:
    found, fields = fields_of(sent, parser_class)
    assert found == status
    assert ON_EVERY.items() <= fields.items()


def test_the_answer_to_head_has_them(parser_class: Any) -> None:
    for path in ("/text", "/stream", "/missing"):
        _, fields = fields_of(get(path, method="HEAD"), parser_class, "HEAD")
        assert ON_EVERY.items() <= fields.items()


def test_the_answer_that_hands_the_connection_over_has_them(parser_class: Any) -> None:
    head = Wire(router, parser_class, headers=ServerHeaders(FIELDS)).send(get("/up")).received
    ((status, fields, _),) = parse_answers(head, ["HEAD"])
    assert status == 101
    assert (fields["connection"], fields["upgrade"]) == ("Upgrade", "shout")
    assert ON_EVERY.items() <= fields.items()


def test_the_handshake_of_a_websocket_has_them() -> None:
    chat = Router()

    @chat.websocket("/ws")
    async def talk(ws: Any) -> None:
        pass

    handshake = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    head = Wire(chat, headers=ServerHeaders(FIELDS)).send(get("/ws", handshake)).received
    ((status, fields, _),) = parse_answers(head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", ["HEAD"])
    assert status == 101
    assert ON_EVERY.items() <= fields.items()


@pytest.mark.parametrize("path", ["/own", "/own-stream", "/own-fail", "/own-up"])
def test_what_a_response_says_itself_takes_the_place(path: str, parser_class: Any) -> None:
    head = Wire(router, parser_class, headers=ServerHeaders(FIELDS)).send(get(path)).received
    lines = head.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert [line for line in lines if line.startswith(b"X-Frame")] == [b"X-Frame-Options: SAMEORIGIN"]
    assert b"Server: kiss" in lines
    assert fields_of(get("/text"), parser_class)[1]["x-frame-options"] == "DENY"


def test_a_name_may_come_more_than_once() -> None:
    headers = ServerHeaders([("Link", "</ab>; rel=preload"), ("Link", "</a>"), ("X-A", "1")])
    wire = Wire(router, headers=headers).send(get("/text"))
    assert wire.received.count(b"\r\nLink: ") == 2

    linked = Router()

    @linked.get("/")
    async def one(req: Request) -> Response:
        return Response("x", headers={"link": "</own>"})

    head = Wire(linked, headers=headers).send(get("/")).received
    assert [line for line in head.split(b"\r\n") if b"Link" in line] == [b"Link: </own>"]
    assert b"\r\nX-A: 1\r\n" in head


@pytest.mark.parametrize(
    "name",
    ["Connection", "content-length", "Transfer-Encoding", "DATE", "Content-Type", "Upgrade", "Trailer"],
)
def test_what_the_server_sets_itself_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"the server sets {name.title()} itself"):
        Server(headers={name: "1"})


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"a b": "1"}, "no header name"),
        ({"X-A": "1\r\nX-B: 2"}, "may not contain control characters"),
        ({"X-A": 1}, "must be a str"),
    ],
)
def test_what_cannot_be_sent_is_refused_when_the_server_is_made(headers: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Server(headers=headers)


@pytest.mark.parametrize("headers", ["X-A: 1", b"X-A: 1", ["X-A: 1"], 5, [("X-A", "1", "2")]])
def test_what_is_no_mapping_and_no_pairs_says_what_is(headers: Any) -> None:
    with pytest.raises(
        TypeError, match=r'headers must be names and their values: \{"X-Frame-Options": "DENY"\}'
    ):
        Server(headers=headers)


@pytest.mark.parametrize("several", [1, 2])
@pytest.mark.parametrize("loop", THREE)
def test_each_loop_sends_them(loop: str, several: int) -> None:
    with running(make(loop, router, headers=FIELDS, loops=several)) as server:
        for path in ("/text", "/stream", "/missing"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
                client.sendall(get(path, "Connection: close\r\n"))
                received = b"".join(iter(lambda: client.recv(1 << 16), b""))  # called here
            ((_, fields, _),) = parse_answers(received)
            assert ON_EVERY.items() <= fields.items()


def test_the_test_client_gets_them() -> None:
    with Client(Server(router=router, headers=FIELDS)) as client:
        assert client.get("/text").headers["server"] == "kiss"


def test_they_cost_a_request_no_call() -> None:
    def cost(headers: ServerHeaders | None) -> int:
        wire = Wire(router, headers=headers)
        wire.send(get("/text"))  # the first makes the parser
        return count_calls(wire.connection.data_received, get("/text"))

    assert cost(ServerHeaders(FIELDS)) == cost(None)


def test_a_parser_that_encodes_does_not_send_them() -> None:
    class Echo:
        finished = False

        def __init__(self, request: Any) -> None:
            self.request = request

        def feed_data(self, data: bytes) -> None:
            self.request.path = data.decode().strip()
            self.finished = True

        def encode(self, response: Response) -> bytes:
            assert isinstance(response.body, bytes)
            return response.body

    assert exchange(router, b"/text\n", parser_class=Echo) == b"text"
    assert Wire(router, Echo, headers=ServerHeaders(FIELDS)).send(b"/text\n").received == b"text"


def test_the_command_line_has_them(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def given(*words: str, **environ: str) -> Any:
        return read(make_parser(), ["shop:router", *words], environ).get("headers")

    assert given("--header", "X-A: 1", "--header=X-B:2:3") == [("X-A", "1"), ("X-B", "2:3")]
    assert given(KISSAPI_HEADER="X-A: 1\nX-B: 2") == [("X-A", "1"), ("X-B", "2")]
    assert given(KISSAPI_HEADER="\nX-A: 1\r\n\r\nX-B: a\x85b\n") == [("X-A", "1"), ("X-B", "a\x85b")]
    (tmp_path / "headed.py").write_text(
        "from kissapi import Server\nserver = Server(headers={'X-A': '0', 'X-B': '0'})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    server = make_server("headed:server", {"headers": [("X-A", "1")]})
    assert server.settings.headers.lines == b"\r\nX-A: 1"


def test_a_header_without_a_colon_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words, environ in ((["--header", "X-A"], {}), ([], {"KISSAPI_HEADER": "X-A"})):
        with pytest.raises(SystemExit):
            read(make_parser(), ["shop:router", *words], environ)
        assert "a header is a name and a value, 'Name: value', not 'X-A'" in capsys.readouterr().err
