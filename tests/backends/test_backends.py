"""Real sockets, both backends: one app, one answer, to clients of other libraries and to hostile ones."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from kissapi import Request, Response, Router, Server, sleep, to_thread
from tests.peer import client_of, connect, read_all, reset, talk, until
from tests.wire import parse_answers

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
MIB = 1024 * 1024

Serve = Callable[..., Server]

router = Router()
seen: list[str] = []  # what the handlers below note


@router.get("/")
async def hello(req: Request) -> str:
    return "Hello, world!"


@router.post("/echo")
async def echo(req: Request) -> bytes:
    return req.body


@router.get("/json/{name}")
async def as_json(req: Request) -> dict[str, Any]:
    return {"name": req.params["name"], "query": req.query}


@router.get("/big/{size:int}")
async def big(req: Request) -> bytes:
    size: int = req.params["size"]
    return b"x" * size


@router.get("/sleep/{seconds:float}")
async def slow(req: Request) -> str:
    await sleep(req.params["seconds"])
    return "slept"


@router.get("/thread")
def blocking(req: Request) -> str:
    time.sleep(0.05)
    return threading.current_thread().name


@router.get("/to_thread")
async def in_thread(req: Request) -> str:
    return (await to_thread(threading.current_thread)).name


@router.get("/stream")
async def stream(req: Request) -> Any:
    try:
        for _ in range(1000):
            yield b"y" * 1000
    finally:
        await sleep(0)
        seen.append("stream closed")


@router.get("/patient")
async def patient(req: Request) -> str:
    seen.append("waits")
    try:
        await sleep(60)
    finally:
        await sleep(0.001)
        seen.append("cancelled")
    return "never"


@router.get("/exit")
async def leave(req: Request) -> None:
    await sleep(0)
    sys.exit("a handler has no business to end the server")


@router.get("/exit/{when}")
async def leave_at_once(req: Request) -> None:
    raise SystemExit(3)


clients: list[socket.socket] = []


def answer(sock: socket.socket) -> bytes:
    """One answer that comes with Content-Length, without its head."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(4096)
        assert piece, f"ended after {data!r}"
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    found = re.search(rb"Content-Length: (\d+)", head)
    assert found, head
    while len(body) < int(found[1]):
        body += sock.recv(4096)
    return body


def get(
    client: http.client.HTTPConnection, path: str = "/", method: str = "GET", body: Any = None
) -> tuple[int, bytes]:
    client.request(method, path, body)
    response = client.getresponse()
    return response.status, response.read()


# The same answers


EXCHANGES = {
    "hello": LAST,
    "head": LAST.replace(b"GET", b"HEAD"),
    "pipelined": GET * 5 + LAST,
    "json": LAST.replace(b"/ ", b"/json/J%C3%BCrgen?a=1&a=2 "),
    "post": b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    "stream": LAST.replace(b"/ ", b"/stream "),
    "stream 1.0": b"GET /stream HTTP/1.0\r\n\r\n",
    "1.0": b"GET / HTTP/1.0\r\n\r\n",
    "1.0 keep-alive": b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + LAST,
    "not found": LAST.replace(b"/ ", b"/nowhere "),
    "not allowed": LAST.replace(b"GET", b"PUT"),
    "options": LAST.replace(b"GET", b"OPTIONS"),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    "garbage behind a request": GET + b"nonsense\r\n\r\n" + GET,
    "too large": b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
    "exit": LAST.replace(b"/ ", b"/exit "),
}


@pytest.mark.parametrize("backend", ["asyncio"], indirect=True)
def test_both_backends_answer_with_the_same_bytes(serve: Serve) -> None:
    servers = [serve(router, backend=backend) for backend in ("asyncio", "selectors")]
    for name, question in EXCHANGES.items():
        one, other = (
            re.sub(rb"Date: [^\r]+", b"Date: now", talk(server.port, question)) for server in servers
        )
        if name == "stream":  # which pieces share a chunk hangs on when the socket has room
            one, other = (re.sub(rb"\r\n[0-9a-f]+\r\n(?=y)", b"", answer) for answer in (one, other))
            assert b"y" * 1_000_000 in one
        assert one == other, name
        assert one.startswith(b"HTTP/1.1 "), name


# Clients nobody here wrote


def test_http_client_keeps_its_connection(serve: Serve) -> None:
    server = serve(router)
    with client_of(server.port) as client:
        client.connect()
        sock = client.sock
        for _ in range(3):
            assert get(client) == (200, b"Hello, world!")
            assert get(client, "/", "HEAD") == (200, b"")
            assert get(client, "/echo", "POST", b"body") == (200, b"body")
            assert get(client, "/echo", "POST", iter([b"chunked ", b"body"])) == (200, b"chunked body")
            assert get(client, "/none")[0] == 404
        assert client.sock is sock


