"""Crowds: slow heads, slow bodies, slow readers and silent ones, all there at once beside a normal client.

The normal client asks the server with the crowd and one without in turn, so that what else the machine does
falls on both; each drip of the crowd arrives just before the request that has to wait for it. What disturbs a
measurement makes it worse, never better: the best of three rounds counts.
"""

from __future__ import annotations

import itertools
import math
import resource
import selectors
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.peer import GET, ask
from tests.torture.client import connect, get, status
from tests.torture.victim import Victim, time_until

if TYPE_CHECKING:
    from tests.torture.scale import Scale

BODY = 8192  # bytes of a slow body that come at once
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1000
SLOW_BODY = b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * BODY

# What a client of each kind may cost the server, in bytes. A reader: 64 KiB until the stream has to wait,
# the piece that made it so, and as much again while both are joined.
COST = {"silent": 8 * 1024, "head": 16 * 1024, "body": BODY + 24 * 1024, "reader": 176 * 1024}


class Client:
    """One of the crowd."""

    def __init__(self, kind: str, port: int) -> None:
        self.kind = kind
        self.sock = connect(port, 4096 if kind == "reader" else None)
        self.start = time.monotonic()
        self.sock.sendall(
            {"silent": b"", "head": HEAD, "body": SLOW_BODY, "reader": get("/stream")}[kind] or b""
        )
        self.end: float | None = None
        self.got = b""

    def drip(self) -> None:
        """One byte more, of each client that sends."""
        if self.kind in ("head", "body") and self.end is None:
            try:
                self.sock.send(b"x")
            except OSError:
                pass  # the end is told by `read`

    def read(self) -> bool:
        """Take what comes; whether that was the end."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data, self.got = b"", self.got + b" and a reset"
        self.got += data
        if not data:
            self.end = time.monotonic() - self.start
        return not data


def p99(seconds: list[float]) -> float:
    return sorted(seconds)[math.ceil(len(seconds) * 0.99) - 1]


def probe(
    with_crowd: socket.socket, alone: socket.socket, drips: Iterator[Client], until_when: float
) -> tuple[float, float]:
    """p99 beside the crowd and alone, in seconds."""
    times: tuple[list[float], list[float]] = ([], [])
    while time.monotonic() < until_when:
        next(drips).drip()
        for sock, list_of in zip((with_crowd, alone), times, strict=True):
            start = time.perf_counter()
            answer = ask(sock, GET)
            list_of.append(time.perf_counter() - start)
            assert status(answer) == 200, answer
        time.sleep(0.0005)
    assert len(times[0]) >= 50, "too few to speak of a p99"
    return p99(times[0]), p99(times[1])


def crowds(backend: str, scale: Scale) -> str:
    room = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = 4 * scale.crowd + 100
    if room[0] < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(need, room[1]), room[1]))
    crowd = min(scale.crowd, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100) // 4)
    seconds = scale.timeout
    names = ("head_timeout", "body_timeout", "idle_timeout", "write_timeout")
    options = {
        **dict.fromkeys(names, seconds),
        "body_rate": 1 << 30,
        "shutdown_timeout": 0.1,
        "send_buffer": 16384,
    }
    with Victim(backend, **options) as victim, Victim(backend, **options) as other:
        clients: list[Client] = []
        socks: list[socket.socket] = []
        costs: dict[str, int] = {}
        try:
            for kind in ("silent", "head", "body", "reader"):  # once through, for what is allocated once
                clients += [Client(kind, victim.port) for _ in range(min(crowd, 50))]
            time.sleep(0.1)
            while clients:
                clients.pop().sock.close()
            here, there = connect(victim.port), connect(other.port)
            socks = [here, there]
            warm = Client("silent", other.port)
            probe(here, there, itertools.cycle([warm]), time.monotonic() + min(1, seconds / 2))
            warm.sock.close()
            base = victim.descriptors()
            for kind in COST:
                before = victim.memory()
                clients += [Client(kind, victim.port) for _ in range(crowd)]
                time_until(lambda: victim.descriptors() >= base + len(clients), "all are accepted")  # noqa: B023
                time.sleep(seconds / 40)
                costs[kind] = (victim.memory() - before) // crowd
            slack = 1 << 21  # of the allocator: it takes memory from the system in arenas of 1 MiB
            for kind, cost in costs.items():
                assert cost <= COST[kind] + slack // crowd, f"{cost} bytes for each {kind}"

            drips = itertools.cycle(clients)
            ratio = (math.inf, 0.0, 0.0)
            first = min(client.start for client in clients)
            share = (first + seconds * 0.9 - time.monotonic()) / 3  # all are over before the first deadline
            for _ in range(3):
                beside, alone = probe(here, there, drips, time.monotonic() + share)
                ratio = min(ratio, (max(0, beside - scale.slack) / alone, beside, alone))
                if ratio[0] <= scale.slower * 0.75:
                    break
            late = ends(victim, clients, drips, seconds)
        finally:
            for sock in [*socks, *(client.sock for client in clients)]:
                sock.close()
        assert ratio[0] <= scale.slower, (
            f"p99 {ratio[1] * 1e6:.0f} µs beside the crowd, {ratio[2] * 1e6:.0f} alone"
        )
        kinds = ", ".join(f"{kind} {cost / 1024:.1f} KiB" for kind, cost in costs.items())
        return (
            f"{crowd} of each of 4 kinds: p99 {ratio[1] * 1e6:.0f} µs, "
            f"alone {ratio[2] * 1e6:.0f} µs: {ratio[0]:.2f}; "
            f"each costs: {kinds}; 408 to {2 * crowd}; {late}"
        )


def ends(victim: Victim, clients: list[Client], drips: Iterator[Client], seconds: float) -> str:
    """Wait for the end of each, at its deadline and no earlier; a drip gains nothing."""
    readers = [client for client in clients if client.kind == "reader"]
    last = max(client.start for client in clients)
    closed: float | None = None  # when the last reader's descriptor was gone
    with selectors.DefaultSelector() as selector:
        for client in clients:
            if client.kind != "reader":
                selector.register(client.sock, selectors.EVENT_READ, client)
        limit = time.monotonic() + 3 * seconds + 5
        while (selector.get_map() or closed is None) and time.monotonic() < limit:
            for key, _ in selector.select(0.005):
                if key.data.read():
                    selector.unregister(key.fileobj)
                    key.data.sock.close()
            next(drips).drip()
            if closed is None and time.monotonic() - last >= seconds and victim.descriptors() < len(readers):
                closed = time.monotonic() - last
    allowed = seconds + min(1.0, seconds / 4) + 1.0  # a tick late, and a busy machine
    worst = 0.0
    for client in clients:
        if client.kind == "reader":
            continue
        due = b"HTTP/1.1 408 Request Timeout\r\n" if client.kind != "silent" else b""
        assert client.got.startswith(due), (client.kind, client.got)
        assert client.kind != "silent" or not client.got, client.got
        assert b"and a reset" not in client.got, client.kind
        assert client.end is not None, f"a {client.kind} was never closed"
        assert seconds * 0.99 <= client.end <= allowed + 1.0 * (client.kind == "silent"), (
            client.kind,
            client.end,
        )
        worst = max(worst, client.end - seconds)
    assert closed is not None, "readers that take nothing were never closed"
    late = f"closed at most {worst:.1f} s after a deadline of {seconds:g} s"
    return f"{late}, readers that took nothing {closed - seconds:.1f} s"
