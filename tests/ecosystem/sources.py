"""Sources: the source distribution of an installed package, with its tests, and a run of those."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from tests.places import BUILD
from tests.serving import environment

FOLDER = BUILD / "ecosystem" / "sources"
LEFT_OUT = 77  # see the runner
NOT_OURS = ["-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings="]  # what their project sets


def sources(package: str) -> Path:
    """The folder of the sources of `package`; the process ends, with a word, where they cannot be had."""
    name = f"{package}-{version(package)}"
    folder = FOLDER / name
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
        command += ["--dest", FOLDER, f"{package}=={version(package)}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(done.stderr, f"the sources of {name} cannot be had", sep="\n")
            sys.exit(LEFT_OUT)
        with tarfile.open(FOLDER / f"{name}.tar.gz") as archive:
            archive.extractall(FOLDER, filter="data")
    return folder


def outcomes(folder: Path, plugin: str, tests: Iterable[str], *flags: str, **more: str) -> dict[str, str]:
    """Run `tests` in `folder`, with one of our plugins: "PASSED" or "FAILED" by their ids."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        plugin,
        *NOT_OURS,
        "-rA",
        "--tb=short",
        "-q",
        *flags,
        *tests,
    ]
    # Their folder of tests is a package `tests` as ours is: of ours they get the plugins alone.
    variables = {**environment(**more), "PYTHONPATH": str(Path(__file__).with_name("plugins"))}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    (FOLDER / f"{plugin}-{'-'.join(more.values()) or 'all'}.log").write_text(done.stdout + done.stderr)
    found = {}
    for line in done.stdout.splitlines():
        outcome, _, rest = line.partition(" ")
        if outcome in ("PASSED", "FAILED", "ERROR"):
            found[rest.partition(" - ")[0]] = "PASSED" if outcome == "PASSED" else "FAILED"
    assert found, done.stdout[-2000:] + done.stderr
    return found


def failed(found: dict[str, str]) -> list[str]:
    """The ids of those that failed."""
    return [name for name, outcome in found.items() if outcome != "PASSED"]


def function_of(name: str) -> str:
    """The name of the function of a test, without its parameters."""
    return name.partition("[")[0].rpartition("::")[2]
