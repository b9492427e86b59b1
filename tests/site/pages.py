"""The pages of the site: which file of the checkout becomes which page.

The README and the guide stay what they are on a code host, where a link leads to a file. Here each link is
written anew, from the place of one page to that of another. What it leads to becomes a page as well: a file
with its source, a folder with a list of its files. So no page says what the checkout does not say.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import NamedTuple

from tests.pages import GUIDE, INDEX, README, pages
from tests.places import ROOT
from tests.site.reference import reference

EXAMPLES = ROOT / "examples"
# The target of a link or a picture: what stands between `](` and `)` or `#`, and is no URL.
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)[^)#\s]+(?=[)#])")
CODE = re.compile(r"^(```+).*?^\1$|`[^`\n]+`", re.MULTILINE | re.DOTALL)  # what stands in there is no link
PICTURES = (".svg", ".png")
# The files of a folder that become pages, with their lexers of Pygments. Others may be linked to as well.
LANGUAGES = {
    ".cfg": "ini", ".conf": "nginx", ".css": "css", ".html": "html", ".js": "js", ".json": "json",
    ".md": "markdown", ".py": "python", ".service": "systemd", ".sh": "sh", ".socket": "systemd",
    ".toml": "toml", ".txt": "text", ".yaml": "yaml", ".yml": "yaml", "Dockerfile": "docker",
}  # fmt: skip


class Group(NamedTuple):
    """Chapters that belong together, as the index of the guide has them."""

    title: str
    chapters: list[tuple[str, Path]]


def groups() -> list[Group]:
    """The groups of the index: each a bold line above a table of chapters."""
    found = []
    for part in re.split(r"^\*\*(?=[^*]+\*\*$)", INDEX.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        rows = re.findall(r"^\| \[([^]]*)\]\(([a-z0-9-]+\.md)\)", part, re.MULTILINE)
        found.append(Group(part.partition("**")[0], [(title, GUIDE / name) for title, name in rows]))
    return found


def place(path: Path) -> str:
    """Where a file or a folder stands in the site: `guide/files.md`, `examples/chat.py.md`, `speed.svg`."""
    if path == README:
        return "index.md"
    inside = path.relative_to(ROOT).as_posix()
    if path.is_relative_to(GUIDE):
        inside = inside.removeprefix("examples/")
    if path.is_dir():
        return f"{inside}/index.md"
    is_chapter = path.parent == GUIDE and path.suffix == ".md"
    return inside if is_chapter or path.suffix in PICTURES else f"{inside}.md"


def between(page: Path, target: Path) -> str:
    """The link from one page to another."""
    return os.path.relpath(place(target), Path(place(page)).parent)


def linked(page: Path, text: str) -> list[Path]:
    """What the links of `text`, of the file `page`, lead to. Raises `ValueError` where there is nothing."""
    return [_target(page, link) for link in LINK.findall(CODE.sub("", text))]


def _target(page: Path, link: str) -> Path:
    target = (page.parent / link).resolve()
    if not target.exists() or not target.is_relative_to(ROOT):
        raise ValueError(f"{page.relative_to(ROOT)} links to {link}, which is not in the checkout")
    return INDEX if target == GUIDE else target


def moved(page: Path, text: str) -> str:
    """`text`, of the file `page`, with the links that it has in the site."""
    parts, done = [], 0
    for code in [*CODE.finditer(text), None]:
        prose = text[done : code.start() if code else None]
        parts.append(LINK.sub(lambda link: between(page, _target(page, link[0])), prose))
        if code:
            parts.append(code[0])
            done = code.end()
    return "".join(parts)


def files(folder: Path) -> list[Path]:
    """The files below `folder` that are written by hand; `__init__.py` says nothing, and is left out."""
    known = [path for path in folder.rglob("*") if path.name in LANGUAGES or path.suffix in LANGUAGES]
    return sorted(path for path in known if path.is_file() and path.name != "__init__.py")


def examples() -> list[Path]:
    """The files of the examples, but for the guide."""
    return [path for path in files(EXAMPLES) if not path.is_relative_to(GUIDE)]


def everything() -> list[Path]:
    """All that becomes a page: README, guide, examples, and what these link to."""
    found = dict.fromkeys([*pages(), EXAMPLES, *examples()])
    for page in pages():
        found.update(dict.fromkeys(linked(page, page.read_text(encoding="utf-8"))))
    for folder in [path for path in found if path.is_dir() and path != EXAMPLES]:
        found.update(dict.fromkeys(files(folder)))
    return list(found)


def _source(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    language = LANGUAGES.get(path.name, LANGUAGES.get(path.suffix, "text"))
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall("`+", text))])
    return f"# {path.relative_to(ROOT).as_posix()}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n"


def _folder(path: Path) -> str:
    rows = [
        f"| [{file.relative_to(path).as_posix()}]({between(path, file)}) | {_about(file)} |"
        for file in (examples() if path == EXAMPLES else files(path))
    ]
    return "\n".join([f"# {path.relative_to(ROOT).as_posix()}/", "", "| file | |", "|---|---|", *rows, ""])


def _about(file: Path) -> str:
    """The first paragraph of the docstring of a module."""
    if file.suffix != ".py":
        return ""
    about = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(about.partition("\n\n")[0].split()).replace("|", "\\|")


def write(folder: Path) -> None:
    """Write all pages into `folder`."""
    for path in everything():
        target = folder / place(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in PICTURES:
            target.write_bytes(path.read_bytes())
        elif path in pages():
            target.write_text(moved(path, path.read_text(encoding="utf-8")), encoding="utf-8")
        else:
            target.write_text(_folder(path) if path.is_dir() else _source(path), encoding="utf-8")
    for name, text in reference().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
