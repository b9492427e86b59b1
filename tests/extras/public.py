"""Public: a folder to be served, a secret beside it, and a look at what stays open."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Router

MOMENT = 784111777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
TEXT = b"0123456789" * 10
SECRET = b"the secret"


@pytest.fixture(name="public")
def public_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder to be served, with a secret beside it; in the end none of its files is open."""
    root = tmp_path / "public"
    for name, data in {
        "text.txt": TEXT,
        "index.html": b"<h1>home</h1>",
        "docs/index.html": b"<h1>docs</h1>",
        "docs/deep/page.html": b"deep",
        "empty/nothing.txt": b"",
        "app.js": b"let app = 1;" * 20,
        "100%.txt": b"percent",
        "caf\u00e9.txt": b"coffee",
        "a:b/index.html": b"colon",
        ".env": SECRET,
        ".git/config": SECRET,
        "docs/.hidden": SECRET,
        "..secret": SECRET,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (MOMENT, MOMENT))
    (root / "folder.d").mkdir()
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (tmp_path / "public.txt").write_bytes(SECRET)
    yield root
    if os.path.isdir("/proc/self/fd"):
        assert open_files(tmp_path) == []


def open_files(below: Path) -> list[str]:
    """The files below a folder that this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if name.startswith(str(below)):
            found.append(name)
    return found


def answering(make: Callable[[], Any]) -> Router:
    """A router whose only path gives what `make` gives."""
    router = Router()

    @router.route("/", methods=["GET", "POST"])
    async def give(req: Request) -> Any:
        return make()

    return router


def compressed(public: Path, *endings: str, age: int = 0) -> None:
    for ending in endings:
        path = public / f"app.js{ending}"
        path.write_bytes(f"app{ending}".encode())
        os.utime(path, (MOMENT - age, MOMENT - age))
