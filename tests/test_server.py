"""The life of a server: arguments, start, embedding, signals, stopping; what it does without descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Router, Server, sockets
from tests.served import Served

ROOT = Path(__file__).parent.parent
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SLEEP = b"GET /sleep/%s HTTP/1.1\r\nHost: a\r\n\r\n"

Serve = Callable[..., Server]

router = Router()


@router.get("/")
async def hello(req: Request) -> str:
    return "Hello, world!"


clients: list[socket.socket] = []


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    yield
    while clients:
        clients.pop().close()


def connect(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A client's socket, closed when the test is over."""
    clients.append(socket.create_connection((host, port), timeout=5))
    return clients[-1]


def ask(sock: socket.socket, question: bytes = GET) -> bytes:
    """The answer to one request, which fits one read."""
    sock.sendall(question)
    return sock.recv(65536)


def read_all(sock: socket.socket) -> bytes:
    with sock:
        return b"".join(iter(lambda: sock.recv(65536), b""))


def greeting(port: int, host: str = "127.0.0.1") -> bytes:
    """What a new client gets that asks once."""
    with connect(port, host) as sock:
        return ask(sock)


async def greeting_in_loop(port: int) -> bytes:
    """The same beside a server in this very loop."""
    return await asyncio.to_thread(greeting, port)


