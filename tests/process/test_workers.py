"""Workers: real processes that crash, hang, leak, leave and restart, while clients ask and lose nothing."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from kissapi.process.accept_balance import AHEAD, Slots
from tests.peer import connect, until
from tests.process.family import (
    Load,
    app,
    children,
    command,
    each_way,
    needs_processes,
    pids_of,
    wait_for_others,
)
from tests.serving import Served, alive

# One after another, as they come


@needs_processes
def test_the_workers_share_the_clients_and_the_master_has_none(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend=backend) as served:
        clients = [http.client.HTTPConnection("127.0.0.1", served.port, timeout=10) for _ in range(40)]
        for client in clients:
            client.connect()
        seen: Counter[int] = Counter()
        for client in clients:
            client.request("GET", "/pid")
            seen[int(client.getresponse().read())] += 1
        for client in clients:
            client.close()
        assert len(seen) == 2
        assert served.process.pid not in seen
        assert min(seen.values()) >= 10
        # Ctrl-C at a terminal reaches the group of the master, and each worker is one of its own.
        assert [os.getpgid(pid) for pid in seen] == list(seen)
    assert served.output.count("Serving on") == 1
    assert f"2 workers are ready: {', '.join(map(str, sorted(seen)))}" in served.output


@needs_processes
def test_one_that_crashes_is_replaced_and_only_what_it_had_is_lost(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend=backend) as served:
        first = pids_of(served)
        with Load(served) as load:
            until(lambda: len(load.answers) == 2)
            victim = max(first)
            os.kill(victim, signal.SIGKILL)
            until(lambda: len(pids_of(served) - {victim}) == 2)
        assert len(load.lost) <= 5  # of each client, what it was asking
        assert len(pids_of(served) & first) == 1
    assert f"worker {victim} ended by SIGKILL" in served.output


@needs_processes
@each_way("a handler that blocks", "stopped")
def test_one_that_hangs_is_killed_and_replaced(tmp_path: Path, backend: str, how: str) -> None:
    with app(tmp_path, backend=backend, worker_timeout=0.6) as served:
        first = pids_of(served)
        with connect(served.port) as client:
            if how == "stopped":
                victim = max(first)
                os.kill(victim, signal.SIGSTOP)
            else:
                client.sendall(b"GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
            now = until(lambda: len(now := children(served.process.pid)) == 2 and now != first and now)
            (victim,) = first - now
        until(lambda: pids_of(served) == now)
    assert f"worker {victim} has not answered for 0.6 s: killed" in served.output


@needs_processes
def test_a_slow_handler_that_waits_is_no_hang(tmp_path: Path) -> None:
    with app(tmp_path, backend="selectors", worker_timeout=0.3) as served:
        first = pids_of(served)
        served.get("/sleep")
        served.get("/sleep")
        assert pids_of(served) == first


@needs_processes
def test_one_that_has_had_its_requests_is_replaced_without_loss(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend=backend, max_requests=150) as served, Load(served) as load:
        until(lambda: len(load.answers) >= 6)
    assert load.lost == []
    assert "has had 150 requests: another takes its place" in served.output
    assert "ERROR" not in served.output


@needs_processes
def test_one_that_has_grown_is_replaced_without_loss(tmp_path: Path) -> None:
    soon = "import kissapi.process.watchdog\nkissapi.process.watchdog.PERIOD = 0.1"
    with app(tmp_path, soon, backend="selectors", max_memory=100 << 20) as served:
        with Load(served) as load:
            fat = int(served.get("/grow"))
            while served.get("/grow") != b"%d" % fat:
                pass
            until(lambda: not alive(fat))
        assert load.lost == []
    assert re.search(rf"worker {fat} has 1\d\d MiB of memory: another takes its place", served.output)


@needs_processes
@each_way("SIGTERM", "server.stop()")
def test_a_worker_that_ends_by_itself_turns_no_client_away(tmp_path: Path, backend: str, how: str) -> None:
    with app(tmp_path, backend=backend) as served:
        first = pids_of(served)
        with Load(served) as load:
            until(lambda: len(load.answers) == 2)
            if how == "SIGTERM":
                os.kill(max(first), signal.SIGTERM)
            else:
                assert int(served.get("/stop")) in first
            until(lambda: len(now := pids_of(served)) == 2 and now != first)
        assert load.lost == []
    assert "ERROR" not in served.output


# All together


@needs_processes
@each_way(signal.SIGTERM, signal.SIGINT)
def test_at_stop_all_answer_what_is_in_hand(tmp_path: Path, backend: str, how: int) -> None:
    with app(tmp_path, backend=backend) as served:
        clients = [http.client.HTTPConnection("127.0.0.1", served.port, timeout=10) for _ in range(8)]
        for client in clients:
            client.request("GET", "/sleep")
        workers = children(served.process.pid)
        late = [http.client.HTTPConnection("127.0.0.1", served.port, timeout=10) for _ in range(8)]
        for client in late:
            client.connect()
        os.kill(served.process.pid, how)
        for client in late:
            client.request("GET", "/pid")
        answers = [client.getresponse().read() for client in clients + late]
        for client in clients + late:
            client.close()
        assert {int(answer) for answer in answers} == workers
        assert served.process.wait(10) == 0
        assert not any(map(alive, workers))
        with pytest.raises(ConnectionRefusedError):
            connect(served.port)
    assert "ERROR" not in served.output


@needs_processes
def test_a_second_signal_ends_all_at_once(tmp_path: Path, backend: str) -> None:
    served = Served(command(tmp_path, backend=backend))
    workers = children(served.process.pid)
    with connect(served.port) as client:
        client.sendall(b"GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        os.kill(served.process.pid, signal.SIGTERM)
        time.sleep(0.1)
        begin = time.monotonic()
        assert served.stop() == 0  # by a second signal
    assert time.monotonic() - begin < 4  # 1.5 s of them the patience of the master
    assert not any(map(alive, workers))


@needs_processes
def test_a_restart_loses_nothing(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend=backend) as served:
        before = pids_of(served)
        with Load(served) as load:
            for _ in range(2):
                os.kill(served.process.pid, signal.SIGHUP)
                before = wait_for_others(served, before)
        assert load.lost == []
    assert served.output.count("has taken over") == 2
    assert "ERROR" not in served.output


@needs_processes
def test_workers_end_with_their_master(tmp_path: Path, backend: str) -> None:
    served = Served(command(tmp_path, backend=backend))
    workers = children(served.process.pid)
    assert len(workers) == 2
    served.process.kill()
    until(lambda: not any(map(alive, workers)))
    assert served.stop() == -signal.SIGKILL


@needs_processes
def test_master_and_workers_may_all_be_sent_each_signal(tmp_path: Path) -> None:
    with app(tmp_path, backend="selectors") as served:
        before = pids_of(served)
        for pid in [*before, served.process.pid]:
            os.kill(pid, signal.SIGUSR2)
        wait_for_others(served, before)
    assert served.output.count("has taken over") == 1


# With what else there is


@needs_processes
def test_a_unix_socket_is_removed_once_by_the_master(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with app(tmp_path, backend="selectors", bind=["127.0.0.1:0", f"unix:{path}"], max_requests=20) as served:
        before = pids_of(served)
        for _ in range(40):
            served.get("/pid")
        until(lambda: len(now := pids_of(served)) == 2 and now != before)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
    assert not path.exists()
    assert "ERROR" not in served.output


@needs_processes
def test_each_worker_may_have_several_loops(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend=backend, loops=2, max_requests=100) as served, Load(served) as load:
        until(lambda: len(load.answers) >= 4)
    assert load.lost == []


@needs_processes
def test_uvloop(tmp_path: Path) -> None:
    if find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    more = "import uvloop\nserver.loop_factory = uvloop.new_event_loop"
    with app(tmp_path, more, backend="asyncio", worker_timeout=0.5) as served:
        with Load(served) as load:
            first = pids_of(served)
            os.kill(max(first), signal.SIGTERM)
            until(lambda: len(now := pids_of(served)) == 2 and now != first)
        assert load.lost == []


@needs_processes
def test_several_servers_are_served_by_each_worker(tmp_path: Path, backend: str) -> None:
    more = f"""
