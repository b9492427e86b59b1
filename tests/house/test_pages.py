"""The README and the guide are true: their programs run, sessions show what comes, links lead somewhere.

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

from tests.certificates import make_certificates
from tests.examples.test_examples import Line, Program, at_once, masked, session
from tests.pages import GENERATED, INDEX, README, anchors, chapters, links, pages, with_next, with_tables


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


EXAMPLES = [example for page in pages() for example in examples(page)]


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


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {path}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {path}#{anchor}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_what_is_generated_is_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert with_next(page, with_tables(text)) == text, "write it: python -m tests.pages"


def test_each_generated_table_stands_somewhere() -> None:
    whole = "".join(page.read_text(encoding="utf-8") for page in pages())
    assert [name for name in GENERATED if f"<!-- {name} -->" not in whole] == []


def test_the_index_has_every_chapter_once() -> None:
    there = {page for page in pages() if page not in (README, INDEX)}
    assert sorted(chapters()) == sorted(there)


def test_the_index_calls_each_chapter_by_its_title() -> None:
    index = INDEX.read_text(encoding="utf-8")
    for page in chapters():
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        assert f"[{title}]({page.name})" in index


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_yaml_can_be_read(page: Path) -> None:
    yaml = pytest.importorskip("yaml")
    for block in re.findall(
        r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        assert all(isinstance(each, dict) for each in yaml.safe_load_all(block))
