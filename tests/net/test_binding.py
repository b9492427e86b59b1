"""Binding: several addresses, Unix sockets, sockets that others have opened; several loops."""

from __future__ import annotations

import http.client
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Router, Server, sleep
from tests.peer import LAST, connect, talk
from tests.serving import make, running


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def who(req: Request) -> dict[str, Any]:
        return {"thread": threading.current_thread().name, "client": req.client}

    @router.get("/block/{seconds:float}")
    async def block(req: Request) -> str:
        time.sleep(req.params["seconds"])  # noqa: ASYNC251  # that is the mistake
        return threading.current_thread().name

    @router.get("/sleep/{seconds:float}")
    async def slow(req: Request) -> str:
        await sleep(req.params["seconds"])
        return "slept"

    return router


needs_unix = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")


@needs_unix
def test_several_addresses_at_once(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with running(
        make(backend, make_router(), bind=["127.0.0.1:0", "127.0.0.1:0", f"unix:{path}"], unix_mode=0o640)
    ) as server:
        ports = [each.sock.getsockname()[1] for each in server.running.listeners[:2]]
        assert server.port == ports[0] != ports[1]
        for port in ports:
            assert b"200 OK" in talk(port, LAST)
        assert b'"client":null' in talk(str(path), LAST)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not path.exists()


@needs_unix
def test_a_socket_left_behind_is_replaced_and_one_in_use_is_not(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with running(make(backend, make_router(), bind=f"unix:{path}")) as server:
        assert server.url == f"http+unix:{path}"
        second = Server(bind=f"unix:{path}", backend=backend)
        with pytest.raises(SystemExit, match="in use"):
            second.loop()
        assert b"200 OK" in talk(str(path), LAST)
    path.write_text("no socket")
    with pytest.raises(SystemExit, match="no socket: remove it"):
        Server(bind=f"unix:{path}", backend=backend).loop()
    assert path.read_text() == "no socket"


def test_a_socket_that_was_opened_for_us(backend: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    with running(make(backend, make_router(), bind=f"fd://{listening.detach()}")) as server:
        assert server.url == f"http://127.0.0.1:{port}"
        assert b"200 OK" in talk(port, LAST)


@pytest.mark.parametrize("name", ["s", "@kissapi-{}"])
def test_a_unix_socket_that_was_opened_for_us_is_called_by_its_name(
    name: str, backend: str, tmp_path: Path
) -> None:
    name = name.format(f"{os.getpid()}-{backend}") if name[0] == "@" else str(tmp_path / name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(name.replace("@", "\0"))
        listening.listen()
        with running(make(backend, make_router(), bind=f"fd://{os.dup(listening.fileno())}")) as server:
            assert server.url == f"http+unix:{name}"


def test_a_socket_that_the_parent_has_too_serves_again(backend: str) -> None:
    """A unit of systemd that is stopped and started: what it did to the socket at its end would last."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for _ in range(2):
            with running(make(backend, make_router(), bind=f"fd://{os.dup(listening.fileno())}")):
                assert b"200 OK" in talk(listening.getsockname()[1], LAST)


def test_what_is_no_listening_socket_is_refused(backend: str) -> None:
    with socket.socket() as idle, pytest.raises(SystemExit, match="does not listen"):
        Server(bind=f"fd://{idle.fileno()}", backend=backend).loop()
    read, write = os.pipe()
    with pytest.raises(SystemExit, match="is no socket"):
        Server(bind=f"fd://{read}", backend=backend).loop()
    os.close(read)
    os.close(write)


def test_nagles_delay_is_off_in_every_mode(backend: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    for options in (
        {"bind": "127.0.0.1:0"},
        {"bind": f"fd://{listening.detach()}"},
        {"bind": ":0", "loops": 2},
    ):
        with running(make(backend, make_router(), **options)) as server:
            seen = []
            client = connect(server.port)
            deadline = time.monotonic() + 5
            while not seen and time.monotonic() < deadline:
                crowd = server.running.clients
                services = [crowd] if crowd is server.service else [each.service for each in crowd.members]
                seen = [
                    each.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                    for service in services
                    for each in tuple(service.connections)
                    if each.transport is not None
                ]
            client.close()
            assert seen == [1], options


# Loops


open_clients: list[http.client.HTTPConnection] = []


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    yield
    while open_clients:
        open_clients.pop().close()


def connections(port: int, count: int) -> list[http.client.HTTPConnection]:
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=5) for _ in range(count)]
    open_clients.extend(clients)
    for client in clients:
        client.connect()
    return clients


def fetch(client: http.client.HTTPConnection, path: str) -> str:
    client.request("GET", path)
    return client.getresponse().read().decode()


def test_connections_are_dealt_to_the_least_loaded_loop(backend: str) -> None:
    with running(make(backend, make_router(), bind="127.0.0.1:0", loops=3)) as server:
        clients = connections(server.port, 9)
        names = [fetch(client, "/block/0") for client in clients]
        assert {name: names.count(name) for name in names} == {
            f"kissapi-loop-{number}": 3 for number in (1, 2, 3)
        }


def test_a_handler_that_blocks_stalls_its_own_loop_alone(backend: str) -> None:
    with running(make(backend, make_router(), bind="127.0.0.1:0", loops=2)) as server:
        one, other, third, fourth = connections(server.port, 4)
        blocked = fetch(one, "/block/0")
        rest = [client for client in (other, third, fourth) if fetch(client, "/block/0") != blocked]
        assert len(rest) == 2
        one.request("GET", "/block/0.5")
        start = time.monotonic()
        for _ in range(20):
            for client in rest:
                fetch(client, "/block/0")
        assert time.monotonic() - start < 0.4
        assert one.getresponse().read().decode() == blocked


def test_at_stop_all_loops_answer_what_is_in_hand(backend: str) -> None:
    with running(make(backend, make_router(), bind="127.0.0.1:0", loops=2)) as server:
        clients = connections(server.port, 4)
        for client in clients:
            client.request("GET", "/sleep/0.3")
        time.sleep(0.1)
        server.stop()
        assert [client.getresponse().read() for client in clients] == [b"slept"] * 4


def test_the_limit_of_connections_holds_for_all_loops_together(backend: str) -> None:
    with running(make(backend, make_router(), bind="127.0.0.1:0", loops=2, max_connections=2)) as server:
        one, two = connections(server.port, 2)
        fetch(one, "/block/0")
        fetch(two, "/block/0")
        (late,) = connections(server.port, 1)
        late.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            fetch(late, "/block/0")
        one.close()
        late.sock.settimeout(5)
        assert late.sock.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "2"])
def test_a_number_of_loops_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="loops must be"):
        Server(loops=wrong)


def test_a_loop_that_cannot_start_says_why(backend: str) -> None:
    def broken(request: Any) -> Any:
        if threading.current_thread().name.startswith("kissapi-loop"):
            raise KeyError("parser")
        from kissapi import HttpParser

        return HttpParser(request)

    server = Server("127.0.0.1", 0, loops=2, backend=backend, parser_class=broken)
    with pytest.raises(KeyError, match="parser"):
        server.loop()
