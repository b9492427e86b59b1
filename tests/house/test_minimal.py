"""The promise on a small Python: the wheel alone serves there, and a full Python asks over real sockets.

Every test runs twice: on Debian's package, and on this Python with a blocker. Where Debian's cannot be had,
its tests are skipped with the reason, and the blocker stands in.
"""

from __future__ import annotations

import gzip
import http.client
import importlib.util
import json
import os
import re
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import frames, small_python
from tests.peer import connect, read_all
from tests.places import ROOT
from tests.serving import Served
from tests.small_python import Missing, SmallPython

if importlib.util.find_spec("setuptools") is None:
    pytest.skip(
        "setuptools builds the wheel these tests serve from: install kissapi[test]", allow_module_level=True
    )

APP = str(Path(__file__).with_name("minimal_app.py"))

# What must not be there, or the proof proves nothing.
ABSENT = [
    "asyncio",
    "colorama",
    "concurrent.futures",
    "contextvars",
    "dataclasses",
    "http",
    "httptools",
    "json",
    "multiprocessing",
    "queue",
    "shutil",
]


@pytest.fixture(scope="module", params=["debian", "blocked"])
def small(request: pytest.FixtureRequest) -> SmallPython:
    try:
        return getattr(small_python, request.param)()  # type: ignore[no-any-return]
    except Missing as reason:
        pytest.skip(f"python3.11-minimal cannot be had ({reason}): the blocker stands in")


def serve(small: SmallPython, *arguments: str) -> Served:
    return Served([*small.command, APP, *arguments], env=small.env)


@pytest.fixture(scope="module")
def app(small: SmallPython) -> Iterator[Served]:
    with serve(small) as served:
        yield served


@pytest.fixture
def client(app: Served) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    yield client
    client.close()


def answer_to(
    client: http.client.HTTPConnection, path: str, *, send: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """GET, or POST of `send` as JSON; status and body."""
    if send is None:
        client.request("GET", path, headers=headers or {})
    else:
        client.request("POST", path, json.dumps(send), {"Content-Type": "application/json"} | (headers or {}))
    answer = client.getresponse()
    return answer.status, answer.read().decode()


def test_the_python_is_small(client: http.client.HTTPConnection) -> None:
    assert answer_to(client, "/importable", send=ABSENT) == (200, "[]")
    assert answer_to(client, "/importable", send=["selectors", "json"]) == (200, '["selectors"]')


def test_quick_start(client: http.client.HTTPConnection) -> None:
    client.request("GET", "/")
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (200, b"Hello, world!")
    assert answer.headers.get_content_type() == "text/plain"
    assert answer.headers["Date"]


def test_the_life_of_an_app(client: http.client.HTTPConnection) -> None:
    assert answer_to(client, "/spawned") == (200, "done")


def test_json_both_ways(client: http.client.HTTPConnection) -> None:
    said = {"text": 'snow ☃ 𝄞 " \\ \n', "list": [1, -2.5, 1e300, True, False, None], "deep": {"a": [{}, []]}}
    status, body = answer_to(client, "/json", send=said)
    assert status == 200
    assert json.loads(body) == {"got": said}


def test_bad_json_is_the_clients_mistake(client: http.client.HTTPConnection) -> None:
    client.request("POST", "/json", "{bad")
    answer = client.getresponse()
    assert answer.status == 400
    answer.read()


def test_parameters(client: http.client.HTTPConnection) -> None:
    assert answer_to(client, "/users/ann%20lee") == (200, "user ann lee")
    assert answer_to(client, "/double/21") == (200, '{"double":42}')
    assert answer_to(client, "/double/x")[0] == 404
    assert answer_to(client, "/search?q=a+b&n=1&q=2") == (200, '{"q":"a b","n":"1"}')


def test_arguments_by_type(client: http.client.HTTPConnection) -> None:
    assert answer_to(client, "/typed/7?limit=3&on=yes") == (200, "[7,3,true]")
    assert answer_to(client, "/typed/x")[0] == 404
    status, body = answer_to(client, "/typed/7?limit=x")
    detail = "must be a whole number, not 'x'"
    assert (status, json.loads(body)["errors"]) == (422, [{"parameter": "limit", "detail": detail}])


def test_not_found_and_method_not_allowed(client: http.client.HTTPConnection) -> None:
    assert answer_to(client, "/nowhere")[0] == 404
    client.request("DELETE", "/")
    answer = client.getresponse()
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]
    answer.read()


def test_sub_router_and_hooks(client: http.client.HTTPConnection) -> None:
    status, body = answer_to(client, "/api/v1/items/7", headers={"X-Token": "t"})
    assert (status, json.loads(body)) == (200, {"data": {"id": "7"}})
    status, body = answer_to(client, "/api/v1/items/7")
    assert (status, json.loads(body)) == (401, {"error": "no token"})


