"""Logs: standard output is closed, full, gone, or read slowly. Requests are answered all the same."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tests.peer import GET, ask, free_port
from tests.places import ROOT
from tests.torture.client import connect, status
from tests.torture.victim import command

if TYPE_CHECKING:
    from tests.torture.scale import Scale


@contextlib.contextmanager
def logging_to(
    backend: str, output: int, shell: str = ""
) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """A client of a server whose standard output is `output`; at its end the exit code is 0."""
    port = free_port()
    line = command(backend, access_log=True, port=port)
    if shell:  # a shell can start what we could not: a program whose standard output is closed
        line = ["/bin/sh", "-c", f'exec "$@" {shell}', "sh", *line]
    process = subprocess.Popen(line, cwd=ROOT, stdout=output, stderr=subprocess.PIPE)
    os.close(output)
    assert process.stderr is not None
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                sock = connect(port)
                break
            except OSError:
                assert time.monotonic() < deadline, "it does not start"
                time.sleep(0.01)
        with sock:
            yield sock, process
        process.send_signal(signal.SIGTERM)
        code = process.wait(10)
        said = process.stderr.read()
        assert (code, said) == (0, b""), f"exit code {code}: {said.decode()}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stderr.close()


def served(sock: socket.socket, number: int) -> float:
    """Ask so often; the longest an answer took, in seconds."""
    longest = 0.0
    for _ in range(number):
        start = time.monotonic()
        assert status(ask(sock, GET)) == 200
        longest = max(longest, time.monotonic() - start)
    return longest


def read_until_end(reader: int, pause: float, most: int, into: list[bytes]) -> Callable[[], None]:
    def read() -> None:
        while data := os.read(reader, most):
            into.append(data)
            time.sleep(pause)

    thread = threading.Thread(target=read)
    thread.start()
    return thread.join


def logs(backend: str, scale: Scale) -> str:
    figures = []
    some = max(500, scale.logged // 20)

    if backend != "uvloop":  # libuv ends a process in which a socket gets the number of standard output
        with logging_to(backend, os.open(os.devnull, os.O_WRONLY), ">&-") as (sock, _):
            figures.append(f"closed at the start {served(sock, some) * 1000:.0f}")

    if scale.slowly and os.path.exists("/dev/full"):
        with logging_to(backend, os.open("/dev/full", os.O_WRONLY)) as (sock, _):
            figures.append(f"disk full {served(sock, some) * 1000:.0f}")

    reader, writer = os.pipe()
    with logging_to(backend, writer) as (sock, _):
        longest = served(sock, some)
        os.close(reader)
        figures.append(f"reader gone {max(longest, served(sock, some)) * 1000:.0f}")

    reader, writer = os.pipe()
    with logging_to(backend, writer) as (sock, process):
        figures.append(f"nobody reads {served(sock, scale.logged) * 1000:.0f}")
    os.close(reader)

    said = f"{scale.logged:,} requests; the longest answer in ms: {', '.join(figures)}"
    return f"{said}; {read_in_the_end(backend, scale)}" if scale.slowly else said


def read_in_the_end(backend: str, scale: Scale) -> str:
    """A reader that comes late, and one that is slow."""
    some = scale.logged // 20
    reader, writer = os.pipe()
    got: list[bytes] = []
    with logging_to(backend, writer) as (sock, process):
        longest = served(sock, scale.logged)
        join = read_until_end(reader, 0, 65536, got)
        time.sleep(1.5)  # a tick
        longest = max(longest, served(sock, some))
    join()
    os.close(reader)
    text = b"".join(got).decode()
    lines = text.count("GET / ")
    missing = sum(int(number) for number in re.findall(r": (\d+) lines are missing here", text))
    assert lines + missing == scale.logged + some, (
        f"{lines} lines and {missing} told as missing, of {scale.logged + some}"
    )

    reader, writer = os.pipe()
    join = read_until_end(reader, 0.01, 1024, [])
    with logging_to(backend, writer) as (sock, process):
        slow = served(sock, some)
    join()
    os.close(reader)
    return (
        f"read late {longest * 1000:.0f}: {lines} lines and {missing} told as missing, none lost unsaid; "
        f"read slowly {slow * 1000:.0f}; exit code 0 each time"
    )
