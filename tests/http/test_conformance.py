"""HTTP/1.1 to the letter: the cases of tests/conformance, in every split, both parsers, both backends."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import HttpParser
from tests.cases import about
from tests.conformance import TOPICS
from tests.conformance.app import router
from tests.conformance.case import END, Case
from tests.conftest import BACKENDS, PARSERS
from tests.peer import connect
from tests.serving import make, running
from tests.wire import Wire, parse_answers, split

if TYPE_CHECKING:
    from kissapi.http.service import Service

CASES = [(topic, case) for topic, cases in TOPICS.items() for case in cases]

# What a client sends behind a case: another request if the connection goes on; if not, what nobody may read.
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close" + END
GARBAGE = NEXT + b"\x00 garbage \r\n\r\n" * 100

MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
DATE = re.compile(rf"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d {MONTH} \d{{4}} \d\d:\d\d:\d\d GMT")


def check(case: Case, received: bytes, behind: tuple[int | str, ...] = ()) -> None:
    """Compare what came with what the case says, and `behind` with what came after that."""
    expected = [*case.answers, *behind]
    final = [answer for answer in expected if answer != 100]
    methods = [
        "HEAD" if isinstance(answer, str) and answer.startswith("HEAD ") else "GET" for answer in final
    ]
    answers = parse_answers(received, methods)
    if b"xpect" in case.data and 100 not in expected:  # said or not, by how the bytes come
        answers = [answer for answer in answers if answer[0] != 100]
    seen: list[int | str] = []
    for (status, fields, body), answer in zip(answers, expected, strict=False):
        if isinstance(answer, str) and answer.startswith("HEAD "):
            assert body == b""
            seen.append(f"HEAD {status}" if status != 200 else answer)
        else:
            seen.append(body.decode() if status == 200 else status)
        if status != 100:
            check_head(status, fields, answer, last=answer is expected[-1])
    seen += [status for status, _, _ in answers[len(expected) :]]
    assert seen == expected, f"RFC {case.rfc}: {case.why}"
    if expected and not behind:
        fields = answers[-1][1]
        assert {name: fields.get(name) for name in case.fields} == case.fields
        assert case.closes == (fields.get("connection") == "close")


def check_head(status: int, fields: dict[str, str], answer: int | str, last: bool) -> None:
    """What every head must have (RFC 9110 §6.6.1, §8.6; RFC 9112 §6.1)."""
    assert DATE.fullmatch(fields["date"])
    framing = ("content-length" in fields) + ("transfer-encoding" in fields)
    assert framing == (status not in (204, 304)) or (last and fields["connection"] == "close")
    if status >= 400:
        assert fields["content-type"] == "text/plain"


def test_the_cases_are_many_and_tell_themselves_apart() -> None:
    assert len(CASES) >= 220
    for topic, cases in TOPICS.items():
        assert len({case.data for case in cases}) >= len(cases) - 3, topic
    for _, case in CASES:
        assert re.fullmatch(r"\d+ §[\d.]+", case.rfc), case
        assert case.why.endswith((".", "digit.")), case


@pytest.mark.parametrize("topic", TOPICS)  # not each case: pytest's own work for a test takes longer
def test_the_cases_in_every_split_and_with_a_tail(parser_class: Any, topic: str) -> None:
    service = Wire(router, parser_class).service
    for case in TOPICS[topic]:
        with about(case):
            check_splits(service, case)


def check_splits(service: Service, case: Case) -> None:
    for chunks in cuts(case.data):
        wire = Wire(router, service=service).send(*chunks).wait(1)
        if case.cut:  # what has to be there before the client ends
            check(case._replace(answers=case.answers[:-1], fields={}, closes=False), wire.received)
            assert not wire.closed
            wire.send_eof().wait(1)
        check(case, wire.received)
        assert wire.closed == case.closes
        wire.lose()
    tail = b"" if case.cut else GARBAGE[:100] if case.closes else NEXT
    for chunks in cuts(case.data + tail)[:2] if tail else ():
        wire = Wire(router, service=service).send(*chunks).send_eof().wait(1)
        check(case, wire.received, () if case.closes else ("GET /next",))
        assert wire.closed


def cuts(data: bytes) -> list[list[bytes]]:
    """Whole, byte by byte, in halves, in threes; of what is long both ends, for between is one long value."""
    if len(data) < 2000:
        return [[chunk for chunk in way if chunk] for way in split(data)]
    first, middle, last = data[:300], data[300:-300], data[-300:]
    pieces = [middle[index : index + 1000] for index in range(0, len(middle), 1000)]
    return [[data], [*split(first)[1], *pieces, *split(last)[1]]]


SERVERS = [
    pytest.param((backend, *parser.values), id=f"{backend}-{parser.id}")
    for backend in BACKENDS
    for parser in PARSERS
]


@pytest.fixture(scope="module", params=SERVERS)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server for all the cases."""
    backend, parser_class = request.param
    if parser_class is HttpParser and HttpParser.library.__name__ != "httptools":
        pytest.skip("httptools is not installed: HttpParser is the pure parser here")
    with running(make(backend, router, parser_class=parser_class)) as server:
        yield server.port


@pytest.mark.parametrize("topic", TOPICS)
def test_the_cases_over_a_socket(port: int, topic: str) -> None:
    """Everything in one go, and read to the end: a reset would raise."""
    for case in TOPICS[topic]:
        with connect(port) as client:
            client.sendall(case.data + (b"" if case.cut else GARBAGE if case.closes else NEXT))
            if case.cut:
                client.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: client.recv(65536), b""))
        check(case, received, () if case.closes else ("GET /next",))


def test_an_error_arrives_though_much_was_sent_behind_it(port: int) -> None:
    with connect(port) as client:
        client.sendall(b"BAD\r\n\r\n" + b"x" * 500_000)
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert [status for status, _, _ in parse_answers(received)] == [400]
