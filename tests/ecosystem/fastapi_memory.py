"""FastAPI: the memory of a process that serves it, after 1,000 requests, beside one of uvicorn."""

from __future__ import annotations

import http.client
from typing import Any

from tests.ecosystem.site import SECONDS, OtherSite, Site, check
from tests.memory import descendants, proportional, resident

APP = "tests.ecosystem.fastapi_app:app"
REQUESTS = 1000
MOST = 1.1  # of uvicorn's
FLAGS = ("--loop", "asyncio", "--no-access-log")


def main() -> str:
    told = []
    for what, flags in (("one process", FLAGS), ("a worker of two", (*FLAGS, "--workers", "2"))):
        with Site(APP, *flags) as site:
            ours = measure(site)
        with OtherSite("uvicorn", APP, *flags) as other:
            theirs = measure(other)
        told += [
            f"{what}: {mine:.1f} MiB {kind}, uvicorn {its:.1f}"
            for kind, mine, its in zip(("RSS", "PSS"), ours, theirs, strict=True)
        ]
        check(told[-2], ours[0] <= MOST * theirs[0])
        check(told[-1], ours[1] <= MOST * theirs[1])
    return f"after {REQUESTS} requests, {'; '.join(told)}"


def measure(site: Any) -> tuple[float, float]:
    """RSS and PSS in MiB, the mean of the processes that serve."""
    for _ in range(10):  # each on a connection of its own, so that each worker has some
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=SECONDS)
        for _ in range(REQUESTS // 20):
            connection.request("GET", "/items/1?q=tea")
            assert connection.getresponse().read().startswith(b'{"number":1')
            fields = {"Content-Type": "application/json"}
            connection.request("POST", "/items", b'{"name": "tea", "price": 3}', fields)
            assert connection.getresponse().read().startswith(b'{"name":"tea"')
        connection.close()
    serving = sorted([site.process.pid, *descendants(site.process.pid)], key=resident)
    serving = serving[-2:] if len(serving) > 2 else serving[-1:]
    return tuple(sum(map(each, serving)) / len(serving) / (1 << 20) for each in (resident, proportional))  # type: ignore[return-value]
