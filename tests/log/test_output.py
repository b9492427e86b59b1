"""Output: a line that a pipe takes in pieces stays whole, whatever else writes to that pipe."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import pytest

from kissapi.log.output import Output
from tests.places import ROOT
from tests.serving import environment

if not hasattr(select, "poll") or not hasattr(os, "fork"):
    pytest.skip("no pipes to poll here", allow_module_level=True)

LONG = "x" * 100_000 + "\n"  # a pipe of Linux has room for 65,536 bytes


class Pipe:
    def __init__(self, reading: int, stream: IO[str]) -> None:
        self.reading = reading
        self.stream = stream

    def read(self) -> str:
        """What is in it now."""
        return os.read(self.reading, 1 << 20).decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    with open(writing, "w", encoding="utf-8") as stream:
        yield Pipe(reading, stream)
    os.close(reading)


def missing(lines: int) -> str:
    return f"{lines} missing\n"


def test_another_loop_waits_for_the_end_of_a_line(pipe: Pipe) -> None:
    one, other = Output(pipe.stream), Output(pipe.stream)
    one.write(LONG, missing)
    text = pipe.read()
    other.write("other\n", missing)
    one.write("", missing)
    text += pipe.read()
    other.write("", missing)
    assert text + pipe.read() == f"{LONG}other\n"
    assert not one.backlog
    assert not other.backlog


HALF = f"""
import os, sys
from kissapi.log.output import Output
from tests.places import ROOT
from tests.serving import environment
output = Output(sys.stdout)
output.write({LONG!r}, str)
"""
REST = """
sys.stderr.write(".")
sys.stderr.flush()
sys.stdin.read(1)
while output.backlog:
    output.write("", str)
"""
FORKED = f"""
import os
from kissapi.log.output import Output
reading, writing = os.pipe()
stream = open(writing, "w")
output = Output(stream)

def child():
    if not (child := os.fork()):
        os.read(reading, 1 << 20)
        other = Output(stream)
        other.write("child", str)
        os._exit(len(other.backlog))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

output.write({LONG!r}, str)
print(child())
output.end_turn()
output.write("", str)
print(child())
os._exit(0)
"""


def test_another_process_waits_for_the_end_of_a_line(pipe: Pipe) -> None:
    command = [sys.executable, "-c", HALF + REST]
    piped = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=piped, stdout=pipe.stream, stderr=piped
    ) as child:
        assert child.stderr is not None
        assert child.stderr.read(1) == b"."
        text = pipe.read()
        output = Output(pipe.stream)
        output.write("other\n", missing)
        assert output.backlog == b"other\n"
        child.communicate(b".", timeout=10)
    output.write("", missing)
    text += pipe.read()
    assert text.splitlines() == [LONG[:-1], "other"]


def test_a_forked_process_waits_for_its_parent_and_no_longer() -> None:
    command = [sys.executable, "-c", FORKED]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=20)
    assert (done.stdout.split(), done.stderr) == (["5", "0"], "")


def test_a_line_that_is_given_up_keeps_none_waiting(pipe: Pipe) -> None:
    one, other = Output(pipe.stream), Output(pipe.stream)
    one.write(LONG, missing)
    one.end_turn()
    pipe.read()
    other.write("other\n", missing)
    assert pipe.read() == "other\n"
