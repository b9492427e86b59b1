"""The frames of WebSocket without a connection: masks, both sides, pieces, random bytes beside websockets."""

from __future__ import annotations

import random
import subprocess
import sys
import tracemalloc
from typing import Any

import pytest

from kissapi.extras.websocket import frames
from kissapi.extras.websocket.closing import Violation
from kissapi.extras.websocket.deflate import agree
from kissapi.extras.websocket.frames import PART, Close, FrameReader, Item, Ping, Pong
from kissapi.extras.websocket.masking import apply_mask_slowly
from tests.frames import BINARY, CLOSE, CONTINUATION, MASK, PING, PONG, TEXT, close, frame
from tests.places import ROOT
from tests.wire import split


def read_all(reader: FrameReader, *chunks: bytes) -> list[Item | int]:
    """What the reader gives up to a close, or the code of a `Violation`."""
    seen: list[Item | int] = []
    for chunk in chunks:
        reader.feed(chunk)
        try:
            while (item := reader.read()) is not None:
                seen += [item] if item is not PART else []
                if isinstance(item, Close):
                    reader.end()
        except Violation as error:
            reader.end()
            seen.append(error.code)
    return seen


@pytest.fixture(params=["C", "Python"])
def mask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to mask."""
    if request.param == "Python":
        monkeypatch.setattr(frames, "apply_mask", apply_mask_slowly)
    else:
        pytest.importorskip("websockets.speedups")
    return str(request.param)


SIZES = [*range(10), 31, 125, 126, 511, 512, 513, 514, 515, 65535, 65536, 65537]


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_made_and_read_by_both_sides(size: int, mask: str) -> None:
    dice = random.Random(size)
    payload, key = dice.randbytes(size), dice.randbytes(4)
    masked = frames.frame(BINARY, payload, key=key)
    assert masked == frame(BINARY, payload, mask=key)
    assert read_all(FrameReader(size), masked) == [payload]
    assert read_all(FrameReader(size, masked=False), frames.frame(BINARY, payload)) == [payload]
    for at in {1, 2, 3, size // 2, max(0, size - 1)}:  # the mask goes on where it was
        assert read_all(FrameReader(size), masked[: 14 + at], masked[14 + at :]) == [payload]
    text = "ü" * (size // 2)
    assert read_all(FrameReader(size), frames.frame(TEXT, text.encode(), key=key)) == [text]


def test_a_message_is_bytes_and_no_buffer(mask: str) -> None:
    for data in (frame(BINARY, b"x" * 600), frame(BINARY, b"x", fin=False) + frame(CONTINUATION, b"y" * 600)):
        (message,) = read_all(FrameReader(1000), data)
        assert type(message) is bytes


# What a client must not accept; what a server must not is in test_websocket_frames.py.


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (frame(TEXT, b"x"), [1002]),  # masked
        (frame(CLOSE, b""), [1002]),
        (frame(TEXT, b"x", mask=None, rsv=4), [1002]),
        (frame(TEXT, b"a", fin=False, mask=None) + frame(CONTINUATION, b"b", mask=None), ["ab"]),
        (frame(PING, b"p", mask=None) + frame(PONG, b"q", mask=None), [Ping(b"p"), Pong(b"q")]),
        (frame(CLOSE, b"\x03\xe8ok", mask=None), [Close(1000, "ok")]),
        (frame(CLOSE, b"", mask=None), [Close(1005, "")]),
        (frame(CLOSE, b"\x03\xee", mask=None), [1002]),
    ],
)
def test_the_frames_of_a_server(data: bytes, seen: list[Item | int]) -> None:
    for chunks in split(data):
        assert read_all(FrameReader(1000, masked=False), *chunks) == seen


def test_each_fragment_is_a_step() -> None:
    """Between them a session looks at the clock: a read may have ten thousand."""
    reader = FrameReader(1000)
    reader.feed(frame(TEXT, b"a", fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION, b"b"))
    assert [reader.read() for _ in range(4)] == [PART, PART, "ab", None]


def test_what_was_read_is_not_kept() -> None:
    reader, data = FrameReader(1 << 20), frame(BINARY, b"x" * 65536)
    for messages in (1, 2):  # as a session reads whose inbox is full, and one whose inbox is not
        tracemalloc.start()
        for _ in range(100):
            reader.feed(data)
            kinds = [type(reader.read()) for _ in range(messages)]
            assert kinds[0] is bytes
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size < 200_000
    assert not reader.has_data
    assert reader._data == b"", "an idle connection keeps nothing"


def test_after_the_end_nothing_is_read() -> None:
    reader = FrameReader(1000)
    assert read_all(reader, frame(3) + frame(TEXT, b"behind"), frame(TEXT, b"later")) == [1002]


def test_messages_that_are_dropped_take_no_memory() -> None:
    reader = FrameReader(1 << 20, agree("permessage-deflate"))
    assert read_all(reader, frame(BINARY, b"begun", fin=False)) == []
    reader.dropping = True
    data = frame(CONTINUATION, b"x" * 1000, fin=False) * 100 + frame(CONTINUATION, b"the end")
    assert read_all(reader, data) == []
    assert len(reader._parts) == len(b"begun")
    assert read_all(reader, frame(TEXT, b"\xff\xff no deflate", rsv=4) + close(4000)) == [Close(4000, "")]


# Beside another implementation


def by_websockets(data: bytes, most: int) -> list[tuple[int, bytes] | int]:
    """Messages and control frames in `data`, then the code of the breach that ends it."""
    from websockets.exceptions import PayloadTooBig, ProtocolError
    from websockets.protocol import Protocol, Side, State

    protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=most)
    protocol.receive_data(data)
    seen: list[tuple[int, bytes] | int] = []
    parts = b""
    kind = 0
    for event in protocol.events_received():
        each: Any = event
        if each.opcode in (TEXT, BINARY, CONTINUATION):
            kind = each.opcode or kind
            parts += bytes(each.data)
            if each.fin:
                seen.append((kind, parts))
                parts = b""
        else:
            seen.append((int(each.opcode), bytes(each.data)))
    if isinstance(protocol.parser_exc, ProtocolError):
        seen.append(1002)
    elif isinstance(protocol.parser_exc, PayloadTooBig):
        seen.append(1009)
    return seen


def by_kissapi(chunks: list[bytes], most: int) -> list[tuple[int, bytes] | int]:
    seen: list[tuple[int, bytes] | int] = []
    for item in read_all(FrameReader(most), *chunks):
        if isinstance(item, Close):
            payload = b"" if item.code == 1005 else item.code.to_bytes(2, "big") + item.reason.encode()
            seen.append((CLOSE, payload))
        elif isinstance(item, (Ping, Pong)):
            seen.append((PING if isinstance(item, Ping) else PONG, item.payload))
        elif isinstance(item, (str, bytes)):
            seen.append((TEXT, item.encode()) if isinstance(item, str) else (BINARY, item))
        else:
            assert isinstance(item, int)
            seen.append(item)
    return seen


def random_frames(dice: random.Random) -> bytes:
    """Frames that mostly keep the rules, and often in an order that breaks them."""
    data = b""
    for _ in range(dice.randint(1, 6)):
        opcode = dice.choice([CONTINUATION, TEXT, BINARY, PING, PONG] * 4 + [CLOSE, 3, 11])
        payload = b"a" * dice.choice([0, 1, 2, 5, 125, 126, 300] * 3 + [3000] * (opcode < CLOSE))
        if opcode == CLOSE:
            payload = dice.choice([b"", b"\x03\xe8", b"\x03\xe8bye", b"\x03", b"\x03\xec", b"\x0f\xa0"])
        fin = dice.random() < (0.5 if opcode < CLOSE else 0.95)
        rsv = dice.choice([0] * 30 + [1, 2, 4])
        key = None if dice.random() < 0.02 else MASK
        data += frame(opcode, payload, fin=fin, rsv=rsv, mask=key)
    if dice.random() < 0.2:
        at = dice.randrange(len(data))
        data = data[:at] + dice.randbytes(1) + data[at + 1 :]
    return data if dice.random() < 0.8 else data[: dice.randrange(len(data) + 1)]


def test_random_frames_are_read_as_websockets_reads_them() -> None:
    pytest.importorskip("websockets", minversion="13")
    ends = set()
    for seed in range(500):
        dice = random.Random(seed)
        data = random_frames(dice)
        seen = by_kissapi([data], 2500)
        for chunks in split(data)[1:]:
            assert by_kissapi(chunks, 2500) == seen, seed
        theirs = by_websockets(data, 2500)
        closes = [at for at, each in enumerate(seen) if isinstance(each, tuple) and each[0] == CLOSE]
        if closes:  # it reads on behind a close, and allows none between two fragments
            seen, theirs = seen[: closes[0]], theirs[: closes[0]]
        if 1007 in seen:  # it decodes text elsewhere
            continue
        assert [each for each in seen if not isinstance(each, int)] == [
            each for each in theirs if not isinstance(each, int)
        ], (seed, data)
        # It judges a frame when all of it has come; of two faults it may name the other one.
        if theirs[-1:] in ([1002], [1009]):
            assert seen[-1] in (1002, 1009), (seed, data)
        ends.add(seen[-1] if seen and isinstance(seen[-1], int) else 0)
    assert ends == {1002, 1009, 0}


def in_another_python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_needs_no_package_and_no_zlib() -> None:
    program = """
import sys
sys.modules["websockets"] = sys.modules["zlib"] = None
from kissapi.extras.websocket.deflate import agree
from kissapi.extras.websocket.frames import FrameReader, TEXT, apply_mask, frame
reader = FrameReader(1000)
reader.feed(frame(TEXT, b"hello", key=b"abcd"))
print(reader.read(), agree("permessage-deflate"), apply_mask.__name__)
"""
    assert in_another_python(program) == "hello None apply_mask_slowly\n"
