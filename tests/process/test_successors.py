"""Successors that fail, that are asked for by the program itself, and that start beside another program."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from kissapi import Server
from kissapi.process.program import Program
from tests.places import ROOT
from tests.serving import Served

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")


APP = """
import os, sys, threading
from kissapi import Router, Server, serve
from kissapi.process.program import Program
{top}
router = Router()

@router.get("/")
async def hello(req):
    return str(os.getpid())

server = Server(bind=["127.0.0.1:0", {path!r}], router=router, backend={backend!r}, access_log=False{options})
{run}
"""


def start(folder: Path, backend: str, run: str = "server.loop()", **more: str) -> Served:
    write(folder, backend, run, **more)
    return Served([sys.executable, folder / "app.py"], env={**os.environ, "PYTHONPATH": str(ROOT)})


def write(folder: Path, backend: str, run: str = "server.loop()", top: str = "", options: str = "") -> None:
    path = f"unix:{folder / 's'}"
    text = APP.format(top=top, path=path, backend=backend, options=options, run=run)
    (folder / "app.py").write_text(text)


def ask_unix(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: sock.recv(65536), b""))


def line_with(served: Served, text: str) -> str:
    return next(line for line in served.lines() if text in line)


@pytest.mark.parametrize(("backend", "options"), [("asyncio", ""), ("selectors", ", workers=1")])
def test_one_that_fails_leaves_the_unix_socket_where_it_is(
    tmp_path: Path, backend: str, options: str
) -> None:
    with start(tmp_path, backend, options=options) as served:
        write(tmp_path, backend, "@server.on_start\ndef fail(): sys.exit(3)\nserver.loop()", options=options)
        os.kill(served.process.pid, signal.SIGHUP)
        assert "ended with exit code" in line_with(served, "the old one goes on")
        assert b"200 OK" in ask_unix(tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_program_may_ask_for_a_restart_and_goes_on_if_it_fails(tmp_path: Path, backend: str) -> None:
    run = """
program = Program([server])

@router.get("/restart")
async def restart(req):
    threading.Thread(target=program.request_restart, args=["a file has changed"]).start()
    return str(program.serving)

program.run()
"""
    with start(tmp_path, backend, run) as served:
        first = served.get("/")
        write(tmp_path, backend, "sys.exit(3)")
        assert served.get("/restart") == b"True"
        line_with(served, "a file has changed: restarting")
        assert "ended with exit code 3 before it served" in line_with(served, "the old one goes on")
        assert served.get("/") == first
        write(tmp_path, backend, run)
        served.get("/restart")
        pid = line_with(served, "has taken over").split()[3]
        assert served.get("/").decode() == pid != first.decode()
        served.get("/restart")  # the successor has its supervisor start the next
        assert line_with(served, "has taken over").split()[3] != pid
        assert served.process.poll() is None


def test_what_does_not_run_cannot_be_started_anew() -> None:
    assert not Program([Server()]).request_restart("too early")


def test_a_restart_drops_a_successor_that_does_not_serve_yet(tmp_path: Path, backend: str) -> None:
    run = """
program = Program([server])

@router.get("/restart")
async def restart(req):
    program.request_restart("again")
    return ""

program.run()
"""
    with start(tmp_path, backend, run) as served:
        write(tmp_path, backend, top="import time; print('stuck', os.getpid(), flush=True); time.sleep(60)")
        served.get("/restart")
        stuck = int(line_with(served, "stuck").split()[1])
        write(tmp_path, backend, run)
        served.get("/restart")
        pid = line_with(served, "has taken over").split()[3]
        assert served.get("/").decode() == pid
        with pytest.raises(ProcessLookupError):
            os.kill(stuck, 0)


def test_the_program_with_the_signals_is_the_one_that_takes_over(tmp_path: Path, backend: str) -> None:
    # One in a thread, which serves first, must not speak for the program, nor close what that is handed.
    run = f"""
up = threading.Event()
admin = Server("127.0.0.1", 0, backend={backend!r}, access_log=False, logger=type("Quiet", (Silent,), {{}}))
admin.on_start(up.set)
thread = threading.Thread(target=admin.loop)
thread.start()
up.wait()
server.loop()
admin.stop()
thread.join()
"""
    top = "from kissapi.log import Log\nclass Silent(Log):\n    def _line(self, level, text): pass"
    with start(tmp_path, backend, run, top=top) as served:
        first = served.get("/")
        os.kill(served.process.pid, signal.SIGHUP)
        pid = line_with(served, "has taken over").split()[3]
        assert served.get("/").decode() == pid != first.decode()
