"""The life of a server: arguments, start, embedding, log, limits of connections."""

from __future__ import annotations

import asyncio
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
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Server
from kissapi.net import sockets
from tests.peer import GET, ask, connect, until
from tests.places import ROOT
from tests.server.greeting import SERVE, Serve, embedded, greeting, greeting_in_loop, router, served

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
        finished = False

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
    assert type(server.running.loop) is uvloop.Loop
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
