"""Two loops against one on free-threaded Python: `python -m tests.free_threaded`, or `make free-threaded`.

FREE_THREADED names a free-threaded CPython; without it one is built from the source of Debian's python3.13,
with `--disable-gil`, into build/free-threaded: some minutes, once. Then handlers that compute are asked on
one event loop and on two, in interleaved rounds. wrk needs little of the two cores, but it needs some.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

from tests.places import ROOT

BUILD = ROOT / "build/free-threaded"
APP = """
from kissapi import Router, Server
import sys
router = Router()
@router.get("/")
async def compute(req):
    total = 0
    for number in range(5000):
        total += number * number
    return str(total)
Server("127.0.0.1", 0, router=router, backend=sys.argv[1], loops=int(sys.argv[2]), access_log=False).loop()
"""


def run(*command: str | Path, cwd: Path | None = None) -> None:
    print(f"free-threaded: {' '.join(map(str, command))[:100]}", flush=True)
    with (BUILD / "log").open("ab") as log:
        subprocess.run(command, cwd=cwd, check=True, stdout=log, stderr=log)


def fetch() -> Path:
    """The source, by apt, from where this machine gets Debian's packages, of the release that has it."""
    sources = "".join(file.read_text() for file in Path("/etc/apt").rglob("*.sources"))
    sources += "".join(file.read_text() for file in Path("/etc/apt").rglob("*.list"))
    found = re.search(r"(https?://\S+?/debian)/?\s", sources)
    if found is None:
        raise SystemExit("free-threaded: this is no Debian; name a Python: FREE_THREADED=python3.13t")
    (BUILD / "sources.list").write_text(f"deb-src {found[1]} trixie main\n")
    (BUILD / "lists").mkdir(exist_ok=True)
    apt = ["apt-get", "-o", f"Dir::Etc::SourceList={BUILD}/sources.list", "-o", "Dir::Etc::SourceParts=-"]
    apt += ["-o", f"Dir::State::Lists={BUILD}/lists"]
    run(*apt, "update")
    run(*apt, "source", "--download-only", "python3.13", cwd=BUILD)
    (tar,) = BUILD.glob("python3.13_*.orig.tar.xz")
    return tar


def build() -> Path:
    """A free-threaded Python, with what kissapi needs."""
    python = BUILD / "venv/bin/python"
    if not python.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        base = os.environ.get("FREE_THREADED")
        if not base:
            tar = fetch()
            run("tar", "xf", tar, "--one-top-level=source", "--strip-components=1", cwd=BUILD)
            run("./configure", "--disable-gil", f"--prefix={BUILD}/python", cwd=BUILD / "source")
            run("make", "-j2", cwd=BUILD / "source")
            run("make", "install", cwd=BUILD / "source")
            base = str(BUILD / "python/bin/python3.13")
        run(base, "-m", "venv", "--clear", BUILD / "venv")
        run(python, "-m", "pip", "install", "--quiet", "httptools", "colorama")
    return python


def rate(python: Path, backend: str, loops: int) -> float:
    """Requests per second, for two seconds."""
    command = [python, "-c", APP, backend, str(loops)]
    env = {**os.environ, "PYTHON_GIL": "0", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, encoding="utf-8") as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            wrk = subprocess.run(["wrk", "-t1", "-c16", "-d2s", url], capture_output=True, encoding="utf-8")
            found = re.search(r"Requests/sec:\s+([\d.]+)", wrk.stdout)
            assert found, wrk.stdout
            assert not re.search("Non-2xx|Socket errors", wrk.stdout), wrk.stdout
            return float(found[1])
        finally:
            server.terminate()


def main() -> int:
    python = build()
    print(subprocess.run([python, "-VV"], capture_output=True, encoding="utf-8").stdout.strip())
    print("| backend | one loop, requests/s | two loops | ÷ |\n|---|---:|---:|---:|")
    for backend in ("asyncio", "selectors"):
        rounds = [(rate(python, backend, 1), rate(python, backend, 2)) for _ in range(5)]
        one, two = (statistics.median(each) for each in zip(*rounds, strict=True))
        ratio = statistics.median(two / one for one, two in rounds)
        print(f"| {backend} | {one:,.0f} | {two:,.0f} | {ratio:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
