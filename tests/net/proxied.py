"""Proxied: an app that says what it knows of its client, and a proxy that asks it."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from kissapi import Request, Router
from kissapi.net.proxy_protocol import SIGNATURE
from tests.peer import connect

PROXY = "10.0.0.1"
ANN = "192.0.2.7"
MALLORY = "203.0.113.66"


def router_of() -> Router:
    """It says what it knows of the client."""
    router = Router()

    @router.get("/")
    async def origin(req: Request) -> Any:
        return [req.client, req.scheme, req.headers.get("host")]

    return router


def origin_seen(port: int, *fields: str, first: bytes = b"", source: str = "127.0.0.1") -> Any:
    """What the app sees of a request of ours, with `first` in front of it; None if we were not served."""
    head = "\r\n".join(["GET / HTTP/1.1", "Host: a", "Connection: close", *fields, "", ""])
    with connect(port, source=source) as client:
        return origin_told(client, first + head.encode())


def origin_told(client: socket.socket, data: bytes) -> Any:
    answer = b""
    try:
        client.sendall(data)
        while piece := client.recv(65536):
            answer += piece
    except ConnectionError:  # what we have sent was not read
        assert not answer
    return json.loads(answer.partition(b"\r\n\r\n")[2]) if answer else None


def line(address: str, kind: str = "TCP4", target: str = "10.0.0.1") -> bytes:
    return f"PROXY {kind} {address} {target} 4711 443\r\n".encode()


def binary(
    family: int, addresses: bytes = b"", tail: bytes = b"", command: int = 1, version: int = 2
) -> bytes:
    block = addresses + tail
    return SIGNATURE + bytes([version << 4 | command, family]) + struct.pack("!H", len(block)) + block


V4 = socket.inet_aton(ANN) + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4711, 443)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + struct.pack("!HH", 4711, 443)
