"""Workers: real processes that crash, hang, leak, leave and restart, while clients ask and lose nothing."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kissapi import Server, serve
from kissapi.share import AHEAD, Shares
from tests.served import Served

PROC = Path("/proc")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork here")
needs_processes = pytest.mark.skipif(
    not hasattr(os, "fork") or not (PROC / "self/stat").exists(), reason="needs os.fork, and /proc to look at"
)

ROOT = Path(__file__).parent.parent


def each_way(asyncio: Any, selectors: Any) -> pytest.MarkDecorator:
    """Two ways that differ for the master, one on each backend: four processes fewer than all of both."""
    return pytest.mark.parametrize(("backend", "how"), [("asyncio", asyncio), ("selectors", selectors)])


APP = """
import os, sys, threading, time
from kissapi import Request, Router, Server, serve, sleep

router = Router()
kept = []

@router.get("/pid")
async def pid(req: Request):
    return str(os.getpid())

@router.get("/sleep")
async def slow(req: Request):
    await sleep(0.4)
    return str(os.getpid())

@router.get("/block")
async def block(req: Request):
    time.sleep(60)

@router.get("/grow")
async def grow(req: Request):
    kept.append(b"x" * (64 << 20))
    return str(os.getpid())

@router.get("/stop")
async def stop(req: Request):
    server.stop()
    return str(os.getpid())

server = Server(**{{"bind": "127.0.0.1:0", "router": router, "access_log": False, **{options!r}}})
{more}
if __name__ == "__main__":
    server.loop()
"""


@contextmanager
def app(tmp_path: Path, more: str = "", **options: Any) -> Iterator[Served]:
    """The program above, with two workers; when it has ended, none may be left."""
    with Served(command(tmp_path, more, **options), env=environment()) as served:
        yield served
        workers = children(served.process.pid)
    assert not any(map(alive, workers))


def command(tmp_path: Path, more: str = "", **options: Any) -> list[str | Path]:
    options = {"workers": 2, "drain_timeout": 0.2, **options}
    (tmp_path / "app.py").write_text(APP.format(options=options, more=more))
    return [sys.executable, tmp_path / "app.py"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def stat(pid: int) -> list[str]:
    """State and parent of a process, and more; of one that is gone, the state of a zombie."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return ["Z", "0"]


def children(pid: int) -> set[int]:
    pids = [int(each.name) for each in PROC.iterdir() if each.name.isdigit()]
    return {each for each in pids if stat(each)[1] == str(pid) and alive(each)}


def alive(pid: int) -> bool:
    return stat(pid)[0] != "Z"


def pids_of(served: Served) -> set[int]:
    """The two who answer on connections that are open at the same time."""
    found: set[int] = set()
    clients: list[http.client.HTTPConnection] = []
    try:
        while len(found := set(filter(alive, found))) < 2 and len(clients) < 200:
            clients.append(http.client.HTTPConnection("127.0.0.1", served.port, timeout=10))
            clients[-1].request("GET", "/pid")
            found.add(int(clients[-1].getresponse().read()))
        return found
    finally:
        for client in clients:
            client.close()


