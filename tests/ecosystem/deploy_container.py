"""Container: the Dockerfile of examples/deploy, built by buildah, and run as it asks to be run.

No registry is needed: Debian's own Python 3.13 stands in for the image python:3.13-slim, and a folder of
wheels for the index. What is built runs as process 1 of a machine: root read-only, no privileges.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ecosystem.deploy_services import wheels
from tests.ecosystem.machine import Machine, debian, left_out, wait_for
from tests.ecosystem.site import check
from tests.pages import DEPLOY
from tests.places import BUILD

BASE = "docker.io/library/python:3.13-slim"
GRACE = 20.0  # seconds for its end

ASK = """
from urllib.request import urlopen
print(urlopen("http://127.0.0.1:8000/", timeout=5).read().decode(), end="")
"""
WRITE = """
for path in ("/app/x", "/x", "/tmp/x"):
    try:
        open(path, "w")
        print(path, "written")
    except OSError as error:
        print(path, error.strerror)
"""


def buildah(*words: str) -> str:
    store = ["--root", str(BUILD / "containers"), "--runroot", str(BUILD / "containers.run")]
    done = subprocess.run(
        ["buildah", *store, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{words}:\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


@contextmanager
def mounted(image: str) -> Iterator[tuple[str, Path]]:
    """A container of `image`, and where its files are."""
    container = buildah("from", "--pull-never", image)
    try:
        yield container, Path(buildah("mount", container))
    finally:
        buildah("rm", container)


def make_base(root: Path) -> None:
    """The stand-in for the image that the Dockerfile begins with; kept for the next time."""
    if BASE.removeprefix("docker.io/library/") in buildah("images", "--format", "{{.Name}}:{{.Tag}}"):
        return
    with mounted("scratch") as (container, folder):
        subprocess.run(["cp", "-a", f"{root}/.", str(folder)], check=True)
        (folder / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        (folder / "etc/pip.conf").write_text("[global]\nno-index = true\n")
        buildah("commit", container, BASE)


def main() -> str:
    root = debian()
    if shutil.which("buildah") is None:
        left_out("buildah is not installed: apt-get install buildah")
    make_base(root)
    with tempfile.TemporaryDirectory(dir=BUILD) as context:
        shutil.copytree(DEPLOY, context, dirs_exist_ok=True)
        wheels(Path(context, "wheels"))
        Path(context, ".env").write_text("SECRET=1")
        # OCI's own format has no HEALTHCHECK.
        buildah("build", "--isolation=chroot", "--format=docker", "--pull-never", "--tag=app", context)
    config = json.loads(buildah("inspect", "--type=image", "localhost/app"))["Docker"]["config"]
    with mounted("localhost/app") as (_, image):
        return run(image, config)


def run(image: Path, config: dict[str, Any]) -> str:
    there = {each.name for each in (image / "app").iterdir()}
    check("nothing but the app and what it needs", there == {".venv", "app.py"}, there)
    user = config["User"]
    check("its user is a number other than 0", user.isdigit() and int(user) > 0, user)
    bounded = (
        f"setpriv --reuid={user} --regid={user} --clear-groups --bounding-set=-all --no-new-privs".split()
    )
    as_told = ("env", f"--chdir={config['WorkingDir']}", *config["Env"], *bounded)
    healthy = config["Healthcheck"]["Test"]
    check("the health check needs no shell", healthy.pop(0) == "CMD", healthy)
    with Machine(image, *as_told, *config["Cmd"], read_only=True) as machine:
        wait_for(lambda: "Serving on" in machine.log, machine)
        machine.run(*as_told, *healthy)
        failed = machine.run(*as_told, "env", "PORT=1", *healthy, fails=True)
        check("without a server the health check fails", "ConnectionRefusedError" in failed, failed)
        check("it answers", machine.run(*as_told, "python", "-c", ASK) == "version 1\n")
        written = machine.run(*as_told, "python", "-c", WRITE)
        bounds = "/app/x Read-only file system\n/x Read-only file system\n/tmp/x written\n"
        check("only /tmp can be written", written == bounds, written)
        status = machine.file("/proc/1/status").read_text()
        told = ("Name:\tkissapi\n", f"Uid:\t{user}\t", "CapEff:\t0000000000000000\n")
        check("process 1 is the server, without privileges", all(each in status for each in told), status)
        machine.send(getattr(signal, config["StopSignal"]))
        code = machine.end(GRACE)
        check("it ends with 0", code == 0, (code, machine.log))
    size = sum(file.lstat().st_size for file in (image / "app").rglob("*")) >> 20
    return f"built, {size} MiB beside its base; user {user}, root read-only, healthy, ended with 0"
