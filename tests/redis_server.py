"""RedisServer: Debian's redis-server on a Unix socket, for one test or for all of a process."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.peer import until


class RedisServer:
    """A Redis that keeps nothing; it may be stopped and started again at the same `url`."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("no redis-server here: apt-get install --no-install-recommends redis-server")
        self.library = pytest.importorskip("redis", reason="the package redis is not installed")
        self.path = folder / "redis.sock"
        self.url = f"unix://{self.path}"
        self._command = [program, "--port", "0", "--unixsocket", str(self.path), "--dir", str(folder)]
        self._command += ["--save", "", "--appendonly", "no"]
        self.process: Any = None

    def start(self) -> RedisServer:
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for line in self.process.stdout:
            if b"ready to accept connections at" in line:
                return self
        raise AssertionError("redis-server has ended")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, *words: Any) -> Any:
        """The answer to a command."""
        with self.library.Redis(unix_socket_path=str(self.path)) as client:
            return client.execute_command(*words)

    def subscribers(self, channel: str) -> int:
        """How many connections have subscribed to `channel`."""
        return int(self.ask("PUBSUB", "NUMSUB", channel)[1])

    def wait_for(self, channel: str, count: int) -> None:
        """Wait until so many connections have subscribed to `channel`."""
        until(lambda: self.subscribers(channel) == count)

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def a_redis() -> Iterator[RedisServer]:
    """One of its own: its path is short, for that of a Unix socket has 107 bytes at most."""
    folder = Path(tempfile.mkdtemp(prefix="kissapi-"))
    try:
        with RedisServer(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One for all tests of this process: each uses names of its own."""
    with a_redis() as server:
        yield server
