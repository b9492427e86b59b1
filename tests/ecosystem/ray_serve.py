"""Ray Serve: 1,000 requests while a replica is killed, streams, WebSockets, scaling."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray import serve
from websockets.sync.client import connect

from examples.deploy.ray_serve import Shop, app
from tests.ecosystem.site import check
from tests.peer import until

REQUESTS, CLIENTS = 1000, 8
QUICK = {"upscale_delay_s": 0.5, "downscale_delay_s": 2, "metrics_interval_s": 0.2, "look_back_period_s": 1}


def main() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=100 << 20,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(app)
        lost = one_is_killed(port)
        streams(port)
        serve.run(
            Shop.options(
                num_replicas="auto",
                autoscaling_config={
                    "min_replicas": 1,
                    "max_replicas": 2,
                    "target_ongoing_requests": 2,
                    **QUICK,
                },
            ).bind()
        )
        scales(port)
    finally:
        serve.shutdown()
        ray.shutdown()
    return f"{REQUESTS} requests, one of two replicas killed: {lost} lost, all in flight then; scaled 1, 2, 1"


def get(port: int, path: str) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def replicas(port: int, count: int = 20) -> set[int]:
    """The processes that answer."""
    with ThreadPoolExecutor(count) as clients:
        answers = clients.map(lambda _: get(port, "/"), range(count))
        return {json.loads(body)["replica"] for status, body in answers if status == 200}


def one_is_killed(port: int) -> int:
    victim = min(until(lambda: len(found := replicas(port)) == 2 and found, 60))

    killed: list[float] = []

    def ask(number: int) -> tuple[bool, float, float]:
        """Whether it was answered, when it began and when it ended."""
        if number == REQUESTS // 3:
            os.kill(victim, signal.SIGKILL)
            killed.append(time.monotonic())
        began = time.monotonic()
        try:
            status, body = get(port, f"/?number={number}")
        except OSError:
            status, body = 0, b""
        return status == 200 and json.loads(body)["number"] == number, began, time.monotonic()

    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = list(clients.map(ask, range(1, REQUESTS + 1)))
    lost = [(began, ended) for is_answered, began, ended in asked if not is_answered]
    for began, ended in lost:
        check("only what was in flight is lost", began < killed[0] < ended, (began, killed[0], ended))
    check("and not what was in flight on the other one", len(lost) < CLIENTS, lost)
    until(lambda: len(found := replicas(port)) == 2 and victim not in found, 60)  # another takes its place
    return len(lost)


def streams(port: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    start = time.monotonic()
    client.request("GET", "/count")
    answer = client.getresponse()
    first = answer.read1()
    come = time.monotonic() - start
    rest = answer.read()
    check("a stream comes piece by piece", (first, rest) == (b"0\n", b"1\n2\n"), (first, rest))
    check("its first piece before its last", come + 0.3 < time.monotonic() - start, come)
    client.close()
    with connect(f"ws://127.0.0.1:{port}/echo") as ws:
        for message in ("hello ☕", b"\xff" * 100_000):
            ws.send(message)
            check("a WebSocket echoes", ws.recv(timeout=30) == message, message[:10])


def scales(port: int) -> None:
    check("one replica is enough", settles(port, 1), replicas(port, 2))
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            get(port, "/")

    threads = [threading.Thread(target=load) for _ in range(12)]
    for thread in threads:
        thread.start()
    try:
        check("two under load", settles(port, 2), replicas(port))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    check("one when it is over", settles(port, 1), replicas(port, 2))


def settles(port: int, count: int, seconds: float = 90) -> bool:
    """Whether there come to be `count` replicas."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        states = serve.status().applications["default"].deployments["Shop"].replica_states
        if states.get("RUNNING") == count and sum(states.values()) == count:
            return True
        time.sleep(0.2)
    return False
