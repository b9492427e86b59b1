"""The call budget: Python and C calls per request, by a profile hook. Exact, where timings are noise.

Raising a number needs a reason in the commit message; lowering one is always welcome.
"""

from __future__ import annotations

import time

import pytest

from kissapi import HttpParser
from kissapi.backends.loop import running
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

# (request, its field lines, most Python calls, most C calls)
BUDGETS = [
    pytest.param(b"GET /", b"", 13, 16, id="one field"),
    pytest.param(b"GET /", BROWSER, 14, 18, id="ten fields of a browser"),
    pytest.param(b"GET /users/7", b"", 14, 21, id="a parameter"),
    pytest.param(b"GET /hooked", b"", 16, 18, id="two hooks"),
    pytest.param(b"POST /echo", b"Content-Length: 3\r\n", 15, 15, id="a body"),
]


@pytest.mark.parametrize(("line", "fields", "most_python", "most_c"), BUDGETS)
def test_a_request_takes_no_more_calls_than_its_budget(
    line: bytes, fields: bytes, most_python: int, most_c: int
) -> None:
    if HttpParser.library.__name__ != "httptools":
        pytest.skip("the budget is that of httptools, which is not installed")
    body = b"abc" if b"Length" in fields else b""
    data = line + b" HTTP/1.1\r\nHost: localhost:8000\r\n" + fields + b"\r\n" + body
    wire = Wire(router)
    wire.service.answered = None  # no access log
    wire.service.clock = time.perf_counter
    written: list[bytes] = []
    wire.transport.write = written.append  # type: ignore[method-assign]
    wire.send(data, data)
    running.loop = wire.loop  # type: ignore[assignment]
    try:
        calls = list_calls(wire.connection.data_received, data)
    finally:
        running.loop = None
    assert len(written) == 3
    python = [call for call in calls if call.startswith("py ")]
    c = [call for call in calls if call.startswith("c ")]
    assert len(python) <= most_python, "\n".join(calls)
    assert len(c) <= most_c, "\n".join(calls)
