"""Exits: SystemExit and KeyboardInterrupt of a handler end its answer, and nothing else; cleanup."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import socket
import struct
import time
from typing import TYPE_CHECKING

import pytest

from tests.peer import connect
from tests.programs import LOOPS, program, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.serving import Served


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


EXITS = """
from kissapi.extras.sse import sse

async def leave(req):
    for _ in range(int(req.query.get("after", "0"))):
        await sleep(0.001)
    if "key" in req.query:
        raise KeyboardInterrupt("on purpose")
    sys.exit("on purpose")

router.get("/handler")(leave)
router.post("/upload", stream=True)(leave)

@router.get("/generator")
async def generator(req: Request):
    await leave(req)
    yield "x"

@router.get("/second")
async def second(req: Request):
    yield "x"
    await leave(req)

@router.get("/plain")
def plain(req: Request):
    sys.exit("on purpose")
    yield "x"

@router.get("/events")
async def events(req: Request):
    return sse(generator(req))

@router.get("/after")
async def after(req: Request):
    req.after(leave, req)
    req.after(say, "the next one")
    return "x"

@router.websocket("/ws")
async def ws(ws):
    await leave(ws.request)
"""


def status_of(served: Served, path: str, body: bytes | None = None) -> int:
    """The status; 0 of an answer that is cut."""
    client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=5)
    try:
        client.request("POST" if body is not None else "GET", path, body)
        answer = client.getresponse()
        answer.read()
        return answer.status
    except (ConnectionError, http.client.IncompleteRead):
        return 0
    finally:
        client.close()


@spread("loop", "after, what", (0, "x"), (1, "key"), (0, "key"), (1, "x"))
def test_what_exits_is_a_500_or_a_reset_and_a_line(tmp_path: Path, loop: str, after: int, what: str) -> None:
    asked = f"?after={after}&{what}=1"
    with program(tmp_path, loop, EXITS) as served:
        answers = {
            "/handler": status_of(served, f"/handler{asked}"),
            "/upload": status_of(served, f"/upload{asked}", b"x" * 100_000),
            "/generator": status_of(served, f"/generator{asked}"),
            "/second": status_of(served, f"/second{asked}"),
            "/plain": status_of(served, "/plain"),
            "/events": status_of(served, f"/events{asked}"),
            "/after": status_of(served, f"/after{asked}"),
        }
        with connect(served.port) as client:
            client.sendall(
                b"GET /ws%b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                % asked.encode()
            )
            said = client.recv(4096)
            while b"\x03\xf3" not in said:  # 1011
                more = client.recv(4096)
                assert more, said
                said += more
        begin = time.monotonic()
        assert served.stop() == 0
        assert time.monotonic() - begin < 2
    assert answers == {
        "/handler": 500,
        "/upload": 500,
        "/generator": 500,
        "/second": 0,
        "/plain": 500,
        "/events": 0,
        "/after": 200,
    }
    name = "SystemExit" if what == "x" else "KeyboardInterrupt"
    logged = re.findall(rf"\[ERROR\] \w+ (/\w+)\S*: \w+ raised {name}\n", served.output)
    assert sorted(logged) == sorted(["/ws", *answers.keys() - {"/plain"}])
    assert served.output.count(f"\n{name}: on purpose\n") == 7 + (what == "x")
    assert "GET /plain: plain raised RuntimeError" in served.output
    assert "the next one\n" in served.output


# What is cancelled cleans up

CLEANUP = """
import threading

async def wait(name, seconds):
    try:
        say(f"{name} waits")
        await sleep(60)
    finally:
        await sleep(seconds)
        say(f"{name} cleaned up")
        say(f"{name} was in {threading.get_ident()}")

@router.get("/wait")
async def handler(req: Request):
    await wait("handler", float(req.query["seconds"]))

@router.get("/stream")
async def stream(req: Request):
    yield "x"
    await wait("stream", float(req.query["seconds"]))

@router.get("/after")
async def after(req: Request):
    req.after(wait, "after", float(req.query["seconds"]))

@router.websocket("/ws")
async def ws(ws):
    await wait("ws", float(ws.request.query["seconds"]))

@server.on_stop
def on_stop():
    say("on_stop")
    say(f"on_stop in {threading.get_ident()}")
"""
KINDS = ("handler", "stream", "after", "ws")
PATHS = ("/wait", "/stream", "/after", "/ws")


@contextlib.contextmanager
def asked(served: Served, seconds: float, paths: Sequence[str] = PATHS) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for path in paths:
            client = stack.enter_context(connect(served.port))
            upgrade = (
                b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" * (path == "/ws")
            )
            # A reset at the end: a client that only sends no more would still get its answer.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(
                f"GET {path}?seconds={seconds} HTTP/1.1\r\nHost: a\r\n".encode() + upgrade + b"\r\n"
            )
            if path != "/wait":
                client.recv(4096)
        time.sleep(0.1)
        yield


@spread("loop", "options", {}, {"loops": 2}, {"workers": 1})
def test_what_is_cancelled_at_the_end_has_a_second_to_clean_up(
    tmp_path: Path, loop: str, options: dict[str, int]
) -> None:
    with program(tmp_path, loop, CLEANUP, shutdown_timeout=0.1, **options) as served, asked(served, 0.3):
        assert served.stop() == 0
    lines = served.output.splitlines()
    assert [f"{kind} cleaned up" in lines for kind in KINDS] == [True] * 4
    for kind in KINDS:  # each loop ends its own app, when its own clients are gone
        at, said = next(each for each in enumerate(lines) if each[1].startswith(f"{kind} was in "))
        assert at < lines.index(f"on_stop in {said.removeprefix(f'{kind} was in ')}")


@spread("loop", "options", {}, {"workers": 1})
def test_at_a_second_signal_too(tmp_path: Path, loop: str, options: dict[str, int]) -> None:
    with program(tmp_path, loop, CLEANUP, **options) as served, asked(served, 0.3):
        served.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert served.stop() == 0
    assert [f"{kind} cleaned up" in served.output for kind in KINDS] == [True] * 4


def test_more_than_a_second_it_has_not(tmp_path: Path, loop: str) -> None:
    with program(tmp_path, loop, CLEANUP, shutdown_timeout=0.1) as served, asked(served, 30):
        begin = time.monotonic()
        assert served.stop() == 0
        assert 1 <= time.monotonic() - begin < 3
    assert "cleaned up" not in served.output
    assert "on_stop" in served.output


def test_the_end_waits_for_what_a_client_that_left_has_cancelled(tmp_path: Path, loop: str) -> None:
    with program(tmp_path, loop, CLEANUP) as served:
        with asked(served, 0.5, ("/wait", "/stream")):
            pass
        time.sleep(0.1)
        assert served.stop() == 0
    lines = served.output.splitlines()
    for kind in ("handler", "stream"):
        assert lines.index(f"{kind} cleaned up") < lines.index("on_stop")