def embedded(**options: Any) -> Server:
    return Server("127.0.0.1", 0, router=router, access_log=False, **options)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"backend": "trio"}, ValueError, ["asyncio", "selectors", "trio"]),
        ({"backend": ""}, ValueError, ["asyncio", "selectors"]),
        ({"backend": "selectors", "loop_factory": print}, ValueError, ["loop_factory", "asyncio"]),
        ({"host": 8000}, TypeError, ["host", "port=8000"]),
        ({"port": "8000"}, ValueError, ["port", "'8000'"]),
        ({"port": 65536}, ValueError, ["65535"]),
        ({"port": -1}, ValueError, ["-1"]),
        ({"port": True}, ValueError, ["True"]),
        ({"router": {}}, TypeError, ["Router", "{}"]),
        ({"parser_class": "HttpParser"}, TypeError, ["parser_class", "'HttpParser'"]),
        ({"max_bodi": 1}, TypeError, ["max_bodi", "max_body"]),
        ({"max_body": -1}, ValueError, ["max_body", "-1"]),
        ({"idle_timeout": None}, ValueError, ["idle_timeout"]),
    ],
)
def test_a_wrong_argument_is_refused_with_what_would_be_right(
    arguments: dict[str, Any], error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        Server(**arguments)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_server_shows_where_it_is_and_whether_it_runs() -> None:
    assert repr(Server("::1", 8080)) == "<Server http://[::1]:8080 backend='asyncio' not running>"


def test_the_url_tells_another_protocol_from_http() -> None:
    class Lines:
        _finished = False

        def __init__(self, request: Request) -> None: ...

        def feed_data(self, data: bytes) -> None: ...

    assert Server("localhost", 70, parser_class=Lines).url == "tcp://localhost:70"


# Starting


def test_port_0_is_a_free_one_which_port_and_url_tell(serve: Serve) -> None:
    one, other = serve(router), serve(router)
    assert 0 != one.port != other.port != 0
    assert one.url == f"http://127.0.0.1:{one.port}"
    assert greeting(one.port).endswith(b"Hello, world!")
    assert "not running" not in repr(one)


def test_the_same_server_can_be_started_again(backend: str) -> None:
    server = Server("127.0.0.1", 0, router=router, backend=backend, access_log=False)
    for _ in range(2):
        thread = threading.Thread(target=server.loop, daemon=True)
        thread.start()
        until(lambda: server.service is not None)
        assert greeting(server.port).endswith(b"Hello, world!")
        server.stop()
        thread.join(5)
        assert not thread.is_alive()
        assert server.service is None
        server.stop()  # does nothing


def until(fact: Callable[[], Any], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.001)


@pytest.mark.parametrize("backend", ["asyncio"], indirect=True)
def test_a_server_on_each_backend_at_the_same_time(serve: Serve) -> None:
    servers = [serve(router, backend=backend) for backend in ("asyncio", "selectors") * 2]
    for server in servers * 3:
        assert greeting(server.port).endswith(b"Hello, world!")


def test_ipv6(serve: Serve) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    server = serve(router, host="::1")
    assert server.url == f"http://[::1]:{server.port}"
    assert greeting(server.port, "::1").endswith(b"Hello, world!")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_host_none_is_every_address(serve: Serve) -> None:
    server = serve(router, host=None)
    assert greeting(server.port).endswith(b"Hello, world!")
    if has_ipv6():
        assert greeting(server.port, "::1").endswith(b"Hello, world!")


def test_an_address_family_this_machine_cannot_use_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("2001:db8::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    (sock,) = sockets.bind("a.name", 0, 10)
    assert sock.getsockname()[0] == "127.0.0.1"
    sock.close()
    del found[1]
    with pytest.raises(OSError, match="is no address of this machine"):
        sockets.bind("a.name", 0, 10)


@pytest.mark.parametrize("host", ["203.0.113.1", "no.such.name", "x" * 70, "a..b"])
def test_a_host_that_is_elsewhere_or_nowhere_is_one_line(
    host: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def look_up_here(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "no.such.name":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)
    with pytest.raises(SystemExit) as caught:
        Server(host, 0, backend=backend).loop()
    assert re.fullmatch(r"kissapi: .*is no address of this machine: .*", str(caught.value))


PORT_IN_USE = r"port \d+ of 127\.0\.0\.1 is in use: stop the program that uses it, or choose another .*"


def test_a_port_in_use_is_one_line_and_no_traceback(backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-c", SERVE, backend, f"port={taken.getsockname()[1]}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=20)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(f"kissapi: {PORT_IN_USE}\n", done.stderr)


def test_run_raises_what_is_wrong_with_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Server("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match=PORT_IN_USE) as caught:
            asyncio.run(server.run())
    assert caught.value.errno == errno.EADDRINUSE
    assert server.service is None


# Inside a loop


def test_run_serves_beside_other_tasks_and_touches_no_signals() -> None:
    async def main() -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        server = embedded()
        beats = []

        async def other() -> None:
            while True:
                beats.append(1)
                await asyncio.sleep(0.001)

        async with asyncio.timeout(10):
            tasks = [asyncio.create_task(server.run()), asyncio.create_task(other())]
            await asyncio.sleep(0.01)
            assert (await greeting_in_loop(server.port)).endswith(b"Hello, world!")
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
            server.stop()
            await tasks[0]
            assert server.service is None
            assert not tasks[1].done()
            assert len(beats) > 3
            tasks[1].cancel()

    asyncio.run(main())


def test_cancelling_run_stops_the_server() -> None:
    async def main() -> None:
        server = embedded()
        task = asyncio.create_task(server.run())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ConnectionRefusedError):
            greeting(server.port)

    asyncio.run(main())


def test_async_with_serves_and_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with embedded() as server:
            assert (await greeting_in_loop(server.port)).endswith(b"Hello, world!")
            with pytest.raises(RuntimeError, match="running already"):
                await server.run()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with pytest.raises(ConnectionRefusedError):
            greeting(server.port)

    asyncio.run(main())


def test_two_servers_in_one_loop() -> None:
    async def main() -> None:
        async with embedded() as one, embedded() as other:
            for server in (one, other, one):
                assert (await greeting_in_loop(server.port)).endswith(b"Hello, world!")

    asyncio.run(main())


def test_loop_inside_a_running_loop_says_what_to_do_instead(backend: str) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"await server\.run\(\)"):
            Server("127.0.0.1", 0, backend=backend).loop()

    asyncio.run(main())


def test_the_selectors_backend_is_not_served_inside_asyncio() -> None:
    with pytest.raises(RuntimeError, match=r"server\.loop\(\)"):
        asyncio.run(embedded(backend="selectors").run())


def test_uvloop_serves_when_asked_for(serve: Serve, backend: str) -> None:
    uvloop = pytest.importorskip("uvloop")
    if backend == "selectors":
        pytest.skip("uvloop takes the place of asyncio's loop")
    server = serve(router, loop_factory=uvloop.new_event_loop)
    assert type(server._loop) is uvloop.Loop
    assert greeting(server.port).endswith(b"Hello, world!")


# The log


def test_a_logger_gets_the_lines_and_the_facts(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mine"):
        server = serve(router, logger=logging.getLogger("mine"), access_log=True)
        greeting(server.port)
        until(lambda: len(caplog.records) > 1)
    start, request = caplog.records
    assert start.getMessage() == f"Serving on {server.url}"
    assert re.fullmatch(r"GET / → 200 13B \d+\.\dms", request.getMessage())
    assert (request.__dict__["path"], request.__dict__["status"]) == ("/", 200)


def test_requests_are_logged_unless_access_log_is_off(backend: str) -> None:
    for access_log in (True, False):
        with served(backend, access_log=access_log) as server:
            greeting(server.port)
        assert ("GET / → 200 13B" in server.output) == access_log


# Stopping


SERVE = """
import resource, sys
from kissapi import Server
from tests.app import router
options = eval(f"dict({sys.argv[2]})")
if "files" in options:
    resource.setrlimit(resource.RLIMIT_NOFILE, (options.pop("files"),) * 2)
Server(**{"host": "127.0.0.1", "port": 0, "router": router, "backend": sys.argv[1], **options}).loop()
"""


@contextlib.contextmanager
def served(backend: str, **options: Any) -> Iterator[Served]:
    """A server in a process of its own, which must end with exit code 0."""
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    with Served([sys.executable, "-c", SERVE, backend, given], cwd=ROOT) as server:
        yield server


def test_stop_works_from_any_thread(serve: Serve) -> None:
    server = serve(router)
    for thread in [threading.Thread(target=server.stop) for _ in range(3)]:
        thread.start()
        thread.join()
    until(lambda: server.service is None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_request_in_hand_be_answered_and_the_process_end(
    backend: str, number: signal.Signals
) -> None:
    with served(backend) as server:
        idle = [connect(server.port) for _ in range(100)]
        for sock in idle:
            assert ask(sock).endswith(b"Hello, world!")
        busy = connect(server.port)
        busy.sendall(SLEEP % b"0.3")
        time.sleep(0.05)
        server.process.send_signal(number)
        start = time.monotonic()
        answer = read_all(busy)
        assert answer.endswith(b"slept 0.3")
        assert b"\r\nConnection: close\r\n" in answer
        assert server.process.wait(5) == 0
        assert time.monotonic() - start < 0.5 + 0.5, "drain_timeout, and a bit"
        for sock in idle:
            assert read_all(sock) == b""  # the end, not a reset


def test_a_request_that_comes_on_an_idle_connection_after_the_signal_is_answered(backend: str) -> None:
    with served(backend) as server:
        idle = [connect(server.port) for _ in range(10)]
        for sock in idle:
            ask(sock)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        for sock in idle:
            answer = ask(sock)
            assert answer.endswith(b"Hello, world!")
            assert b"\r\nConnection: close\r\n" in answer
            sock.close()
        assert server.process.wait(5) == 0


def test_what_the_kernel_held_when_the_signal_came_is_served(backend: str) -> None:
    """New connections in the accept queue, with a request and without, and requests on idle connections."""
    with served(backend) as server:
        idle = [connect(server.port) for _ in range(10)]
        for sock in idle:
            ask(sock)
        server.process.send_signal(signal.SIGSTOP)
        fresh = [connect(server.port) for _ in range(200)]
        silent = [connect(server.port) for _ in range(10)]
        for sock in idle + fresh:
            sock.sendall(GET)
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        time.sleep(0.1)
        for sock in silent:
            sock.sendall(GET)
        for sock in idle + fresh + silent:
            assert read_all(sock).endswith(b"Hello, world!")
        assert server.process.wait(5) == 0


def test_nobody_is_accepted_once_the_server_stops(backend: str) -> None:
    with served(backend) as server:
        busy = connect(server.port)
        busy.sendall(SLEEP % b"0.2")
        time.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        with pytest.raises(ConnectionRefusedError):
            connect(server.port)
        assert read_all(busy).endswith(b"slept 0.2")
        assert server.process.wait(5) == 0


def test_a_second_signal_ends_it_at_once(backend: str) -> None:
    with served(backend) as server:
        busy = connect(server.port)
        busy.sendall(SLEEP % b"60")
        time.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert server.process.poll() is None
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == 0
        assert time.monotonic() - start < 0.3
        assert read_all(busy) == b""


SPIN = """
import sys
from kissapi import Router, Server
router = Router()
@router.get("/")
async def spin(req):
    while True:
        pass
Server("127.0.0.1", 0, router=router, backend=sys.argv[1]).loop()
"""


def test_a_second_signal_ends_it_even_while_a_handler_holds_up_the_loop(backend: str) -> None:
    server = Served([sys.executable, "-c", SPIN, backend], cwd=ROOT)
    try:
        with connect(server.port) as busy:
            busy.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            for _ in range(2):
                time.sleep(0.2)
                server.process.send_signal(signal.SIGTERM)
            server.process.communicate(timeout=5)
        assert server.process.returncode == 1
    finally:
        server.process.kill()


def test_work_that_outlives_the_shutdown_timeout_is_cancelled(backend: str) -> None:
    with served(backend, shutdown_timeout=0.2) as server:
        busy = connect(server.port)
        busy.sendall(SLEEP % b"60")
        time.sleep(0.05)
        start = time.monotonic()
        assert server.stop() == 0
        assert 0.2 <= time.monotonic() - start < 0.7
        busy.close()
    assert "stopped" in server.output


def test_a_signal_before_the_first_client_ends_it(backend: str) -> None:
    with served(backend) as server:
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 0.5


def test_after_loop_signals_are_as_before(backend: str) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    server = Server("127.0.0.1", 0, backend=backend)
    timer = threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGTERM))
    timer.start()
    server.loop()
    timer.join()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_stopping_does_not_wait_for_a_handler_that_blocks_in_a_thread(backend: str) -> None:
    router = Router()
    blocks, goes_on = threading.Event(), threading.Event()

    @router.get("/")
    def wait(req: Request) -> None:
        blocks.set()
        goes_on.wait(5)

    server = Server("127.0.0.1", 0, router=router, backend=backend, shutdown_timeout=0.05)
    thread = threading.Thread(target=server.loop, daemon=True)
    thread.start()
    until(lambda: server.service is not None)
    with connect(server.port) as sock:
        sock.sendall(GET)
        assert blocks.wait(5)
        server.stop()
        thread.join(2)
        assert not thread.is_alive()
    goes_on.set()


# Limits of connections


def test_max_connections_holds_and_the_rest_wait_their_turn(serve: Serve) -> None:
    server = serve(router, max_connections=3)
    socks = [connect(server.port) for _ in range(10)]
    for sock in socks:
        sock.sendall(GET)
    service = server.service
    assert service is not None
    for number, sock in enumerate(socks):
        until(lambda: len(service.connections) == min(3, 10 - number))  # noqa: B023
        assert sock.recv(65536).endswith(b"Hello, world!")
        time.sleep(0.002)
        assert len(service.connections) <= 3
        sock.close()
    until(lambda: not service.connections)
    assert greeting(server.port).endswith(b"Hello, world!")


def test_without_descriptors_accepting_pauses_with_one_line_and_recovers(backend: str) -> None:
    with served(backend, files=40) as server:
        served_ones = [connect(server.port) for _ in range(10)]
        for sock in served_ones:
            ask(sock)
        more = [connect(server.port) for _ in range(60)]
        for sock in more:
            sock.sendall(GET)
        time.sleep(0.7)  # longer than it takes to try again
        for sock in served_ones:
            assert ask(sock).endswith(b"Hello, world!")
        before = cpu_seconds(server.process.pid)
        time.sleep(0.1)
        assert cpu_seconds(server.process.pid) - before < 0.05, "it spins"
        for sock in served_ones:
            sock.close()
        for sock in more:  # each that goes makes room for another
            assert sock.recv(65536).endswith(b"Hello, world!")
            sock.close()
        assert greeting(server.port).endswith(b"Hello, world!")
    lines = [line for line in server.output.splitlines() if "[WARNING]" in line]
    assert len(lines) == 1, server.output
    assert "ulimit -n" in lines[0]
    assert "Traceback" not in server.output


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_server_without_clients_sleeps(backend: str) -> None:
    with served(backend, idle_timeout=0.2) as server:  # which makes ticks short, too
        greeting(server.port)
        time.sleep(0.2)  # the last tick
        before = switches(server.process.pid)
        time.sleep(0.3)
        assert switches(server.process.pid) == before


def switches(pid: int) -> int:
    """How often the process has waited for something."""
    found = re.search(
        r"^voluntary_ctxt_switches:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
    )
    assert found
    return int(found[1])
