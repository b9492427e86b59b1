"""CPythons: every one from 3.11 up on this machine, told apart by its full version; and httptools for each.

`python -m tests.cpythons` lists them for `make test-all`: version, tab, path. With `--httptools` it fetches
the wheel of httptools for each minor version but its own, into build/httptools, so that tests can put that on
a path and nothing else. It needs the standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from tests.places import BUILD, ROOT

NAME = re.compile(r"python3(\.(1[1-9]|[2-9]\d)t?)?")  # none that is known to be older: each start takes time
# A pyenv shim may stand on PATH and fail, or lead elsewhere: what runs says itself who it is.
ASK = """
import sys, sysconfig
v = sys.version_info
if sys.implementation.name == "cpython" and v >= (3, 11) and v.releaselevel == "final":
    free = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    print("%d.%d.%d%s" % (*v[:3], free), sys._base_executable, sep="\\t")
"""


class CPython(NamedTuple):
    version: str  # 3.11.2, or 3.13.0t for one without a GIL
    path: Path

    @property
    def tag(self) -> str:
        """The ABI tag of its wheels: cp311, cp313t."""
        major, minor, patch = self.version.split(".")
        return f"cp{major}{minor}{'t' * patch.endswith('t')}"


def find() -> list[CPython]:
    """The CPythons on PATH, in /usr/bin, of pyenv, and this one, in order; of each version the first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [Path(folder) for folder in os.get_exec_path()] + [Path("/usr/local/bin"), Path("/usr/bin")]
    folders += sorted(pyenv.glob("versions/*/bin"))
    files = [
        file for folder in folders for file in sorted(folder.glob("python3*")) if NAME.fullmatch(file.name)
    ]
    reals = [real for file in files if NAME.fullmatch((real := file.resolve()).name)]
    found: dict[str, CPython] = {}
    for real in dict.fromkeys([*reals, Path(sys.executable)]):
        if python := identify(real):
            found.setdefault(python.version, python)
    return sorted(found.values(), key=lambda each: [int(part) for part in re.findall(r"\d+", each.version)])


def identify(path: Path) -> CPython | None:
    """Which CPython `path` is; None if it is another Python, too old, or does not run."""
    try:
        done = subprocess.run(
            [path, "-c", ASK], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version, _, real = done.stdout.strip().partition("\t")
    return CPython(version, Path(real)) if done.returncode == 0 and version else None


def this() -> CPython:
    """The one that runs this."""
    found = identify(Path(sys.executable))
    assert found is not None, f"{sys.executable} is no CPython from 3.11 up that is final"
    return found


def httptools(python: CPython) -> Path | None:
    """The folder in which `python` can import httptools; None if there is none here."""
    own = Path(sysconfig.get_path("platlib"))  # a wheel is for all releases of a minor version
    folder = own if python.tag == this().tag else BUILD / "httptools" / python.tag
    return folder if (folder / "httptools").is_dir() else None


def run(
    python: CPython, script: str, *arguments: str, library: Path | None
) -> subprocess.CompletedProcess[str]:
    """Run a script of this checkout by `python`, which has nothing but the standard library and `library`.

    What it compiles is kept in build/, for the next run: that takes longer than the script.
    """
    path = os.pathsep.join(str(folder) for folder in (ROOT, library) if folder is not None)
    return subprocess.run(
        [python.path, "-S", "-P", ROOT / script, *arguments],
        env=os.environ | {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(BUILD / "pycache")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def fetch_httptools(python: CPython) -> None:
    """Put httptools for `python` where `httptools` looks for it; a line says so, or why not."""
    folder = BUILD / "httptools" / python.tag
    minor = re.match(r"\d+\.\d+", python.version)
    assert minor is not None
    print(f"make: httptools for Python {minor[0]}, in {folder.relative_to(ROOT)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", "--retries=0", "--timeout=10"]  # offline it ends at once
    wheel = [
        "--only-binary=:all:",
        f"--python-version={minor[0]}",
        "--implementation=cp",
        f"--abi={python.tag}",
    ]
    done = subprocess.run(
        [*pip, *wheel, f"--target={folder}", "httptools>=0.9"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        *_, why = ["pip did not say why", *done.stderr.strip().splitlines()]
        print(f"make: left out, tests on it do without: {why}", flush=True)


def main() -> None:
    if sys.argv[1:] == ["--httptools"]:
        for python in {each.tag: each for each in find()}.values():
            if python.tag != this().tag and httptools(python) is None:
                fetch_httptools(python)
    else:
        for version, path in find():
            print(version, path, sep="\t")


if __name__ == "__main__":
    main()
