"""Pages: the README and the chapters of the guide, as the tests read them.

Tables that the code decides, and files of examples/deploy, stand between two comments, `<!-- limits -->` and
`<!-- end -->`. `python -m tests.pages` writes them, and the last line of each chapter, which leads to the
next; a test compares both.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kissapi.cli.beyond import BEYOND, as_shown
from kissapi.cli.options import make_parser
from kissapi.http.limits import Limits
from tests.count import CORE, counts
from tests.places import ROOT

README = ROOT / "README.md"
GUIDE = ROOT / "examples" / "guide"
INDEX = GUIDE / "index.md"
DEPLOY = ROOT / "examples" / "deploy"


def chapters() -> list[Path]:
    """The chapters in the order of the index."""
    names = re.findall(r"^\| \[[^]]*\]\(([a-z0-9-]+\.md)\)", INDEX.read_text(encoding="utf-8"), re.MULTILINE)
    return [GUIDE / name for name in names]


def pages() -> list[Path]:
    """Everything that is read: the README, and the guide with its index."""
    return [README, *sorted(GUIDE.glob("*.md"))]


def block(page: Path, heading: str, language: str = "sh") -> str:
    """The first block of `language` below `heading`."""
    text = page.read_text(encoding="utf-8")
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    found = re.search(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found, f"no block of {language} below {heading} in {page.name}"
    return found[1]


def table(page: Path, heading: str) -> list[list[str]]:
    """The cells of the rows of the first table below `heading`, without its head."""
    text = page.read_text(encoding="utf-8")
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    rows = re.search(r"^\|.*\n\|[-|:]+\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert rows, f"no table below {heading} in {page.name}"
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[1].splitlines()]


def _limits() -> str:
    rows = [
        f"| `{name}` | {as_shown(name, getattr(Limits, name))} | {BEYOND[name]} |"
        for name in Limits.__annotations__
    ]
    return "\n".join(["| limit | default | beyond it, the client sees |", "|---|---|---|", *rows])


def _flags() -> str:
    rows = ["| flag | |", "|---|---|"]
    for group in make_parser()._action_groups:
        for action in group._group_actions:
            if action.dest in Limits.__annotations__ or action.help == argparse.SUPPRESS:
                continue
            flags = [flag for flag in action.option_strings if flag.startswith("--")]
            if flags and action.dest not in ("help", "version"):
                short = [flag for flag in action.option_strings if not flag.startswith("--")]
                names = ", ".join(f"`{flag}`" for flag in [flags[0], *short])
                rows.append(f"| {names} | {action.help or ''} |")
    return "\n".join(rows).replace("%%", "%")


def _core() -> str:
    statements = sum(count for name, count in counts().items() if name.startswith(CORE))
    return f"`make count` counts its statements: {statements}."


def _file(name: str, language: str) -> str:
    return f"```{language}\n{(DEPLOY / name).read_text(encoding='utf-8')}```"


GENERATED: dict[str, Callable[[], str]] = {
    "limits": _limits,
    "flags": _flags,
    "core": _core,
    "app": partial(_file, "app.py", "python"),
    "requirements": partial(_file, "requirements.txt", "text"),
    "dockerfile": partial(_file, "Dockerfile", "dockerfile"),
    "dockerignore": partial(_file, ".dockerignore", "text"),
    "kubernetes": partial(_file, "kubernetes.yaml", "yaml"),
    "socket": partial(_file, "app.socket", "ini"),
    "service": partial(_file, "app.service", "ini"),
    "nginx": partial(_file, "nginx.conf", "nginx"),
    "haproxy": partial(_file, "haproxy.cfg", "haproxy"),
    "haproxy_tls": partial(_file, "haproxy-tls.cfg", "haproxy"),
}


def with_tables(text: str) -> str:
    """`text` with its generated tables as the code has them now."""
    return re.sub(
        r"(<!-- (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{GENERATED[match[2]]()}\n{match[3]}",
        text,
        flags=re.DOTALL,
    )


def with_next(chapter: Path, text: str) -> str:
    """`text` with the link to the chapter that follows in the index."""
    order = [*chapters(), INDEX]
    if chapter not in order[:-1]:
        return text
    following = order[order.index(chapter) + 1]
    title = following.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    kept = re.sub(r"\n+Next: \[.*\n*\Z", "\n", text)
    return f"{kept.rstrip()}\n\nNext: [{title}]({following.name})\n"


def links(page: Path) -> list[tuple[str, str]]:
    """(path, anchor) of each link of `page` that leads to a file or a heading of this checkout."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(((?!\w+://)[^)#\s]*)(?:#([^)\s]*))?\)", text)
    return [(path, anchor) for path, anchor in found]


def anchors(page: Path) -> set[str]:
    """What a link to a heading of `page` may end in."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


if __name__ == "__main__":
    for page in pages():
        text = page.read_text(encoding="utf-8")
        now = with_next(page, with_tables(text))
        if now != text:
            page.write_text(now, encoding="utf-8")
            sys.stdout.write(f"{page.name}: written\n")