def test_extras(client: http.client.HTTPConnection) -> None:
    assert answer_to(client, "/-/ready") == (200, '{"status":"ready","checks":{}}')
    ask = {"Authorization": "Basic YW5uOnBlYXI=", "Accept-Encoding": "gzip", "X-Request-Id": "one"}
    client.request("GET", "/covered/", headers=ask)
    answer = client.getresponse()
    assert gzip.decompress(answer.read()) == b"ann one " * 10
    assert (answer.headers["x-request-id"], answer.headers["ratelimit"]) == ("one", '"2/hour";r=1;t=3600')
    assert answer_to(client, "/covered/", headers={**ask, "If-None-Match": answer.headers["etag"]})[0] == 304
    assert answer_to(client, "/covered/", headers=ask)[0] == 429


def test_openapi(client: http.client.HTTPConnection) -> None:
    status, body = answer_to(client, "/openapi.json")
    found = json.loads(body)
    assert (status, found["info"]) == (200, {"title": "Small", "version": "1"})
    assert found["paths"]["/covered"]["get"]["security"] == [{"basic": []}]
    status, page = answer_to(client, "/docs")
    assert (status, page.startswith("<!doctype html>")) == (200, True)


def test_fail(client: http.client.HTTPConnection) -> None:
    assert answer_to(client, "/forbidden") == (403, "Forbidden")
    status, body = answer_to(client, "/taken")
    assert (status, json.loads(body)) == (409, {"error": "taken"})


def test_sleep_and_threads(client: http.client.HTTPConnection) -> None:
    assert answer_to(client, "/nap") == (200, "rested")
    assert answer_to(client, "/thread") == (200, "another thread")
    assert answer_to(client, "/plain") == (200, "from a plain def")


