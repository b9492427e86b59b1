"""Life: what becomes of the rest when one of `on_start` and `on_stop` fails, leaves or is cancelled."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from kissapi import Router, Server, sleep
from tests.programs import LOOPS, spread, write
from tests.serving import Started


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


STOP = """
from kissapi.backends.awaitables import running_loop
server.on_stop(lambda: say("closed"))

@server.on_stop
async def fails():
    task = running_loop().create_task(sleep(60))
    task.cancel()
    {what}

server.on_stop(lambda: say("first"))
"""


@spread(
    "loop",
    "what, error, code, workers",
    ("await task", "CancelledError", 0, None),
    ("raise KeyboardInterrupt", "KeyboardInterrupt", -signal.SIGINT, None),
    ("raise KeyboardInterrupt", "KeyboardInterrupt", -signal.SIGINT, None),
    ("sys.exit(3)", "SystemExit: 3", 3, None),
    ("sys.exit(3)", "SystemExit: 3", 0, 1),  # of a worker, which the log tells
    ("raise ValueError", "ValueError", 0, None),
    ("await task", "CancelledError", 0, 1),
)
def test_each_on_stop_is_called_whatever_one_raises(
    tmp_path: Path, loop: str, what: str, error: str, code: int, workers: int | None
) -> None:
    with Started([sys.executable, write(tmp_path, loop, STOP.format(what=what), workers=workers)]) as on:
        on.wait_for("Serving on")
        on.send(signal.SIGTERM)
        assert on.end() == code
    lines = on.output.splitlines()
    assert lines.index("first") < lines.index("closed")
    assert any("on_stop: fails failed" in line for line in lines)
    assert any(error in line for line in lines)


START = """
server.on_stop(lambda: say("closed"))

@server.on_start
async def opens():
    await sleep(0)
    say("opened")

@server.on_start
async def fails():
    {what}

@server.on_stop
def of_what_was_never_opened():
    raise AttributeError("pool")

@server.on_stop
def leaves():
    sys.exit(7)
"""


@spread(
    "loop",
    "what, error, code",
    ("await sleep(0); raise KeyError('database')", "KeyError: 'database'", 1),
    ("raise KeyError('database')", "KeyError: 'database'", 1),
    ("sys.exit(3)", "", 3),
)
def test_a_start_that_fails_closes_what_was_opened(
    tmp_path: Path, loop: str, what: str, error: str, code: int
) -> None:
    path = tmp_path / "app.sock"
    file = write(tmp_path, loop, START.format(what=what), bind=f"unix:{path}")
    with Started([sys.executable, file]) as on:
        assert on.end() == code
    assert on.output.startswith("opened\n")
    assert "\nclosed\n" in on.output
    assert "AttributeError: pool" in on.output
    assert error in on.output.splitlines()[-1]
    assert not path.exists()


def test_a_start_that_fails_in_a_worker_closes_what_was_opened(tmp_path: Path, loop: str) -> None:
    file = write(tmp_path, loop, START.format(what="raise KeyError('database')"), workers=1)
    with Started([sys.executable, file]) as on:
        assert on.end() == 1
    assert "opened\n" in on.output
    assert "closed\n" in on.output
    assert "before it served" in on.output.splitlines()[-1]


def test_of_several_servers_those_before_the_one_that_fails_are_stopped(tmp_path: Path, loop: str) -> None:
    more = START.format(what="raise KeyError('database')") + (
        "from kissapi import serve\n"
        "other = Server(**options)\n"
        "other.on_stop(lambda: say('other closed'))\n"
        "serve(other, server)\n"
    )
    with Started([sys.executable, write(tmp_path, loop, more)]) as on:
        assert on.end() == 1
    assert "closed\n" in on.output
    assert "other closed\n" in on.output


# In an event loop of somebody else


def test_a_task_that_is_cancelled_while_it_stops_ends_cancelled_when_all_is_done() -> None:
    said: list[str] = []

    async def main() -> None:
        server = Server("127.0.0.1", 0, router=Router(), access_log=False)
        server.on_stop(lambda: said.append("closed"))
        stops = asyncio.Event()

        @server.on_stop
        async def slow() -> None:
            stops.set()
            await sleep(60)

        task = asyncio.create_task(server.run())
        while server.service is None:
            await sleep(0.001)
        server.stop()
        await stops.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert said == ["closed"]


@pytest.mark.parametrize("how", ["stop", "cancel", "both"])
def test_a_start_may_be_stopped_and_cancelled(how: str) -> None:
    said: list[str] = []

    async def main() -> None:
        server = Server("127.0.0.1", 0, router=Router(), access_log=False)
        begins = asyncio.Event()

        @server.on_start
        async def slow() -> None:
            begins.set()
            await sleep(60)

        server.on_stop(lambda: said.append("closed"))
        for _ in range(2):  # it can be started again
            task = asyncio.create_task(server.run())
            await begins.wait()
            begins.clear()
            if how != "cancel":
                thread = threading.Thread(target=server.stop)
                thread.start()
                thread.join()
            if how != "stop":
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                await task
            assert server.service is None

    asyncio.run(main())
    assert said == ["closed"] * 2


def test_a_start_that_is_stopped_leaves_no_socket(backend: str) -> None:
    server = Server("127.0.0.1", 0, router=Router(), backend=backend)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.port = free.getsockname()[1]
    begins = threading.Event()

    @server.on_start
    async def slow() -> None:
        begins.set()
        await sleep(60)

    thread = threading.Thread(target=server.loop, daemon=True)
    thread.start()
    assert begins.wait(5)
    server.stop()
    thread.join(5)
    assert not thread.is_alive()
    with socket.socket() as again:
        again.bind(("127.0.0.1", server.port))
