"""Growth: the server's processor time for one request as the work grows: linear or flat, nothing else.

Asked by one plain client, whose own speed does not matter: what counts is what the server's process uses.
The slope is that of the last step, the steepest of the loops: 0 is flat, 1 is linear, 2 would be quadratic.
"""

from __future__ import annotations

import itertools
import math
import socket
import time
from pathlib import Path

from tests.bench.plaintext import LOOPS
from tests.bench.run import WRONG, Figures, Run, tell
from tests.bench.server import Server, ServerError, ours
from tests.bench.table import Table

KIB = 1024
SIZES = [KIB * 10**power for power in range(5)] + [100 * KIB * KIB]
GROWTH: dict[str, list[int]] = {
    "bytes of a response": SIZES,
    "bytes of a request": SIZES,
    "headers of a request": [1, 10, 30, 100],
    "routes": [10, 100, 1_000, 10_000],
    "connections": [1, 10, 100, 1_000, 2_000],
}
LIMITS = ("max_body=1000000000", "max_fields=1000", "idle_timeout=600")


def request(what: str, size: int) -> bytes:
    """The request, that for the last of so many routes, or with so many headers or bytes."""
    path, fields, body = "/", b"", b""
    if what == "bytes of a response":
        path = f"/bytes/{size}"
    elif what == "bytes of a request":
        path, body = "/length", b"x" * size
        fields = b"Content-Length: %d\r\n" % size
    elif what == "headers of a request":
        fields = b"".join(b"X-Field-%d: some value or other\r\n" % number for number in range(1, size))
    elif what == "routes":
        path = f"/section{(size - 1) % 100}/thing{size - 1}/7"
    method = "POST" if body else "GET"
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n".encode() + fields + b"\r\n" + body


def read_answer(sock: socket.socket) -> None:
    """Read one answer, whatever its length."""
    answer = sock.recv(65536)
    while b"\r\n\r\n" not in answer:
        answer += _more(sock)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ServerError(f"the answer is {head[:80]!r}")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    left = int(length) - len(body)
    while left > 0:
        left -= len(_more(sock, 1 << 20))


def _more(sock: socket.socket, size: int = 65536) -> bytes:
    data = sock.recv(size)
    if not data:
        raise ServerError("the connection ended in the middle of an answer")
    return data


def cpu(server: Server) -> float:
    """Seconds of processor time, to the nanosecond where the kernel tells them."""
    try:
        return int(Path(f"/proc/{server.process.pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return server.cpu()


def cost(server: Server, data: bytes, connections: int, seconds: float) -> float:
    """Microseconds of the server's processor time for one request, over at least so many seconds."""
    socks = server.connect(connections)
    rounds, before, end = -1, 0.0, 0.0
    try:
        while rounds < 3 or time.perf_counter() < end:
            for sock in socks:
                sock.sendall(data)
            for sock in socks:
                read_answer(sock)
            rounds += 1
            if rounds == 0:  # that was to get warm
                before, end = cpu(server), time.perf_counter() + seconds
        return (cpu(server) - before) * 1e6 / (rounds * connections)
    finally:
        for sock in socks:
            sock.close()


def measure(run: Run) -> None:
    seconds = 0.1 if run.quick else 0.5
    for _ in range((run.rounds + 1) // 2):  # processor time is steadier than the clock
        for what, loop in itertools.product(GROWTH, LOOPS):
            key = f"growth/{loop}/{what}"
            if key in run.failures or not run.wants(key):
                continue
            try:
                _measure(run, what, loop, key, seconds)
            except WRONG as error:
                run.fail(key, error)


def _measure(run: Run, what: str, loop: str, key: str, seconds: float) -> None:
    sizes = GROWTH[what]
    for options, group in itertools.groupby(
        sizes, key=lambda size: (f"routes={size}",) if what == "routes" else ()
    ):
        with Server(ours("kiss.py", loop, *options, *LIMITS)) as server:
            server.ready()
            for size in group:
                # 32 as everywhere else, so that waking up is not all there is; fewer, if they are large.
                connections = max(1, min(32, (32 << 20) // size)) if what != "connections" else size
                run.figures.add(f"{key}/{size}", cost(server, request(what, size), connections, seconds))
    tell(f"{key}: measured")


def tables(figures: Figures) -> list[Table]:
    head = ["what grows", "to"]
    for loop in LOOPS:
        head += [f"{loop}, µs", "ns for one of them"]
    lines = []
    for what, sizes in GROWTH.items():
        for index, size in enumerate(sizes):
            line = [what, f"{size:,}"]
            for loop in LOOPS:
                key = f"growth/{loop}/{what}/{size}"
                if key in figures:
                    each = figures.median(key)
                    line += [f"{each:,.1f}", f"{each * 1000 / size:,.1f}"]
                else:
                    line += ["–", "–"]
            steps = [slope(figures, f"growth/{loop}/{what}", sizes[index - 1], size) for loop in LOOPS]
            known = [step for step in steps if step is not None]
            lines.append([*line, f"{round(max(known), 2) + 0.0:.2f}" if index and known else ""])
    note = "Processor time of the server for one request. Slope of the last step: 0 is flat, 1 is linear."
    return [Table("Growth", [*head, "slope"], lines, note)]


def slope(figures: Figures, key: str, before: int, size: int) -> float | None:
    """How the cost grows where the work grows from `before` to `size`, as an exponent."""
    one, other = f"{key}/{size}", f"{key}/{before}"
    if one not in figures or other not in figures or size == before:
        return None
    return math.log(figures.median(one) / figures.median(other)) / math.log(size / before)
