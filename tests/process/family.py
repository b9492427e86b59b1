"""Family: a program with two workers, its processes, and clients that ask it all the time."""

from __future__ import annotations

import http.client
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.peer import until
from tests.serving import Served, alive

PROC = Path("/proc")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork here")
needs_processes = pytest.mark.skipif(
    not hasattr(os, "fork") or not (PROC / "self/stat").exists(), reason="needs os.fork, and /proc to look at"
)


def each_way(asyncio: Any, selectors: Any) -> pytest.MarkDecorator:
    """Two ways that differ for the master, one on each backend: four processes fewer than all of both."""
    return pytest.mark.parametrize(("backend", "how"), [("asyncio", asyncio), ("selectors", selectors)])


APP = """
import os, sys, threading, time
from kissapi import Request, Router, Server, serve, sleep

router = Router()
kept = []

@router.get("/pid")
async def pid(req: Request):
    return str(os.getpid())

@router.get("/sleep")
async def slow(req: Request):
    await sleep(0.4)
    return str(os.getpid())

@router.get("/block")
async def block(req: Request):
    time.sleep(60)

@router.get("/grow")
async def grow(req: Request):
    kept.append(b"x" * (64 << 20))
    return str(os.getpid())

@router.get("/stop")
async def stop(req: Request):
    server.stop()
    return str(os.getpid())

server = Server(**{{"bind": "127.0.0.1:0", "router": router, "access_log": False, **{options!r}}})
{more}
if __name__ == "__main__":
    server.loop()
"""


@contextmanager
def app(tmp_path: Path, more: str = "", **options: Any) -> Iterator[Served]:
    """The program above, with two workers; when it has ended, none may be left."""
    with Served(command(tmp_path, more, **options)) as served:
        yield served
        workers = children(served.process.pid)
    assert not any(map(alive, workers))


def command(tmp_path: Path, more: str = "", **options: Any) -> list[str | Path]:
    options = {"workers": 2, "drain_timeout": 0.2, **options}
    (tmp_path / "app.py").write_text(APP.format(options=options, more=more))
    return [sys.executable, tmp_path / "app.py"]


def stat(pid: int) -> list[str]:
    """State and parent of a process, and more; of one that is gone, the state of a zombie."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return ["Z", "0"]


def children(pid: int) -> set[int]:
    pids = [int(each.name) for each in PROC.iterdir() if each.name.isdigit()]
    return {each for each in pids if stat(each)[1] == str(pid) and alive(each)}


def pids_of(served: Served) -> set[int]:
    """The two that answer on connections that are open at the same time."""
    found: set[int] = set()
    clients: list[http.client.HTTPConnection] = []
    try:
        while len(found := set(filter(alive, found))) < 2 and len(clients) < 200:
            clients.append(http.client.HTTPConnection("127.0.0.1", served.port, timeout=10))
            clients[-1].request("GET", "/pid")
            found.add(int(clients[-1].getresponse().read()))
        return found
    finally:
        for client in clients:
            client.close()


def wait_for_others(served: Served, before: set[int]) -> set[int]:
    """The two workers that serve once none of `before` is alive."""
    until(lambda: not any(map(alive, before)))
    return until(lambda: len(now := pids_of(served)) == 2 and now)


class Load:
    """Clients that ask all the time, with a connection each, or a new one for each request.

    After each answer they rest for a moment: what they count on is the processors' time for the server.
    """

    REST = 0.001

    def __init__(self, served: Served) -> None:
        self.served = served
        self.answers: Counter[bytes] = Counter()
        self.lost: list[Exception] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._keep_asking) for _ in range(3)]
        self._threads += [threading.Thread(target=self._ask, args=(path,)) for path in ("/pid", "/sleep")]

    def _ask(self, path: str) -> None:
        while not self._end.is_set():
            try:
                self.answers[self.served.get(path)] += 1
                time.sleep(self.REST)
            except Exception as error:
                self.lost.append(error)

    def _keep_asking(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=10)
        while not self._end.is_set():
            try:
                client.request("GET", "/pid")
                self.answers[client.getresponse().read()] += 1
                time.sleep(self.REST)
            except Exception as error:
                client.close()
                self.lost.append(error)
        client.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
