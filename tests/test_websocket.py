"""WebSocket: the way in, each frame that RFC 6455 allows or forbids, flow both ways, deadlines, every end.

The cases of framing, UTF-8, fragments and close codes are those of the Autobahn test suite, as bytes; here
they also come byte by byte.
"""

from __future__ import annotations

import gc
import itertools
import math
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wsproto", reason="wsproto is not installed: pip install 'kissapi[websocket]'")

from kissapi import Fail, Request, Response, Router, sleep
from kissapi.core import BUSY, CLOSED
from kissapi.extras.websocket import Closed, WebSocket, broadcast
from kissapi.extras.websocket_inbox import ENOUGH, MANY
from kissapi.extras.websocket_session import TURN, Session
from tests.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    close,
    closing,
    frame,
    handshake,
    parse,
)
from tests.wire import Wire, parse_answers, split

ROOT = Path(__file__).parent.parent
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


def echo_router(**settings: Any) -> Router:
    router = Router()

    @router.websocket("/ws", **settings)
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    return router


class Client:
    """The client's end of a WebSocket over a `Wire`; its handshake has succeeded."""

    def __init__(self, router: Router, *fields: str, parser_class: Any = None, **options: Any) -> None:
        if parser_class is not None:
            options["parser_class"] = parser_class
        self.wire = Wire(router, **options).send(handshake("/ws", *fields))
        head, end, _ = self.wire.received.partition(b"\r\n\r\n")
        assert end
        self.head = len(head + end)
        ((status, self.fields, _),) = parse_answers(head + end, ["HEAD"])
        assert status == 101, self.wire.received

    @property
    def frames(self) -> list[Frame]:
        return parse(self.wire.received[self.head :])

    def send(self, *chunks: bytes) -> Client:
        self.wire.send(*chunks)
        return self


# The way in (RFC 6455 §4)


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
def test_whose_pages_may_connect(origins: Any, origin: str | None, host: bytes, allowed: bool) -> None:
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


def test_a_server_that_stops_lets_nobody_in() -> None:
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
    (ValueError, "max_message is", {"max_message": 0}),
    (ValueError, "max_message is", {"max_message": 1.5}),
    (ValueError, "max_message is", {"max_message": True}),
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


# Frames (RFC 6455 §5). What a client sends, and what an echo makes of it: frames, then perhaps a close.

E_ACUTE = "é".encode()
TEXT_64K = b"abc\xc3\xa9" * 13108
AGREED: dict[str, tuple[bytes, list[Frame]]] = {
    # 1: sizes, at the edges of how a length is written
    **{
        f"text of {size}": (frame(TEXT, b"*" * size), [Frame(TEXT, b"*" * size)])
        for size in (0, 1, 125, 126, 127, 128, 65535, 65536)
    },
    **{
        f"binary of {size}": (frame(BINARY, b"\xfe" * size), [Frame(BINARY, b"\xfe" * size)])
        for size in (0, 125, 126, 65535, 65536)
    },
    "a mask of zeros": (frame(TEXT, b"hello", mask=bytes(4)), [Frame(TEXT, b"hello")]),
    # 2: pings and pongs
    "ping": (frame(PING), [Frame(PONG, b"")]),
    "ping with binary": (frame(PING, b"\x00\xff\xfe"), [Frame(PONG, b"\x00\xff\xfe")]),
    "ping of 125": (frame(PING, b"\xfe" * 125), [Frame(PONG, b"\xfe" * 125)]),
    "a pong nobody asked for": (frame(PONG, b"x") + frame(PING, b"y"), [Frame(PONG, b"y")]),
    "ten pings": (
        b"".join(frame(PING, b"%d" % number) for number in range(10)),
        [Frame(PONG, b"%d" % number) for number in range(10)],
    ),
    # 5: fragments
    "two fragments": (
        frame(TEXT, b"fragment1", fin=False) + frame(CONTINUATION, b"fragment2"),
        [Frame(TEXT, b"fragment1fragment2")],
    ),
    "empty fragments": (
        frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION),
        [Frame(TEXT, b"")],
    ),
    "a ping between fragments": (
        frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"b"),
        [Frame(PONG, b"p"), Frame(TEXT, b"ab")],
    ),
    "pings between binary fragments": (
        frame(BINARY, b"\xff", fin=False)
        + frame(PING, b"p")
        + frame(CONTINUATION, b"\xfe", fin=False)
        + frame(PING, b"q")
        + frame(CONTINUATION, b"\xfd"),
        [Frame(PONG, b"p"), Frame(PONG, b"q"), Frame(BINARY, b"\xff\xfe\xfd")],
    ),
    # 6: UTF-8
    "text": (frame(TEXT, "κόσμε \U0001f600 ￿ 𐀀".encode()), [Frame(TEXT, "κόσμε \U0001f600 ￿ 𐀀".encode())]),
    "a code point in two fragments": (
        frame(TEXT, b"\xf0\x9f", fin=False) + frame(CONTINUATION, b"\x98\x80"),
        [Frame(TEXT, b"\xf0\x9f\x98\x80")],
    ),
    "a code point in four, with a ping": (
        frame(TEXT, b"\xf0", fin=False)
        + frame(CONTINUATION, b"\x9f", fin=False)
        + frame(PING)
        + frame(CONTINUATION, b"\x98", fin=False)
        + frame(CONTINUATION, b"\x80"),
        [Frame(PONG, b""), Frame(TEXT, b"\xf0\x9f\x98\x80")],
    ),
    "NUL and the last code point": (
        frame(TEXT, b"\x00\xf4\x8f\xbf\xbf"),
        [Frame(TEXT, b"\x00\xf4\x8f\xbf\xbf")],
    ),
    "64 KiB of text in small fragments": (
        frame(TEXT, fin=False)
        + b"".join(
            frame(CONTINUATION, TEXT_64K[start : start + 997], fin=False)
            for start in range(0, len(TEXT_64K), 997)
        )
        + frame(CONTINUATION),
        [Frame(TEXT, TEXT_64K)],
    ),
    "two messages": (frame(TEXT, b"a") + frame(BINARY, b"b"), [Frame(TEXT, b"a"), Frame(BINARY, b"b")]),
}


