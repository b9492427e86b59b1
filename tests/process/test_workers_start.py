"""Workers: their beginning: what cannot begin ends all, what cannot be is refused."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kissapi import Server, serve
from kissapi.server.event_loop import import_backend
from tests.peer import until
from tests.process.family import app, command, needs_fork, needs_processes, pids_of
from tests.serving import Served, environment


@needs_processes
@pytest.mark.parametrize(
    ("backend", "top", "said"),
    [
        ("asyncio", "raise KeyError('database')", "KeyError: 'database'"),
        ("selectors", "sys.exit('no database')", "no database"),
        ("asyncio", "os._exit(3)", "ended with exit code 3"),
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
    run = import_backend(backend).run
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
