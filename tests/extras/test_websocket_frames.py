"""WebSocket: each frame that RFC 6455 §5 allows or forbids, closes, and limits of messages.

The cases of framing, UTF-8, fragments and close codes are those of the Autobahn test suite, as bytes; here
they also come byte by byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kissapi import Router
from kissapi.core import BUSY, CLOSED
from tests.extras.websocket_client import DEFLATE, Client, echo_router
from tests.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, close, closing, frame
from tests.wire import split

if TYPE_CHECKING:
    from kissapi.extras.websocket import WebSocket

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
