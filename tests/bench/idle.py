"""What idle connections cost: memory of each, the latency of a new request beside them, wake-ups with none.

python -m tests.bench.idle [connections]
"""

from __future__ import annotations

import re
import socket
import statistics
import sys
import time
from pathlib import Path

from tests.served import Served

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SERVE = """
import sys
from kissapi import Router, Server
router = Router()
@router.get("/")
async def hello(req):
    return "Hello, world!"
Server("127.0.0.1", 0, router=router, backend=sys.argv[1], access_log=False, idle_timeout=600).loop()
"""


def status(pid: int, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def connect(server: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def ask(sock: socket.socket) -> None:
    sock.sendall(GET)
    assert sock.recv(4096).endswith(b"world!")


def latencies(servers: list[Served], number: int = 500) -> list[tuple[float, float]]:
    """For each server the medians, in µs, of a request on a new connection and on one that is kept.

    They are asked in turn: what else the machine does falls on all of them alike.
    """
    new: list[list[float]] = [[] for _ in servers]
    kept: list[list[float]] = [[] for _ in servers]
    keepers = [connect(server) for server in servers]
    for _ in range(number):
        for index, server in enumerate(servers):
            start = time.perf_counter()
            with connect(server) as sock:
                ask(sock)
            new[index].append(time.perf_counter() - start)
            start = time.perf_counter()
            ask(keepers[index])
            kept[index].append(time.perf_counter() - start)
    for sock in keepers:
        sock.close()
    return [
        (statistics.median(one) * 1e6, statistics.median(other) * 1e6)
        for one, other in zip(new, kept, strict=True)
    ]


def wakes(server: Served, seconds: float = 3) -> int:
    """How often the process wakes up when nobody says anything."""
    before = status(server.process.pid, "voluntary_ctxt_switches")
    time.sleep(seconds)
    return status(server.process.pid, "voluntary_ctxt_switches") - before


def measure(backend: str, connections: int) -> None:
    command = [sys.executable, "-c", SERVE, backend]
    with Served(command) as alone, Served(command) as server:
        latencies([alone, server], 50)  # warm
        time.sleep(1.5)  # the last tick
        print(f"{backend}: {wakes(server)} wake-ups in 3 s with no connection")
        pid = server.process.pid
        before = status(pid, "VmRSS")
        idle = [connect(server) for _ in range(connections)]
        time.sleep(1.5)
        silent = status(pid, "VmRSS") - before
        for sock in idle:
            ask(sock)
        time.sleep(1.5)
        asked = status(pid, "VmRSS") - before
        print(f"{backend}: {silent * 1024 / connections:.0f} bytes a connection that has asked nothing")
        print(f"{backend}: {asked * 1024 / connections:.0f} bytes a connection that has asked once")
        print(f"{backend}: {wakes(server)} wake-ups in 3 s with {connections} idle")
        for what, one, other in zip(("new", "kept"), *latencies([alone, server]), strict=True):
            print(
                f"{backend}: {what} connection {one:.0f} µs alone, {other:.0f} µs beside: {other / one:.2f}"
            )
        for sock in idle:
            sock.close()


if __name__ == "__main__":
    for backend in ("asyncio", "selectors"):
        measure(backend, int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
