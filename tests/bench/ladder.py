"""Ladder: from bare bytes to a handler in a thread, rung by rung; a loss of speed shows on which it is.

Beside the time, which is noisy, the calls, which are exact: Python's and C's for one request, counted over a
transport that is no socket, with the tasks of the selectors backend.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kissapi import HttpParser
from kissapi.backends.loop import running
from kissapi.http.pure import PureHttpParser
from kissapi.routing.dispatch import Dispatch
from tests.bench.load import Load
from tests.bench.peers import bare, kiss
from tests.bench.plaintext import LOOPS
from tests.bench.run import Figures, Row, Run
from tests.bench.server import Candidate, ours
from tests.bench.table import Table
from tests.calls import list_calls
from tests.wire import Wire

PARSERS = {"httptools": HttpParser, "stand-in": PureHttpParser}
BYTES, PARSER, HTTP, CONNECTION = "constant bytes", "+ parser", "+ HttpParser", "+ connection"
ROUTER, HOOKS = "+ router, async def", "+ two hooks"
SLEEP, THREAD = "10 ms of sleep, 1,000 connections", "def, in a thread"
RUNGS: dict[str, Load] = {
    BYTES: Load(checked=False),  # else the lowest rungs would wait for wrk
    PARSER: Load(checked=False),
    HTTP: Load(checked=False),
    CONNECTION: Load(checked=False),
    ROUTER: Load(checked=False),
    HOOKS: Load("/hooked", checked=False),
    SLEEP: Load("/sleep", connections=1000, checked=False),
    THREAD: Load("/blocking", checked=False),
}
REQUEST = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"  # wrk's


def candidate(loop: str, parser: str, rung: str) -> Candidate:
    if rung == BYTES:
        return ours("bare.py", loop, "constant")
    if rung == PARSER:
        return ours("bare.py", loop, parser)
    if rung == HTTP:
        return ours("bare.py", loop, PARSERS[parser].__name__)
    options = ["parser=pure"] if parser == "stand-in" else []
    if rung == CONNECTION:
        options.append("rung=connection")
    return ours("kiss.py", loop, *options)


def rows(quick: bool = False) -> list[Row]:
    """All of them, but what a parser has no part in once only; quick: of the stand-in what is compared."""
    found: dict[str, Row] = {}
    for loop in LOOPS:
        for parser in PARSERS:
            for rung, load in RUNGS.items():
                if parser == "stand-in" and (rung in (SLEEP, THREAD) or (quick and rung != ROUTER)):
                    continue
                key = key_of(loop, parser, rung)
                found[key] = Row(key, candidate(loop, parser, rung), load)
    return list(found.values())


def key_of(loop: str, parser: str, rung: str) -> str:
    return f"ladder/{loop}/{'any parser' if rung == BYTES else parser}/{rung}"


def measure(run: Run) -> None:
    run.measure(rows(run.quick))


def tables(figures: Figures) -> list[Table]:
    return [_table(figures, parser) for parser in PARSERS]


def _table(figures: Figures, parser: str) -> Table:
    head = ["rung"]
    for loop in LOOPS:
        head += [f"{loop}, requests/s", "µs each"]
    head.append("calls")
    lines = []
    bars = {}
    for rung in RUNGS:
        line = [rung]
        for loop in LOOPS:
            key = key_of(loop, parser, rung)
            if key not in figures:
                line += ["–", "–"]
                continue
            line += [figures.show(key), f"{figures.median(f'{key} µs'):.1f}"]
            bars[f"{loop}: {rung}"] = figures.median(f"{key} µs")
        lines.append([*line, count(parser, rung)])
    note = "Calls: Python's + C's for one request, exact. µs: the server's processor time for it."
    return Table(f"Ladder, {parser}", head, lines, note, bars, "µs of CPU for one request")


def count(parser: str, rung: str) -> str:
    """The calls that one request takes on this rung, where they can be counted without a loop."""
    parser_class = PARSERS[parser]
    if rung == HTTP:
        connection = bare.protocol(parser_class.__name__)()
        connection.connection_made(_Nowhere())
        return _count(connection.data_received, REQUEST % b"/")
    if rung not in (CONNECTION, ROUTER, HOOKS):
        return "–"
    handle = Dispatch.handle
    if rung == CONNECTION:
        Dispatch.handle = kiss.handle_unrouted  # type: ignore[method-assign]
    try:
        wire = Wire(kiss.router, parser_class)
    finally:
        Dispatch.handle = handle  # type: ignore[method-assign]
    wire.service.answered = None  # no access log
    wire.service.clock = time.perf_counter
    wire.transport.write = _Nowhere().write  # type: ignore[method-assign]
    running.loop = wire.loop  # type: ignore[assignment]
    try:
        return _count(wire.connection.data_received, REQUEST % RUNGS[rung].path.encode())
    finally:
        running.loop = None


def _count(receive: Callable[[bytes], None], data: bytes) -> str:
    for _ in range(3):  # the first one makes what the others use
        receive(data)
    calls = list_calls(receive, data)
    python = sum(call.startswith("py ") for call in calls)
    return f"{python} + {len(calls) - python}"


class _Nowhere:
    def write(self, data: bytes) -> None:
        pass
