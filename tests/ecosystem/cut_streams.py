"""to_asgi under uvicorn: 10,000 clients that leave their streams, and what is left of them: nothing."""

from __future__ import annotations

import socket
import tempfile
import threading
from typing import Any

from tests.ecosystem.site import SECONDS, OtherSite, check
from tests.peer import reset, until

CUTS = 10_000
THREADS = 4


def main() -> str:
    with (
        tempfile.TemporaryDirectory() as folder,
        OtherSite(
            "uvicorn", "tests.ecosystem.hosted:app", "--no-access-log", FOLDER=folder, COLLECTOR="off"
        ) as site,
    ):
        cut(site, 8)
        before = left(site, 8)
        threads = [threading.Thread(target=cut, args=(site, CUTS // THREADS)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = left(site, CUTS + 8)
    check("no task is left", after["tasks"] <= before["tasks"], (before, after))
    check(
        "no object is left, though nothing collects cycles",
        after["objects"] == before["objects"],
        (before, after),
    )
    return f"{CUTS} streams cut, by FIN and by RST: no task and no object of a request is left"


def cut(site: OtherSite, count: int) -> None:
    for number in range(count):
        sock = socket.create_connection(("127.0.0.1", site.port), SECONDS)
        sock.sendall(b"GET /forever HTTP/1.1\r\nHost: a\r\n\r\n")
        sock.recv(1000)
        (reset, socket.socket.close)[number % 2](sock)


def left(site: OtherSite, count: int) -> Any:
    """What there is once `count` streams have ended."""
    until(lambda: site.ask("/left").json["ends"] >= count, SECONDS)
    return site.ask("/left").json
