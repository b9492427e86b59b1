"""Signals: which of them end, restart or reload it, from when on, and in which process."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.peer import connect, until
from tests.programs import LOOPS, program, spread, write
from tests.serving import Started, alive

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or not Path("/proc/self/stat").exists(), reason="needs os.fork and /proc"
)


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


alone_first, a_worker_first = spread("loop", "workers", None, 1), spread("loop", "workers", 1, None)

# Processes that are not ours

CHILDREN = """
import multiprocessing
processes = multiprocessing.get_context("fork")

begun, begins = os.pipe()

def work():
    try:
        os.close(1)  # which the test reads to its end
        os.close(2)
        os.write(begins, b"!")
        while True:  # a signal just before one long sleep is noticed when that ends
            time.sleep(0.01)
    finally:
        os._exit(1)

@router.get("/fork")
async def fork(req: Request):
    child = os.fork()
    if not child:
        work()
    os.read(begun, 1)
    return str(child)

@router.get("/thread")
def fork_in_a_thread(req: Request):
    child = os.fork()
    if not child:
        work()
    os.read(begun, 1)
    return str(child)

@router.get("/process")
async def process(req: Request):
    child = processes.Process(target=work, daemon=True)
    child.start()
    os.read(begun, 1)
    return str(child.pid)

@router.get("/terminate")
def terminate(req: Request):
    ends = []
    for _ in range(20):  # at once, too: before the child has come to anything
        child = processes.Process(target=time.sleep, args=(60,))
        child.start()
        child.terminate()
        child.join(5)
        ends.append(child.exitcode)
        child.kill()
    return ends
"""


@a_worker_first
def test_a_forked_process_dies_of_a_signal(tmp_path: Path, loop: str, workers: int | None) -> None:
    with program(tmp_path, loop, CHILDREN, workers=workers) as served:
        server = served.get("/pid")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            for path in ("/fork", "/thread", "/process"):
                child = int(served.get(path))
                os.kill(child, number)
                until(lambda: not alive(child))  # noqa: B023
        assert served.get("/pid") == server
    assert "taken over" not in served.output


def test_a_forked_process_can_be_ended_as_soon_as_it_is_made(tmp_path: Path, loop: str) -> None:
    with program(tmp_path, loop, CHILDREN) as served:
        assert json.loads(served.get("/terminate")) == [-signal.SIGTERM] * 20


@alone_first
def test_a_server_ends_that_has_a_daemon_process(tmp_path: Path, loop: str, workers: int | None) -> None:
    with program(tmp_path, loop, CHILDREN, workers=workers) as served:
        child = int(served.get("/process"))
        served.process.terminate()
        assert served.process.wait(5) == 0
    until(lambda: not alive(child))


def test_on_stop_may_end_a_process(tmp_path: Path, loop: str) -> None:
    more = CHILDREN + (
        "child = processes.Process(target=time.sleep, args=(60,))\n"
        "server.on_start(child.start)\n"
        "@server.on_stop\n"
        "def end():\n"
        "    child.terminate()\n"
        "    child.join()\n"
        "    say(f'ended {child.exitcode}')\n"
    )
    with program(tmp_path, loop, more) as served:
        served.process.terminate()
        assert served.process.wait(5) == 0
    assert "ended -15" in served.output


@a_worker_first
def test_a_forked_process_does_not_listen(tmp_path: Path, loop: str, workers: int | None) -> None:
    """Its clients would wait for an answer for as long as it lives."""
    with program(tmp_path, loop, CHILDREN, workers=workers) as served:
        child = int(served.get("/fork"))
    try:
        assert alive(child)
        with pytest.raises(ConnectionRefusedError):
            connect(served.port)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_supervisor_hears_that_its_successor_has_died_and_left_a_process(tmp_path: Path, loop: str) -> None:
    served = program(tmp_path, loop, CHILDREN)
    first = int(served.get("/pid"))
    os.kill(first, signal.SIGUSR2)
    second = until(lambda: (now := int(served.get("/pid"))) != first and now)
    until(lambda: int(served.get("/pid")) == second)
    child = int(until(lambda: alive(second) and served.get("/fork")))
    try:
        os.kill(second, signal.SIGKILL)
        assert served.process.wait(10) == 128 + signal.SIGKILL
    finally:
        os.kill(child, signal.SIGKILL)
        served.stop()


# A signal that is ignored at the start


def ignoring(names: str, file: Path) -> list[str | Path]:
    return ["sh", "-c", f'trap "" {names}; exec "$@"', "sh", sys.executable, file]


@alone_first
def test_what_is_ignored_at_the_start_stays_so(tmp_path: Path, loop: str, workers: int | None) -> None:
    """As `nohup` has it for SIGHUP, and a script's `&` for SIGINT."""
    file = write(tmp_path, loop, "server.on_start(lambda: say(f'pid {os.getpid()}'))", workers=workers)
    with Started([*ignoring("HUP INT", file)]) as started:
        first = int(started.wait_for("pid ").split()[1])
        started.wait_for("Serving on")
        for number in (signal.SIGHUP, signal.SIGINT):
            for pid in {first, started.process.pid}:
                os.kill(pid, number)
        started.send(signal.SIGUSR2)
        second = int(started.wait_for("pid ").split()[1])
        started.wait_for("taken over")
        for number in (signal.SIGHUP, signal.SIGINT):  # the heir's, too
            os.kill(second, number)
        started.send(signal.SIGTERM)
        assert started.end() == 0
    assert "pid " not in started.output.split("taken over")[1]


