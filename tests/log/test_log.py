"""Log: the line, its colours, and that no client and no broken stream can do harm through it."""

from __future__ import annotations

import io
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router
from kissapi.log import BACKLOG, BATCH, GATHER, LAST_WORDS, Log, escape, wants_colour
from kissapi.log.tracebacks import traceback_of
from tests.places import ROOT
from tests.wire import Wire

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
NOW = re.compile(r"^\d\d:\d\d:\d\d ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHON_COLORS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("time.strftime", lambda _: "12:35:01")


def line_of(log: Log, path: str = "/", status: int = 200, size: int = 13, seconds: float = 0.0002) -> None:
    log.answered([(Request(path=path), status, size, 10.0)], 10.0 + seconds)
    log.flush()


def written(stream: Any, **facts: Any) -> str:
    line_of(Log(stream), **facts)
    return str(stream.getvalue())


def test_the_line() -> None:
    assert written(io.StringIO()) == "12:35:01 [INFO] GET / → 200 13B 0.2ms\n"


LINES: list[tuple[dict[str, Any], str]] = [
    ({"seconds": 0.00004}, "GET / → 200 13B 0.0ms"),
    ({"seconds": 1.23456}, "GET / → 200 13B 1234.6ms"),
    ({"size": 0, "status": 204}, "GET / → 204 0B 0.2ms"),
    ({"path": "/café"}, "GET /café → 200 13B 0.2ms"),
    ({"path": "/a b"}, "GET /a b → 200 13B 0.2ms"),
    ({"path": "/\r\n12:35:01 [INFO] forged"}, r"GET /\r\n12:35:01 [INFO] forged → 200 13B 0.2ms"),
    ({"path": "/\x1b[2J"}, r"GET /\x1b[2J → 200 13B 0.2ms"),
    ({"path": "/\x9b\x85\u2028\u202e\ud800"}, r"GET /\x9b\x85\u2028\u202e\ud800 → 200 13B 0.2ms"),
]


@pytest.mark.parametrize(("facts", "line"), LINES)
def test_each_answer_is_one_line_of_what_can_be_printed(facts: dict[str, Any], line: str) -> None:
    assert written(io.StringIO(), **facts) == f"12:35:01 [INFO] {line}\n"


def router() -> Router:
    router = Router()

    @router.get("/{status:int}")
    async def handler(req: Request) -> Any:
        if req.params["status"] == 500:
            raise ValueError("oops \x1b[2J\x00")
        return Response("body", req.params["status"])

    return router


def test_the_log_of_a_connection_has_no_query_and_counts_body_bytes(parser_class: Any) -> None:
    wire = Wire(router(), parser_class)
    wire.send(GET % b"200?secret=1", GET % b"404", b"HEAD" + (GET % b"200")[3:], GET % b"x")
    assert wire.lines == [
        "12:35:01 [INFO] GET /200 → 200 4B 0.0ms",
        "12:35:01 [INFO] GET /404 → 404 4B 0.0ms",
        "12:35:01 [INFO] HEAD /200 → 200 0B 0.0ms",
        "12:35:01 [INFO] GET /x → 404 9B 0.0ms",
    ]


def test_a_traceback_follows_an_error_and_cannot_move_the_cursor(parser_class: Any) -> None:
    wire = Wire(router(), parser_class).send(GET % b"500")
    first, *trace, last = wire.lines
    assert re.fullmatch(r"12:35:01 \[ERROR\] GET /500: .*handler raised ValueError", first)
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[-1] == r"ValueError: oops \x1b[2J\x00"
    assert last == "12:35:01 [INFO] GET /500 → 500 21B 0.0ms"


# Colours

COLOURS = [(200, 32), (204, 32), (299, 32), (301, 36), (404, 33), (599, 31)]


@pytest.mark.parametrize(("status", "colour"), COLOURS)
def test_on_a_terminal_the_status_has_the_colour_of_its_class(status: int, colour: int) -> None:
    expected = f"12:35:01 [\x1b[32mINFO\x1b[0m] GET / → \x1b[{colour}m{status}\x1b[0m 13B 0.2ms\n"
    assert written(Terminal(), status=status) == expected


def test_levels_have_their_colours() -> None:
    log = Log(stream := Terminal())
    log.info("a")
    log.warning("b")
    log.error("c")
    assert re.findall(r"\[\x1b\[(\d+)m(\w+)\x1b\[0m\]", stream.getvalue()) == [
        ("32", "INFO"),
        ("33", "WARNING"),
        ("31", "ERROR"),
    ]


WANTS: list[tuple[dict[str, str], bool, bool]] = [
    ({}, True, True),
    ({}, False, False),
    ({"NO_COLOR": "1"}, True, False),
    ({"NO_COLOR": ""}, True, True),
    ({"FORCE_COLOR": "1"}, False, True),
    ({"FORCE_COLOR": ""}, False, False),
    ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
    ({"PYTHON_COLORS": "1", "NO_COLOR": "1"}, False, True),
    ({"PYTHON_COLORS": "0", "FORCE_COLOR": "1"}, True, False),
    ({"PYTHON_COLORS": "yes"}, True, True),
    ({"TERM": "dumb"}, True, False),
    ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
]


@pytest.mark.parametrize(("environ", "terminal", "wanted"), WANTS)
def test_the_environment_decides_before_the_terminal(environ: Any, terminal: bool, wanted: bool) -> None:
    assert wants_colour(Terminal() if terminal else io.StringIO(), environ) is wanted


def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in written(Terminal())


# The stream


def test_lines_are_gathered_and_written_once_a_tick_or_64_kib() -> None:
    log = Log(stream := io.StringIO())
    for _ in range(10):
        log.answered([(Request(), 200, 13, 0.0)], 0.0)
    assert stream.getvalue() == ""
    log.tick()
    assert stream.getvalue().count("\n") == 10
    size = len(stream.getvalue()) // 10
    log.answered([(Request(), 200, 13, 0.0)] * (GATHER // size), 0.0)
    assert stream.getvalue().count("\n") == 10
    log.answered([(Request(), 200, 13, 0.0)] * BATCH, 0.0)
    assert stream.getvalue().count("\n") == 10 + GATHER // size + BATCH


def test_on_a_terminal_each_line_is_written_at_once() -> None:
    log = Log(stream := Terminal())
    log.answered([(Request(), 200, 13, 0.0)], 0.0)
    assert stream.getvalue().endswith("ms\n")


def test_an_error_line_takes_along_what_was_gathered_before_it() -> None:
    log = Log(stream := io.StringIO())
    log.answered([(Request(), 200, 13, 0.0)], 0.0)
    log.error("later")
    assert re.findall("INFO|ERROR", stream.getvalue()) == ["INFO", "ERROR"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_the_stream_cannot_say_is_written_otherwise_and_nothing_is_lost(encoding: str) -> None:
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding=encoding, newline="\n")
    log = Log(stream)
    log.answered([(Request(path="/плохо"), 200, 13, 0.0), (Request(path="/good"), 200, 13, 0.0)], 0.0)
    log.tick()
    assert raw.getvalue().splitlines() == [
        rb"12:35:01 [INFO] GET /\u043f\u043b\u043e\u0445\u043e -> 200 13B 0.0ms",
        b"12:35:01 [INFO] GET /good -> 200 13B 0.0ms",
    ]


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def closed_stream() -> io.StringIO:
    (stream := io.StringIO()).close()
    return stream


@pytest.mark.parametrize("stream", [closed_stream(), Broken(), object()])
def test_a_stream_that_cannot_be_written_costs_no_request(stream: Any) -> None:
    log = Log(stream)
    line_of(log)
    log.error("x")
    log.tick()


# A pipe


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """The reader's end and a text stream on the writer's, as standard output is one."""
    if not hasattr(select, "poll"):
        pytest.skip("this system cannot say whether a pipe has room")
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with open(writer, "w", encoding="utf-8") as stream:
        yield reader, stream
        os.close(reader)


def fill(log: Log, lines: int, start: int = 0) -> None:
    for number in range(start, start + lines):
        log.answered([(Request(path=f"/{number}"), 200, 13, 0.0)], 0.0)
    log.tick()


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"GET /(\d+) ", text)]


def drained(reader: int, log: Log) -> str:
    """All that comes when the pipe is read."""
    data = b""
    while True:
        try:
            data += os.read(reader, 1 << 20)
        except BlockingIOError:
            return data.decode()
        log.tick()


def test_a_pipe_that_is_not_read_costs_no_time_and_its_reader_gets_every_line_later(pipe: Any) -> None:
    reader, stream = pipe
    log = Log(stream)
    fill(log, 10_000)  # half a MiB: the pipe takes an eighth of it
    assert numbers(drained(reader, log)) == list(range(10_000))


def test_what_is_too_much_to_keep_is_counted_and_told_of_where_it_is_missing(pipe: Any) -> None:
    reader, stream = pipe
    log = Log(stream)
    fill(log, 40_000)
    kept = len(log._output.backlog)
    assert BACKLOG <= kept < BACKLOG + 2 * GATHER
    fill(log, 1000, 40_000)
    assert len(log._output.backlog) == kept
    text = drained(reader, log)
    fill(log, 10, 50_000)
    text += drained(reader, log)
    (told,) = re.findall(r"\[WARNING\] this log is read too slowly: (\d+) lines are missing here\n", text)
    before, _, after = text.partition("[WARNING]")
    assert numbers(before) == list(range(41_000 - int(told)))
    assert numbers(after) == list(range(50_000, 50_010))


def test_a_line_longer_than_a_pipe_takes_at_once_is_whole(pipe: Any) -> None:
    reader, stream = pipe
    log = Log(stream)
    log.error("é" * 100_000)
    assert drained(reader, log) == "12:35:01 [ERROR] " + "é" * 100_000 + "\n"


def test_what_the_app_prints_keeps_its_place_between_the_lines(pipe: Any) -> None:
    reader, stream = pipe
    log = Log(stream)
    log.info("one")
    print("two", file=stream)
    log.info("three")
    assert [line.split()[-1] for line in drained(reader, log).splitlines()] == ["one", "two", "three"]


def test_at_the_end_a_full_pipe_holds_the_server_up_for_a_moment_only(pipe: Any) -> None:
    log = Log(pipe[1])
    fill(log, 10_000)
    start = time.monotonic()
    log.finish()
    assert LAST_WORDS <= time.monotonic() - start < LAST_WORDS + 0.5


def test_a_pipe_whose_reader_is_gone_costs_no_request() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = open(writer, "w", encoding="utf-8")  # noqa: SIM115
    log = Log(stream)
    fill(log, 10_000)
    assert not log._output.backlog
    stream.close()


def test_a_program_without_standard_output_logs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    line_of(Log())


def test_escape_leaves_what_can_be_printed() -> None:
    assert escape("a é 日 \\ '") == "a é 日 \\ '"
    assert escape("\t\n\x7f\u200b") == r"\t\n\x7f\u200b"


def test_a_fail_writes_no_error_line(parser_class: Any) -> None:
    root = Router()
    root.get("/x")(lambda req: None)
    root.before(failing)
    assert len(Wire(root, parser_class).send(GET % b"x").lines) == 1


async def failing(req: Request) -> None:
    raise Fail(403, "no")


NO_FILES_LEFT = """
import os, resource, sys
from kissapi.log.tracebacks import traceback_of

def read():
    open("app.conf")

assert "traceback" not in sys.modules
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
held = []
try:
    while True:
        held.append(os.dup(0))
except OSError:
    pass
try:
    read()
except OSError as error:
    first = traceback_of(error)
    os.close(held.pop())
    os.close(held.pop())
    second = traceback_of(error)
print(first, second, sep="\\n---\\n")
"""


def test_an_error_for_want_of_files_has_a_traceback() -> None:
    """The module `traceback` cannot be imported then."""
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-S", "-c", NO_FILES_LEFT], cwd=ROOT, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
    plain, full = done.stdout.rstrip("\n").split("\n---\n")
    place, cause = '  File "<string>", line {}, in {}', "OSError: [Errno 24] Too many open files: 'app.conf'"
    assert plain.splitlines() == [
        "Traceback (most recent call last):",
        place.format(17, "<module>"),
        place.format(6, "read"),
        cause,
    ]
    assert full.startswith("Traceback")
    assert full.endswith(cause)


def test_an_error_while_python_shuts_down_has_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be imported any more."""
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "traceback", raising=False)
        patch.setattr(sys, "meta_path", None)
        lines = traceback_of(caught.value).splitlines()
    assert (lines[0], lines[-1]) == (
        "Traceback (most recent call last):",
        "ZeroDivisionError: division by zero",
    )
