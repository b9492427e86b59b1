"""The small Pythons that kissapi must run on: Debian's python3.11-minimal, and this Python with a blocker.

Debian's is fetched with apt-get and unpacked in build/minimal, never installed. Both are given the unpacked
wheel of kissapi and nothing else. Run as a program (`make minimal` does), it says what it has.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.installed import SOURCES, build_wheel
from tests.places import BUILD, ROOT

HOME = BUILD / "minimal"
PACKAGES = ("python3.11-minimal", "libpython3.11-minimal")
# Every Debian that has a Python has these; they are fetched where ldd misses one.
LIBRARIES = ("libexpat1", "zlib1g", "libssl3")


class Missing(Exception):
    """The small Python cannot be had here; says why."""


@dataclass
class SmallPython:
    name: str
    command: list[str]  # to be followed by the path of a program
    env: dict[str, str]


def debian() -> SmallPython:
    """Debian's package, as it is; `Missing` where there is no apt-get, or no such package."""
    unpacked = HOME / "debian"
    if not (unpacked / "version").exists():
        _fetch(unpacked)
    libraries = sorted({str(file.parent) for file in unpacked.glob("**/*.so.*")})
    # -S: no site-packages; -P: not even the folder of the program. PYTHONPATH is the wheel and nothing else.
    return SmallPython(
        f"python3.11-minimal {(unpacked / 'version').read_text()}",
        [str(unpacked / "usr/bin/python3.11"), "-S", "-P"],
        _environment() | ({"LD_LIBRARY_PATH": ":".join(libraries)} if libraries else {}),
    )


def blocked() -> SmallPython:
    """This Python, in which tests/blocker.py hides what Debian's lacks."""
    return SmallPython(
        f"a blocker over Python {sys.version.split()[0]}",
        [sys.executable, "-S", "-P", str(ROOT / "tests/blocker.py")],
        _environment(),
    )


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(_unpacked_wheel())}


def _unpacked_wheel() -> Path:
    """The wheel of the sources as they are now; built again only when one of them has changed."""
    files = [ROOT / name for name in SOURCES]
    files += [file for name in SOURCES for file in sorted((ROOT / name).rglob("*.py"))]
    state = hashlib.sha256()
    for file in files:
        if file.is_file():
            state.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    unpacked = HOME / f"wheel-{state.hexdigest()[:16]}"
    if not unpacked.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        for old in HOME.glob("wheel-*"):
            if old != unpacked:  # which another process of pytest-xdist may just have made
                shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=HOME) as here:
            with zipfile.ZipFile(build_wheel(Path(here))) as wheel:
                wheel.extractall(Path(here, "unpacked"))
            try:
                Path(here, "unpacked").rename(unpacked)  # whole or not at all
            except OSError:
                if not unpacked.exists():
                    raise
                # Of the processes of pytest-xdist another one was faster.
    return unpacked


def _fetch(into: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Missing("there is no apt-get here")
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as name:
        here = Path(name)
        _download(here, PACKAGES)
        version = _run("dpkg-deb", "--field", next(here.glob("python3*.deb")), "Version", cwd=here).strip()
        _unpack(here)
        if "not found" in _run("ldd", here / "root/usr/bin/python3.11", cwd=here):
            _download(here, LIBRARIES)
            _unpack(here)
        (here / "root/version").write_text(version)
        shutil.rmtree(into, ignore_errors=True)
        (here / "root").rename(into)  # whole or not at all


def _download(here: Path, packages: tuple[str, ...]) -> None:
    apt_get = ["apt-get", "--quiet", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=1"]
    try:
        _run(*apt_get, "download", *packages, cwd=here)
    except Missing:
        # The system's package lists may be absent or old, and only root may mend them: take lists of our own.
        (here / "lists/partial").mkdir(parents=True, exist_ok=True)
        (here / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        apt_get += ["-o", f"Dir::State::lists={here / 'lists'}", "-o", f"Dir::Cache={here / 'cache'}"]
        _run(*apt_get, "update", cwd=here)
        _run(*apt_get, "download", *packages, cwd=here)


def _unpack(here: Path) -> None:
    for package in here.glob("*.deb"):
        _run("dpkg-deb", "--extract", package, here / "root", cwd=here)


def _run(*command: str | Path, cwd: Path) -> str:
    try:
        done = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"{command[0]} took too long") from None
    if done.returncode:
        *_, why = ["it did not say why", *(done.stdout + done.stderr).strip().splitlines()]
        raise Missing(f"{command[0]} failed: {why}")
    return done.stdout


def main() -> None:
    try:
        small = debian()
        print(f"minimal: {small.name} from apt-get, unpacked in {(HOME / 'debian').relative_to(ROOT)}")
    except Missing as reason:
        small = blocked()
        print(f"minimal: python3.11-minimal cannot be had ({reason}): {small.name} stands in")
    print(f"minimal: with {Path(small.env['PYTHONPATH']).relative_to(ROOT)}, and nothing else")


if __name__ == "__main__":
    main()
