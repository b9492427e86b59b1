"""Services: examples/deploy on a Debian 13 with systemd, nginx and HAProxy, as the guide says.

Two workers behind a Unix socket: new versions under load, with nothing lost; versions that cannot start,
which leave the old one serving; a stop and a start; what the service may not do.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kissapi.http.limits import Limits
from tests.ecosystem.machine import Machine, debian, left_out, wait_for
from tests.ecosystem.site import check
from tests.installed import build_wheel
from tests.pages import DEPLOY, GUIDE, block

MOST_EXPOSED = 2.0  # as systemd-analyze security counts: 10 is a service without any bounds

# Three clients that keep their connections: each answer must be whole, and come from a version that works.
LOAD = """
import http.client, sys, threading, time
counts, errors, end = {}, [], time.monotonic() + float(sys.argv[1])
def ask(method, path):
    client = http.client.HTTPConnection("localhost", timeout=10)
    try:
        while time.monotonic() < end:
            client.request(method, path, b"x" * 1000 if method == "POST" else None)
            answer = client.getresponse()
            body = answer.read().decode()
            assert answer.status == 200 and body.startswith("version "), (answer.status, body)
            counts[body] = counts.get(body, 0) + 1
            time.sleep(0.002)
    except Exception as error:
        errors.append(f"{method} {path}: {error!r}")
asked = [("GET", "/"), ("POST", "/slow"), ("POST", "/slow")]
threads = [threading.Thread(target=ask, args=each) for each in asked]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(counts.values()), "answers,", len(counts), "versions, errors:", errors)
"""

SLOW = """
from kissapi import sleep


@router.post("/slow")
async def slow(req: Request):
    await sleep(0.3)
    return f"version {VERSION}\\n"
"""

IMPORT_ERROR = "import no_such_module\n"

FAILS_TO_START = """

@router.on_start
async def connect(app):
    raise RuntimeError("no such database")
