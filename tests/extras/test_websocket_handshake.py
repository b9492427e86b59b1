"""WebSocket: the way in (RFC 6455 §4), and what it needs to be there."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Fail, Request, Response, Router, sleep
from kissapi.core import BUSY
from kissapi.extras.websocket.session import Session
from tests.extras.websocket_client import Client, echo_router
from tests.frames import TEXT, Frame, close, closing, frame, handshake, parse
from tests.places import ROOT
from tests.wire import Wire, parse_answers, split

if TYPE_CHECKING:
    from kissapi.extras.websocket import WebSocket


def answer(router: Router, data: bytes, **options: Any) -> tuple[int, dict[str, str], bytes]:
    (found,) = parse_answers(Wire(router, **options).send(data).received)
    return found


def test_the_handshake_is_that_of_the_rfc(parser_class: Any) -> None:
    client = Client(echo_router(), parser_class=parser_class)
    assert client.fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # its §1.3
    assert client.fields["connection"] == "Upgrade"
    assert client.fields["upgrade"] == "websocket"
    assert "sec-websocket-extensions" not in client.fields
    assert "sec-websocket-protocol" not in client.fields
    assert client.wire.connection.state is BUSY
    assert any("GET /ws → 101" in line for line in client.wire.lines)


@pytest.mark.parametrize("before", [False, True], ids=["at once", "after a hook that waits"])
def test_frames_may_come_with_the_handshake(parser_class: Any, before: bool) -> None:
    router = echo_router()
    if before:

        @router.before
        async def wait(req: Request) -> None:
            await sleep(1)

    for chunks in split(handshake(Connection="keep-alive, Upgrade") + frame(TEXT, b"hello") + close()):
        wire = Wire(router, parser_class).send(*chunks).wait(2)
        frames = parse(wire.received.partition(b"\r\n\r\n")[2])
        assert closing(frames) == (1000, "")


def test_close_in_the_connection_field_is_not_about_frames() -> None:
    wire = Wire(echo_router()).send(handshake(Connection="close, Upgrade") + frame(TEXT, b"hello"))
    assert parse(wire.received.partition(b"\r\n\r\n")[2]) == [Frame(TEXT, b"hello")]


REFUSED = [
    pytest.param(b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", 426, id="plain GET"),
    pytest.param(b"HEAD /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 426, id="HEAD"),
    pytest.param(handshake(Connection="keep-alive"), 426, id="no upgrade option"),
    pytest.param(handshake(Upgrade="h2c"), 426, id="another protocol"),
    pytest.param(handshake().replace(b"HTTP/1.1", b"HTTP/1.0"), 426, id="HTTP/1.0"),
    pytest.param(handshake(Sec_WebSocket_Version="8"), 426, id="old version"),
    pytest.param(handshake(Sec_WebSocket_Version=None), 426, id="no version"),
    pytest.param(handshake(Sec_WebSocket_Key=None), 400, id="no key"),
    pytest.param(handshake(Sec_WebSocket_Key="c2hvcnQ="), 400, id="short key"),
    pytest.param(handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ"), 400, id="unpadded key"),
    pytest.param(handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j\xff"), 400, id="no base64"),
    pytest.param(handshake("/ws", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, id="two keys"),
    pytest.param(handshake(Origin="http://b"), 403, id="another page's"),
]


@pytest.mark.parametrize(("data", "status"), REFUSED)
def test_what_is_no_handshake_is_refused_in_http(parser_class: Any, data: bytes, status: int) -> None:
    wire = Wire(echo_router(), parser_class).send(data)
    ((got, fields, _),) = parse_answers(wire.received, [data.split()[0].decode()])
    assert got == status
    assert not isinstance(wire.connection, Session)
    if status == 426:
        assert fields["upgrade"] == "websocket"
        assert fields["connection"].startswith("Upgrade, ")
        assert fields["sec-websocket-version"] == "13"


def test_other_methods_are_405_and_the_method_of_the_route_is_get() -> None:
    status, fields, _ = answer(echo_router(), b"POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    assert (status, fields["allow"]) == (405, "GET, HEAD, OPTIONS")


ORIGINS: list[tuple[Any, str | None, bytes, bool]] = [
    (None, None, b"a", True),  # no browser
    (None, "http://a", b"a", True),
    (None, "https://A", b"a", True),
    (None, "http://a:8000", b"a:8000", True),
    (None, "http://a", b"a:80", True),
    (None, "https://a:443", b"a", True),
    (None, "http://a", b"a:443", False),
    (None, "http://a:8000", b"a", False),
    (None, "http://a.b", b"a", False),
    (None, "http://b", b"a", False),
    (None, "null", b"a", False),
    (None, "a", b"a", False),
    (None, "", b"a", False),
    ("*", "http://b", b"a", True),
    (["http://b", "https://c:444"], "http://b", b"a", True),
    (["http://b", "https://c:444"], "HTTP://B:80", b"a", True),
    (["http://B:80"], "http://b", b"a", True),
    (["http://b", "https://c:444"], "https://c", b"a", False),
    (["http://b"], "http://a", b"a", False),
    (["http://b"], None, b"a", True),
    (["null"], "null", b"a", True),
    ([], "http://a", b"a", False),
]


@pytest.mark.parametrize(("origins", "origin", "host", "allowed"), ORIGINS)
def test_pages_of_which_origins_may_connect(
    origins: Any, origin: str | None, host: bytes, allowed: bool
) -> None:
    wire = Wire(echo_router(origins=origins)).send(handshake(Host=host.decode(), Origin=origin))
    assert wire.received.startswith(b"HTTP/1.1 101 " if allowed else b"HTTP/1.1 403 ")
    if not allowed:
        assert b"origins=[" in wire.received


def test_an_origin_that_is_no_text_is_refused_and_nothing_worse() -> None:
    data = handshake(Origin="http://?").replace(b"?", b"\xff\xfe")
    assert answer(echo_router(), data)[0] == 403


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [("a, b", "b"), ("c,b , a", "b"), ("a", "a"), ("x", None), ("", None), (None, None)],
)
def test_the_first_subprotocol_that_both_know(offered: str | None, agreed: str | None) -> None:
    router = Router()

    @router.websocket("/ws", subprotocols=["b", "a"])
    async def tell(ws: WebSocket) -> None:
        await ws.send(f"{ws.subprotocol}")

    fields = [] if offered is None else [f"Sec-WebSocket-Protocol: {offered}"]
    client = Client(router, *fields)
    assert client.fields.get("sec-websocket-protocol") == agreed
    assert client.frames[0] == Frame(TEXT, str(agreed).encode())


def test_hooks_and_the_request() -> None:
    router = Router()

    @router.before
    async def who(req: Request) -> None:
        if "token" not in req.query:
            raise Fail(401, "who are you?")
        req.state.user = req.query["token"]

    @router.after
    async def mark(req: Request, result: Response) -> None:
        result.headers["x-after"] = str(result.status)

    @router.websocket("/{room}")
    async def greet(ws: WebSocket) -> None:
        await ws.send(f"{ws.request.state.user} in {ws.request.params['room']}, {ws!r}")

    assert answer(router, handshake("/ws"))[0] == 401
    wire = Wire(router).send(handshake("/red?token=ann"))
    head, _, rest = wire.received.partition(b"\r\n\r\n")
    assert b"X-After: 101" in head
    assert parse(rest)[0].payload == b"ann in red, <WebSocket /red open>"


def test_a_server_that_stops_refuses_handshakes() -> None:
    router = echo_router()

    @router.before
    async def wait(req: Request) -> None:
        await sleep(0.1)

    wire = Wire(router).send(handshake())
    wire.service.stop()
    wire.wait(1)
    assert wire.received.startswith(b"HTTP/1.1 503 ")


WRONG: list[tuple[type[Exception], str, dict[str, Any]]] = [
    (ValueError, "origins is a list", {"origins": "https://example.org"}),
    (ValueError, "an origin is", {"origins": ["https://example.org/"]}),
    (ValueError, "an origin is", {"origins": ["https://*.example.org"]}),
    (ValueError, "an origin is", {"origins": ["example.org"]}),
    (ValueError, "an origin is", {"origins": [None]}),
    (ValueError, "subprotocols is a list", {"subprotocols": "chat"}),
    (ValueError, "subprotocols is a list", {"subprotocols": ["a b"]}),
    (ValueError, "max_message must be", {"max_message": 0}),
    (ValueError, "max_message must be", {"max_message": 1.5}),
    (ValueError, "max_message must be", {"max_message": True}),
    (ValueError, "ping_interval is", {"ping_interval": 0}),
    (ValueError, "ping_interval is", {"ping_interval": float("nan")}),
    (ValueError, "ping_timeout is", {"ping_timeout": None}),
]


@pytest.mark.parametrize(("error", "text", "settings"), WRONG)
def test_a_wrong_setting_is_told_where_it_stands(
    error: type[Exception], text: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(error, match=text):
        Router().websocket("/ws", **settings)


def test_a_wrong_path_is_told_where_it_stands() -> None:
    with pytest.raises(ValueError, match="ws"):
        Router().websocket("ws")


def test_a_handler_is_an_async_def() -> None:
    for wrong in (print, lambda ws: None, None):
        with pytest.raises(TypeError, match="is an `async def`"):
            Router().websocket("/ws")(wrong)  # type: ignore[type-var]


def test_no_asyncio_is_imported_for_it() -> None:
    program = (
        "import sys, kissapi.backends.selectors, kissapi.extras.websocket\n"
        "print(*(name for name in ('asyncio', 'ssl', 'http') if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