@alone_first
def test_a_terminal_that_is_closed_stops_it(tmp_path: Path, loop: str, workers: int | None) -> None:
    path = tmp_path / "app.sock"
    more = "server.on_stop(lambda: say('closed'))"
    file = write(tmp_path, loop, more, workers=workers, bind=f"unix:{path}")
    window, terminal = os.openpty()
    try:
        with Started(
            ["sh", "-c", f'exec "$@" <{os.ttyname(terminal)}', "sh", sys.executable, file]
        ) as started:
            started.wait_for("Serving on")
            started.send(signal.SIGHUP)
            assert started.end() == 0
    finally:
        os.close(window)
        os.close(terminal)
    assert started.output.splitlines()[-1] == "closed"
    assert not path.exists()


def test_sigterm_is_heeded_even_so(tmp_path: Path, loop: str) -> None:
    with Started([*ignoring("TERM", write(tmp_path, loop, ""))]) as started:
        started.wait_for("Serving on")
        started.send(signal.SIGTERM)
        assert started.end() == 0


# A signal while the server starts

SLOW_START = """
@server.on_start
async def begin():
    say("begins")
    try:
        await sleep({seconds})
    except BaseException as error:
        say(type(error).__name__)
        raise

@server.on_stop
def end():
    say("closed")
"""


@spread(
    "loop",
    "workers, number",
    (None, signal.SIGTERM),
    (1, signal.SIGTERM),
    (1, signal.SIGINT),
    (None, signal.SIGINT),
)
def test_a_signal_cancels_the_start(
    tmp_path: Path, loop: str, workers: int | None, number: signal.Signals
) -> None:
    with Started(
        [sys.executable, write(tmp_path, loop, SLOW_START.format(seconds=60), workers=workers)]
    ) as on:
        on.wait_for("begins")
        on.send(number)
        assert on.end(5) == 0
    assert on.output == "begins\nCancelledError\nclosed\n"


def test_of_several_servers_those_that_serve_are_stopped(tmp_path: Path, loop: str) -> None:
    more = SLOW_START.format(seconds=60) + (
        "from kissapi import serve\n"
        "other = Server(**options)\n"
        "other.on_stop(lambda: say('other closed'))\n"
        "third = Server(**options)\n"
        "third.on_start(lambda: say('third begins'))\n"
        "serve(other, server, third)\n"
        "sys.exit()\n"
    )
    with Started([sys.executable, write(tmp_path, loop, more)]) as on:
        on.wait_for("begins")
        on.send(signal.SIGTERM)
        assert on.end(5) == 0
    assert "CancelledError\n" in on.output
    assert "other closed\n" in on.output
    assert "third" not in on.output


@a_worker_first
def test_a_restart_that_is_asked_for_too_early_comes_later(
    tmp_path: Path, loop: str, workers: int | None
) -> None:
    with Started(
        [sys.executable, write(tmp_path, loop, SLOW_START.format(seconds=0.3), workers=workers)]
    ) as on:
        on.wait_for("begins")
        on.send(signal.SIGHUP)
        on.wait_for("Serving on")
        on.wait_for("begins")
        on.wait_for("taken over")
        on.send(signal.SIGTERM)
        assert on.end() == 0
    assert on.output.count("taken over") == 1


def test_a_restart_that_is_asked_for_during_another_follows_it(tmp_path: Path, loop: str) -> None:
    with Started([sys.executable, write(tmp_path, loop, SLOW_START.format(seconds=0.3))]) as on:
        on.wait_for("Serving on")
        on.send(signal.SIGHUP)
        on.wait_for("begins")  # with what it has read
        for _ in range(3):
            on.send(signal.SIGHUP)
        for _ in range(2):
            on.wait_for("taken over")
        on.send(signal.SIGTERM)
        assert on.end() == 0
    assert on.output.count("taken over") == 2


COMMAND = [sys.executable, "-m", "kissapi", "app:server"]
IMPORTING = "say('imports')\ntime.sleep(0.3)\n"


@alone_first
def test_a_restart_that_is_asked_for_while_the_command_line_imports(
    tmp_path: Path, loop: str, workers: int | None
) -> None:
    write(tmp_path, loop, IMPORTING, workers=workers)
    with Started([*COMMAND], cwd=tmp_path) as on:
        on.wait_for("imports")
        on.send(signal.SIGHUP)
        on.wait_for("Serving on")
        on.wait_for("taken over")
        on.send(signal.SIGTERM)
        assert on.end() == 0


def test_an_end_that_is_asked_for_while_the_command_line_imports_is_at_once(tmp_path: Path) -> None:
    write(tmp_path, "selectors", "say('imports')\ntime.sleep(60)\n")
    with Started([*COMMAND], cwd=tmp_path) as on:
        on.wait_for("imports")
        on.send(signal.SIGTERM)
        assert on.end(5) == -signal.SIGTERM


def test_handlers_of_the_program_are_put_back(backend: str) -> None:
    from kissapi import Server

    def mine(number: int, frame: Any) -> None: ...

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)
    before = {number: signal.signal(number, mine) for number in numbers}
    try:
        server = Server("127.0.0.1", 0, backend=backend)
        server.on_start(lambda: os.kill(os.getpid(), signal.SIGTERM))
        server.loop()
        assert [signal.getsignal(number) for number in numbers] == [mine] * 4
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