other = Server(bind="127.0.0.1:0", router=router, backend={backend!r}, access_log=False)
if __name__ == "__main__":
    serve(server, other)
    raise SystemExit
"""
    with app(tmp_path, more, backend=backend) as served:
        first = pids_of(served)
        assert len(first) == 2
        served.port = until(lambda: other_port(served))
        assert pids_of(served) == first


def other_port(served: Served) -> int:
    """The port of the second start line."""
    return int(re.findall(r":(\d+)$", next(served.lines()))[0])


# Who takes the next client


def test_one_that_is_ahead_lets_others_go_first_and_then_takes_a_few() -> None:
    slots = Slots(3)
    one, other = slots.assign(), slots.assign()
    assert one is not None
    assert other is not None
    if not hasattr(one._counts, "release"):
        pytest.skip("no mmap here, so no shared memory")
    assert other.may_accept(0)
    assert [one.may_accept(count) for count in range(AHEAD)] == [True] * AHEAD
    assert not one.may_accept(AHEAD)
    assert [one.may_accept(AHEAD + more) for more in range(AHEAD)] == [True] * AHEAD
    assert not one.may_accept(2 * AHEAD)
    # The other hangs: less and less often.
    assert [one.may_accept(2 * AHEAD + more) for more in range(2 * AHEAD)] == [True] * 2 * AHEAD
    assert not one.may_accept(4 * AHEAD)
    assert other.may_accept(1)
    assert not one.may_accept(10 * AHEAD)
    assert one.may_accept(11 * AHEAD - 1)
    assert not one.may_accept(11 * AHEAD)
    other.record(11 * AHEAD)
    assert one.may_accept(11 * AHEAD)
    other.vacate()
    assert one.may_accept(100 * AHEAD)
    slots.release(other)
    assert [each is not None for each in (slots.assign(), slots.assign(), slots.assign())] == [
        True,
        True,
        False,
    ]
