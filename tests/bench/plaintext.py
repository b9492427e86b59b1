"""Plaintext requests/s beside a bare asyncio Protocol that answers constant bytes, in one run.

python -m tests.bench.plaintext [rounds] [seconds]

Server and load generator (`wrk`, Debian's) are pinned to a core each; the rounds are interleaved, so that
what else the machine does falls on all alike; medians are compared as ratios. An answer that is not 2xx, or a
socket error, ends the run.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.served import Served

CONNECTIONS = 32

BARE = """
import asyncio, sys, time
ANSWER = (b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 13\\r\\n"
          b"Date: Sun, 06 Nov 1994 08:49:37 GMT\\r\\n\\r\\nHello, world!")
class Bare(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        transport.max_size = 65536  # as kissapi sets it: a fair race
    def data_received(self, data):
        self.transport.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(time.strftime("%H:%M:%S"), "[INFO] Serving on http://127.0.0.1:%d" % port, flush=True)
    await asyncio.get_running_loop().create_future()
import signal
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
asyncio.run(main())
"""

KISSAPI = """
import sys
from kissapi import Router, Server
backend, log = sys.argv[1:]
options = {"backend": backend}
if backend == "uvloop":
    import uvloop
    options = {"loop_factory": uvloop.new_event_loop}
router = Router()
@router.get("/")
async def hello(req):
    return "Hello, world!"
print_to = sys.stdout
server = Server("127.0.0.1", 0, router=router, access_log=log != "off", **options)
if log == "file":
    import io, os, threading
    # The start line goes to whoever waits for it, all the rest to a file.
    class First(io.TextIOBase):
        encoding = "utf-8"
        def __init__(self): self.target = print_to
        def write(self, text):
            self.target.write(text); self.target.flush()
            if self.target is print_to: self.target = open(os.environ["LOG"], "w")
        def flush(self): self.target.flush()
    sys.stdout = First()
server.loop()
"""


def measure(source: str, arguments: list[str], seconds: int, folder: str) -> float:
    environment = {"LOG": str(Path(folder, "log")), "PATH": "/usr/bin:/bin", "PYTHONPATH": "."}
    command = ["taskset", "-c", "0", sys.executable, "-c", source, *arguments]
    with Served(command, env=environment) as server:
        load = [
            "taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
            f"http://127.0.0.1:{server.port}/",
        ]  # fmt: skip
        report = subprocess.run(load, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in report or "Socket errors" in report:
        raise SystemExit(f"wrk met errors:\n{report}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", report)
    assert found, report
    return float(found[1])


def main(rounds: int = 5, seconds: int = 3) -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    candidates = {"bare asyncio Protocol, constant bytes": (BARE, ["", ""])}
    backends = ["asyncio", "selectors"]
    try:
        import uvloop  # noqa: F401
    except ImportError:
        print("uvloop is not installed, and left out")
    else:
        backends.insert(1, "uvloop")
    for backend in backends:
        candidates[f"kissapi on {backend}"] = (KISSAPI, [backend, "off"])
        candidates[f"kissapi on {backend}, access log to a file"] = (KISSAPI, [backend, "file"])
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, (source, arguments) in candidates.items():
                rates[name].append(measure(source, arguments, seconds, folder))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    base = next(iter(medians.values()))
    print(
        f"Python {sys.version.split()[0]}, {CONNECTIONS} connections, "
        f"median of {rounds} rounds of {seconds} s\n"
    )
    print("| server | requests/s | ÷ bare |\n|---|---:|---:|")
    for name, rate in medians.items():
        print(f"| {name} | {rate:,.0f} | {rate / base:.2f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
