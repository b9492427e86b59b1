"""A real Prometheus scrapes two workers of kissapi: its counts are right while workers are killed.

Every query of the dashboard is asked of it as well. `python -m tests.ecosystem scraped`; it needs prometheus
and promtool, of Debian's package prometheus.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from prometheus_client import Counter

from kissapi import Fail, Request, Router, sleep
from kissapi.extras.metrics import metrics
from tests.ecosystem.__main__ import LEFT_OUT
from tests.ecosystem.site import SECONDS, Site, check
from tests.examples.dashboard import DEPLOY, queries
from tests.peer import connect, until
from tests.serving import Started

ORDERS = Counter("orders", "Orders.", ["kind"])

router = Router()
router.mount("/", metrics(router))


@router.get("/orders/{number:int}")
async def order(req: Request, number: int) -> int:
    ORDERS.labels("odd" if number % 2 else "even").inc()
    return os.getpid()


@router.get("/error")
async def error(req: Request) -> None:
    raise Fail(503)


@router.get("/ticks")
async def ticks(req: Request) -> AsyncIterator[str]:
    for _ in range(100):
        yield "tick\n"
        await sleep(0.1)


@router.post("/notes")
async def note(req: Request) -> int:
    return len(req.body)


class Prometheus(Started):
    """A Prometheus that scrapes `port` by the configuration of examples/deploy, but every second."""

    def __init__(self, folder: Path, port: int) -> None:
        text = (DEPLOY / "prometheus.yml").read_text(encoding="utf-8")
        text = text.replace("127.0.0.1:9100", f"127.0.0.1:{port}").replace("15s", "1s")
        file = folder / "prometheus.yml"
        file.write_text(text, encoding="utf-8")
        checked = subprocess.run(["promtool", "check", "config", file], capture_output=True, text=True)
        check("promtool takes the configuration", checked.returncode == 0, checked.stdout + checked.stderr)
        command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
        super().__init__([*command, "--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle"])
        # level=info component=web msg="Listening on" address=127.0.0.1:43210
        self.url = "http://" + self.wait_for("Listening on").partition("address=")[2].split()[0]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What it answers. Raises `AssertionError` with what is wrong with the expression."""
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as failed:
            raise AssertionError(f"{expression}: {failed.read().decode()}") from None
        return list(found["data"]["result"])

    def value(self, expression: str) -> float:
        """Its one value; 0 for none."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else 0.0


def main() -> str:
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            print(f"{program} is not installed: apt-get install prometheus")
            sys.exit(LEFT_OUT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        variables = {"PROMETHEUS_MULTIPROC_DIR": str(folder / "values")}
        (folder / "values").mkdir()
        flags = ["--workers", "2", "--no-access-log"]
        with (
            Site("tests.ecosystem.scraped:router", *flags, **variables) as site,
            Prometheus(folder, site.port) as prometheus,
        ):
            return measure(site, prometheus)


def measure(site: Site, prometheus: Prometheus) -> str:
    selected = 'http_server_request_duration_seconds_count{job="shop",http_route="/orders/{number:int}"}'
    asked = 0

    def ask(count: int) -> set[int]:
        nonlocal asked
        asked += count
        return {int(site.ask(f"/orders/{number}").text) for number in range(count)}

    def counted(number: float, expression: str = f"sum({selected})") -> None:
        until(lambda: prometheus.value(expression) == number or None, SECONDS)

    workers = ask(200)
    check("both workers have answered", len(workers) == 2, workers)
    counted(200)
    counted(100, 'sum(orders_total{kind="odd"})')
    ticks = 'sum(http_server_active_requests{http_route="/ticks"})'
    reader = connect(site.port)
    reader.sendall(b"GET /ticks HTTP/1.1\r\nHost: a\r\n\r\n")
    counted(1, ticks)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
        site.wait_for(f"worker {pid} ended by SIGKILL")
        site.wait_for("serves")
    counted(0, ticks)
    reader.close()
    ask(100)
    counted(asked)
    site.send(signal.SIGHUP)  # the whole program anew
    site.wait_for("Serving on")
    ask(100)
    counted(asked)
    resets = prometheus.value(f"sum(resets({selected}[10m]))")
    check("no counter has gone back", resets == 0, resets)
    check("it was up all the time", prometheus.value("min_over_time(up[10m])") == 1)
    for _ in range(3):
        site.ask("/error")
        site.ask("/notes", body=b"x" * 100)
        site.ask("/nowhere")
        time.sleep(1.1)  # two scrapes make a rate
    shown = {title: until(lambda query=query: prometheus.query(query), SECONDS) for title, query in queries()}
    check("each query of the dashboard finds something", all(shown.values()), shown)
    return f"{asked} requests counted, two workers killed, one restart; {len(shown)} queries of the dashboard"