@pytest.mark.parametrize("case", AGREED)
def test_frames_that_are_allowed(case: str) -> None:
    data, frames = AGREED[case]
    # Byte by byte only what is small: each byte is a read.
    for chunks in split(data) if len(data) < 2000 else [[data], [data[:1000], data[1000:]]]:
        client = Client(echo_router()).send(*chunks)
        assert client.frames == frames
        assert client.wire.connection.state is BUSY


FORBIDDEN: dict[str, tuple[bytes, int]] = {
    # 3: reserved bits
    **{f"reserved bits {rsv}": (frame(TEXT, b"x", rsv=rsv), 1002) for rsv in range(1, 8)},
    "reserved bits of a ping": (frame(PING, rsv=4), 1002),
    "reserved bits of a close": (frame(CLOSE, rsv=1), 1002),
    # 4: opcodes
    **{
        f"opcode {opcode:#x}": (frame(opcode, b"x"), 1002)
        for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)
    },
    # §5.1, §5.2
    "unmasked": (frame(TEXT, b"x", mask=None), 1002),
    "length in two bytes too many": (frame(TEXT, b"x", length=b"\x7e\x00\x01"), 1002),
    "length in eight bytes too many": (frame(TEXT, b"x", length=b"\x7f" + bytes(7) + b"\x01"), 1002),
    "length of 2^63": (frame(TEXT, b"x", length=b"\x7f\x80" + bytes(7)), 1002),
    # §5.5: control frames
    "ping of 126": (frame(PING, b"x" * 126), 1002),
    "close of 126": (close(1000, b"x" * 124), 1002),
    "ping in fragments": (frame(PING, b"a", fin=False) + frame(CONTINUATION, b"b"), 1002),
    "pong in fragments": (frame(PONG, b"a", fin=False) + frame(CONTINUATION, b"b"), 1002),
    "close in fragments": (frame(CLOSE, fin=False), 1002),
    # §5.4: fragments
    "a continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "a continuation of what has ended": (frame(PING) + frame(CONTINUATION, fin=False), 1002),
    "text inside a message": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "binary inside a message": (frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"), 1002),
    # 6: UTF-8; what can no longer become valid is refused at once
    **{
        f"text {data.hex()}": (frame(TEXT, data), 1007)
        for data in (
            b"\xff",
            b"\x80",
            b"\xc0\xaf",  # overlong
            b"\xe0\x80\xaf",
            b"\xf0\x80\x80\xaf",
            b"\xed\xa0\x80",  # half of a surrogate pair
            b"\xed\xbf\xbf",
            b"\xf4\x90\x80\x80",  # beyond the last code point
            b"\xf8\x88\x80\x80\x80",
            b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
            b"\xc3",  # half a code point
            b"a\xf0\x9f\x98",
        )
    },
    "a fragment that cannot become valid": (frame(TEXT, b"\xce\xba\xf4\x90", fin=False), 1007),
    "half a code point, then another message's end": (
        frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b""),
        1007,
    ),
    # 7: close
    "close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "a reason that is no UTF-8": (close(1000, b"\xce\xba\xff"), 1007),
    "a reason of 1014 that is no UTF-8": (close(1014, b"\xce\xba\xff"), 1007),
    **{
        f"close code {code}": (close(code), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize("case", FORBIDDEN)
def test_frames_that_are_forbidden(case: str) -> None:
    data, code = FORBIDDEN[case]
    for chunks in [[data + frame(TEXT, b"behind")], *split(data)]:
        client = Client(echo_router()).send(*chunks)
        got, reason = closing(client.frames)
        assert got == code
        assert reason
        assert len(client.frames) <= 2, "but for a pong, nothing else is said"
        assert client.wire.closed, "our side is shut, so that the client ends"
        client.wire.send_eof()
        assert client.wire.connection.state is CLOSED


def test_a_frame_that_cannot_become_valid_is_refused_before_it_is_there() -> None:
    half = frame(TEXT, b"a\xff" + b"x" * 1000)[:40]
    assert closing(Client(echo_router()).send(half).frames)[0] == 1007


CLOSES: list[tuple[bytes, int | None, int, str]] = [
    (close(None), 1000, 1005, ""),
    *((close(code), code, code, "") for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009)),
    *((close(code), code, code, "") for code in (1010, 1011, 1012, 1013, 1014)),
    (close(1014, "ade ü".encode()), 1014, 1014, "ade ü"),
    *((close(code), code, code, "") for code in (3000, 3999, 4000, 4999)),
    (close(1000, "ade ü".encode()), 1000, 1000, "ade ü"),
    (close(1000, b"x" * 123), 1000, 1000, "x" * 123),
]


@pytest.mark.parametrize("fields", [[], [DEFLATE]], ids=["plain", "compressed"])
@pytest.mark.parametrize(("data", "answered", "code", "reason"), CLOSES)
def test_a_close_is_answered_and_known(
    data: bytes, answered: int, code: int, reason: str, fields: list[str]
) -> None:
    ended: list[tuple[int | None, str]] = []
    router = Router()

    @router.websocket("/ws")
    async def listen(ws: WebSocket) -> None:
        async for _ in ws:
            pass
        ended.append((ws.close_code, ws.close_reason))

    for chunks in [[data + frame(PING) + frame(TEXT, b"too late")], *split(data)]:
        client = Client(router, *fields).send(*chunks)
        assert ("sec-websocket-extensions" in client.fields) == bool(fields)
        assert closing(client.frames) == (answered, reason)
        assert len(client.frames) == 1
        assert ended.pop() == (code, reason)
        client.wire.send_eof()
        assert client.wire.connection.state is CLOSED


# Limits


def test_a_message_that_is_too_large_is_refused_at_its_head() -> None:
    router = echo_router(max_message=1000)
    assert Client(router).send(frame(TEXT, b"x" * 1000)).frames == [Frame(TEXT, b"x" * 1000)]
    too_large = frame(TEXT, b"x" * 1001)
    fragments = frame(BINARY, b"x" * 999, fin=False) + frame(CONTINUATION, b"yz")[:6]
    huge = frame(BINARY, length=b"\x7f" + (1 << 62).to_bytes(8, "big"))
    accents = frame(TEXT, E_ACUTE * 500 + b"x")
    for data in (too_large, too_large[:8], fragments, huge, accents):
        client = Client(router).send(data)
        assert closing(client.frames) == (1009, "a message may have 1000 bytes")
    wire = client.wire
    wire.send(b"x" * 100_000).wait(0.1)  # what is on its way is read, or a reset would take the close away
    assert wire.transport.reading
    wire.wait(5)
    assert wire.transport.closing


def test_a_million_fragments_are_not_a_million_objects() -> None:
    import tracemalloc

    client = Client(echo_router(max_message=200_000))
    data = frame(TEXT, fin=False) + frame(CONTINUATION, b"xy", fin=False) * 10_000
    client.send(data[: len(data) // 2])
    tracemalloc.start()
    client.send(data[len(data) // 2 :])
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 150_000
    assert client.send(frame(CONTINUATION)).frames == [Frame(TEXT, b"xy" * 10_000)]


# permessage-deflate (RFC 7692)


def deflate(data: bytes, compressor: Any = None) -> bytes:
    compressor = compressor or zlib.compressobj(wbits=-15)
    return bytes(
        (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")
    )


OFFERS = [
    ("permessage-deflate", "permessage-deflate"),
    ("permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=12"),
    ("permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"),
    ("permessage-deflate; client_max_window_bits=15", "permessage-deflate; client_max_window_bits=12"),
    ('permessage-deflate; client_max_window_bits="9"', "permessage-deflate; client_max_window_bits=9"),
    ("permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"),
    ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=12"),
    (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    ),
    ("permessage-deflate; server_max_window_bits=8", None),  # zlib cannot
    ("permessage-deflate; server_max_window_bits", None),  # it must have a value
    ("permessage-deflate; server_max_window_bits=", None),
    ("permessage-deflate; server_max_window_bits=16", None),
    ("permessage-deflate; server_max_window_bits=08", None),
    ("permessage-deflate; client_max_window_bits=x", None),
    ("permessage-deflate; client_max_window_bits=7", None),
    ("permessage-deflate; server_no_context_takeover=1", None),
    ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
    ("permessage-deflate; unknown", None),
    ("x-webkit-deflate-frame", None),
    ("", None),
    ("permessage-deflate; unknown, permessage-deflate", "permessage-deflate"),  # the second will do
    ("x, permessage-deflate, permessage-deflate; client_max_window_bits", "permessage-deflate"),
]


@pytest.mark.parametrize(("offer", "agreed"), OFFERS)
def test_what_is_agreed_on_compression(offer: str, agreed: str | None) -> None:
    client = Client(echo_router(), f"Sec-WebSocket-Extensions: {offer}")
    assert client.fields.get("sec-websocket-extensions") == agreed
    refusing = Client(echo_router(compress=False), f"Sec-WebSocket-Extensions: {offer}")
    assert "sec-websocket-extensions" not in refusing.fields


class Deflate:
    """The client's compression, both ways; one that forgets starts anew with each message."""

    def __init__(self, bits: int, forgets: bool) -> None:
        self.bits, self.forgets = bits, forgets
        self.compressor, self.inflator = zlib.compressobj(wbits=-bits), zlib.decompressobj(-bits)

    def make(self, data: bytes) -> bytes:
        if self.forgets:
            self.compressor = zlib.compressobj(wbits=-self.bits)
        return deflate(data, self.compressor)

    def read(self, data: bytes) -> bytes:
        if self.forgets:
            self.inflator = zlib.decompressobj(-self.bits)
        return self.inflator.decompress(data + b"\0\0\xff\xff")


MESSAGES = [b"Hello, " * 40, b"", b"x" * 63, b"Hello, " * 40, bytes(range(256)) * 300, b"x" * 64]


@pytest.mark.parametrize("bits", [9, 12, 15])
@pytest.mark.parametrize("forgets", [False, True])
def test_compressed_both_ways(bits: int, forgets: bool) -> None:
    offer = f"{DEFLATE}; server_max_window_bits={bits}"
    offer += f"; client_max_window_bits={bits}" if bits < 15 else ""
    offer += "; client_no_context_takeover; server_no_context_takeover" if forgets else ""
    client, codec = Client(echo_router(), offer), Deflate(bits, forgets)
    for number, message in enumerate(MESSAGES):
        whole = codec.make(message)
        client.send(frame(BINARY, whole, rsv=4))
        pieces = codec.make(message)  # in two fragments with a ping between, which is not compressed
        client.send(
            frame(BINARY, pieces[:3], rsv=4, fin=False), frame(PING, b"p"), frame(CONTINUATION, pieces[3:])
        )
        first, pong, second = client.frames[3 * number :]
        assert pong == Frame(PONG, b"p")
        for echo in (first, second):
            assert echo.rsv == (4 if len(message) >= 64 else 0), "what is small goes as it is"
            assert (codec.read(echo.payload) if echo.rsv else echo.payload) == message
    assert client.send(frame(TEXT, b"plain")).frames[-1] == Frame(TEXT, b"plain")


def test_a_last_block_ends_a_message_and_not_the_rest() -> None:
    hello = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"  # with BFINAL (RFC 7692 §7.2.3.4)
    client = Client(echo_router(), DEFLATE).send(*[frame(TEXT, hello, rsv=4)] * 3)
    assert client.frames == [Frame(TEXT, b"Hello")] * 3
    assert client.send(frame(TEXT, deflate(b"Hello"), rsv=4)).frames[-1] == Frame(TEXT, b"Hello")
    assert closing(client.send(frame(TEXT, b"\x03\x00" * 3, rsv=4)).frames)[0] == 1007


def test_what_is_not_deflated_as_it_says_is_refused() -> None:
    for data, code in (
        (frame(TEXT, b"\xff\xff\xff", rsv=4), 1007),
        (frame(TEXT, deflate(b"\xff\xff"), rsv=4), 1007),  # no UTF-8 once it is inflated
        (frame(PING, rsv=4), 1002),
        (frame(TEXT, b"\x00", rsv=4, fin=False) + frame(CONTINUATION, rsv=4), 1002),
        (frame(TEXT, b"x", rsv=2), 1002),
    ):
        assert closing(Client(echo_router(), DEFLATE).send(data).frames)[0] == code


def test_a_bomb_gets_no_memory() -> None:
    import tracemalloc

    bomb = deflate(bytes(50_000_000))
    assert len(bomb) < 50_000
    for chunks in (
        [frame(BINARY, bomb, rsv=4)],
        [frame(BINARY, bomb[:9], rsv=4, fin=False), frame(0, bomb[9:])],
    ):
        client = Client(echo_router(), DEFLATE)
        tracemalloc.start()
        client.send(*chunks)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert closing(client.frames)[0] == 1009
        assert peak < 5 << 20
    just = deflate(bytes(1 << 20))
    assert len(Client(echo_router(), DEFLATE).send(frame(BINARY, just, rsv=4)).frames) == 1
    over = deflate(bytes((1 << 20) + 1))
    assert closing(Client(echo_router(), DEFLATE).send(frame(BINARY, over, rsv=4)).frames)[0] == 1009


# Flow


def test_a_slow_handler_pauses_reading_and_gets_it_all() -> None:
    got: list[str | bytes] = []
    router = Router()

    @router.websocket("/ws")
    async def listen(ws: WebSocket) -> None:
        async for message in ws:
            got.append(message)
            await sleep(0.01)

    client = Client(router)
    messages = [b"%d" % number for number in range(20 * MANY)]
    chunk = 5 * MANY
    client.send(
        *(
            b"".join(frame(TEXT, m) for m in messages[at : at + chunk])
            for at in range(0, len(messages), chunk)
        )
    )
    session = client.wire.connection
    assert not client.wire.transport.reading
    most = 0
    for _ in range(2000):
        most = max(most, len(session.inbox))
        client.wire.wait(0.01)
    assert most <= MANY
    assert got == [message.decode() for message in messages]
    assert client.wire.transport.reading


def test_what_comes_with_the_handshake_pauses_reading_too() -> None:
    wire = Wire(recording_router([])).send(handshake() + frame(TEXT, b"x") * (2 * MANY), close())
    assert not wire.transport.reading
    wire.wait(20)
    assert closing(parse(wire.received.partition(b"\r\n\r\n")[2])) == (1000, "")


def test_large_messages_count_by_their_size() -> None:
    router = Router()

    @router.websocket("/ws")
    async def listen(ws: WebSocket) -> None:
        await sleep(5)
        async for message in ws:
            await ws.send(f"{len(message)}")

    client = Client(router)
    client.send(*[frame(BINARY, b"x" * ENOUGH)] * 5)
    assert not client.wire.transport.reading
    assert len(client.wire.connection.inbox) == 1
    client.wire.wait(6)
    assert client.frames == [Frame(TEXT, b"%d" % ENOUGH)] * 5


def test_a_client_that_does_not_read_pauses_send() -> None:
    sent: list[int] = []
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        for number in range(10):
            await ws.send(b"x" * 1000)
            sent.append(number)

    wire = Wire(router, room=200).send(handshake())
    assert sent == [0]
    wire.take(1000).take(1000)
    assert 1 <= len(sent) < 4
    wire.take()
    assert len(sent) == 10
    frames = parse(wire.received.partition(b"\r\n\r\n")[2])
    assert len(frames) == 11
    assert closing(frames) == (1000, "")


def test_many_tasks_may_send_and_their_frames_stay_whole() -> None:
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        async def say(number: int) -> None:
            for part in range(5):
                await ws.send(f"{number} {part} " + "x" * 300)

        loop = ws._session.service.loop
        tasks = [loop.create_task(say(number)) for number in range(20)]
        tasks[7].cancel()
        for task in tasks[:7] + tasks[8:]:
            await task

    wire = Wire(router, room=200).send(handshake())
    for _ in range(1000):
        wire.take(97)
    frames = parse(wire.received.partition(b"\r\n\r\n")[2])
    lines = [each.payload.split()[:2] for each in frames[:-1]]
    for number in range(20):
        parts = [int(part) for who, part in lines if int(who) == number]
        assert parts == list(range(5)) or (number == 7 and parts == list(range(len(parts))))
    assert closing(frames) == (1000, "")


FRAMES = 256  # in a turn, by the clock of `slow_down`


def slow_down(wire: Any) -> None:
    """Each look at the clock takes so long that a turn has as many frames."""
    moments = itertools.count()
    wire.service.clock = lambda: 1000 + next(moments) * TURN / FRAMES


def test_of_pongs_that_are_not_taken_one_is_owed() -> None:
    wire = Wire(echo_router(), room=200).send(handshake())
    slow_down(wire)
    wire.send(b"".join(frame(PING, b"%d" % number) for number in range(5000)))
    wire.take()
    pongs = parse(wire.received.partition(b"\r\n\r\n")[2])
    assert {each.opcode for each in pongs} == {PONG}
    assert 2 < len(pongs) < FRAMES + 3, "those of the turn in which there was room, and the last"
    assert pongs[-1].payload == b"4999"
    assert wire.transport.reading


def test_a_read_full_of_frames_does_not_hold_up_the_others() -> None:
    answered: list[int] = []
    router = Router()

    @router.websocket("/ws")
    async def look(ws: WebSocket) -> None:
        async for _ in ws:
            answered.append(len(client.frames))  # noqa: PERF401  # now, not later

    client = Client(router)
    slow_down(client.wire)
    client.send(frame(TEXT) + frame(PING) * 3000)
    assert len(answered) == 1
    assert FRAMES - 3 < answered[0] < FRAMES + 3
    assert len(client.frames) == 3000
    turns = math.ceil(3001 / FRAMES)
    assert turns < client.wire.transport.writes < turns + 3, "the answers of a turn are one write"


def test_a_handler_that_only_sends_lets_others_have_a_turn() -> None:
    order: list[str] = []
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        ws._session.service.loop.call_soon(order.append, "another")
        for _ in range(100):
            await ws.send("x")
        order.append("sent")

    Client(router)
    assert order == ["another", "sent"]


def test_a_message_at_a_time_and_one_reader() -> None:
    got: list[object] = []
    router = Router()

    @router.websocket("/ws")
    async def ask(ws: WebSocket) -> None:
        other = ws._session.service.loop.create_task(ws.receive())
        await sleep(0)
        try:
            await ws.receive()
        except RuntimeError as error:
            got.append(str(error))
        got.append(await other)
        got.append(await ws.receive())
        try:
            await ws.receive()
        except Closed as error:
            got.append(str(error))
        assert ws.closed

    client = Client(router).send(frame(TEXT, b"one"), frame(BINARY, b"two"), close(4000, b"bye"))
    assert client.wire.service.background == set()
    assert "two tasks wait" in str(got[0])
    assert got[1:] == ["one", b"two", "the WebSocket has ended: 4000 bye"]


# What may be sent


def test_what_can_be_sent() -> None:
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        await ws.send("text")
        for message in (b"1", bytearray(b"2"), memoryview(b"3")):
            await ws.send(message)
        await ws.ping(b"p")
        wrong: Any
        for wrong in ({"a": 1}, None, 5):
            with pytest.raises(TypeError, match="a message is str or bytes, not"):
                await ws.send(wrong)
        with pytest.raises(UnicodeEncodeError):
            await ws.send("\ud800")
        with pytest.raises(ValueError, match="125 bytes, not 126"):
            await ws.ping(b"x" * 126)
        for wrong in (1004, 1005, 1006, 1010, 1015, 2999, 5000, 0):
            with pytest.raises(ValueError, match="a server closes with"):
                await ws.close(wrong)
        with pytest.raises(ValueError, match="123 bytes, not 124"):
            await ws.close(4000, "é" * 62)
        assert not ws.closed
        await ws.close(4000, "é" * 61)
        await ws.close(4001)
        assert (ws.close_code, ws.close_reason) == (4000, "é" * 61)
        assert repr(ws) == "<WebSocket /ws closed: 4000>"
        for call in (ws.send("x"), ws.ping(), ws.receive()):
            with pytest.raises(Closed, match="has ended: 4000"):
                await call

    client = Client(router)
    assert [(each.opcode, each.payload) for each in client.frames[:-1]] == [
        (TEXT, b"text"),
        (BINARY, b"1"),
        (BINARY, b"2"),
        (BINARY, b"3"),
        (PING, b"p"),
    ]
    assert closing(client.frames) == (4000, "é" * 61)
    assert not any("raised" in line for line in client.wire.lines)


def test_broadcast() -> None:
    members: set[WebSocket] = set()
    router = Router()

    @router.websocket("/ws", max_message=1000)
    async def join(ws: WebSocket) -> None:
        members.add(ws)
        try:
            async for message in ws:
                broadcast(members, message)
        finally:
            members.discard(ws)

    first = Client(router)
    service = first.wire.service
    second, third = (Client(router, service=service) for _ in range(2))
    slow = Wire(router, service=service, room=180).send(handshake())
    third.wire.connection.close(1000)  # it has ended, and its handler has yet to notice
    assert len(members) == 4
    for number in range(4):
        first.send(frame(TEXT, b"%d" % number + b"x" * 500))
    for client in (first, second):
        assert [each.payload[:1] for each in client.frames] == [b"0", b"1", b"2", b"3"]
    assert [each.opcode for each in third.frames] == [CLOSE]
    assert slow.transport.aborted
    slow.wait(0)
    third.send(close())
    assert len(members) == 2
    with pytest.raises(TypeError, match="a message is"):
        broadcast([], 5)  # type: ignore[arg-type]


# Deadlines


def test_a_client_that_is_silent_is_pinged_and_left_if_it_stays_so() -> None:
    client = Client(echo_router())
    client.wire.wait(19)
    assert client.frames == []
    client.wire.wait(3)
    assert client.frames == [Frame(PING, b"")]
    client.send(frame(PONG))
    client.wire.wait(19)
    assert len(client.frames) == 1
    client.wire.wait(3)
    assert len(client.frames) == 2
    client.wire.wait(19)
    assert client.wire.connection.state is BUSY
    client.wire.wait(3)
    assert closing(client.frames) == (1011, "no answer to a ping")
    client.wire.wait(4)
    assert client.wire.transport.aborted


def test_whatever_a_client_sends_shows_that_it_lives() -> None:
    client = Client(echo_router(), max_body=1 << 20)
    for piece in split(frame(BINARY, b"x" * 30))[
        1
    ]:  # a large message over a slow line has no room for a pong
        client.send(piece).wire.wait(15)
    assert client.frames == [Frame(BINARY, b"x" * 30)]


def test_pings_can_be_left_out_and_have_other_times() -> None:
    client = Client(echo_router(ping_interval=None))
    client.wire.wait(10_000)
    assert client.frames == []
    assert client.wire.connection.state is BUSY
    client = Client(echo_router(ping_interval=3, ping_timeout=2))
    client.wire.wait(4.5)
    assert client.frames == [Frame(PING, b"")]
    client.wire.wait(3)
    assert closing(client.frames)[0] == 1011


def test_the_latency_is_that_of_the_last_answer() -> None:
    seen: list[float | None] = []
    router = Router()

    @router.websocket("/ws")
    async def measure(ws: WebSocket) -> None:
        await ws.ping()
        async for _ in ws:
            seen.append(ws.latency)  # noqa: PERF401  # now, not later

    client = Client(router).send(frame(TEXT))
    client.wire.wait(0.25)
    client.send(frame(PONG) + frame(TEXT))
    assert seen == [None, 0.25]


def test_a_handler_that_does_not_read_is_not_the_clients_fault() -> None:
    router = Router()

    @router.websocket("/ws")
    async def sleepy(ws: WebSocket) -> None:
        await sleep(500)
        async for message in ws:
            await ws.send(message)

    client = Client(router).send(*[frame(TEXT, b"x")] * (MANY + 1))
    assert not client.wire.transport.reading
    client.wire.wait(499)
    assert client.frames == []
    client.wire.wait(2)
    assert len(client.frames) == MANY + 1
    client.wire.wait(30)
    assert client.frames[-1].opcode == PING


@pytest.mark.parametrize("ping_interval", [20, None])
def test_a_client_that_breaks_off_is_missed_even_if_it_is_not_read(ping_interval: float | None) -> None:
    router = Router()
    ended: list[int | None] = []

    @router.websocket("/ws", ping_interval=ping_interval)
    async def sleepy(ws: WebSocket) -> None:
        await sleep(5)
        ended.append(ws.close_code)

    client = Client(router).send(*[frame(TEXT, b"x")] * (MANY + 1))
    client.wire.service.is_gone = lambda transport: True
    client.wire.wait(3)
    assert client.wire.connection.state is CLOSED
    client.wire.wait(3)
    assert ended == [1006]


def test_a_client_that_takes_nothing_is_left() -> None:
    ended: list[str] = []
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        try:
            while True:
                await ws.send("x" * 1000)
        except Closed:
            ended.append(f"{ws.close_code}")
            raise

    wire = Wire(router, room=300).send(handshake()).wait(29)
    assert ended == []
    wire.wait(3)
    assert wire.transport.aborted
    assert ended == ["1006"]
    assert not any("raised" in line for line in wire.lines)


def test_the_close_of_a_slow_reader_gets_its_time() -> None:
    router = Router()

    @router.websocket("/ws")
    async def talk(ws: WebSocket) -> None:
        await ws.send("x" * 1000)

    wire = Wire(router, room=300).send(handshake()).wait(20)
    wire.take().wait(1)
    frames = parse(wire.received.partition(b"\r\n\r\n")[2])
    assert closing(frames) == (1000, "")
    assert not wire.transport.closing
    wire.send(close())
    assert wire.closed


# The end


def recording_router(seen: list[object], *, error: Exception | None = None, rest: float = 0) -> Router:
    router = Router()

    @router.websocket("/ws")
    async def record(ws: WebSocket) -> None:
        try:
            async for message in ws:
                seen.append(message)
                if error is not None:
                    raise error
                await sleep(0.1)
            seen.append(ws.close_code)
            await sleep(rest)
            seen.append("rested")
        finally:
            seen.append("finally")

    return router


ENDS: dict[str, tuple[Callable[[Client], object], int]] = {
    "a close": (lambda client: client.send(close(1001)), 1001),
    "half a connection": (lambda client: client.wire.send_eof(), 1006),
    "none at all": (lambda client: client.wire.lose(ConnectionResetError()), 1006),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_came_before_the_end_is_still_handed_over(end: str) -> None:
    seen: list[object] = []
    client = Client(recording_router(seen)).send(*(frame(TEXT, b"%d" % number) for number in range(5)))
    leave, code = ENDS[end]
    leave(client)
    client.wire.wait(2)
    assert seen == ["0", "1", "2", "3", "4", code, "rested", "finally"]
    client.wire.send_eof().wait(3)
    assert client.wire.connection.state is CLOSED
    assert client.wire.service.background == set()
    assert not client.wire.loop.timers or all(
        timer.callback is None for _, _, timer in client.wire.loop.timers
    )


def test_even_what_was_not_yet_looked_at() -> None:
    seen: list[object] = []
    client = Client(recording_router(seen)).send(frame(TEXT, b"x") * (3 * MANY))
    client.wire.lose().wait(8)
    assert seen.count("x") == 80
    client.wire.wait(8)
    assert seen.count("x") == 100, "which takes ten seconds, not more"
    assert seen[-1] == "finally"


@pytest.mark.parametrize("end", ENDS)
def test_a_handler_that_does_not_notice_is_cancelled_in_the_end(end: str) -> None:
    seen: list[object] = []
    client = Client(recording_router(seen, rest=1000))
    ENDS[end][0](client)
    client.wire.send_eof().wait(9)
    assert "finally" not in seen
    client.wire.wait(5)
    assert seen == [ENDS[end][1], "finally"]
    assert client.wire.service.background == set()
    assert not any("raised" in line for line in client.wire.lines)


def test_a_handler_that_returns_closes_with_1000_and_waits_for_the_client() -> None:
    router = Router()

    @router.websocket("/ws")
    async def brief(ws: WebSocket) -> None:
        await ws.send("hello")

    client = Client(router)
    assert closing(client.frames) == (1000, "")
    assert not client.wire.closed
    client.send(frame(TEXT, b"on its way") + frame(PING) + close(1000))
    assert client.wire.closed
    assert len(client.frames) == 2
    client = Client(router)
    client.wire.wait(5)
    assert client.wire.transport.aborted, "a client that does not close is left after a while"


def test_a_close_is_found_behind_all_that_was_sent() -> None:
    router = Router()

    @router.websocket("/ws")
    async def leave(ws: WebSocket) -> None:
        await sleep(1)
        await ws.close(4000)

    client = Client(router).send(frame(TEXT, b"x") * (9 * MANY), frame(TEXT, b"y") * MANY, close(4000))
    assert not client.wire.transport.reading
    client.wire.wait(1.5)
    assert closing(client.frames) == (4000, "")
    assert client.wire.closed


def test_what_comes_after_our_close_is_not_handed_over() -> None:
    got: list[object] = []
    router = Router()

    @router.websocket("/ws")
    async def leave(ws: WebSocket) -> None:
        got.append(await ws.receive())
        await ws.close(4000)
        await sleep(0.1)
        got.extend([message async for message in ws])
        got.append(ws.close_code)

    client = Client(router).send(frame(TEXT, b"go") + frame(TEXT, b"before"), frame(TEXT, b"after"), close())
    client.wire.wait(1)
    assert got == ["go", "before", 4000]


def test_who_waits_for_a_message_hears_of_the_end_when_all_is_looked_at() -> None:
    got: list[object] = []
    router = Router()

    @router.websocket("/ws")
    async def leave(ws: WebSocket) -> None:
        got.append(await ws.receive())
        await ws.close(4000)
        with pytest.raises(Closed):
            await ws.receive()
        got.append("over")

    client = Client(router)
    slow_down(client.wire)
    client.send(frame(TEXT, b"go") + frame(PING) * (3 * FRAMES))
    assert got == ["go", "over"]


@pytest.mark.parametrize("error", [ValueError("a mistake"), Fail(403, "no"), SystemExit(1)], ids=repr)
def test_a_handler_that_fails_closes_with_1011_and_is_in_the_log(error: Any) -> None:
    seen: list[object] = []
    client = Client(recording_router(seen, error=error)).send(frame(TEXT, b"go"))
    assert closing(client.frames) == (1011, "")
    assert seen == ["go", "finally"]
    (line,) = [line for line in client.wire.lines if "raised" in line]
    assert "GET /ws: recording_router.<locals>.record raised" in line
    assert not any("a mistake" in str(each.payload) for each in client.frames)


def test_closed_of_another_client_is_a_mistake() -> None:
    others: list[WebSocket] = []
    router = Router()

    @router.websocket("/ws")
    async def tell(ws: WebSocket) -> None:
        others.append(ws)
        async for message in ws:
            await others[0].send(message)

    first = Client(router)
    second = Client(router, service=first.wire.service)
    first.send(close())
    second.send(frame(TEXT, b"are you there?"))
    assert closing(second.frames) == (1011, "")
    assert any("raised Closed" in line for line in first.wire.lines)


def test_a_server_that_stops_says_1001() -> None:
    seen: list[object] = []
    client = Client(recording_router(seen)).send(frame(TEXT, b"a"), frame(TEXT, b"b"))
    client.wire.service.stop()
    assert closing(client.frames) == (1001, "the server stops")
    client.wire.wait(1)
    assert seen == ["a", "b", 1001, "rested", "finally"]
    client.send(close(1001))
    assert client.wire.closed


def test_no_cycle_is_left() -> None:
    def use(end: Callable[[Client], object]) -> None:
        client = Client(echo_router(), DEFLATE)
        client.send(frame(TEXT, b"x" * 100), frame(TEXT, b"a", fin=False))
        end(client)
        client.wire.send_eof().wait(60)
        client.wire.connection.transport = None
        client.wire.connection.service = None
        client.wire.transport.connection = None

    gc.collect()
    gc.disable()
    try:
        for end in [*(end for end, _ in ENDS.values()), lambda client: client.send(frame(3))]:
            use(end)
            gc.collect()
            use(end)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            garbage = {type(thing).__name__ for thing in gc.garbage}
            gc.set_debug(0)
            gc.garbage.clear()
            assert not garbage & {"WebSocket", "Session", "Inbox", "Connection", "Request", "Task"}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


# What is needed


def test_without_wsproto_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['wsproto'] = None\n"
        "from kissapi import Router\n"
        "try:\n    Router().websocket('/ws')\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "a WebSocket needs wsproto: pip install 'kissapi[websocket]'\n", done.stderr


def test_no_asyncio_is_imported_for_it() -> None:
    program = (
        "import sys, kissapi.backends.selectors, kissapi.extras.websocket\n"
        "print(*(name for name in ('asyncio', 'ssl', 'http') if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
