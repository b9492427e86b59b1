"""The README and the guide are true: their programs run, sessions show what comes, tables say what is so.

A ```python block that imports kissapi starts a program, another one goes on with it. A program that imports
asyncio or uvloop runs on asyncio, any other on both backends. A ```console block asks the program above it; a
line `$ python …` in one shows all that the program prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from kissapi import Request, Router, Server
from kissapi.http.limits import Limits
from tests.certificates import make_certificates
from tests.examples.test_examples import NAMES, Line, Program, at_once, masked, session
from tests.peer import connect
from tests.places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


class Example(NamedTuple):
    """A program of a page and what is shown of it."""

    page: Path
    line: int
    source: str
    sessions: list[Line]


def examples(page: Path) -> Iterator[Example]:
    whole = page.read_text(encoding="utf-8")
    current: Example | None = None
    for block in re.finditer(r"^```(\w+)\n(.*?)^```$", whole, re.MULTILINE | re.DOTALL):
        language, text = block.groups()
        if language == "python":
            if current is None or re.search(r"^(from|import) kissapi\b", text, re.MULTILINE):
                if current is not None:
                    yield current
                current = Example(page, whole.count("\n", 0, block.start(2)) + 1, text, [])
            else:
                current = current._replace(source=f"{current.source}\n{text}")
        elif language == "console":
            assert current is not None
            current.sessions.extend(session(text))
    if current is not None:
        yield current


PAGES = [ROOT / "README.md", *sorted((ROOT / "examples" / "guide").glob("*.md"))]
EXAMPLES = [example for page in PAGES for example in examples(page)]


@pytest.mark.parametrize(
    "example", [pytest.param(each, id=f"{each.page.stem} line {each.line}") for each in EXAMPLES]
)
def test_program(example: Example, tmp_path: Path) -> None:
    needs = [
        name
        for name in ("asyncio", "uvloop")
        if re.search(rf'^import {name}$|loop="{name}"', example.source, re.MULTILINE)
    ]
    for name in needs:
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    if "cert.pem" in example.source:
        example = with_certificate(example, tmp_path)
    file = tmp_path / "program.py"
    # Its first line stands where it stands in the page, for tracebacks that lead there.
    file.write_text("\n" * (example.line - 1) + example.source, encoding="utf-8")
    assert example.sessions or re.search(r"^def test_", example.source, re.MULTILINE), (
        "nothing shows what it does"
    )

    printed = [line for line in example.sessions if line.command.startswith("python ")]
    asked = [line for line in example.sessions if line not in printed]

    def ask(backend: str) -> None:
        with Program(str(file), backend) as program:
            for command, shown in asked:
                assert masked(program.answer(command)) == masked(shown), command
            if not asked:
                program.finish()
        for _, shown in printed:
            lines = masked(program.output)
            assert [line for line in lines if "Parsing HTTP in pure Python" not in line] == masked(shown)

    at_once(["asyncio"] if needs else ["asyncio", "selectors"], ask)


def with_certificate(example: Example, folder: Path) -> Example:
    """The same with a certificate in `folder`, where cert.pem and key.pem are from now on."""
    make_certificates(folder)

    def there(text: str) -> str:
        return re.sub(r"\b(cert|key)\.pem\b", lambda name: str(folder / name[0]), text)

    sessions = [line._replace(command=there(line.command)) for line in example.sessions]
    return example._replace(source=there(example.source), sessions=sessions)


def table(heading: str) -> list[list[str]]:
    """The cells of the rows of the first table below `heading`, without its head."""
    section = re.split(rf"^#+ {re.escape(heading)}$", README, flags=re.MULTILINE)[1]
    rows = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert rows, f"no table below {heading}"
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[1].splitlines()]


def as_shown(name: str, value: float | None) -> str:
    """A limit the way the table writes it."""
    if value is None:
        return "none"
    sized = name in ("max_line", "max_head", "max_body", "max_field", "read_size", "body_rate", "write_rate")
    number = f"{value:g}"
    if sized:
        number = f"{value / (1 << 20):g} MiB" if value >= 1 << 20 else f"{value / 1024:g} KiB"
    return number + " s" * name.endswith("_timeout") + "/s" * name.endswith("_rate")


def test_the_limits_are_all_there() -> None:
    shown = {name.strip("`"): default for name, default, _ in table("What kissapi promises")}
    assert shown == {name: as_shown(name, getattr(Limits, name)) for name in Limits.__annotations__}


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
    effects = {row[0].strip("`"): row[2] for row in table("What kissapi promises")}
    if status := re.match(r"\d+", effects[name]):
        assert answer.startswith(b"HTTP/1.1 %b " % status[0].encode())
    else:
        assert effects[name].startswith("the connection closed")
        assert not answer


def test_every_answered_limit_is_tried() -> None:
    assert {
        name.strip("`") for name, _, effect in table("What kissapi promises") if effect[0] == "4"
    } <= BEYOND.keys()


def test_the_stopping_section_has_the_defaults() -> None:
    section = README.partition("## Stopping")[2].partition("\n## ")[0]
    assert f"{Limits.drain_timeout:g} s" in section
    assert f"{Limits.shutdown_timeout:g} s" in section


def test_the_make_targets_are_all_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    assert sorted(name.strip("`") for name, _ in table("Development")) == sorted(
        f"make {name}" for name in targets
    )
    assert set(re.findall(r"\bmake ([a-z-]+)(?=`|  )", README)) <= set(targets)


def test_the_examples_are_all_there() -> None:
    assert sorted(name.strip("`") for name, _ in table("Examples")) == NAMES


def test_the_parser_contract_is_that_of_the_sources() -> None:
    contract = (ROOT / "kissapi/http/contract.py").read_text(encoding="utf-8").split('"""')[1]
    listed = [name for row in table("Custom protocols") for name in re.findall(r"`(\w+)[`(]", row[0])]
    stated = re.findall(r"^ {4,8}(?:def )?(\w+)(?:\(| =| +# is set)", contract, re.MULTILINE)
    assert sorted(listed) == sorted(set(stated))


def test_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", README)) <= anchors
