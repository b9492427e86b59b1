"""Descriptors: when there are no more, accepting pauses with one line; connected clients are served."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.peer import ask
from tests.torture.client import connect, status
from tests.torture.victim import Victim, time_until

if TYPE_CHECKING:
    from tests.torture.scale import Scale

FILES = 64


def descriptors(backend: str, scale: Scale) -> str:
    shortages = scale.shortages
    with Victim(backend, files=FILES) as victim:
        victim.get("/")  # uvloop opens one at the first connection
        base = victim.descriptors()
        for _ in range(shortages):
            early = [connect(victim.port) for _ in range(20)]
            assert all(status(ask(sock)) == 200 for sock in early)
            late = [connect(victim.port) for _ in range(FILES)]
            for sock in late:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            time_until(lambda: victim.descriptors() >= FILES - 1, "there are no more")
            time.sleep(0.1)
            before, start = victim.cpu(), time.monotonic()
            time.sleep(0.6)  # longer than it takes to try again
            busy = (victim.cpu() - before) / (time.monotonic() - start)
            assert busy < 0.15, f"it spins: {busy:.0%} of a processor"
            assert all(status(ask(sock)) == 200 for sock in early), "connected clients are served"
            for sock in early:
                sock.close()
            start = time.monotonic()
            for sock in late:  # each that goes makes room for another
                assert status(sock.recv(4096)) == 200
                sock.close()
            recovered = time.monotonic() - start
            time_until(lambda: victim.descriptors() <= base, "none is left")
    lines = [line for line in victim.output.splitlines() if "[WARNING]" in line]
    assert 1 <= len(lines) <= shortages, victim.output
    assert "Traceback" not in victim.output, victim.output
    return (
        f"{FILES} descriptors, {FILES + 20} clients, {shortages} shortages: {len(lines)} log lines, "
        f"{busy:.0%} of a processor, 20 of 20 there were served, "
        f"all {FILES} others {recovered:.1f} s after there was room"
    )
