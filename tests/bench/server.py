"""Server: a candidate at work in a process of its own, on a core of its own; ended by its own id."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.bench.load import Load
from tests.bench.machine import cores
from tests.places import ROOT

APPS = Path(__file__).parent / "peers"
BUILD = ROOT / "build"
PEERS = BUILD / "peers"  # an environment …
PUBLISHED = BUILD / "peers-kissapi016"  # … and a folder, for what has our own name
NGINX = "nginx" if shutil.which("nginx") else "/usr/sbin/nginx"  # not on everybody's PATH


class ServerError(Exception):
    """It did not start, or gave another answer than all the others."""


@dataclass(frozen=True)
class Candidate:
    """How a server is started. PORT and FOLDER stand for its port, and a folder that lives as long as it."""

    command: tuple[str, ...]
    needs: tuple[str, ...] = ()  # distributions of the peers' environment
    path: str = str(ROOT)  # where Python looks first
    conf: str = ""  # written to FOLDER/conf


def ours(program: str, *arguments: str, python: str = sys.executable, path: str = str(ROOT)) -> Candidate:
    """A program of peers/ that imports kissapi from this checkout, or from the one at `path`."""
    return Candidate((python, program, "PORT", *arguments), path=path)


class Server:
    """Starts `candidate`; as a context manager, ends it.

    with Server(candidate) as server: server.ask(load)
    """

    def __init__(self, candidate: Candidate) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench")
        self.folder = Path(self._folder.name)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        if candidate.conf:
            (self.folder / "conf").write_text(self._fill(candidate.conf))
        environment = {**os.environ, "PYTHONPATH": candidate.path}
        command = ["taskset", "-c", str(cores()[0]), *map(self._fill, candidate.command)]
        self.started = time.perf_counter()
        with open(self.folder / "output", "wb") as output:  # an access log goes to this file
            self.process = subprocess.Popen(
                command,
                cwd=APPS,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _fill(self, text: str) -> str:
        return text.replace("PORT", str(self.port)).replace("FOLDER", str(self.folder))

    def ready(self, load: Load | None = None, seconds: float = 20) -> float:
        """Wait until it answers `load` as it must; the seconds that has taken from its start."""
        load = load if load is not None else Load()
        while True:
            try:
                self.ask(load)
                return time.perf_counter() - self.started
            except ConnectionError as error:
                if self.process.poll() is not None or time.perf_counter() - self.started > seconds:
                    raise ServerError(f"it does not start: {self._last_words()}") from error
                time.sleep(0.001)

    def ask(self, load: Load) -> bytes:
        """The body of the answer. Raises `ServerError` if it is not the one that counts."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        if load.scheme == "https":
            context = ssl._create_unverified_context()
            client = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)
        try:
            fields = dict(field.split(": ", 1) for field in load.fields)
            body = iter([load.body]) if load.chunked else load.body or None
            client.request(load.method, load.path, body, fields, encode_chunked=load.chunked)
            answer = client.getresponse()
            got = answer.read()
        finally:
            client.close()
        if answer.status != 200 or not load.accepts(got):
            raise ServerError(f"{load.method} {load.path} gives {answer.status} {got[:80]!r}")
        return got

    def connect(self, number: int) -> list[socket.socket]:
        """`number` connections, from as many addresses as it takes."""
        made = []
        try:
            for index in range(number):
                source = (f"127.0.0.{2 + index // 5000}", 0)
                made.append(socket.create_connection(("127.0.0.1", self.port), 20, source))
                # Closed by a reset: what waits for its time to pass keeps its port, and there are 28,000.
                made[-1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if index % 500 == 499:  # no more than the backlog holds
                    say_hello(made[-1])
        except BaseException:
            for sock in made:
                sock.close()
            raise
        return made

    def pids(self) -> list[int]:
        """Its processes."""
        found = []
        for file in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = file.read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if int(fields[3]) == self.process.pid:  # the session
                found.append(int(file.parent.name))
        return found

    def cpu(self) -> float:
        """Seconds of processor time that it has used so far."""
        ticks = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Bytes of memory that its processes hold."""
        return status(self.pids(), "VmRSS") * 1024

    def figures(self, before: float, total: int, seconds: float) -> dict[str, float]:
        """What a load gives that has had `total` answers in so many seconds, since `cpu` was `before`."""
        cpu = (self.cpu() - before) * 1e6 / total
        return {"": total / seconds, " µs": cpu, " MiB": self.memory() / (1 << 20)}

    def _last_words(self) -> str:
        lines = (self.folder / "output").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a word"

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session: what it has left behind
        except ProcessLookupError:
            pass
        self.process.wait()
        self._folder.cleanup()


def status(pids: list[int], field: str) -> int:
    """The sum of `field` over all threads of these processes; memory is told for each process as a whole."""
    total = 0
    for pid in pids:
        tasks = [Path(f"/proc/{pid}")] if field.startswith("Vm") else Path(f"/proc/{pid}/task").iterdir()
        for task in tasks:
            found = re.search(rf"^{field}:\s+(\d+)", (task / "status").read_text(), re.MULTILINE)
            total += int(found[1]) if found else 0
    return total


def say_hello(sock: socket.socket) -> None:
    """One small request and its answer."""
    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = b""
    while not answer.endswith(b"Hello, world!"):
        piece = sock.recv(4096)
        if not piece:
            raise ServerError(f"a connection ended with {answer!r}")
        answer += piece
