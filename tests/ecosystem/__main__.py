"""The runner: each item in a process of its own, a line for its verdict; exit code 1 if one has failed.

python -m tests.ecosystem             all items
python -m tests.ecosystem flask_app   some
"""

from __future__ import annotations

import subprocess
import sys
import time

from tests.places import BUILD, ROOT
from tests.serving import environment

PYTHON = BUILD / "ecosystem" / "bin" / "python"
LEFT_OUT = 77  # the exit code of an item that lacks a package

# Item: what must be installed, and how many seconds it may take.
ITEMS = {
    "flask_app": ("flask", 60),
    "bottle_app": ("bottle", 60),
    "django_wsgi": ("django", 120),
    "django_asgi": ("django", 120),
    "fastapi_app": ("fastapi", 120),
    "fastapi_restarts": ("fastapi httpx", 120),
    "fastapi_memory": ("fastapi uvicorn httptools", 150),
    "litestar_app": ("litestar", 60),
    "telemetry": ("opentelemetry.instrumentation.asgi sentry_sdk", 60),
    "gigabytes": ("starlette uvicorn", 90),
    "hosts": ("uvicorn hypercorn granian websockets", 90),
    "adapters": ("httpx mangum asgi_lifespan", 60),
    "cut_streams": ("uvicorn", 90),
    "uvicorn_websockets": ("uvicorn wsproto websockets httpx2 trio trustme", 120),
    "starlette_suite": ("starlette uvicorn httpx2 trio itsdangerous jinja2 multipart xdist", 400),
    "orders": ("schemathesis", 240),
    "ray_serve": ("ray.serve websockets", 300),
    "deploy_files": ("kubernetes_validate gixy", 60),
    "deploy_container": ("pip", 600),
    "deploy_services": ("pip", 600),
    "scraped": ("prometheus_client", 120),  # and Debian's prometheus
}

# In the process of an item. Its last line is what it has seen.
PROGRAM = f"""
import sys
from importlib import import_module
for package in sys.argv[2].split():
    try:
        import_module(package)
    except ModuleNotFoundError:
        print(package, "is not installed")
        sys.exit({LEFT_OUT})
print(import_module("tests.ecosystem." + sys.argv[1]).main())
"""


def main(names: list[str]) -> int:
    if not PYTHON.exists():
        print("ecosystem: left out: build/ecosystem could not be made")
        return 0
    for name in names:
        if name not in ITEMS:
            print(f"ecosystem: there is no {name!r}; there are {', '.join(ITEMS)}")
            return 2
    failed = [name for name in names or ITEMS if not passed(name)]
    print(f"ecosystem: {len(names or ITEMS) - len(failed)} ok or left out, {len(failed)} failed")
    return 1 if failed else 0


def passed(name: str) -> bool:
    """Run one item, and print its line; what a failed one has said follows."""
    packages, seconds = ITEMS[name]
    start = time.monotonic()
    # Of a group, so that the servers of an item that hangs end with it.
    process = subprocess.Popen(
        [PYTHON, "-c", PROGRAM, name, packages],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
        code = process.returncode
    except subprocess.TimeoutExpired:
        subprocess.run(["kill", "-9", "--", f"-{process.pid}"])
        output, _ = process.communicate()
        output += f"\nit took more than {seconds} s"
        code = 1
    verdict = {0: "ok", LEFT_OUT: "left out"}.get(code, "FAILED")
    last = output.rstrip().rpartition("\n")[2]
    print(f"ecosystem: {name:<18} {verdict:<8} {time.monotonic() - start:5.1f} s  {last}", flush=True)
    if verdict == "FAILED":
        print("\n".join(f"    {line}" for line in output.splitlines()[-40:]), flush=True)
    return verdict != "FAILED"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
