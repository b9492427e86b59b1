"""Restarts: SIGHUP under load, again and again: the new process takes over, and no request is lost.

What counts as delivered is said at the head of `stops`.
"""

from __future__ import annotations

import os
import random
import re
import selectors
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from tests.torture.stops import BUSY, FRESH, IDLE, Caller, drive
from tests.torture.victim import Victim

if TYPE_CHECKING:
    from tests.torture.scale import Scale

KINDS = (BUSY, IDLE, FRESH)


def restarts(backend: str, scale: Scale) -> str:
    chance = random.Random(1)
    wrk = shutil.which("wrk")
    load = None
    slowest = 0.0
    with Victim(backend) as victim, selectors.DefaultSelector() as selector:
        callers = [Caller(victim.port, kind, chance) for kind in KINDS for _ in range(8)]
        try:
            for caller in callers:
                selector.register(caller.sock, selectors.EVENT_READ, caller)  # type: ignore[arg-type]
            if wrk:
                command = [wrk, "-t1", "-c16", "-d1h", f"http://127.0.0.1:{victim.port}/"]
                load = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8")
            serving = int(victim.get("/pid"))
            for number in range(scale.restarts):
                start = time.monotonic()
                os.kill(victim.process.pid, signal.SIGHUP)
                before = serving
                while serving == before:
                    drive(callers, selector, 0.05, None)
                    serving = int(victim.get("/pid"))
                    assert time.monotonic() - start < 20, f"nobody took over at restart {number}"
                slowest = max(slowest, time.monotonic() - start)
                drive(callers, selector, 0.1 + chance.random() * 0.8, None)
            beside = ""
            if load is not None:
                load.send_signal(signal.SIGINT)  # it then says what it has counted
                said = load.communicate(timeout=10)[0]
                assert not re.search("Socket errors|Non-2xx", said), said
                found = re.search(r"(\d+) requests in", said)
                assert found, said
                beside = f", and {found[1]} of wrk"
        finally:
            if load is not None and load.poll() is None:
                load.kill()
                load.communicate()
            for caller in callers:
                if caller.sock is not None:
                    caller.sock.close()
        lost = sum(caller.lost for caller in callers)
        answered = sum(caller.answered for caller in callers)
        hows = [f"{caller.kind}: {caller.how}" for caller in callers if caller.lost]
        assert not lost, "\n  ".join([f"{lost} of {answered + lost} requests lost", *hows[:20]])
        assert answered > scale.restarts * 8
    assert "Traceback" not in victim.output, victim.output
    return (
        f"{scale.restarts} restarts: {answered} requests answered{beside}, none lost; "
        f"another process answered within {slowest:.2f} s"
    )
