"""Churn: many requests, many connections. Memory stays flat, no descriptor is left and no reference cycle."""

from __future__ import annotations

import gc
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.peer import GET, ask, read_all, reset
from tests.torture.client import connect, get, post, status
from tests.torture.victim import Victim, time_until

if TYPE_CHECKING:
    from tests.torture.scale import Scale

SAMPLES = 20
PAGES = 512 * 1024  # bytes: less than this is the allocator's weather, not a slope
KINDS = [GET, get("/?a=b&c=d"), post("/json", b'{"a": [1, 2, 3]}'), get("/nowhere"), get("/query?x=%C3%BC")]


def slope(victim: Victim, total: int, some: Callable[[int], object]) -> tuple[float, int]:
    """Call `some(n)` until `total` is reached; bytes by which memory grows for each, and in all.

    By Theil and Sen: the median of the slopes between all pairs of samples; one odd sample does not move it.
    The first quarter is for what is allocated once.
    """
    share = total // SAMPLES
    points = []
    for number in range(SAMPLES):
        some(share)
        if number >= SAMPLES // 4:
            points.append(((number + 1) * share, victim.memory()))
    grown = points[-1][1] - points[0][1]
    return statistics.median(
        (memory - earlier) / (count - before)
        for (before, earlier), (count, memory) in itertools.combinations(points, 2)
    ), grown


def churn(backend: str, scale: Scale) -> str:
    with Victim(backend, gc=False) as victim:
        socks = [connect(victim.port) for _ in range(32)]

        def ask_all(number: int) -> None:
            for turn in range(number // len(socks)):
                question = KINDS[turn % len(KINDS)] if turn % 8 == 0 else GET
                for sock in socks:
                    sock.sendall(question)
                for sock in socks:
                    assert sock.recv(65536)

        def open_and_close(number: int) -> None:
            for turn in range(number):
                # On one address the ports would run out while the system keeps those of closed connections.
                source = f"127.0.0.{2 + turn % 200}" if sys.platform == "linux" else ""
                sock = connect(victim.port, source=source)
                if turn % 3 == 0:
                    sock.sendall(get("/last"))
                    assert read_all(sock).endswith(b"bye")
                    sock.close()
                else:
                    assert status(ask(sock)) == 200
                    (reset if turn % 3 == 1 else type(sock).close)(sock)

        ask_all(640)
        open_and_close(60)
        time.sleep(0.05)
        with connect(victim.port) as sock:
            ask(sock, get("/cycles"))
        base = len(socks)
        descriptors = victim.descriptors()
        gc.collect()
        start = time.monotonic()
        by_request, grown = slope(victim, scale.requests, ask_all)
        asked = time.monotonic() - start
        by_connection, grown_too = slope(victim, scale.connections, open_and_close)
        opened = time.monotonic() - start - asked
        time_until(lambda: victim.descriptors() <= descriptors, "no descriptor is left")
        left = victim.descriptors() - descriptors
        with connect(victim.port) as sock:
            cycles = int(ask(sock, get("/cycles")).rpartition(b"\r\n")[2])
        for sock in socks:
            sock.close()
        assert base == 32
        assert grown < PAGES or by_request < 0.25, f"{by_request:.2f} bytes by request, {grown} in all"
        assert grown_too < PAGES or by_connection < 4, (
            f"{by_connection:.2f} bytes by connection, {grown_too} in all"
        )
        assert left <= 0, f"{left} descriptors left"
        assert cycles == 0, f"{cycles} objects in reference cycles"
        return (
            f"{scale.requests:,} requests in {asked:.0f} s: {by_request:+.3f} bytes each "
            f"({grown / 1024:+.0f} KiB); "
            f"{scale.connections:,} connections in {opened:.0f} s: {by_connection:+.2f} bytes each "
            f"({grown_too / 1024:+.0f} KiB); descriptors left {left}, objects in cycles {cycles}"
        )
