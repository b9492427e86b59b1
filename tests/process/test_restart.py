"""Restart: a new process takes over, and no client is refused or cut off meanwhile."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.peer import until
from tests.serving import Served

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")


APP = """
import os, sys
from kissapi import Request, Router, Server, serve, sleep
{top}
router = Router()

@router.get("/pid")
async def pid(req: Request):
    return str(os.getpid())

@router.get("/sleep")
async def slow(req: Request):
    await sleep(0.6)
    return str(os.getpid())

options = dict(router=router, backend={backend!r}, access_log=False)
serve(Server(bind="127.0.0.1:0", **options), Server(bind="127.0.0.1:0", **options))
"""


@contextmanager
def app(tmp_path: Path, backend: str) -> Iterator[Served]:
    write(tmp_path, backend)
    with Served([sys.executable, tmp_path / "app.py"]) as served:
        yield served


def write(tmp_path: Path, backend: str, top: str = "") -> None:
    (tmp_path / "app.py").write_text(APP.format(backend=backend, top=top))


def pid(served: Served) -> int:
    return int(served.get("/pid"))


def wait_for_another(served: Served, *before: int) -> int:
    """The number of a process that is none of `before`: the last two both accept for a moment."""
    return int(until(lambda: (now := pid(served)) not in before and now))


def test_the_new_process_serves_and_the_old_one_guards_it(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend) as served:
        first = pid(served)
        assert first == served.process.pid
        os.kill(first, signal.SIGHUP)
        second = wait_for_another(served, first)
        assert served.process.poll() is None
        os.kill(first, signal.SIGUSR2)
        third = wait_for_another(served, first, second)
        until(lambda: not Path(f"/proc/{second}").exists())
    with pytest.raises(ProcessLookupError):
        os.kill(third, 0)
    assert served.output.count("has taken over") == 2


def test_no_request_is_lost(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend) as served:
        seen = [pid(served)]
        answers: list[bytes] = []
        failures: list[Exception] = []
        end = threading.Event()

        def keep_getting(path: str) -> None:
            while not end.is_set():
                try:
                    answers.append(served.get(path))
                    time.sleep(0.001)
                except Exception as error:
                    failures.append(error)

        def keep_asking() -> None:
            client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
            while not end.is_set():
                try:
                    client.request("GET", "/pid")
                    answers.append(client.getresponse().read())
                    time.sleep(0.001)
                except Exception as error:
                    failures.append(error)
            client.close()

        threads = [threading.Thread(target=keep_getting, args=(path,)) for path in ("/pid", "/sleep")]
        threads += [threading.Thread(target=keep_asking) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            os.kill(served.process.pid, signal.SIGHUP)
            seen.append(wait_for_another(served, *seen))
        end.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(set(answers)) >= 3


@pytest.mark.parametrize(
    ("backend", "top"),
    [("asyncio", "def broken(:"), ("selectors", "raise KeyError('new')"), ("asyncio", "sys.exit(3)")],
)
def test_one_that_cannot_start_leaves_the_old_one_serving(tmp_path: Path, backend: str, top: str) -> None:
    with app(tmp_path, backend) as served:
        first = pid(served)
        write(tmp_path, backend, top)
        os.kill(first, signal.SIGHUP)
        for _ in range(60):
            assert pid(served) == first
            time.sleep(0.01)
        write(tmp_path, backend)
        second = first
        deadline = time.monotonic() + 10
        while second == first and time.monotonic() < deadline:
            os.kill(first, signal.SIGHUP)
            time.sleep(0.1)
            second = pid(served)
        assert second != first
    assert "before it served; the old one goes on" in served.output


def test_a_successor_that_dies_ends_its_supervisor_with_its_code(tmp_path: Path, backend: str) -> None:
    def end_it() -> None:
        with app(tmp_path, backend) as served:
            first = pid(served)
            os.kill(first, signal.SIGHUP)
            second = wait_for_another(served, first)
            asked = [second]
            while len(asked) < 100:  # all by the same one: the first has left
                asked = [*asked, second] if pid(served) == second else []
            os.kill(second, signal.SIGKILL)
            served.process.wait(5)

    with pytest.raises(AssertionError, match=f"exit code {128 + signal.SIGKILL}"):
        end_it()


def test_it_may_be_ended_while_it_begins_anew(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend) as served:
        os.kill(served.process.pid, signal.SIGHUP)


def test_it_may_be_ended_while_the_new_process_is_made(tmp_path: Path, backend: str) -> None:
    # SIGTERM comes when there is a new process, but nobody to tell it yet.
    top = """
import signal, subprocess
class Popen(subprocess.Popen):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        os.kill(os.getpid(), signal.SIGTERM)
subprocess.Popen = Popen
"""
    write(tmp_path, backend, top)
    with Served([sys.executable, tmp_path / "app.py"]) as served:
        os.kill(served.process.pid, signal.SIGHUP)
        assert served.process.wait(10) == 0


def test_what_systemd_has_opened_is_handed_on(tmp_path: Path, backend: str) -> None:
    before = APP.format(backend=backend, top="").partition("serve(Server")[0]
    (tmp_path / "app.py").write_text(before + 'serve(Server(bind="systemd", **options))\n')
    start = (
        "import os, socket, sys\n"
        "sock = socket.create_server(('127.0.0.1', 0))\n"
        "os.dup2(sock.detach(), 9)\n"
        "os.dup2(9, 3)\n"
        "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}\n"
        "os.execv(sys.executable, [sys.executable, sys.argv[1]])\n"
    )
    with Served([sys.executable, "-c", start, tmp_path / "app.py"]) as served:
        first = pid(served)
        os.kill(served.process.pid, signal.SIGHUP)
        second = wait_for_another(served, first)
        os.kill(served.process.pid, signal.SIGHUP)
        wait_for_another(served, first, second)


@pytest.mark.parametrize(
    ("when", "what"), [(0, "a file"), (1, "a socket"), (2, "a file"), (None, "")], ids=str
)
def test_a_unix_path_that_is_no_longer_ours_is_left_alone(
    tmp_path: Path, backend: str, when: int | None, what: str
) -> None:
    path = tmp_path / "app.sock"
    before = APP.format(backend=backend, top="").partition("serve(Server")[0]
    (tmp_path / "app.py").write_text(
        f'{before}serve(Server(bind=["127.0.0.1:0", "unix:{path}"], **options))\n'
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        with Served([sys.executable, tmp_path / "app.py"]) as served:
            seen = [pid(served)]
            for restarts in range(3):
                if restarts == when:
                    path.unlink()
                    path.write_text("") if what == "a file" else other.bind(str(path))
                    taken = path.lstat().st_ino
                if restarts < 2:
                    os.kill(served.process.pid, signal.SIGHUP)
                    seen.append(wait_for_another(served, *seen))
        if when is None:
            assert not path.exists()
        else:
            assert path.lstat().st_ino == taken
    # Who may connect is said of a socket of ours alone.
    assert served.output.count("cannot connect") == (3 if when is None else when + 1)
