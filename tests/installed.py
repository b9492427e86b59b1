"""The wheel as a user has it: in an empty environment, each module imported, each backend asked.

`make wheel` runs this file; tests/house/test_minimal.py takes the wheel from here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.places import BUILD, ROOT
from tests.serving import Served

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "kissapi", "compat", "examples")

HOOK = "import sys, setuptools.build_meta as backend; print(backend.build_wheel(sys.argv[1]))"

BROUGHT = """
from importlib.metadata import distributions
print(*sorted(f"{found.name}=={found.version}" for found in distributions()))
"""

IMPORT_ALL = """
import importlib, pkgutil, kissapi
names = ["kissapi", *(m.name for m in pkgutil.walk_packages(kissapi.__path__, "kissapi."))]
for name in names:
    importlib.import_module(name)
print(*names)
"""

QUICK_START = """
import sys
from kissapi import Server, Router, Request
router = Router()
@router.get("/")
async def hello(req: Request):
    return "Hello, world!"
Server(host="127.0.0.1", port=0, router=router, backend=sys.argv[1]).loop()
"""


def build_wheel(into: Path) -> Path:
    """Build from a copy: setuptools would ship again what an earlier build left in build/lib.

    The build backend is called by its standard hook (PEP 517), so an environment without pip will do.
    """
    into.mkdir(parents=True, exist_ok=True)
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="wheel-") as copy:
        for source in (ROOT / name for name in SOURCES):
            if source.is_dir():
                shutil.copytree(source, Path(copy, source.name), ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, copy)
        done = subprocess.run(
            [sys.executable, "-c", HOOK, str(into.resolve())], cwd=copy, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return into / done.stdout.split()[-1]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def main() -> None:
    shutil.rmtree(BUILD / "dist", ignore_errors=True)
    wheel = build_wheel(BUILD / "dist")
    print(f"wheel: {wheel.relative_to(ROOT)}, {wheel.stat().st_size} bytes")

    with tempfile.TemporaryDirectory(prefix="kissapi-") as outside:
        here = Path(outside)
        venv.create(here / "env")  # without pip: empty but for what the wheel brings
        python = here / "env" / "bin" / "python"
        pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
        run(*pip, "--python", python, "install", wheel, cwd=here)
        print("wheel: installed in an empty environment:", run(python, "-I", "-c", BROUGHT, cwd=here).strip())

        # -I: neither the folder nor a variable of this shell helps; a warning at import is an error.
        modules = run(python, "-I", "-W", "error", "-c", IMPORT_ALL, cwd=here).split()
        print(f"wheel: imported {len(modules)} modules:", *modules)

        for backend in ("asyncio", "selectors"):
            with Served([python, "-I", "-W", "error", "-c", QUICK_START, backend], cwd=here) as server:
                body = server.get("/")
                assert body == b"Hello, world!", body
            print(f"wheel: {backend} answered {body.decode()!r} and ended with exit code 0")


if __name__ == "__main__":
    main()
