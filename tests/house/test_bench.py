"""The bench does its sums right, takes no wrong answer for a figure, and asks what kissapi answers.

Without wrk, and without peers: nothing is measured here.
"""

from __future__ import annotations

import shutil
import sys
import time

import pytest

from kissapi import HttpParser
from kissapi.routing.dispatch import Dispatch
from tests.bench import cost, goals, growth, ladder, plaintext, work
from tests.bench.goals import GOALS, PASS, SHORT, UNKNOWN, Goal
from tests.bench.load import Load, LoadError, read_report
from tests.bench.peers import bare, kiss
from tests.bench.plaintext import LOOPS
from tests.bench.run import Figures, Row, Run
from tests.bench.server import Candidate, Server, ServerError, ours
from tests.bench.table import Table
from tests.wire import Wire, parse_answers

REPORT = """Running 1s test @ http://127.0.0.1:8000/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.10ms    1.07ms  11.79ms   94.38%
    Req/Sec     8.08k     2.21k   14.44k    70.00%
  8075 requests in 1.00s, 1.00MB read
Requests/sec:   8022.47
Transfer/sec:      1.03MB
"""
starts_servers = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("taskset") is None, reason="it takes Linux' taskset"
)


# wrk


def test_the_report_tells_requests_a_second_and_in_all() -> None:
    assert read_report(REPORT) == (8022.47, 8075)


@pytest.mark.parametrize(
    "line",
    ["  Socket errors: connect 0, read 3, write 0, timeout 0\n", "  Non-2xx or 3xx responses: 8075\n"],
)
def test_an_error_makes_the_figure_worthless(line: str) -> None:
    with pytest.raises(LoadError, match=line.strip()):
        read_report(REPORT.replace("Requests/sec", f"{line}Requests/sec"))


def test_no_request_is_no_figure() -> None:
    with pytest.raises(LoadError, match="no request was answered"):
        read_report(REPORT.replace("8075 requests", "0 requests"))
    with pytest.raises(LoadError, match="no request was answered"):
        read_report("")


def test_wrk_is_told_in_lua_only_what_it_has_no_option_for() -> None:
    assert Load(fields=("A: b",)).script() == ""
    assert Load(body=b"xxx").script() == 'wrk.method, wrk.body = "POST", string.rep("x", 3)'
    assert "string.rep(wrk.format(), 16)" in Load(pipelined=16).script()


# Figures and goals


def test_what_is_compared_is_compared_within_a_round() -> None:
    # The machine was ten times as slow in the second round: the ratio does not notice.
    figures = Figures({"one": [200.0, 22.0, 180.0], "other": [100.0, 10.0, 100.0]})
    assert figures.ratio("one", "other") == 2
    assert figures.median("one") == 180
    assert figures.spread("one") == (22, 200)
    assert figures.show("other") == "100 ±45%"


@pytest.mark.parametrize(
    ("values", "verdict"), [([2.0, 3.0], PASS), ([1.9, 3.0], SHORT), ([3.0, 1.9], SHORT), ([3.0], UNKNOWN)]
)
def test_the_worst_loop_decides(values: list[float], verdict: str) -> None:
    goal = Goal("a ÷ b", 2, "LOOP/a", "LOOP/b", ("x", "y"))
    figures = Figures()
    for loop, value in zip("xy", values, strict=False):
        figures.add(f"{loop}/a", value * 100)
        figures.add(f"{loop}/b", 100)
    assert goal.values(figures) == values
    assert goal.verdict(figures) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(4500, PASS), (4501, SHORT), (None, UNKNOWN)])
def test_some_goals_are_not_to_be_passed(value: float | None, verdict: str) -> None:
    goal = Goal("bytes", 4500, "a", at_most=True)
    assert goal.verdict(Figures() if value is None else Figures({"a": [value]})) == verdict


def test_nothing_measured_is_no_goal_met() -> None:
    assert {row[-1] for row in goals.tables(Figures())[0].rows} == {UNKNOWN}


def test_every_goal_is_about_what_is_measured() -> None:
    rows = [*plaintext.rows(), *ladder.rows(), *ladder.rows(quick=True), *work.rows()]
    keys = {row.key for row in rows}
    keys |= {f"cost/{name}/{what}" for name in cost.candidates() for what in cost.COSTS}
    for goal in GOALS:
        for loop in goal.loops:
            assert goal.one.replace("LOOP", loop) in keys
            assert not goal.other or goal.other.replace("LOOP", loop) in keys


def test_every_row_has_a_key_of_its_own() -> None:
    for rows in (plaintext.rows(), ladder.rows(), work.rows()):
        assert len({row.key for row in rows}) == len(rows)


def test_every_group_has_tables_with_and_without_figures() -> None:
    keys = [row.key for row in (*plaintext.rows(), *ladder.rows(), *work.rows())]
    keys += [f"cost/{name}/{what}" for name in cost.candidates() for what in cost.COSTS]
    keys += [
        f"growth/{loop}/{what}/{size}"
        for loop in LOOPS
        for what in growth.GROWTH
        for size in growth.GROWTH[what]
    ]
    full = Figures({key: [100.0, 120.0] for each in keys for key in (each, f"{each} µs")})
    for group in (plaintext, ladder, work, cost, growth, goals):
        for figures in (Figures(), full):
            for table in group.tables(figures):
                assert all(len(row) == len(table.head) for row in table.rows), table.title
    assert all(row[-1] != UNKNOWN for row in goals.tables(full)[0].rows)