def until(true: Callable[[], Any], seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")


def wait_for_others(served: Served, before: set[int]) -> set[int]:
    """The two workers that serve once none of `before` is alive."""
    until(lambda: not any(map(alive, before)))
    return until(lambda: len(now := pids_of(served)) == 2 and now)


class Load:
    """Clients that ask all the time, with a connection each, or a new one for each request."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.answers: Counter[bytes] = Counter()
        self.lost: list[Exception] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._keep_asking) for _ in range(3)]
        self._threads += [threading.Thread(target=self._ask, args=(path,)) for path in ("/pid", "/sleep")]

    def _ask(self, path: str) -> None:
        while not self._end.is_set():
            try:
                self.answers[self.served.get(path)] += 1
            except Exception as error:
                self.lost.append(error)

    def _keep_asking(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=10)
        while not self._end.is_set():
            try:
                client.request("GET", "/pid")
                self.answers[client.getresponse().read()] += 1
            except Exception as error:
                client.close()
                self.lost.append(error)
        client.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


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
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
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
    soon = "import kissapi.workers\nkissapi.workers._LOOK = 0.1"
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
def test_one_that_ends_by_itself_leaves_and_turns_nobody_away(tmp_path: Path, backend: str, how: str) -> None:
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
            socket.create_connection(("127.0.0.1", served.port))
    assert "ERROR" not in served.output


@needs_processes
def test_a_second_signal_ends_all_at_once(tmp_path: Path, backend: str) -> None:
    served = Served(command(tmp_path, backend=backend), env=environment())
    workers = children(served.process.pid)
    with socket.create_connection(("127.0.0.1", served.port)) as client:
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
    served = Served(command(tmp_path, backend=backend), env=environment())
    workers = children(served.process.pid)
    assert len(workers) == 2
    served.process.kill()
    until(lambda: not any(map(alive, workers)))
    assert served.stop() == -signal.SIGKILL


@needs_processes
def test_a_whole_family_may_be_sent_each_signal(tmp_path: Path) -> None:
    with app(tmp_path, backend="selectors") as served:
        before = pids_of(served)
        for pid in [*before, served.process.pid]:
            os.kill(pid, signal.SIGUSR2)
        wait_for_others(served, before)
    assert served.output.count("has taken over") == 1


# The beginning


@needs_processes
@pytest.mark.parametrize(
    ("top", "said"),
    [
        ("raise KeyError('database')", "KeyError: 'database'"),
        ("sys.exit('no database')", "no database"),
        ("os._exit(3)", "ended with exit code 3"),
    ],
)
def test_one_that_cannot_begin_ends_all(tmp_path: Path, top: str, said: str, backend: str) -> None:
    more = f"@server.on_start\nasync def begin():\n    {top}"
    ran = subprocess.run(
        command(tmp_path, more, backend=backend),
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=20,
    )
    assert ran.returncode == 1
    assert ran.stdout.count(said) == 1
    assert re.fullmatch(r"kissapi: worker \d+ ended with exit code [13] before it served\n", ran.stderr)
    assert "Serving" not in ran.stdout


@needs_processes
def test_one_that_dies_young_is_replaced_after_a_pause_that_grows(tmp_path: Path) -> None:
    more = f"""
@server.on_start
def begin():
    open({str(tmp_path / "births")!r}, "a").write(f"{{time.monotonic()}}\\n")
    if os.path.exists({str(tmp_path / "ill")!r}):
        raise OSError("ill")
"""
    with app(tmp_path, more, backend="selectors") as served:
        (tmp_path / "ill").touch()
        os.kill(max(pids_of(served)), signal.SIGKILL)
        births = tmp_path / "births"
        until(lambda: len(births.read_text().splitlines()) == 4)
        (tmp_path / "ill").unlink()
        until(lambda: len(pids_of(served)) == 2)
        born = [float(line) for line in births.read_text().splitlines()]
        pauses = [later - earlier for earlier, later in pairwise(born[2:])]
        assert [pause > least for pause, least in zip(pauses, (0.2, 0.4), strict=True)] == [True] * 2
    assert served.output.count("OSError: ill") == 2


@needs_processes
def test_systemd_hears_once_that_all_are_ready(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        env = {**environment(), "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with Served(command(tmp_path, backend="selectors"), env=env) as served:
            assert systemd.recv(100) == b"READY=1"
            assert len(pids_of(served)) == 2
        assert systemd.recv(100) == b"STOPPING=1"
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)


@needs_processes
def test_ended_while_it_begins(tmp_path: Path) -> None:
    more = "@server.on_start\nasync def begin():\n    os.write(1, b'begin\\n')\n    await sleep(0.5)"
    with subprocess.Popen(
        command(tmp_path, more, backend="selectors"), env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        process.terminate()
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Serving" not in output


@needs_processes
def test_threads_that_run_before_are_told_of(tmp_path: Path) -> None:
    more = "threading.Thread(target=time.sleep, args=(30,), name='poller', daemon=True).start()"
    with app(tmp_path, more, backend="selectors") as served:
        assert len(pids_of(served)) == 2
    assert "without the threads that run here (poller): start them in on_start" in served.output


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


# What cannot be


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "2"])
def test_a_number_of_workers_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="workers must be"):
        Server(workers=wrong)


def test_a_system_without_fork_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork", raising=False)
    with pytest.raises(ValueError, match=r"need os\.fork.* use loops="):
        Server(workers=2)


@needs_fork
def test_an_embedded_server_has_no_workers(backend: str) -> None:
    server = Server("127.0.0.1", 0, workers=2, backend=backend)
    run = server._backend().run
    with pytest.raises(RuntimeError, match=r"workers are started by server\.loop"):
        run(server.run(), None)


@pytest.mark.parametrize("name", ["max_requests", "max_memory"])
def test_a_limit_of_workers_needs_workers(name: str, backend: str) -> None:
    server = Server("127.0.0.1", 0, backend=backend, **{name: 1000})
    with pytest.raises(ValueError, match=rf"{name} is for workers.*Server\(workers=1, {name}=…\)"):
        server.loop()


@needs_fork
def test_one_program_has_one_number_of_workers() -> None:
    with pytest.raises(ValueError, match="the same workers"):
        serve(Server(workers=2), Server(workers=3))


@needs_fork
def test_workers_are_started_in_the_main_thread() -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            Server("127.0.0.1", 0, workers=2).loop()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [type(error) for error in errors] == [RuntimeError]
    assert "main thread" in str(errors[0])


@needs_processes
def test_less_memory_than_there_is_at_the_start(tmp_path: Path) -> None:
    ran = subprocess.run(
        command(tmp_path, max_memory=1 << 20), env=environment(), capture_output=True, text=True, timeout=20
    )
    assert ran.returncode == 1
    assert "max_memory=1048576 is less than this program has at its start" in ran.stderr


@needs_fork
def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = subprocess.run(
            command(tmp_path, bind=bind), env=environment(), capture_output=True, text=True, timeout=20
        )
    assert ran.returncode == 1
    assert re.fullmatch(r"kissapi: port \d+ of 127.0.0.1 is in use.*\n", ran.stderr)
    assert ran.stdout == ""


# Who takes the next client


def test_one_that_is_ahead_lets_others_go_first_and_then_takes_a_few() -> None:
    shares = Shares(3)
    one, other = shares.take(), shares.take()
    assert one is not None
    assert other is not None
    if not hasattr(one._counts, "release"):
        pytest.skip("no mmap here, so no shared memory")
    assert other.has_turn(0)
    assert [one.has_turn(count) for count in range(AHEAD)] == [True] * AHEAD
    assert not one.has_turn(AHEAD)
    assert [one.has_turn(AHEAD + more) for more in range(AHEAD)] == [True] * AHEAD
    assert not one.has_turn(2 * AHEAD)
    # The other hangs: less and less often.
    assert [one.has_turn(2 * AHEAD + more) for more in range(2 * AHEAD)] == [True] * 2 * AHEAD
    assert not one.has_turn(4 * AHEAD)
    assert other.has_turn(1)
    assert not one.has_turn(10 * AHEAD)
    assert one.has_turn(11 * AHEAD - 1)
    assert not one.has_turn(11 * AHEAD)
    other.has(11 * AHEAD)
    assert one.has_turn(11 * AHEAD)
    other.leave()
    assert one.has_turn(100 * AHEAD)
    shares.give_back(other)
    assert [each is not None for each in (shares.take(), shares.take(), shares.take())] == [True, True, False]
