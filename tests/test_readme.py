"""The README is true: its programs run, its sessions show what comes, its tables say what the sources say.

A ```python block that imports kissapi starts a program, another one goes on with it. A program that imports
asyncio or uvloop runs on asyncio, any other on both backends. A ```console block asks the program above it; a
line `$ python …` in one shows all that the program prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from kissapi.limits import Limits
from kissapi.response import REASONS
from tests.test_examples import NAMES, ROOT, Line, Program, at_once, masked, session

README = (ROOT / "README.md").read_text(encoding="utf-8")


class Example(NamedTuple):
    """A program of the README and what is shown of it."""

    line: int
    source: str
    sessions: list[Line]


def examples() -> Iterator[Example]:
    current: Example | None = None
    for block in re.finditer(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        language, text = block.groups()
        if language == "python":
            if current is None or re.search(r"^(from|import) kissapi\b", text, re.MULTILINE):
                if current is not None:
                    yield current
                current = Example(README.count("\n", 0, block.start(2)) + 1, text, [])
            else:
                current = current._replace(source=f"{current.source}\n{text}")
        elif language == "console":
            assert current is not None
            current.sessions.extend(session(text))
    assert current is not None
    yield current


EXAMPLES = list(examples())


@pytest.mark.parametrize("example", [pytest.param(each, id=f"line {each.line}") for each in EXAMPLES])
def test_program(example: Example, tmp_path: Path) -> None:
    needs = [
        name for name in ("asyncio", "uvloop") if re.search(rf"^import {name}$", example.source, re.MULTILINE)
    ]
    for name in needs:
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    file = tmp_path / "program.py"
    # Its first line stands where it stands in the README, for tracebacks that lead there.
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
    sized = name in ("max_line", "max_head", "max_body", "read_size", "body_rate")
    number = f"{value:g}"
    if sized:
        number = f"{value / (1 << 20):g} MiB" if value >= 1 << 20 else f"{value / 1024:g} KiB"
    return number + " s" * name.endswith("_timeout") + "/s" * name.endswith("_rate")


def test_the_limits_are_all_there() -> None:
    shown = {name.strip("`"): default for name, default, _ in table("What kissapi promises")}
    assert shown == {name: as_shown(name, getattr(Limits, name)) for name in Limits.__annotations__}


def test_the_statuses_of_the_limits_are_those_of_the_sources() -> None:
    sources = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "kissapi").glob("*.py"))
    for name, _, effect in table("What kissapi promises"):
        if status := re.match(r"4\d\d", effect):
            assert re.search(rf'Fail\(\s*{status[0]}, f?"{REASONS[int(status[0])]}', sources), name


def test_the_stopping_section_has_the_defaults() -> None:
    section = README.partition("## Stopping")[2].partition("\n## ")[0]
    assert f"{Limits.drain_timeout:g} s" in section
    assert f"{Limits.shutdown_timeout:g} s" in section


def test_the_make_targets_are_all_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    assert sorted(re.findall(r"`make ([a-z-]+)`", "".join(row[0] for row in table("Development")))) == sorted(
        targets
    )
    assert set(re.findall(r"\bmake ([a-z-]+)(?=`|  )", README)) <= set(targets)


def test_the_examples_are_all_there() -> None:
    assert sorted(name.strip("`") for name, _ in table("Examples")) == NAMES


def test_the_parser_contract_is_that_of_the_sources() -> None:
    contract = (ROOT / "kissapi/parser.py").read_text(encoding="utf-8").split('"""')[1]
    listed = [name for row in table("Custom protocols") for name in re.findall(r"`(\w+)[`(]", row[0])]
    assert sorted(listed) == sorted(
        set(re.findall(r"^    (?:def )?(\w+)(?:\(| =|  +# is set)", contract, re.MULTILINE))
        | {"__init__", "feed_data", "_finished"}
    )


def test_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", README)) <= anchors
