"""What the README and the guide show is right for type checkers, too: mypy reads their programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.test_pages import EXAMPLES
from tests.places import ROOT


def test_mypy_finds_nothing_in_the_pages(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    for example in EXAMPLES:
        file = tmp_path / f"{example.page.stem}_{example.line}.py".replace("-", "_")
        file.write_text("\n" * (example.line - 1) + example.source, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        "",
        "--check-untyped-defs",
        "--cache-dir",
        os.devnull,  # a cache that outlives the types of kissapi tells of those
    ]
    done = subprocess.run(
        [*command, "--follow-imports", "silent", *map(str, sorted(tmp_path.glob("*.py")))],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
