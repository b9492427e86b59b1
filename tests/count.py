"""How much there is to read: logical lines of each file (statements as `ast` sees them, no docstrings)."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent

CORE = "kissapi/core/"  # the flow of one request, whatever its protocol


def logical_lines(source: str) -> int:
    tree = ast.parse(source)
    statements = sum(isinstance(node, ast.stmt) for node in ast.walk(tree))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return statements - sum(
        ast.get_docstring(node) is not None for node in ast.walk(tree) if isinstance(node, documented)
    )


def counts() -> dict[str, int]:
    """The logical lines of each file, by its path."""
    return {
        file.relative_to(ROOT).as_posix(): logical_lines(file.read_text(encoding="utf-8"))
        for folder in ("kissapi", "compat")
        for file in sorted((ROOT / folder).rglob("*.py"))
        if "compat" not in file.relative_to(ROOT).parts[1:]  # a link to compat/
    }


def main() -> None:
    counted = counts()
    extras = {name for name in counted if name.startswith("kissapi/extras/")}
    core = {name for name in counted if name.startswith(CORE)}
    groups = {
        "the core: the flow of one request": core,
        "the rest of kissapi": {
            name for name in counted if name.startswith("kissapi/") and name not in core | extras
        },
        "extras, which nothing else imports": extras,
        "compat": {name for name in counted if name.startswith("compat/")},
    }
    for title, names in groups.items():
        print(f"{title}: {sum(counted[name] for name in names)}")
        for name in sorted(names):
            print(f"  {counted[name]:5}  {name}")
    print(f"kissapi and compat: {sum(counted.values())}")


if __name__ == "__main__":
    main()
