"""Docstrings as Markdown: an extension of griffe, which reads them for the reference.

Most docstrings show their example indented. Where an example stands alone below the first sentence, the
margin that all lines share is taken off, and nothing tells it from prose: so what parses as Python is code.
"""

from __future__ import annotations

import ast
import textwrap
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Indents an example that stands alone."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is None:
            return
        first, _blank, rest = obj.docstring.value.partition("\n\n")
        try:
            is_code = bool(ast.parse(rest).body)
        except SyntaxError:
            return
        if is_code:
            obj.docstring.value = f"{first}\n\n{textwrap.indent(rest, '    ')}"
