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
from tests.checkout import map_compat; map_compat()
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


def latencies(server: Served, number: int = 300) -> tuple[float, float]:
    """Medians in µs of a request on a new connection, and of one on a connection kept."""
    new, kept = [], []
    with connect(server) as keeper:
        for _ in range(number):
            start = time.perf_counter()
            with connect(server) as sock:
                ask(sock)
            new.append(time.perf_counter() - start)
            start = time.perf_counter()
            ask(keeper)
            kept.append(time.perf_counter() - start)
    return statistics.median(new) * 1e6, statistics.median(kept) * 1e6


def measure(backend: str, connections: int) -> None:
    with Served([sys.executable, "-c", SERVE, backend]) as server:
        pid = server.process.pid
        alone = latencies(server)
        time.sleep(1.5)  # the last tick
        before = status(pid, "voluntary_ctxt_switches")
        time.sleep(3)
        print(f"{backend}: {status(pid, 'voluntary_ctxt_switches') - before} wake-ups in 3 s with no connection")
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
        before = status(pid, "voluntary_ctxt_switches")
        time.sleep(3)
        wakes = status(pid, "voluntary_ctxt_switches") - before
        print(f"{backend}: {wakes} wake-ups in 3 s with {connections} idle")
        beside = latencies(server)
        for what, one, other in zip(("new", "kept"), alone, beside, strict=True):
            print(f"{backend}: {what} connection {one:.0f} µs alone, {other:.0f} µs beside: {other / one:.2f}")
        for sock in idle:
            sock.close()


if __name__ == "__main__":
    for backend in ("asyncio", "selectors"):
        measure(backend, int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
