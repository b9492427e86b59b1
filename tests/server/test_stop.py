"""Stopping: by a call, by signals, while clients ask, wait, or hold up the loop."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from kissapi import Request, Router, Server
from tests.peer import GET, ask, connect, read_all, until
from tests.places import ROOT
from tests.server.greeting import SLEEP, Serve, router, served
from tests.serving import Served


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


def test_no_client_is_accepted_once_the_server_stops(backend: str) -> None:
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
