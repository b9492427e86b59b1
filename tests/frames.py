"""Frames: WebSocket's bytes (RFC 6455 §5.2), made and read without the library that the server uses."""

from __future__ import annotations

import struct
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x37\xfa\x21\x3d"


def handshake(path: str = "/ws", *fields: str, **changes: str | None) -> bytes:
    """A client's opening handshake; `changes` are other values for its fields, None leaves one out."""
    usual: dict[str, str | None] = {
        "Host": "a",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    usual.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"GET {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in usual.items() if value is not None]
    return "\r\n".join([*lines, *fields, "", ""]).encode()


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    length: bytes | None = None,
) -> bytes:
    """One frame of a client; `rsv` are the reserved bits as a number, `length` is a wrong way to say it."""
    masked = 0x80 if mask is not None else 0
    size = len(payload)
    if length is None:
        if size < 126:
            length = bytes([size])
        elif size < 1 << 16:
            length = b"\x7e" + struct.pack("!H", size)
        else:
            length = b"\x7f" + struct.pack("!Q", size)
    head = bytes([fin << 7 | rsv << 4 | opcode, length[0] | masked]) + length[1:]
    if mask is None:
        return head + payload
    key = (mask * (size // 4 + 1))[:size]
    both = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask + both.to_bytes(size, "big")


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """A close frame of a client."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


class Frame(NamedTuple):
    """One of the server's."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0


def parse(data: bytes) -> list[Frame]:
    """The frames in what a server has sent. Fails if there are others than whole, unmasked ones."""
    frames = []
    while data:
        first, second = data[0], data[1]
        assert second < 0x80, "a server masks nothing"
        size, start = second, 2
        if size == 126:
            (size,), start = struct.unpack("!H", data[2:4]), 4
            assert size > 125
        elif size == 127:
            (size,), start = struct.unpack("!Q", data[2:10]), 10
            assert size > 65535
        payload = data[start : start + size]
        assert len(payload) == size, "half a frame"
        frames.append(Frame(first & 0x0F, payload, bool(first & 0x80), first >> 4 & 7))
        data = data[start + size :]
    return frames


def closing(frames: list[Frame]) -> tuple[int | None, str]:
    """Code and reason of the close frame, which is the last one."""
    assert [each.opcode for each in frames].count(CLOSE) == 1
    payload = frames[-1].payload
    assert frames[-1].opcode == CLOSE, "something comes behind a close"
    return (struct.unpack("!H", payload[:2])[0] if payload else None), payload[2:].decode()