def test_urllib3_reuses_one_connection(serve: Serve) -> None:
    server = serve(router)
    with urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=1, retries=False) as pool:
        for number in range(50):
            assert pool.request("GET", f"/json/{number}").json()["name"] == str(number)
            assert pool.request("POST", "/echo", body=b"x" * number).data == b"x" * number
        assert pool.num_connections == 1


def curl(server: Server, *arguments: str, given: bytes = b"") -> tuple[bytes, str]:
    """What curl prints: the answer, and what it says of the exchange."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "--silent", "--verbose", "--max-time", "10", "--noproxy", "*", *arguments]
    command = [argument.replace("URL", f"http://127.0.0.1:{server.port}") for argument in command]
    done = subprocess.run(command, input=given, capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout, done.stderr.decode()


def test_curl_gets_two_pages_over_one_connection(serve: Serve) -> None:
    page, said = curl(serve(router), "URL/", "URL/json/x")
    assert page == b'Hello, world!{"name":"x","query":{}}'
    assert re.search("[Rr]e-?using existing", said), said


def test_curl_is_told_to_go_on_before_it_sends_the_body(serve: Serve) -> None:
    start = time.monotonic()
    arguments = (
        "--header",
        "Expect: 100-continue",
        "--expect100-timeout",
        "8",
        "--data-binary",
        "@-",
        "URL/echo",
    )
    body, said = curl(serve(router), *arguments, given=b"z" * 100_000)
    assert body == b"z" * 100_000
    assert "< HTTP/1.1 100 Continue" in said
    assert time.monotonic() - start < 5, "curl waited until it lost patience"


def test_curl_speaks_http_1_0_and_head(serve: Serve) -> None:
    server = serve(router)
    page, said = curl(server, "--http1.0", "URL/")
    assert page == b"Hello, world!"
    assert "< Connection: close" in said
    head, _ = curl(server, "--head", "URL/")
    assert b"Content-Length: 13\r\n" in head


def test_curl_reads_a_stream_and_sends_one(serve: Serve) -> None:
    server = serve(router)
    page, said = curl(server, "URL/stream")
    assert page == b"y" * 1_000_000
    assert "< Transfer-Encoding: chunked" in said
    given = os.urandom(300_000)
    assert (
        curl(
            server, "--header", "Transfer-Encoding: chunked", "--data-binary", "@-", "URL/echo", given=given
        )[0]
        == given
    )


# Large, many, in order


def test_a_body_of_16_mib_goes_in_and_out(serve: Serve) -> None:
    data = os.urandom(MIB) * 16
    with client_of(serve(router).port) as client:
        assert get(client, "/echo", "POST", data) == (200, data)
        assert get(client) == (200, b"Hello, world!")


def test_pipelined_answers_keep_their_order_though_the_first_sleeps(serve: Serve) -> None:
    first = b"GET /sleep/0.05 HTTP/1.1\r\nHost: a\r\n\r\n"
    blocking = b"GET /thread HTTP/1.1\r\nHost: a\r\n\r\n"
    answers = parse_answers(talk(serve(router).port, first + GET + blocking + first + LAST))
    bodies = [body for _, _, body in answers]
    assert [bodies[0], bodies[1], bodies[3], bodies[4]] == [
        b"slept",
        b"Hello, world!",
        b"slept",
        b"Hello, world!",
    ]
    assert bodies[2].startswith(b"kissapi-")


def test_a_client_that_half_closes_gets_its_answers(serve: Serve) -> None:
    sock = connect(serve(router).port)
    sock.sendall(b"GET /sleep/0.02 HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
    sock.shutdown(socket.SHUT_WR)
    assert [body for _, _, body in parse_answers(read_all(sock))] == [b"slept", b"Hello, world!"]


def test_slow_and_silent_clients_do_not_hold_up_others(serve: Serve) -> None:
    server = serve(router)
    silent, slow, greedy = (
        connect(server.port),
        connect(server.port),
        connect(server.port, receive_buffer=4096),
    )
    slow.sendall(b"GET / HT")
    greedy.sendall(b"GET /big/10000000 HTTP/1.1\r\nHost: a\r\n\r\n")  # and never reads
    waiting = connect(server.port)
    waiting.sendall(b"GET /sleep/5 HTTP/1.1\r\nHost: a\r\n\r\n")
    with client_of(server.port) as client:
        start = time.monotonic()
        for _ in range(20):
            assert get(client)[0] == 200
        assert time.monotonic() - start < 1
    for byte in b"TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":
        slow.sendall(bytes([byte]))
    assert read_all(slow).endswith(b"Hello, world!")
    for sock in (silent, greedy, waiting):
        sock.close()


def test_500_idle_connections_and_a_request(serve: Serve) -> None:
    server = serve(router)
    idle = [connect(server.port) for _ in range(500)]
    with client_of(server.port) as client:
        assert get(client)[0] == 200
    for sock in idle[::50]:
        sock.sendall(GET)
        assert answer(sock) == b"Hello, world!"
    for sock in idle:
        sock.close()


def test_a_client_that_asks_100_000_times_and_does_not_read_costs_no_memory(serve: Serve) -> None:
    server = serve(router)
    sock = connect(server.port, receive_buffer=4096)
    question = GET[:-2] + b"X-Padding: " + b"p" * 100 + b"\r\n\r\n"
    asked = memoryview(question * 100_000)  # more than the kernel holds for the two of them
    assert server.service is not None
    until(lambda: len(server.service.connections) == 1)
    (connection,) = server.service.connections
    sent, last = 0, time.monotonic()
    sock.setblocking(False)
    # On a busy machine the server may have had no turn for longer.
    while sent < len(asked) and (connection.writable or time.monotonic() - last < 0.2):
        assert time.monotonic() - last < 20, "the server neither reads nor is under back-pressure"
        try:
            sent += sock.send(asked[sent : sent + 65536])
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.005)
    assert sent < len(asked), "the server has read all of it"
    assert connection.transport.get_write_buffer_size() < 512 * 1024
    assert len(connection.pending) <= server.limits.read_size
    assert not connection.writable
    assert not connection.reading
    # Once it reads, it gets every answer.
    sock.setblocking(True)
    rest = threading.Thread(target=sock.sendall, args=(asked[sent:],), daemon=True)
    rest.start()
    answers, tail = 0, b""
    while answers < 100_000:
        data = sock.recv(1 << 20)
        assert data
        answers += (tail + data).count(b"Hello, world!")
        tail = data[-12:]
    rest.join()
    sock.close()


def test_answers_do_not_wait_for_more_to_send(serve: Serve) -> None:
    server = serve(router)
    with connect(server.port) as sock:
        sock.sendall(GET)
        answer(sock)
        assert server.service is not None
        (connection,) = server.service.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# Handlers


def test_a_plain_def_runs_in_a_thread_and_may_block(serve: Serve) -> None:
    server = serve(router)
    socks = [connect(server.port) for _ in range(8)]
    start = time.monotonic()
    for sock in socks:
        sock.sendall(b"GET /thread HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    names = {parse_answers(read_all(sock))[0][2] for sock in socks}
    assert time.monotonic() - start < 8 * 0.05, "one after another"
    assert len(names) > 1


def test_sleep_and_to_thread_work_in_handlers(serve: Serve) -> None:
    with client_of(serve(router).port) as client:
        assert get(client, "/sleep/0.01") == (200, b"slept")
        assert get(client, "/to_thread")[1].startswith(b"kissapi-")


def test_a_client_that_vanishes_cancels_its_handler_whose_finally_runs(serve: Serve) -> None:
    server = serve(router)
    seen.clear()
    sock = connect(server.port)
    sock.sendall(b"GET /patient HTTP/1.1\r\nHost: a\r\n\r\n")
    until(lambda: seen == ["waits"])
    reset(sock)
    until(lambda: seen == ["waits", "cancelled"])
    with client_of(server.port) as client:
        assert get(client)[0] == 200


def test_a_client_that_vanishes_ends_its_stream(serve: Serve) -> None:
    server = serve(router)
    seen.clear()
    sock = connect(server.port, receive_buffer=4096)
    sock.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
    assert sock.recv(1000)
    reset(sock)
    until(lambda: seen == ["stream closed"])


def test_clients_that_vanish_before_they_are_accepted_do_no_harm(serve: Serve) -> None:
    server = serve(router)
    for _ in range(50):
        reset(connect(server.port))
    with client_of(server.port) as client:
        assert get(client)[0] == 200
    assert server.service is not None
    until(lambda: server.service is not None and not server.service.connections)


def test_a_handler_that_exits_is_a_500_and_the_server_stays(serve: Serve) -> None:
    server = serve(router)
    with client_of(server.port) as client:
        assert get(client, "/exit") == (500, b"Internal Server Error")
        assert get(client, "/exit/now") == (500, b"Internal Server Error")
        assert get(client) == (200, b"Hello, world!")


def test_context_variables_of_one_request_are_not_seen_by_the_next(serve: Serve) -> None:
    from contextvars import ContextVar

    variable = ContextVar("variable", default="unset")
    router = Router()

    @router.get("/async/{waits:int}")
    async def with_async(req: Request) -> str:
        before = variable.get()
        variable.set("set")
        await sleep(0.001 * req.params["waits"])
        return before

    @router.get("/def")
    def with_def(req: Request) -> Response:
        before = variable.get()
        variable.set("set")
        return Response(before)

    with client_of(serve(router).port) as client:
        for path in ("/async/0", "/async/1", "/def") * 2:
            assert get(client, path) == (200, b"unset")
