"""Stops: SIGTERM under load, again and again on one port. What was delivered before the close is answered.

A request counts as delivered before the close if the client had not yet received the end of the connection
when its `send` was over: on loopback both arrive at once, so the server had the bytes while it was open.
"""

from __future__ import annotations

import random
import selectors
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from tests.peer import GET, free_port
from tests.torture.client import connect, get, status
from tests.torture.victim import Victim

if TYPE_CHECKING:
    from tests.torture.scale import Scale

BUSY, IDLE, FRESH = "busy", "idle", "fresh"
SLOW = get("/slow")


class Caller:
    """One client: sends, waits for the answer, and sends again; an idle one waits long between."""

    def __init__(self, port: int, kind: str, chance: random.Random) -> None:
        self.kind = kind
        self.chance = chance
        self.port = port
        self.waits = False  # for the answer to a request that was delivered
        self.data = b""
        self.next = time.monotonic() + chance.random() * 0.4
        self.answered = self.lost = self.closed = 0
        self.how = ""
        self.sock: socket.socket | None = connect(port)
        self.sock.setblocking(False)

    def ended(self) -> bool:
        """Whether the end of the connection is here already."""
        assert self.sock is not None
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self) -> None:
        assert self.sock is not None
        try:
            if self.sock.send(GET) == len(GET) and not self.ended():
                self.waits = True
        except OSError:
            pass
        if not self.waits:
            self.close()

    def read(self) -> None:
        assert self.sock is not None
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            data, self.how = b"", repr(error)
        self.data += data
        if b"\r\n\r\nHello, world!" in self.data:
            assert status(self.data) == 200
            self.answered += 1
            last = b"Connection: close" in self.data
            self.waits, self.data = False, b""
            self.next = 0.0 if self.kind == BUSY else time.monotonic() + self.chance.random() * 0.4
            if last or self.kind == FRESH:
                self.close()
        elif not data:
            if self.waits:
                self.lost += 1
                self.how = self.how or f"the end, after {self.data!r}"
            self.close()

    def close(self) -> None:
        assert self.sock is not None
        self.sock.close()
        self.sock = None
        self.waits, self.data = False, b""
        self.closed += 1


def drive(
    callers: list[Caller], selector: selectors.BaseSelector, seconds: float, ending: Victim | None
) -> None:
    """Let them call for `seconds`, or until the server `ending` has ended."""
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        if ending is not None and all(caller.sock is None for caller in callers):
            return
        for caller in callers:
            if caller.sock is None:
                try:  # refused, once nobody listens any more
                    caller.sock = connect(caller.port)
                except OSError:
                    if ending is not None:
                        continue
                    raise
                caller.sock.setblocking(False)
                caller.next = 0.0 if caller.kind != IDLE else now + caller.chance.random() * 0.4
                selector.register(caller.sock, selectors.EVENT_READ, caller)
            if not caller.waits and caller.next <= now:
                sock = caller.sock
                caller.send()
                if caller.sock is None:
                    selector.unregister(sock)
        for key, _ in selector.select(0.001):
            caller = key.data
            if caller.sock is None or caller.sock is not key.fileobj:
                continue
            caller.read()
            if caller.sock is None:
                selector.unregister(key.fileobj)


def stops(backend: str, scale: Scale) -> str:
    chance = random.Random(1)
    kinds = (BUSY, IDLE, FRESH)
    port = free_port()
    wrk = shutil.which("wrk")
    answered = lost = 0
    hows: list[str] = []
    slowest = 0.0
    for number in range(scale.stops):
        victim = Victim(backend, port=port)
        load = None
        with selectors.DefaultSelector() as selector:
            try:
                callers = [Caller(port, kind, chance) for kind in kinds for _ in range(12)]
                for caller in callers:
                    selector.register(caller.sock, selectors.EVENT_READ, caller)  # type: ignore[arg-type]
                if wrk and number % 2:
                    load = subprocess.Popen(
                        [wrk, "-t1", "-c16", "-d2s", f"http://127.0.0.1:{port}/"],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    )  # fmt: skip
                drive(callers, selector, 0.15 + chance.random() * 0.1, None)
                victim.process.send_signal(signal.SIGTERM)
                start = time.monotonic()
                drive(callers, selector, 5, victim)
                code = victim.process.wait(10)
                took = time.monotonic() - start
                victim.stop()  # for its output
                slowest = max(slowest, took)
                assert code == 0, f"exit code {code}:\n{victim.output}"
                assert took < 3, f"it took {took:.1f} s to stop"
                assert "Traceback" not in victim.output, victim.output
                answered += sum(caller.answered for caller in callers)
                lost += sum(caller.lost for caller in callers)
                hows += [f"stop {number}, {caller.kind}: {caller.how}" for caller in callers if caller.lost]
            finally:
                if victim.process.poll() is None:
                    victim.process.kill()
                    victim.process.communicate()
                if load is not None:
                    load.kill()
                    load.wait()
                for caller in callers:
                    if caller.sock is not None:
                        caller.sock.close()
    assert answered > scale.stops * 12 * len(kinds)
    assert not lost, "\n  ".join(
        [f"{lost} of {answered + lost} requests lost in {scale.stops} stops", *hows[:20]]
    )
    forced = second_signal(backend)
    beside = "wrk beside every second" if wrk else "without wrk, which is missing"
    return (
        f"{scale.stops} stops and restarts on one port, {beside}: "
        f"{answered} answered, {lost} lost, exit code 0 within {slowest:.2f} s; "
        f"a second signal ends it in {forced * 1000:.0f} ms"
    )


def second_signal(backend: str) -> float:
    """Seconds from the second signal to the end, while a handler is at work."""
    with Victim(backend) as victim, connect(victim.port) as sock:
        sock.sendall(get("/patient"))
        while victim.counts()["patient"] == 0:
            time.sleep(0.005)
        victim.process.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        assert victim.process.poll() is None, "the work in hand is waited for"
        start = time.monotonic()
        victim.process.send_signal(signal.SIGTERM)
        assert victim.process.wait(5) == 0
        return time.monotonic() - start