def test_a_sleeping_handler_holds_up_no_other(app: Served) -> None:
    sleepers = [connect(app.port) for _ in range(10)]
    began = time.monotonic()
    for sleeper in sleepers:
        sleeper.sendall(b"GET /nap HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    for sleeper in sleepers:
        assert read_all(sleeper).decode().endswith("\r\n\r\nrested")
        sleeper.close()
    assert time.monotonic() - began < 1.5  # one after the other, 10 naps of 0.2 s would be 2


def test_a_websocket(app: Served) -> None:
    text = "snow ☃ " * 200  # it is masked by strides, and compressed
    for fields in ([], ["Sec-WebSocket-Extensions: permessage-deflate"]):
        with connect(app.port) as client:
            client.sendall(frames.handshake("/shout", *fields) + frames.frame(frames.TEXT, text.encode()))
            data = b""
            while not data.endswith(b"bye"):
                data += client.recv(65536)
            client.sendall(frames.close(4000))
            assert read_all(client) == b""
        head, _, rest = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        message, close = frames.parse(rest)
        assert (b"permessage-deflate" in head.lower()) == bool(fields) == bool(message.rsv)
        answer = zlib.decompressobj(-15).decompress(message.payload) if message.rsv else message.payload
        assert answer.decode() == text.upper()
        assert close.payload == b"\x0f\xa0bye"


def test_keep_alive(client: http.client.HTTPConnection) -> None:
    client.connect()
    used = client.sock
    for _ in range(3):
        assert answer_to(client, "/") == (200, "Hello, world!")
    assert client.sock is used


def test_pipelined_requests_are_answered_in_order(app: Served) -> None:
    paths = ["/nap", "/users/2", "/forbidden", "/users/4"]
    batch = "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths)
    batch += "GET /users/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with connect(app.port) as connection:
        connection.sendall(batch.encode())
        answers = read_all(connection).decode()
    assert re.findall(r"HTTP/1.1 (\d+)", answers) == ["200", "200", "403", "200", "200"]
    bodies = ["rested", "user 2", "Forbidden", "user 4", "user last"]
    assert re.findall(rf"\r\n\r\n({'|'.join(bodies)})", answers) == bodies


def test_bad_request_and_broken_handler(app: Served, client: http.client.HTTPConnection) -> None:
    with connect(app.port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nno colon\r\n\r\n")
        assert read_all(connection).decode().startswith("HTTP/1.1 400 ")
    assert answer_to(client, "/broken")[0] == 500
    assert answer_to(client, "/") == (200, "Hello, world!")


def test_custom_parser(small: SmallPython) -> None:
    with serve(small, "custom") as served, connect(served.port) as connection:
        connection.sendall(b"HELLO /greet/")
        connection.sendall(b"world\r\nany line\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection).decode()
    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert answer.endswith("\r\n\r\nhello world")


def test_log_lines_and_sigterm(small: SmallPython) -> None:
    with serve(small) as served:
        assert served.get("/") == b"Hello, world!"
        client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
        assert answer_to(client, "/broken")[0] == 500
        client.close()
        assert served.stop() == 0
    lines = served.output.splitlines()
    request_line = r"\d\d:\d\d:\d\d \[INFO\] GET / → 200 13B \d+\.\dms"
    assert any(re.fullmatch(request_line, line) for line in lines), served.output
    assert any(re.search(r" GET /broken → 500 ", line) for line in lines), served.output
    assert "RuntimeError: as asked" in served.output
    assert "\x1b" not in served.output  # no colours where nobody looks


FELL_BACK = r'\d\d:\d\d:\d\d \[INFO\] This Python has no asyncio: serving on backend="selectors"'
REFUSED = 'kissapi: this Python has no asyncio: choose loop="selectors" (--loop selectors) in its place'


def test_a_server_that_names_no_backend_serves(small: SmallPython) -> None:
    with serve(small, "default") as served:
        assert served.get("/") == b"Hello, world!"
    assert sum(re.fullmatch(FELL_BACK, line) is not None for line in served.output.splitlines()) == 1


def test_asyncio_by_its_name_is_refused_in_one_line(small: SmallPython) -> None:
    refused(small, "asyncio")


def refused(small: SmallPython, *arguments: str, cwd: Path | None = None) -> None:
    ended = subprocess.run(
        [*small.command, APP, *arguments], env=small.env, cwd=cwd, capture_output=True, text=True, timeout=20
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(REFUSED)
    assert ended.stderr.count("\n") == 1


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a module `shop`, for the command line."""
    (tmp_path / "shop.py").write_text(
        "from kissapi import Router, Server\nrouter = Router()\n@router.get('/')\n"
        "async def hello(req): return 'Hello'\nserver = Server(router=router, backend='asyncio')\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [["shop:router"], ["shop:router", "--workers=2"], ["shop:server", "--backend=selectors"]],
    ids=lambda words: words[-1],
)
def test_the_command_line_serves(small: SmallPython, shop: Path, words: list[str]) -> None:
    command = [*small.command, APP, "command", *words, "--host=127.0.0.1", "--port=0"]
    with Served(command, cwd=shop, env=small.env) as served:
        assert served.get("/") == b"Hello"
    fell_back = [line for line in served.output.splitlines() if re.fullmatch(FELL_BACK, line)]
    assert len(fell_back) == ("--backend=selectors" not in words)


@pytest.mark.parametrize(
    "words", [["shop:router", "--backend=asyncio"], ["shop:router", "--loop=asyncio"], ["shop:server"]]
)
def test_the_command_line_refuses_asyncio(small: SmallPython, shop: Path, words: list[str]) -> None:
    refused(small, "command", *words, "--port=0", cwd=shop)


def test_while_you_write(small: SmallPython, shop: Path) -> None:
    with (shop / "shop.py").open("a") as file:
        file.write("@router.get('/wrong')\nasync def wrong(req): return 1 / 0\n")
    words = ["shop:router", "--reload", "--debug", "--port=0"]
    with Served([*small.command, APP, "command", *words], cwd=shop, env=small.env) as served:
        client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
        status, page = answer_to(client, "/wrong", headers={"Accept": "text/html"})
        assert status == 500
        assert "<h1>ZeroDivisionError: division by zero</h1>" in page
        client.close()
        with (shop / "shop.py").open("a") as file:
            file.write("@router.get('/right')\nasync def right(req): return 'mended'\n")
        deadline = time.monotonic() + 15
        while True:
            client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
            answer = answer_to(client, "/right")
            client.close()
            if answer == (200, "mended"):
                break
            assert time.monotonic() < deadline, answer


def test_usual_heads_are_on_the_fast_road(small: SmallPython) -> None:
    """And what is read there is what is there: its regular expressions are those of CPython 3.11.2."""
    heads = ROOT / "tests/fuzz/heads.py"
    path = f"{small.env['PYTHONPATH']}{os.pathsep}{ROOT}"  # kissapi is the wheel's, tests is the checkout's
    done = subprocess.run(
        [*small.command, str(heads), "heads=300", "seed=3"],
        env=small.env | {"PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "with its stand-in" in done.stdout
    print(done.stdout, end="")  # `make minimal` shows it


def test_a_bare_checkout_serves_too(small: SmallPython) -> None:
    with Served([*small.command, APP], env=small.env | {"PYTHONPATH": str(ROOT)}) as served:
        assert served.get("/") == b"Hello, world!"
