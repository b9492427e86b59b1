"""FastAPI: twenty restarts under load, on workers, and no request that is not answered."""

from __future__ import annotations

import signal
import threading
import time

import httpx

from tests.ecosystem.site import Site, check

RESTARTS = 20


def main() -> str:
    answered, errors, over = [0], list[BaseException](), threading.Event()

    def load() -> None:
        try:
            while not over.is_set():
                with httpx.Client(base_url=site.url) as client:
                    for _ in range(20):
                        assert client.get("/items/1").status_code == 200
                        answered[0] += 1
        except BaseException as error:
            errors.append(error)

    with Site("tests.ecosystem.fastapi_app:app", "--workers", "2", "--no-access-log") as site:
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(RESTARTS):
            site.send(signal.SIGHUP)
            time.sleep(2)
        over.set()
        for thread in threads:
            thread.join()
        check("none lost", not errors, errors)
    check("no error in the log", "ERROR" not in site.output, site.output[-2000:])
    check("lifespans have ended", site.output.count("the pool is closed") > 2, site.output[-2000:])
    return f"{answered[0]} requests answered, none lost, in {RESTARTS} restarts of two workers"
