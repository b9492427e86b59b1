"""Budget: how many Python and C calls a request takes, on the Python that runs this.

Exact, where timings are noise. `python -m tests.budget` prints the figures; it needs nothing installed.
Raising a number needs a reason in the commit message; lowering one is always welcome.
"""

from __future__ import annotations

import sys
import time
from typing import Any, NamedTuple

from kissapi import HttpParser
from kissapi.backends.loop import running
from kissapi.http.pure import PureHttpParser
from tests.bench.peers.kiss import router
from tests.calls import list_calls
from tests.wire import Wire

BROWSER = b"".join(
    b"%b: %b\r\n" % field
    for field in [
        (b"Connection", b"keep-alive"),
        (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        (b"Accept-Language", b"en-GB,en;q=0.5"),
        (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
        (b"Cookie", b"session=0123456789abcdef"),
        (b"Upgrade-Insecure-Requests", b"1"),
        (b"Sec-Fetch-Dest", b"document"),
        (b"Sec-Fetch-Mode", b"navigate"),
    ]
)


class Budget(NamedTuple):
    """A request, and the most calls that it may take."""

    name: str
    line: bytes
    fields: bytes
    python: int
    c: int


BUDGETS = [
    Budget("GET, one field", b"GET /", b"", 13, 16),
    Budget("GET, ten fields of a browser", b"GET /", BROWSER, 14, 18),
    Budget("GET, a parameter", b"GET /users/7", b"", 14, 21),
    Budget("GET, two hooks", b"GET /hooked", b"", 16, 18),
    Budget("GET, a Response", b"GET /response", b"", 17, 18),
    Budget("GET, a Response with two fields", b"GET /response/fields", b"", 18, 29),
    Budget("POST, a body", b"POST /echo", b"Content-Length: 3\r\n", 15, 15),
]


def calls_of(budget: Budget, parser_class: Any) -> tuple[list[str], list[str]]:
    """The Python calls and the C calls of the third such request on a connection."""
    body = b"abc" if b"Length" in budget.fields else b""
    data = budget.line + b" HTTP/1.1\r\nHost: localhost:8000\r\n" + budget.fields + b"\r\n" + body
    wire = Wire(router, parser_class)
    wire.service.answered = None  # no access log
    wire.service.clock = time.perf_counter
    written: list[bytes] = []
    wire.transport.write = written.append  # type: ignore[method-assign, assignment]
    wire.send(data, data)
    running.loop = wire.loop
    try:
        calls = list_calls(wire.connection.data_received, data)
    finally:
        running.loop = None
    assert len(written) == 3
    return [call for call in calls if call.startswith("py ")], [
        call for call in calls if call.startswith("c ")
    ]


def main() -> int:
    library = "httptools" if HttpParser.library is not PureHttpParser.library else "its stand-in"
    print(f"budget: CPython {sys.version.split()[0]} with {library}")
    over = False
    for budget in BUDGETS:
        python, c = (len(calls) for calls in calls_of(budget, HttpParser))
        over |= python > budget.python or c > budget.c
        print(f"budget: {budget.name}: {python} + {c} of {budget.python} + {budget.c}")
    return 1 if over else 0


if __name__ == "__main__":
    raise SystemExit(main())
