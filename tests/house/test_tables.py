"""The tables of the guide say what the sources say, and the server does what they say."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from kissapi import Request, Router, Server
from kissapi.http.limits import Limits
from tests.examples.test_examples import NAMES
from tests.pages import GUIDE, INDEX, pages, table
from tests.peer import connect
from tests.places import ROOT

POST = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\nx\r\n'

# For each limit that is answered, or closes a connection: a low one, and what a client sends to go beyond it.
BEYOND = {
    "max_line": (100, b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 100)),
    "max_head": (100, b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 100)),
    "max_fields": (5, b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % (b"X: y\r\n" * 5)),
    "max_body": (5, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"),
    "max_query": (1, b"GET /?a&b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    "max_parts": (1, POST % (b"multipart/form-data; boundary=b", 104) + PART % b"a" + PART % b"b" + b"--b--"),
    "max_field": (3, POST % (b"application/x-www-form-urlencoded", 6) + b"a=four"),
    "max_field_name": (3, POST % (b"application/x-www-form-urlencoded", 6) + b"four=a"),
    "head_timeout": (0.1, b"GET /"),
    "body_timeout": (0.1, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx"),
    "idle_timeout": (0.1, b""),
}


@pytest.mark.parametrize("name", BEYOND)
def test_beyond_a_limit_the_client_sees_what_the_table_says(name: str, serve: Callable[..., Server]) -> None:
    router = Router()

    @router.get("/")
    async def count(req: Request) -> int:
        return len(req.query)

    @router.post("/")
    async def fill(req: Request) -> int:
        return len(req.form)

    limit, data = BEYOND[name]
    server = serve(router, **{name: limit})
    with connect(server.port) as client:
        client.sendall(data)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    effects = {row[0].strip("`"): row[2] for row in table(GUIDE / "limits.md", "Limits")}
    if status := re.match(r"\d+", effects[name]):
        assert answer.startswith(b"HTTP/1.1 %b " % status[0].encode())
    else:
        assert effects[name].startswith("the connection closed")
        assert not answer


def test_every_answered_limit_is_tried() -> None:
    assert {
        name.strip("`") for name, _, effect in table(GUIDE / "limits.md", "Limits") if effect[0] == "4"
    } <= BEYOND.keys()


def test_the_stopping_section_has_the_defaults() -> None:
    section = (GUIDE / "deployment.md").read_text(encoding="utf-8").partition("## Stopping")[2]
    assert f"{Limits.drain_timeout:g} s" in section
    assert f"{Limits.shutdown_timeout:g} s" in section


def test_the_make_targets_are_all_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    assert sorted(name.strip("`") for name, _ in table(GUIDE / "architecture.md", "Working on it")) == sorted(
        f"make {name}" for name in targets
    )
    for page in pages():
        text = page.read_text(encoding="utf-8")
        assert set(re.findall(r"\bmake ([a-z-]+)(?=`|  )", text)) <= set(targets), page.name


def test_the_examples_are_all_there() -> None:
    assert sorted(name.strip("`") for name, _ in table(INDEX, "Programs")) == NAMES


def test_the_parser_contract_is_that_of_the_sources() -> None:
    contract = (ROOT / "kissapi/http/contract.py").read_text(encoding="utf-8").split('"""')[1]
    listed = [
        name
        for row in table(GUIDE / "custom-protocols.md", "What a parser has")
        for name in re.findall(r"`(\w+)[`(]", row[0])
    ]
    stated = re.findall(r"^ {4,8}(?:def )?(\w+)(?:\(| =| +# is set)", contract, re.MULTILINE)
    assert sorted(listed) == sorted(set(stated))
