"""A gigabyte out and a gigabyte in, through both doors, with flat memory; slow clients, and slow apps.

Raw ASGI and Starlette on kissapi, kissapi under uvicorn. What is told is by how much the peak of the server's
memory (VmHWM) grew.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request  # noqa: TC002
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from tests import memory
from tests.ecosystem.site import SECONDS, OtherSite, Site, check
from tests.peer import read_all, until

GIGABYTE = 1 << 30
PIECE = bytes(1 << 16)
MEGABYTE = bytes(1 << 20)
MOST = 8 << 20  # bytes by which memory may grow; what waits is twice 64 KiB, the rest is the allocator's

counts = {"arrived": 0}  # bytes, of the last upload or download
go = asyncio.Event()


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """What `tests.ecosystem.hosted` has of these paths, in ASGI."""
    if scope["type"] == "lifespan":
        return
    path, answer = scope["path"], b""
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
    if path.startswith("/out/"):
        counts["arrived"] = 0
        await send(start)
        for _ in range(int(path[5:]) // len(PIECE)):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            counts["arrived"] += len(PIECE)
        await send({"type": "http.response.body"})
        return
    if path in ("/in", "/late"):
        if path == "/late":
            await go.wait()
            go.clear()
        counts["arrived"], more = 0, True
        while more:
            event = await receive()
            more = event.get("more_body", False)
            counts["arrived"] += len(event.get("body", b""))
        answer = b"%d" % counts["arrived"]
    elif path == "/arrived":
        answer = b"%d" % counts["arrived"]
    elif path == "/go":
        go.set()
    await send(start)
    await send({"type": "http.response.body", "body": answer})


async def give(request: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(request.path_params["size"] // len(PIECE)):
            yield PIECE

    return StreamingResponse(pieces())


async def take(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(sum([len(piece) async for piece in request.stream()])))


app = Starlette(routes=[Route("/out/{size:int}", give), Route("/in", take, methods=["POST"])])


def main() -> str:
    here = "tests.ecosystem.gigabytes"
    told = []
    for name, target in (("ASGI", f"{here}:raw"), ("Starlette", f"{here}:app")):
        with Site(target, "--max-body", "2G", "--no-access-log") as site:
            told.append(f"{name} {there_and_back(site)}")
            if name == "ASGI":
                be_slow(site)
    with (
        tempfile.TemporaryDirectory() as folder,
        OtherSite("uvicorn", "tests.ecosystem.hosted:app", "--no-access-log", FOLDER=folder) as site,
    ):
        told.append(f"to_asgi under uvicorn {there_and_back(site)}")
        be_slow(site)
    return f"memory grew by: {', '.join(told)}; slow readers, senders and apps hold up the other side"


def there_and_back(site: Any) -> str:
    """A gigabyte each way; what a smaller one has left in memory is there before."""
    for size in (64 << 20, GIGABYTE):
        memory.forget_peak(site.process.pid)
        before, start = memory.resident(site.process.pid), time.monotonic()
        receive(site, size)
        out, between = memory.peak(site.process.pid), time.monotonic()
        send(site, size)
        back, end = memory.peak(site.process.pid), time.monotonic()
    grown = [(most - before) / (1 << 20) for most in (out, back)]
    check("memory is flat", max(grown) < MOST >> 20, grown)
    return f"{grown[0]:.1f} MiB out ({between - start:.1f} s), {grown[1]:.1f} in ({end - between:.1f} s)"


def receive(site: Any, size: int) -> None:
    with connect(site, f"GET /out/{size}") as sock:
        got, buffer = 0, bytearray(1 << 20)
        while count := sock.recv_into(buffer):
            got += count
    check("all of it came", got > size, got)  # chunks, and a head


def send(site: Any, size: int) -> None:
    with connect(site, "POST /in", f"Content-Length: {size}") as sock:
        for _ in range(size // len(MEGABYTE)):
            sock.sendall(MEGABYTE)
        check("all of it went", read_all(sock).endswith(b"%d" % size))


def connect(site: Any, line: str, *fields: str, **options: int) -> socket.socket:
    sock = socket.socket()
    sock.settimeout(SECONDS)
    if options:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options["buffer"])
    sock.connect(("127.0.0.1", site.port))
    sock.sendall("\r\n".join([f"{line} HTTP/1.1", "Host: a", "Connection: close", *fields, "", ""]).encode())
    return sock


def be_slow(site: Any) -> None:
    number = site.process.pid
    memory.forget_peak(number)
    before = memory.resident(number)

    with connect(
        site, f"GET /out/{GIGABYTE}", buffer=1 << 16
    ) as sock:  # a reader that takes a megabyte a second
        for _ in range(10):
            sock.recv(1 << 17)
            time.sleep(0.05)
        made = site.ask("/arrived").json
    check("a slow reader holds up the app", made < 16 << 20, made)

    with connect(site, "POST /in", f"Content-Length: {10 * len(PIECE)}") as sock:  # a slow sender
        for count in range(1, 10):
            sock.sendall(PIECE)
            wait_for_arrival(site, count * len(PIECE))
        sock.sendall(PIECE)
        check("a slow sender is read as it comes", read_all(sock).endswith(b"%d" % (10 * len(PIECE))))

    size = 256 << 20
    with connect(site, "POST /late", f"Content-Length: {size}") as sock:  # an app that takes nothing yet
        sock.settimeout(0.5)
        went = 0
        try:
            while went < size:
                went += sock.send(MEGABYTE)
        except TimeoutError:
            pass
        check("an app that takes nothing holds up the client", went < 32 << 20, went)  # the kernel's buffers
        site.ask("/go", method="POST")
        sock.settimeout(SECONDS)
        for _ in range(0, size - went, len(PIECE)):
            sock.sendall(PIECE[: min(len(PIECE), size - went)])
            went += len(PIECE)
        check("and then has all of it", read_all(sock).endswith(b"%d" % size))

    grown = memory.peak(number) - before
    check("memory is flat", grown < MOST, grown)


def wait_for_arrival(site: Any, size: int) -> None:
    until(lambda: site.ask("/arrived").json == size, SECONDS)
