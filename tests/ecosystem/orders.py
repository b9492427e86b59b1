"""schemathesis against examples/apps/orders: requests made of its document, valid ones and wrong ones.

Each answer must be one that the document has, of the type that it has: no 500, no undeclared status, nothing
valid refused, nothing invalid taken. The exit code is that of schemathesis; 0 where it cannot be installed.
"""

from __future__ import annotations

import re
import subprocess
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


def main() -> str:
    with Served([HERE / "python", "-c", PROGRAM]) as server:
        command = [
            HERE / "schemathesis",
            "--config-file",
            Path(__file__).with_name("schemathesis.toml"),
            "run",
        ]
        command += [f"http://127.0.0.1:{server.port}/openapi.json", "--header", "Authorization: Bearer t1"]
        command += ["--max-examples", "50", "--seed", "1", "--no-color"]
        done = subprocess.run(command, cwd=BUILD, env=environment(), capture_output=True, text=True)
        print(done.stdout)
        assert done.returncode == 0, done.stderr
    cases = re.search(r"[\d,]+ generated", done.stdout)
    return f"schemathesis: {cases[0] if cases else 'all'}, none failed"
