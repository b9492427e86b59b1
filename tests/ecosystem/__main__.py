"""schemathesis against examples/apps/orders: requests made of its OpenAPI document, valid and wrong ones.

Each answer must be one that the document has, of the type that it has: no 500, no undeclared status, nothing
valid refused, nothing invalid taken. The exit code is that of schemathesis; 0 where it cannot be installed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.places import BUILD
from tests.serving import Served, environment

HERE = BUILD / "ecosystem" / "bin"

# The port is known before the server has it: the app asks itself for what the bank says.
PROGRAM = """
import socket
from examples.apps.orders.app import make
from kissapi import Server

with socket.socket() as found:
    found.bind(("127.0.0.1", 0))
    port = found.getsockname()[1]
router = make("1000000/minute", f"http://127.0.0.1:{port}/-/live")
Server("127.0.0.1", port, router=router, access_log=False).loop()
"""


def main() -> int:
    if not (HERE / "schemathesis").exists():
        print("ecosystem: schemathesis is left out: it is not installed")
        return 0
    with Served([HERE / "python", "-c", PROGRAM]) as server:
        print(f"ecosystem: schemathesis asks examples/apps/orders on port {server.port}", flush=True)
        command = [
            HERE / "schemathesis",
            "--config-file",
            Path(__file__).with_name("schemathesis.toml"),
            "run",
        ]
        command += [f"http://127.0.0.1:{server.port}/openapi.json", "--header", "Authorization: Bearer t1"]
        command += ["--max-examples", "50", "--seed", "1", "--no-color"]
        return subprocess.run(command, cwd=BUILD, env=environment()).returncode


if __name__ == "__main__":
    sys.exit(main())
