"""Files: what linters, schemas, nginx and HAProxy say of examples/deploy.

`systemd-analyze` is asked in deploy_services.py: it takes a systemd that knows notify-reload.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.ecosystem.site import check
from tests.pages import DEPLOY

OURS = Path(sys.executable).parent  # what is installed beside this Python
KUBERNETES = ("1.30.0", "1.32.0", "1.34.0", "1.36.0")
# nginx's $host has no port, and with another port than 80 and 443 browsers name theirs as the Origin.
MEANT = "host_spoofing"


def says(*command: str | Path) -> str | None:
    """None if the program is content; what it says if it is not, or a note that it is missing."""
    search = os.pathsep.join([str(OURS), os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
    path = shutil.which(command[0], path=search)
    if path is None:
        MISSING.append(str(command[0]))
        return None
    done = subprocess.run([path, *command[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return None if done.returncode == 0 else done.stdout + done.stderr


MISSING: list[str] = []


def main() -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checks: dict[str, tuple[str | Path, ...]] = {"Dockerfile": ("hadolint", DEPLOY / "Dockerfile")}
        for version in KUBERNETES:
            command = ("kubernetes-validate", "--strict", "-k", version, DEPLOY / "kubernetes.yaml")
            checks[f"kubernetes.yaml, {version}"] = command
        site = folder / "nginx.conf"
        site.write_text(f"pid {folder}/pid;\nevents {{}}\nhttp {{\n    include {DEPLOY}/nginx.conf;\n}}\n")
        checks["nginx.conf"] = ("nginx", "-t", "-q", "-p", folder, "-e", "stderr", "-c", site)
        checks["nginx.conf, by gixy"] = ("gixy", "--skips", MEANT, site)
        both = folder / "haproxy.cfg"
        both.write_text("".join((DEPLOY / each).read_text() for each in ("haproxy.cfg", "haproxy-tls.cfg")))
        checks["haproxy.cfg"] = ("haproxy", "-c", "-f", both)
        for name, command in checks.items():
            said = says(*command)
            check(name, said is None, said)
    wanted = sorted(set(MISSING))
    return f"{len(checks)} checks" + (f"; left out, for want of {', '.join(wanted)}" if wanted else "")
