"""Machine: where it was measured. A figure without it means nothing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@cache
def cores() -> tuple[int, int]:
    """The core of the server and that of the load: different ones, if there are two.

    Looked up once: the bench moves to the core of the load.
    """
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def taken(core: int) -> float:
    """Seconds for which somebody has used `core` since the machine started, or kept it from us."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _wait, _irq, _softirq, stolen = map(int, ticks[:8])
            return (user + nice + system + stolen) / os.sysconf("SC_CLK_TCK")
    return 0.0


def describe() -> str:
    """CPU, cores, Python and how it was built, kernel, tools: one line each."""
    server, load = cores()
    lines = [
        f"CPU: {_cpu()}, {len(os.sched_getaffinity(0))} cores",
        f"servers on core {server}, load on core {load}"
        + ("; ONE core: every figure is too low" if server == load else ""),
        f"{platform.python_implementation()} {platform.python_version()}, {_build()}",
        f"{platform.system()} {platform.release()}",
        "tools: " + ", ".join(tool for tool in (_wrk(), *map(_version, ("httptools", "uvloop"))) if tool),
    ]
    return "\n".join(f"- {line}" for line in lines)


def summary() -> str:
    """The same in one line, for a page."""
    python = f"{platform.python_implementation()} {platform.python_version()} ({_build()})"
    return f"{_cpu()}, {os.cpu_count()} cores; {python}; {platform.system()} {platform.release()}"


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _build() -> str:
    # As far as it says so itself: Debian's, for one, is optimised by rules of its own.
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    built = [
        f"configured {'with' if option in arguments else 'without'} {option}"
        for option in ("--enable-optimizations", "--with-lto")
    ]
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        built.append("free-threaded" + (", GIL on" if sys._is_gil_enabled() else ""))  # type: ignore[attr-defined]
    return ", ".join(built)


def _wrk() -> str:
    if shutil.which("wrk") is None:
        return ""
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout
    found = re.match(r"wrk \S+", said)
    return found[0] if found else "wrk"


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""
