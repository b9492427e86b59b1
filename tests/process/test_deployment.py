"""What operators do: PORT, `make run`, a pid file that holds for all restarts, --reload with --workers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peer import free_port, until
from tests.places import ROOT
from tests.programs import LOOPS, spread
from tests.serving import Served, environment

APP = """
import os
from kissapi import Request, Router, Server

router = Router()

@router.get("/")
async def pid(req: Request):
    return str(os.getpid())

server = Server("127.0.0.1", 8111, router=router, access_log=False{options})
"""


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def write(folder: Path, options: str = "") -> None:
    (folder / "app.py").write_text(APP.format(options=options))


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "kissapi", *words]


# PORT


@spread("loop", "target", "app:server", "app:router")
def test_a_platform_tells_the_port(target: str, loop: str, tmp_path: Path) -> None:
    write(tmp_path)
    port = free_port()
    words = command(target, "--host=127.0.0.1", f"--loop={loop}")
    with Served(words, cwd=tmp_path, env=environment(PORT=str(port))) as served:
        assert served.port == port
        assert served.get("/").isdigit()


def test_make_run_listens_on_port() -> None:
    """What `make run` runs, as make says it, in this Python: to make .venv would take half a minute."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    said = subprocess.run(
        ["make", "--dry-run", "run"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20
    ).stdout
    (words,) = [line.split() for line in said.splitlines() if line.startswith("exec ")]
    assert words[:3] == ["exec", ".venv/bin/python", "-m"]
    port = free_port()
    with Served([sys.executable, *words[2:]], cwd=ROOT, env=environment(PORT=str(port))) as served:
        assert served.port == port
        assert served.get("/") == b"Hello, world!"


def test_a_port_in_use_names_the_flag_and_the_variable(loop: str, tmp_path: Path) -> None:
    write(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            command("app:server", f"--loop={loop}"),
            cwd=tmp_path,
            env=environment(PORT=port),
            capture_output=True,
            text=True,
            timeout=20,
        )
    assert ended.returncode == 1
    assert ended.stderr == (
        f"kissapi: port {port} of 127.0.0.1 is in use: stop the program that uses it, or choose another "
        "with Server(port=…); the command kissapi takes --port and the variable PORT\n"
    )


# The number of the process


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="no SIGUSR2 here")
def test_a_pid_file_of_the_shell_holds_for_all_restarts(loop: str, tmp_path: Path) -> None:
    write(tmp_path)
    start = 'echo $$ >app.pid; exec "$@"'
    words = ["sh", "-c", start, "sh", *command("app:server", "--port=0", f"--loop={loop}")]
    with Served(words, cwd=tmp_path) as served:
        number = int((tmp_path / "app.pid").read_text())
        seen = {served.get("/")}
        assert seen == {b"%d" % number}
        for restarts in (1, 2):
            os.kill(number, signal.SIGUSR2)
            seen.add(until(lambda: (now := served.get("/")) not in seen and now))
            assert len(seen) == restarts + 1


# --reload and --workers


@pytest.mark.skipif(os.name != "posix", reason="sockets are handed down on POSIX only")
@spread(
    "loop",
    "flags, options, said",
    (["--workers=2"], "", "workers is left out"),
    ([], ", workers=2, max_requests=9", "workers, max_requests are left out"),
    ([], "", ""),
)
def test_reload_says_that_it_has_no_workers(
    flags: list[str], options: str, said: str, loop: str, tmp_path: Path
) -> None:
    write(tmp_path, options)
    words = command("app:server", "--port=0", "--reload", *flags, f"--loop={loop}")
    with Served(words, cwd=tmp_path) as served:
        first = served.get("/")
        assert int(first) == served.process.pid  # no worker
        write(tmp_path, f"{options}, max_head=9999")
        until(lambda: served.get("/") != first, 15)
    lines = [line for line in served.output.splitlines() if "--reload serves in one process" in line]
    assert len(lines) == bool(said)  # once, not with each version
    assert all(line.endswith(f"[INFO] --reload serves in one process: {said}") for line in lines)
