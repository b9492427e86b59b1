"""A checkout may lie in any folder: one named kissapi, one with blanks and other letters, a read-only one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT

# .venv and build are left behind, as by git clone.
PARTS = ("kissapi", "compat", "tests", "examples", "Makefile", "pyproject.toml", "README.md", "LICENSE")


def copy(to: Path) -> Path:
    to.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, to / part, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / part, to)
    return to


@pytest.fixture
def read_only() -> Iterator[tuple[Path, dict[str, Any]]]:
    """A checkout that may not be written, and the user to run as: root may write anywhere."""
    folder = Path(tempfile.mkdtemp(prefix="kissapi-"))
    folder.chmod(0o755)
    checkout = copy(folder / "kissapi")
    checkout.chmod(0o555)
    yield checkout, {"user": 65534} if os.geteuid() == 0 else {}
    checkout.chmod(0o755)
    shutil.rmtree(folder)


def make(checkout: Path, *targets: str, **options: Any) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    command = ["make", "--no-print-directory", *targets]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, encoding="utf-8", **options
    )


@pytest.mark.parametrize("folder", ["kissapi", "site-packages/a b é & 'ü'/kissapi two"])
def test_the_suite_does_not_look_at_where_it_lies(tmp_path: Path, folder: str) -> None:
    """The whole suite would take minutes: here are the tests that look at files of the checkout."""
    checkout = copy(tmp_path / folder)
    tests = ("tests/extras/test_debug.py", "tests/house/test_package.py")
    command = [sys.executable, "-m", "pytest", "-q", *tests]
    done = subprocess.run(command, cwd=checkout, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


def test_make_works_in_a_folder_with_blanks(tmp_path: Path) -> None:
    checkout = copy(tmp_path / "a b é & 'ü'" / "kissapi two")
    helped = make(checkout, "help")
    assert "  make test " in helped.stdout, helped.stderr
    python = tmp_path / "c d" / "python3"  # one that says what it is asked, and makes nothing
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "asked: $*"\nmkdir -p .venv/bin && ln -s "$0" .venv/bin/python\n')
    python.chmod(0o755)
    made = make(checkout, ".venv/bin/python", f"PYTHON={python}")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == "asked: -m venv --clear .venv"


@pytest.mark.parametrize("target", ["run", "test", "test-all"])
def test_make_says_that_it_may_not_write_here(read_only: tuple[Path, dict[str, Any]], target: str) -> None:
    checkout, options = read_only
    done = make(checkout, target, **options)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("make: this folder cannot be written, and all that is made")
    assert "Copy it" in done.stderr.splitlines()[0]
    assert not (checkout / ".venv").exists()
