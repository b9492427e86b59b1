"""The apps stay short: lines as ruff formats them, without blanks, comments, docstrings and templates."""

from __future__ import annotations

import ast
import io
import tokenize

import pytest

from tests.places import ROOT

APPS = ROOT / "examples" / "apps"
MOST = {"notes": 65, "orders": 70, "live": 80, "memcached": 105}


def lines(source: str) -> int:
    """The lines of `source` on which something but comments and docstrings stands."""
    there: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NOTHING:
            there.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                there.difference_update(range(first.lineno, (first.end_lineno or 0) + 1))
    return len(there)


_NOTHING = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


@pytest.mark.parametrize("app", sorted(MOST))
def test_an_app_is_short(app: str) -> None:
    sources = [file.read_text(encoding="utf-8") for file in sorted((APPS / app).glob("*.py"))]
    assert sum(map(lines, sources)) <= MOST[app]


def test_each_app_is_counted() -> None:
    assert {file.parent.name for file in APPS.glob("*/app.py")} == MOST.keys()
