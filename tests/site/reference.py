"""The reference: each public name by its docstring. Public is what `__all__` of kissapi or an extra has.

The names of `kissapi` are grouped here. An extra is a page by itself, found in its folder, so a new one is
there from its first day. What a page says of a name is read from its docstring by mkdocstrings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.places import ROOT

# Page: its title, and the names of `kissapi` on it. A test compares them with `kissapi.__all__`.
GROUPS = {
    "router": ("Router, Server, App", ["Router", "Server", "serve", "App"]),
    "request": (
        "Request and input",
        ["Request", "Headers", "Upload", "Query", "Header", "Cookie", "Form", "File"],
    ),
    "response": ("Response and Fail", ["Response", "html", "redirect", "Fail"]),
    "awaitables": (
        "Awaitables",
        ["sleep", "to_thread", "spawn", "gather", "timeout", "Event", "Queue", "clock"],
    ),
    "protocols": ("Protocols", ["HttpParser", "Link"]),
}

_ABOUT = """\
    options:
      members: false
      show_root_heading: false
      show_root_toc_entry: false
"""


def public(file: Path) -> list[str]:
    """The names of `__all__`. Nothing is imported: an extra may need a package that is not here."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(ast.literal_eval(node.value), key=str.lower)
    raise ValueError(f"{file.relative_to(ROOT)} has no __all__")


def extras() -> Iterator[tuple[str, Path]]:
    """(name, file) of each extra: a module, or a folder by its `__init__.py`."""
    for path in sorted((ROOT / "kissapi" / "extras").iterdir()):
        file = path / "__init__.py" if path.is_dir() else path
        if path.suffix in ("", ".py") and path.name != "__init__.py" and file.exists():
            yield path.stem, file


def names() -> list[str]:
    """Every public name, with its module: `kissapi.Router`, `kissapi.extras.cors.cors`."""
    own = [f"kissapi.{name}" for name in public(ROOT / "kissapi" / "__init__.py")]
    return own + [f"kissapi.extras.{extra}.{name}" for extra, file in extras() for name in public(file)]


def reference() -> dict[str, str]:
    """The pages of the reference, by their place."""
    pages = {
        f"reference/{page}.md": _page(title, "", [f"kissapi.{name}" for name in of_page])
        for page, (title, of_page) in GROUPS.items()
    }
    for extra, file in extras():
        module = f"kissapi.extras.{extra}"
        pages[f"reference/extras/{extra}.md"] = _page(
            module, module, [f"{module}.{name}" for name in public(file)]
        )
    return {"reference/index.md": _index(pages), **pages}


def _page(title: str, module: str, of_page: list[str]) -> str:
    about = [f"::: {module}\n{_ABOUT}"] if module else []
    return "\n".join([f"# {title}\n", *about, *(f"::: {name}\n" for name in of_page)])


def _index(pages: dict[str, str]) -> str:
    """A list of every name, each a link to what is said of it."""
    lines = ["# Reference\n", "Every public name, by its docstring: what `help()` shows.\n"]
    for place, text in pages.items():
        of_page = re.findall(r"^::: (\S+)\n(?!    )", text, re.MULTILINE)
        links = [
            f"[`{name.rpartition('.')[2]}`]({place.removeprefix('reference/')}#{name})" for name in of_page
        ]
        title = text.partition("\n")[0].removeprefix("# ")
        lines.append(f"**[{title}]({place.removeprefix('reference/')})**: {', '.join(links)}\n")
    return "\n".join(lines)
