"""What differs by CPython is asked of each that is here, Debian's own among them, by plain scripts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import cpythons
from tests.cpythons import CPython
from tests.places import ROOT


@pytest.mark.parametrize("library", ["httptools", "its stand-in"])
@pytest.mark.parametrize(
    ("script", "arguments"),
    [("tests/fuzz/heads.py", ("heads=300", "seed=1")), ("tests/budget.py", ())],
    ids=["roads", "calls"],
)
def test_every_cpython(script: str, arguments: tuple[str, ...], library: str) -> None:
    """With httptools where there is a wheel of it: `make test` fetches those that it lacks."""
    asked = 0
    for python in cpythons.find():
        folder = cpythons.httptools(python) if library == "httptools" else None
        if folder is None and library == "httptools":
            continue
        done = cpythons.run(python, script, *arguments, library=folder)
        assert done.returncode == 0, done.stdout
        assert f"CPython {python.version.removesuffix('t')} with {library}" in done.stdout
        asked += 1
    if not asked:
        pytest.skip("httptools is not installed")


def test_versions_are_told_apart_to_the_last_figure(tmp_path: Path) -> None:
    """A Python that says 3.11.2 does not hide one that says 3.11.7."""
    folder = tmp_path / "a b é"
    folder.mkdir()
    for name, version in (("python3", "3.11.7"), ("python3.11", "3.11.2"), ("python3.13t", "3.13.1t")):
        script = folder / name
        script.write_text(f"#!/bin/sh\nprintf '%s\\t%s\\n' {version} \"$0\"\n")
        script.chmod(0o755)
    (folder / "python3.12").write_text("#!/bin/sh\nexit 127\n")
    (folder / "python3.12").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "tests.cpythons"],
        env={"PATH": str(folder), "PYENV_ROOT": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    found = dict(line.split("\t") for line in done.stdout.splitlines())
    assert found.keys() >= {"3.11.2", "3.11.7", "3.13.1t"}, done.stderr
    assert found["3.11.7"] == f"{folder}/python3"
    assert CPython("3.13.1t", folder).tag == "cp313t"
