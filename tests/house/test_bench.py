"""The bench does its sums right, takes no wrong answer for a figure, and asks what kissapi answers.

Without wrk, and without peers: nothing is measured here.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator

import pytest

from kissapi import HttpParser, Router
from kissapi.routing.dispatch import Dispatch
from tests.bench import cost, drive, goals, growth, ladder, pages, plaintext, profiles
from tests.bench.drive import MASK, Echo, Events, Paced, frame
from tests.bench.goals import GOALS, PASS, SHORT, UNKNOWN, Goal
from tests.bench.load import Load, LoadError, Press, read_report
from tests.bench.peers import bare, kiss
from tests.bench.plaintext import LOOPS
from tests.bench.run import Figures, Row, Run
from tests.bench.server import Candidate, Server, ServerError, ours
from tests.bench.table import Table
from tests.pages import README
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
    [
        "  Socket errors: connect 0, read 3, write 0, timeout 0\n",
        "  Non-2xx or 3xx responses: 8075\n",
        "Wrong answers: 1\n",
    ],
)
def test_an_error_makes_the_figure_worthless(line: str) -> None:
    with pytest.raises(LoadError, match=line.strip()):
        read_report(REPORT.replace("Requests/sec", f"{line}Requests/sec"))


def test_no_request_is_no_figure() -> None:
    with pytest.raises(LoadError, match="no request was answered"):
        read_report(REPORT.replace("8075 requests", "0 requests"))
    with pytest.raises(LoadError, match="no request was answered"):
        read_report("")


def test_wrk_is_told_in_lua_what_to_ask_and_which_lengths_are_right() -> None:
    assert 'string.rep(make("GET", "/", "", false), 16)' in Load(pipelined=16).script({13})
    mix = Load("/a", and_then=(Load("/b", body=b"xxx"), Load("/c", body=b"20", chunked=True)))
    script = mix.script({2, 13})
    assert 'make("POST", "/b", string.rep("x", 3), false)' in script
    assert 'make("POST", "/c", "20", true)' in script
    assert "lengths = { [2] = true, [13] = true }" in script
    assert "lengths" not in Load(checked=False).script({13})


def test_a_frame_is_that_of_the_rfc() -> None:
    # RFC 6455 §5.7
    assert frame(1, b"Hello") == bytes.fromhex("81 05 48 65 6c 6c 6f")
    assert frame(1, b"Hello", MASK) == bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")
    assert frame(2, bytes(256))[:4] == bytes.fromhex("82 7e 01 00")
    assert frame(2, bytes(65536))[:10] == bytes.fromhex("82 7f 00 00 00 00 00 01 00 00")


def test_a_row_is_chosen_by_a_word_of_its_name_not_by_that_of_its_group() -> None:
    run = Run(names=("file", "WEBsocket"))
    assert run.wants("profiles/file 1 KiB/nginx")
    assert run.wants("profiles/WebSocket 32 B/nginx")
    assert not run.wants("profiles/plain GET/nginx")


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
        figures.add(f"{loop}/a µs", 100)
        figures.add(f"{loop}/b µs", value * 100)
    assert goal.values(figures) == values
    assert goal.verdict(figures) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(4500, PASS), (4501, SHORT), (None, UNKNOWN)])
def test_some_goals_are_not_to_be_passed(value: float | None, verdict: str) -> None:
    goal = Goal("bytes", 4500, "a", at_most=True, unit="")
    assert goal.verdict(Figures() if value is None else Figures({"a": [value]})) == verdict


def test_the_best_round_of_each_decides_what_it_takes() -> None:
    goal = Goal("a ÷ b", 2, "a", "b", at_most=True)
    assert goal.values(Figures({"a µs": [30.0, 20.0], "b µs": [10.0, 90.0]})) == [2]


@pytest.mark.parametrize(("value", "verdict"), [(103.0, PASS), (103.1, SHORT)])
def test_some_are_about_a_difference(value: float, verdict: str) -> None:
    goal = Goal("more", 3, "a", "b", at_most=True, less=True)
    assert goal.verdict(Figures({"a µs": [value], "b µs": [100.0]})) == verdict


def test_then_is_the_same_ratio_of_the_older_one() -> None:
    figures = Figures({"p/kissapi on x µs": [50.0], "p/then on x µs": [150.0], "p/peer µs": [100.0]})
    beside = Goal("", 1, "p/kissapi on LOOP", "p/peer", ("x",), at_most=True)
    assert (beside.values(figures), beside.values(figures, "then")) == ([0.5], [1.5])
    faster = Goal("", 1.1, "p/kissapi on LOOP", "p/then on LOOP", ("x",))
    assert (faster.values(figures), faster.values(figures, "then")) == ([3], [])


def test_a_goal_of_which_nothing_was_measured_is_not_told() -> None:
    assert goals.tables(Figures()) == []


def every_key() -> set[str]:
    rows = [*plaintext.rows(), *ladder.rows(), *ladder.rows(quick=True), *profile_rows()]
    keys = {row.key + unit for row in rows for unit in ("", " µs", " MiB", " p50 µs", " p99 µs")}
    return keys | {f"cost/{name}/{what}" for name in cost.candidates() for what in cost.COSTS}


def profile_rows() -> list[Row]:
    return [row for block in profiles.blocks() for row in profiles.rows(block, "/then")]


def test_every_goal_is_about_what_is_measured() -> None:
    keys = every_key()
    for goal in GOALS:
        for loop in goal.loops:
            assert goal.one.replace("LOOP", loop) + goal.unit in keys
            assert not goal.other or goal.other.replace("LOOP", loop) + goal.unit in keys


def test_every_row_has_a_key_of_its_own() -> None:
    for rows in (plaintext.rows(), ladder.rows(), profile_rows()):
        assert len({row.key for row in rows}) == len(rows)


def test_every_group_has_tables_with_and_without_figures() -> None:
    keys = [*every_key()]
    keys += [
        f"growth/{loop}/{what}/{size}"
        for loop in LOOPS
        for what in growth.GROWTH
        for size in growth.GROWTH[what]
    ]
    full = Figures({key: [100.0, 120.0] for key in keys})
    for group in (plaintext, ladder, profiles, cost, growth, goals):
        for figures in (Figures(), full):
            for table in group.tables(figures):
                assert all(len(row) == len(table.head) for row in table.rows), table.title
    assert all(row[-1] != UNKNOWN for row in goals.tables(full)[0].rows)


def test_what_was_measured_has_a_place_in_the_pages() -> None:
    full = Figures({key: [100.0, 120.0] for key in every_key()})
    assert len(pages.speed_table(full)) == 2 + len(pages.SHOWN)
    for page, name, lines in (
        (README, "speed", pages.speed_table(full)),
        (pages.CHAPTER, "profiles", pages.profile_tables(full)),
    ):
        head, rows = page.read_text(encoding="utf-8"), "\n".join(lines)
        assert pages.replaced(head, name, lines) == pages.replaced(head, name, []).replace(
            f"<!-- {name} -->\n", f"<!-- {name} -->\n{rows}\n"
        )
        assert rows in pages.replaced(head, name, lines)


def test_what_is_not_measured_in_full_is_not_written() -> None:
    assert pages.write(Figures({"peers/kissapi on uvloop": [1.0]})) == []


def test_a_table_is_markdown() -> None:
    table = Table("Title", ["what", "how many"], [["a", "1"]], "A note.")
    assert table.markdown() == ("## Title\n\nA note.\n\n| what | how many |\n| --- | ---: |\n| a | 1 |\n")


def test_the_slope_tells_flat_from_linear() -> None:
    figures = Figures({"a/10": [5.0], "a/100": [50.0], "b/10": [5.0], "b/100": [5.0]})
    assert growth.slope(figures, "a", 10, 100) == pytest.approx(1)
    assert growth.slope(figures, "b", 10, 100) == pytest.approx(0)
    assert growth.slope(figures, "c", 10, 100) is None


# What is asked, and what is answered


PROFILES = {profile.name: profile for block in profiles.blocks() for profile in block}
LOADS = {name: profile.load for name, profile in PROFILES.items() if isinstance(profile.load, Load)}
LOADS |= ladder.RUNGS
# A thread, a folder, a certificate: what a wire has not.
NO_WIRE = {
    name
    for name, load in LOADS.items()
    if load.path in ("/blocking", "/stream/plain", "/static/1k.txt") or load.scheme == "https"
}


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
        server.ask(LOADS[ladder.THREAD])
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


@starts_servers
@pytest.mark.parametrize(
    "load",
    [
        Echo(3),
        Echo(3, size=65536, binary=True),
        Echo(3, "/broadcast", to_all=True),
        Events(3),
        Paced(3, rate=200),
    ],
    ids=str,
)
def test_a_client_in_python_counts_answers_that_are_right(chatty: Server, load: Press) -> None:
    figures = load.press(chatty, 0.1)
    assert figures[""] > 0
    assert figures[" MiB"] > 1


@starts_servers
@pytest.mark.parametrize(
    ("load", "error"),
    [
        (Echo(1, "/"), "GET / gives b'HTTP/1.1 200"),
        (Events(1, "/nowhere"), "GET /nowhere gives b'HTTP/1.1 404"),
        (Paced(1, "/json", rate=200), "the answer is b'HTTP/1.1 200 OK"),
    ],
    ids=str,
)
def test_a_wrong_answer_to_a_client_in_python_is_an_error(chatty: Server, load: Press, error: str) -> None:
    with pytest.raises(LoadError, match=error):
        load.press(chatty, 0.1)


@starts_servers
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_looks_at_each_answer(chatty: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = (Load("/length", b"3", body=b"xxx"), Load("/sum?a=1&b=2", b"23", body=b"20", chunked=True))
    mix = Load(connections=2, and_then=parts)
    assert mix.press(chatty, 1)[""] > 1
    script = Load.script
    monkeypatch.setattr(Load, "script", lambda load, lengths: script(load, lengths - {1}))
    with pytest.raises(LoadError, match="Wrong answers: "):
        mix.press(chatty, 1)


@starts_servers
def test_another_message_than_was_sent_is_an_error(chatty: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(opcode: int, payload: bytes, mask: bytes = b"") -> bytes:
        return frame(opcode, payload if mask else payload.upper(), mask)

    monkeypatch.setattr(drive, "frame", other)
    with pytest.raises(LoadError, match=r"the answer to a message of 32 bytes is b'\\x81 abc"):
        Echo(1).press(chatty, 0.1)


@pytest.fixture(scope="module")
def chatty() -> Iterator[Server]:
    with Server(ours("kiss.py", "selectors", "websocket=on")) as server:
        server.ready()
        yield server


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """With 10,000 routes, on a router of its own: other tests use that of the module."""
    with pytest.MonkeyPatch.context() as patch:
        grown = Router()
        grown["/"] = kiss.router
        patch.setattr(kiss, "router", grown)
        kiss.add_routes(10_000)
        wire = Wire(grown, max_body=1 << 30, max_fields=1000)
        wire.service.clock = time.perf_counter
        yield wire


@pytest.mark.parametrize("name", sorted(LOADS.keys() - NO_WIRE))
def test_kissapi_answers_what_is_asked(wire: Wire, name: str) -> None:
    for load in (LOADS[name], *LOADS[name].and_then):
        fields = "".join(f"{field}\r\n" for field in load.fields if field != "Connection: close")
        size = "Transfer-Encoding: chunked" if load.chunked else f"Content-Length: {len(load.body)}"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(load.body), load.body) if load.chunked else load.body
        head = f"{load.method} {load.path} HTTP/1.1\r\nHost: a\r\n{fields}{size}\r\n\r\n"
        before = len(wire.received)
        wire.send(head.encode() + body).wait(0.02)
        [(status, _, body)] = parse_answers(wire.received[before:])
        assert status == 200
        assert load.accepts(body)


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