"""


def wheels(into: Path) -> None:
    """kissapi's wheel, and those that it needs on the machine's Python, which has no network."""
    build_wheel(into)
    platforms = [f"--platform={name}_x86_64" for name in ("manylinux2014", "manylinux_2_28")]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version=3.13"]
    needed = ("httptools", "colorama", "uvloop")
    done = subprocess.run([*pip, *platforms, "--dest", str(into), *needed], capture_output=True, text=True)
    if done.returncode:
        left_out(f"no wheels of {', '.join(needed)}: {done.stderr.strip().splitlines()[-1:]}")


def install(machine: Machine) -> None:
    """The steps of the guide, up to a service that runs."""
    app = machine.file("/srv/app")
    app.mkdir()
    for name in ("requirements.txt", "app.socket", "app.service", "nginx.conf", "haproxy.cfg"):
        shutil.copy(DEPLOY / name, app)
    release(machine, "1")
    with tempfile.TemporaryDirectory() as made:  # a path below /proc/…/root is not what it resolves to
        wheels(Path(made))
        shutil.copytree(made, app / "wheels")
    machine.file("/etc/pip.conf").write_text("[global]\nno-index = true\n")
    as_shown(machine, GUIDE / "containers.md", "A service")


def as_shown(machine: Machine, page: Path, heading: str) -> str:
    """What the lines print that the guide has below `heading`, typed in /srv/app."""
    return machine.run("sh", "-ec", f"cd /srv/app\n{block(page, heading)}")


def release(machine: Machine, version: str, more: str = "") -> None:
    """Write a version of the app."""
    text = (DEPLOY / "app.py").read_text(encoding="utf-8")
    text = text.replace('VERSION = "1"', f'VERSION = "{version}"') + SLOW + more
    machine.file("/srv/app/app.py").write_text(text, encoding="utf-8")


def version(machine: Machine) -> str:
    return machine.run("curl", "-sS", "--max-time", "10", "http://localhost/").strip()


def settled(machine: Machine, number: str) -> None:
    """The new version answers alone; for `drain_timeout` the old one may, on connections that are kept."""
    wait_for(lambda: version(machine) == f"version {number}", machine, seconds=2)
    time.sleep(Limits.drain_timeout)
    check(f"version {number} serves", {version(machine) for _ in range(5)} == {f"version {number}"})


@contextmanager
def load(machine: Machine, seconds: int) -> Iterator[list[str]]:
    """Clients that ask for so long, wrk among them; what they have seen is in the list after the block."""
    clients = (
        ("wrk", "-t1", "-c8", f"-d{seconds}s", "http://localhost/"),
        ("python3", "-c", LOAD, str(seconds)),
    )
    running = [
        subprocess.Popen(machine.words(*each), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for each in clients
    ]
    seen: list[str] = []
    try:
        yield seen
        seen += [process.communicate(timeout=seconds + 30)[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    wrk, python = seen
    check(
        "none lost by wrk", "Socket errors" not in wrk and "Non-2xx" not in wrk and "requests in" in wrk, wrk
    )
    check("none lost by clients", python.rstrip().endswith("errors: []"), python)


def requests(seen: list[str]) -> int:
    found = re.search(r"(\d+) requests in", seen[0]), re.match(r"(\d+) answers", seen[1])
    return sum(int(match[1]) for match in found if match)


def main() -> str:
    with Machine(debian(), "/sbin/init") as machine:
        booted = ("running", "degraded")  # degraded: a unit of Debian wants to load modules into the kernel
        state = ("systemctl", "is-system-running")
        wait_for(lambda: machine.run(*state, fails=True).strip() in booted, machine)
        install(machine)
        check(
            "no complaint",
            not (said := machine.run("systemd-analyze", "verify", "app.service", "app.socket")),
            said,
        )
        told = machine.run("systemd-analyze", "security", "--no-pager", "app.service")
        exposed = float(re.search(r"exposure level for app.service: ([\d.]+)", told)[1])  # type: ignore[index]
        check(f"exposure {exposed}", exposed <= MOST_EXPOSED, told)

        as_shown(machine, GUIDE / "proxies.md", "nginx")
        wait_for(lambda: version(machine) == "version 1", machine)  # nginx does not wait for its own reload
        bounds(machine)

        with load(machine, 15) as seen:
            for number in ("2", "3"):
                release(machine, number)
                as_shown(machine, GUIDE / "containers.md", "A new version")
                settled(machine, number)
            for name, broken in (("an import error", IMPORT_ERROR), ("a failing on_start", FAILS_TO_START)):
                release(machine, "4", broken)
                machine.run("systemctl", "reload", "app")
                check(f"after {name} the old one serves", version(machine) == "version 3")
                status = machine.run("systemctl", "status", "--no-pager", "app")
                check("systemctl says so", "before it served; the old one goes on" in status, status)
            journal = machine.run(
                "sh", "-c", "journalctl --sync; journalctl --unit=app --no-pager --lines=500"
            )
            check("the log says why", "no_such_module" in journal and "no such database" in journal, journal)
            check("and that the old one goes on", journal.count("the old one goes on") == 2, journal)
            release(machine, "5")
            machine.run("systemctl", "restart", "app")  # systemd keeps the socket: clients wait
            check("after a restart the new one serves", version(machine) == "version 5")
        answered = requests(seen)
        by_haproxy = behind_haproxy(machine)

        machine.run("systemctl", "stop", "app.service")
        ended = machine.run("systemctl", "show", "--property=Result,ExecMainStatus", "app.service").split()
        check("it ended well", sorted(ended) == ["ExecMainStatus=0", "Result=success"], ended)
    return (
        f"exposure {exposed}; {answered} answers by nginx in 2 new versions, 2 that fail and a restart, "
        f"{by_haproxy} by HAProxy in one: none lost"
    )


def bounds(machine: Machine) -> None:
    """What other users and the service itself may not do."""
    connect = "import socket; socket.socket(socket.AF_UNIX).connect('/run/app.sock')"
    as_user = ("setpriv", "--reuid=nobody", "--clear-groups", "python3", "-c", connect)
    check("other users may not connect", "PermissionError" in machine.run(*as_user, fails=True))
    pid = machine.run("systemctl", "show", "--property=MainPID", "--value", "app.service").strip()
    status = machine.file(f"/proc/{pid}/status").read_text()
    uid = re.search(r"^Uid:\t(\d+)", status, re.MULTILINE)
    check(
        "it is not root, and has no privileges",
        uid is not None and uid[1] != "0" and "CapEff:\t0000000000000000" in status,
        status,
    )


def behind_haproxy(machine: Machine) -> int:
    """The same with HAProxy in place of nginx."""
    machine.run("systemctl", "disable", "--now", "nginx")
    as_shown(machine, GUIDE / "proxies.md", "HAProxy")
    wait_for(lambda: version(machine) == "version 5", machine)
    with load(machine, 5) as seen:
        release(machine, "6")
        machine.run("systemctl", "reload", "app")
        settled(machine, "6")
    return requests(seen)