def test_a_table_is_markdown() -> None:
    table = Table("Title", ["what", "how many"], [["a", "1"]], "A note.")
    assert table.markdown() == ("## Title\n\nA note.\n\n| what | how many |\n| --- | ---: |\n| a | 1 |\n")


def test_the_slope_tells_flat_from_linear() -> None:
    figures = Figures({"a/10": [5.0], "a/100": [50.0], "b/10": [5.0], "b/100": [5.0]})
    assert growth.slope(figures, "a", 10, 100) == pytest.approx(1)
    assert growth.slope(figures, "b", 10, 100) == pytest.approx(0)
    assert growth.slope(figures, "c", 10, 100) is None


# What is asked, and what is answered


LOADS = {**{name: load for name, (_, load) in work.APART.items()}, **work.WORK, **ladder.RUNGS}
IN_A_THREAD = {name for name, load in LOADS.items() if load.path == "/blocking"}


def test_the_rung_without_a_router_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dispatch, "handle", kiss.handle_unrouted)
    wire = Wire(kiss.router).send(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
    [(status, _, body)] = parse_answers(wire.received)
    assert (status, body) == (200, b"Hello, world!")


@pytest.mark.parametrize("parser", ["constant", "stand-in", "HttpParser", "PureHttpParser", "httptools"])
def test_a_bare_protocol_answers_each_request_once(parser: str) -> None:
    if parser == "httptools":
        pytest.importorskip("httptools")
    written: list[bytes] = []

    class Transport:
        write = staticmethod(written.append)

    connection = bare.protocol(parser)()
    connection.connection_made(Transport())
    for _ in range(2):
        connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert written == [bare.ANSWER, bare.ANSWER]
    assert parse_answers(bare.ANSWER)[0][2] == b"Hello, world!"


def test_the_ladder_counts_calls() -> None:
    if HttpParser.library.__name__ != "httptools":
        pytest.skip("httptools is not installed")
    counts = {rung: ladder.count("httptools", rung) for rung in ladder.RUNGS}
    sums = [
        sum(map(int, counts[rung].split(" + "))) for rung in (ladder.HTTP, ladder.CONNECTION, ladder.HOOKS)
    ]
    assert sums == sorted(sums)
    assert counts[ladder.THREAD] == "–"


@starts_servers
def test_a_candidate_is_started_asked_and_ended() -> None:
    with Server(ours("kiss.py", "selectors")) as server:
        assert server.ready() > 0
        server.ask(LOADS[work.THREAD])
        with pytest.raises(ServerError, match="GET / gives 200 b'Hello, world!'"):
            server.ask(Load(answer=b"Hello, moon!"))
        with pytest.raises(ServerError, match="GET /nowhere gives 404"):
            server.ask(Load("/nowhere"))
        assert server.pids() == [server.process.pid]
        assert server.cpu() > 0
        for sock in server.connect(3):
            sock.close()
    assert server.process.returncode == 0


@starts_servers
def test_a_candidate_that_does_not_start_is_told_and_the_others_go_on() -> None:
    run = Run(rounds=2, seconds=1)
    broken = Candidate((sys.executable, "-c", "raise SystemExit('no such thing')"))
    absent = Candidate(("true",), needs=("no such distribution",))
    run.measure([Row("broken", broken), Row("absent", absent)])
    assert run.failures == {"broken": "ServerError: it does not start: no such thing"}
    assert run.left_out == {"absent": "no such distribution not installed"}
    assert "broken" not in run.figures


@pytest.fixture(scope="module")
def wire() -> Wire:
    kiss.add_routes(10_000)  # for good: so the tests that use it are the last
    wire = Wire(kiss.router, max_body=1 << 30, max_fields=1000)
    wire.service.clock = time.perf_counter
    return wire


@pytest.mark.parametrize("name", sorted(LOADS.keys() - IN_A_THREAD))
def test_kissapi_answers_what_is_asked(wire: Wire, name: str) -> None:
    load = LOADS[name]
    fields = "".join(f"{field}\r\n" for field in load.fields if field != "Connection: close")
    head = (
        f"{load.method} {load.path} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {len(load.body)}\r\n\r\n"
    )
    before = len(wire.received)
    wire.send(head.encode() + load.body).wait(0.02)
    [(status, _, body)] = parse_answers(wire.received[before:])
    assert (status, body) == (200, load.answer)


@pytest.mark.parametrize("what", sorted(growth.GROWTH))
def test_kissapi_answers_what_grows(wire: Wire, what: str) -> None:
    for size in growth.GROWTH[what][:4]:
        before = len(wire.received)
        wire.send(growth.request(what, size))
        [(status, _, body)] = parse_answers(wire.received[before:])
        assert status == 200
        if what == "bytes of a response":
            assert len(body) == size
        if what == "bytes of a request":
            assert body == b"%d" % size
