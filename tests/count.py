"""How much there is to read: logical lines of each file (statements as `ast` sees them, no docstrings)."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent

# The flow of one request, from its bytes to the bytes of the answer: what a person must read to know kissapi.
CORE = ("parser", "connection", "answer", "request", "router", "hooks", "response", "fail")


def logical_lines(source: str) -> int:
    tree = ast.parse(source)
    statements = sum(isinstance(node, ast.stmt) for node in ast.walk(tree))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return statements - sum(
        ast.get_docstring(node) is not None for node in ast.walk(tree) if isinstance(node, documented)
    )


def main() -> None:
    counts = {
        file.relative_to(ROOT).as_posix(): logical_lines(file.read_text(encoding="utf-8"))
        for folder in ("kissapi", "compat")
        for file in (ROOT / folder).rglob("*.py")
    }
    extras = {name for name in counts if name.startswith("kissapi/extras/")}
    core = {f"kissapi/{name}.py" for name in CORE}
    groups = {
        "core logic": sorted(core & counts.keys(), key=lambda name: CORE.index(Path(name).stem)),
        "the rest of kissapi": sorted(
            name for name in counts if name.startswith("kissapi/") and name not in core and name not in extras
        ),
        "extras, which the core never imports": sorted(extras),
        "compat": sorted(name for name in counts if name.startswith("compat/")),
    }
    for title, names in groups.items():
        print(f"{title}")
        for name in names:
            print(f"  {counts[name]:5}  {name}")
        print(f"  {sum(counts[name] for name in names):5}  in all")
    print(f"kissapi and compat: {sum(counts.values())}")


if __name__ == "__main__":
    main()
