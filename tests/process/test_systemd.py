"""Systemd: a socket that it has opened, and what it is told of the life of a server."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.serving import environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")

APP = """
import sys
from kissapi import Request, Router, Server
router = Router()
@router.get("/")
async def hello(req: Request):
    return "hello"
Server(bind="systemd", router=router, backend=sys.argv[1], access_log=False).loop()
"""


def test_a_unit_with_a_socket_that_wants_to_be_told(tmp_path: Path, backend: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
    ):
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(10)
        fd = listening.fileno()
        # The number of the process is known only in it; systemd hands sockets over from descriptor 3 on.
        begin = (
            f"import os, sys; {fd} == 3 or os.dup2({fd}, 3); os.set_inheritable(3, True);"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
            f"os.execv(sys.executable, [sys.executable, 'app.py', {backend!r}])"
        )
        env = environment(NOTIFY_SOCKET=str(tmp_path / "notify"))
        unit = subprocess.Popen(
            [sys.executable, "-c", begin], cwd=tmp_path, env=env, pass_fds=[fd], stdout=subprocess.DEVNULL
        )
        try:
            assert ear.recv(1000) == b"READY=1"
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            with urllib.request.urlopen(url, timeout=5) as answer:
                assert answer.read() == b"hello"
            unit.send_signal(signal.SIGHUP)
            assert ear.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert b"READY=1" in ear.recv(1000)
            unit.send_signal(signal.SIGTERM)
            while (told := ear.recv(1000)) != b"STOPPING=1":
                assert b"READY=1" in told
            assert unit.wait(10) == 0
        finally:
            unit.kill()
            unit.wait()
