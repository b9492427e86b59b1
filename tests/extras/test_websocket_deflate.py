"""WebSocket: permessage-deflate (RFC 7692): what is agreed on, and what is compressed."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from kissapi import Router
from kissapi.extras.websocket import WebSocket, broadcast
from tests.extras.websocket_client import DEFLATE, Client, echo_router
from tests.frames import BINARY, CONTINUATION, PING, PONG, TEXT, Frame, closing, frame


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


def test_a_broadcast_is_compressed_once_for_each_window_and_sends_go_on() -> None:
    members: list[WebSocket] = []
    router = Router()

    @router.websocket("/ws")
    async def join(ws: WebSocket) -> None:
        members.append(ws)
        async for message in ws:
            await ws.send(message)

    first = Client(router, DEFLATE)
    fields = [DEFLATE, f"{DEFLATE}; server_max_window_bits=9", f"{DEFLATE}; server_no_context_takeover", ""]
    others = [Client(router, *filter(None, [each]), service=first.wire.service) for each in fields]
    clients = [first, *others]
    inflators: list[Any] = [zlib.decompressobj(-15) for _ in clients]
    alike, news = b"what all clients get " * 40, bytes(range(256)) * 8
    for number, message in enumerate([alike, news, alike, b"small", alike]):
        broadcast(members, message.decode("latin-1"))
        first.wire.wait(0)
        sent = message.decode("latin-1").encode()
        broadcast_frames = [client.frames[-1] for client in clients]
        for client in clients:
            client.send(
                frame(TEXT, alike)
            )  # its answer may refer to messages before it, but not to the wrong ones
        for index, client in enumerate(clients):
            got = [broadcast_frames[index], client.frames[-1]]
            assert len(client.frames) == 2 * number + 2
            for each, expected in zip(got, [sent, alike], strict=True):
                payload = each.payload
                if each.rsv:
                    payload = inflators[index].decompress(payload + b"\0\0\xff\xff")
                assert (payload, each.opcode) == (expected, TEXT)
            assert got[0].rsv == (4 if client is not clients[-1] and len(message) >= 64 else 0)
        assert broadcast_frames[0] == broadcast_frames[1] == broadcast_frames[3], "made once"
