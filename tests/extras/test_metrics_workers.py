"""Metrics of several processes: nothing is lost with a worker, and nothing is left of its gauges."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.extras.test_metrics import Seen
from tests.peer import connect, until
from tests.process.family import children, each_way, needs_processes
from tests.serving import Served, environment

pytest.importorskip("prometheus_client")

APP = """
import os, prometheus_client
from kissapi import Request, Router, Server, sleep
from kissapi.extras.metrics import metrics

ORDERS = prometheus_client.Counter("orders", "Orders.")
router = Router()

@router.on_start
async def first(app):
    ORDERS.inc()  # before the files of another worker could be taken over in on_start

@router.get("/pid")
async def pid(req: Request):
    return str(os.getpid())

@router.get("/wait")
async def wait(req: Request):
    await sleep(60)

router.mount("/", metrics(router))
server = Server("127.0.0.1", 0, router=router, workers=2, backend={backend!r},
    access_log=False, drain_timeout=0.2, shutdown_timeout=0.2)
if __name__ == "__main__":
    server.loop()
"""


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Served]:
    """Starts the program above on a backend; its workers share the folder `values`."""

    def start(backend: str) -> Served:
        (tmp_path / "app.py").write_text(APP.format(backend=backend))
        variables = environment(PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "values"))
        (tmp_path / "values").mkdir(exist_ok=True)  # a counter of the app writes there before ours
        return Served([sys.executable, tmp_path / "app.py"], env=variables)

    return start


def texts(served: Served, often: int = 6) -> Iterator[Seen]:
    """What different workers tell, on connections of their own that are open at the same time."""
    clients = [connect(served.port) for _ in range(often)]
    for client in clients:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    for client in clients:
        answer = b"".join(iter(lambda client=client: client.recv(1 << 16), b""))  # type: ignore[misc]
        assert answer.startswith(b"HTTP/1.1 200"), answer
        yield Seen(answer.partition(b"\r\n\r\n")[2].decode())


@needs_processes
@each_way("killed", "asked to leave")
def test_a_worker_is_replaced(
    program: Callable[[str], Served], tmp_path: Path, backend: str, how: str
) -> None:
    with program(backend) as served:
        workers: set[int] = set()
        asked = 0
        while len(workers) < 2 or asked < 20:
            workers.add(int(served.get("/pid")))
            asked += 1
        waiting = [connect(served.port) for _ in range(4)]
        for client in waiting:
            client.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: all(seen("active", route="/wait") == 4 for seen in texts(served)))
        for seen in texts(served):
            assert seen("requests", route="/pid", status="200") == asked, (
                "each worker tells what all have counted"
            )
            assert seen("orders_total") == 2
            assert not any("pid" in labels for _, labels, _ in seen.samples)
        left = asked
        for generation in range(3):
            victim = max(children(served.process.pid))
            os.kill(victim, signal.SIGKILL if how == "killed" else signal.SIGTERM)
            until(lambda victim=victim: len(now := children(served.process.pid)) == 2 and victim not in now)
            served.get("/pid")
            left += 1
            # The client may have its answer a moment before that is counted. What is counted stays.
            until(lambda left=left: {seen("requests", route="/pid") for seen in texts(served)} == {left})
            until(lambda count=3 + generation: {seen("orders_total") for seen in texts(served)} == {count})
        for pid in children(served.process.pid):
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: len(now := children(served.process.pid)) == 2 and pid not in now)
        assert {seen("active", route="/wait") for seen in texts(served)} == {0}, "gauges go with their worker"
        # Of the master and of two workers, and of one that was replaced before its successor could know.
        assert len(list((tmp_path / "values").glob("counter_*.db"))) <= 4
        for client in waiting:
            client.close()


@needs_processes
def test_it_counts_on_after_a_restart(program: Callable[[str], Served]) -> None:
    for start in (1, 2):
        with program("selectors") as served:
            served.get("/pid")
            assert {seen("requests", route="/pid") for seen in texts(served, 2)} == {start}
            assert {seen("active") for seen in texts(served, 1)} == {1.0}


@needs_processes
@pytest.mark.parametrize(
    ("variable", "said"),
    [("", "need a folder where all of them count"), ("late", "set it before Python starts")],
)
def test_workers_without_a_folder_do_not_start(tmp_path: Path, variable: str, said: str) -> None:
    program = APP.format(backend="selectors")
    if variable:
        program = program.replace(
            "router = Router()",
            f"os.environ['PROMETHEUS_MULTIPROC_DIR'] = {str(tmp_path)!r}\nrouter = Router()",
        )
    (tmp_path / "app.py").write_text(program)
    kept = {name: value for name, value in environment().items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    done = subprocess.run(
        [sys.executable, tmp_path / "app.py"], env=kept, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert said in done.stdout + done.stderr
    assert variable or "Traceback" not in done.stdout + done.stderr


def test_a_file_that_a_process_has_just_made_is_left_out(tmp_path: Path) -> None:
    from kissapi.extras.metrics.processes import Folder

    (tmp_path / f"histogram_{os.getpid()}.db").touch()  # it gets its size a moment later
    with Folder(str(tmp_path)).merged() as registry:
        assert list(registry.collect()) == []
