"""The writer of JSON texts, for the stand-in of json: the text that the standard library writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .decoder import ESCAPES

if TYPE_CHECKING:
    from collections.abc import Callable

_TO_ESCAPE = re.compile(r'["\\\x00-\x1f]')
_TO_ESCAPE_IN_ASCII = re.compile(r'["\\]|[^ -~]')
_ESCAPED = {char: "\\" + letter for letter, char in ESCAPES.items() if letter != "/"}


class Writer:
    """Collects the pieces of one text."""

    comma, colon = ", ", ": "
    indent: str | None = None

    def __init__(
        self, default: Callable[[Any], Any] | None, ensure_ascii: bool, sort_keys: bool, allow_nan: bool
    ) -> None:
        self.default = default
        self.to_escape = _TO_ESCAPE_IN_ASCII if ensure_ascii else _TO_ESCAPE
        self.sort_keys = sort_keys
        self.allow_nan = allow_nan
        self.pieces: list[str] = []
        self.open: set[int] = set()  # the containers being written, so that none of them contains itself

    def write(self, value: Any, line: str) -> None:
        """Appends the pieces of `value`; `line` is a line break and the indent in force."""
        if isinstance(value, str):
            self.pieces.append(self.string(value))
        elif value is None or value is True or value is False or isinstance(value, (int, float)):
            self.pieces.append(self.scalar(value))
        else:
            if id(value) in self.open:
                raise ValueError("Circular reference detected")
            self.open.add(id(value))
            if isinstance(value, dict):
                self.object(value, line)
            elif isinstance(value, (list, tuple)):
                self.array(value, line)
            elif self.default is None:
                raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
            else:
                self.write(self.default(value), line)
            self.open.discard(id(value))

    def object(self, members: dict[Any, Any], line: str) -> None:
        inner, comma = self.inside(line)
        before = "{" + inner
        for name, value in sorted(members.items()) if self.sort_keys else members.items():
            self.pieces += (before, self.name(name), self.colon)
            self.write(value, inner)
            before = comma
        self.pieces.append((line if self.indent is not None else "") + "}" if members else "{}")

    def array(self, items: list[Any] | tuple[Any, ...], line: str) -> None:
        inner, comma = self.inside(line)
        before = "[" + inner
        for item in items:
            self.pieces.append(before)
            self.write(item, inner)
            before = comma
        self.pieces.append((line if self.indent is not None else "") + "]" if items else "[]")

    def inside(self, line: str) -> tuple[str, str]:
        """What stands before the first item of a container, and before each of the others."""
        if self.indent is None:
            return "", self.comma
        return line + self.indent, self.comma + line + self.indent

    def name(self, name: Any) -> str:
        if isinstance(name, str):
            return self.string(name)
        if name is None or isinstance(name, (int, float)):
            return f'"{self.scalar(name)}"'
        raise TypeError(f"keys must be str, int, float, bool or None, not {type(name).__name__}")

    def scalar(self, value: Any) -> str:
        if value is None:
            return "null"
        if value is True:
            return "true"
        if value is False:
            return "false"
        if isinstance(value, int):
            return int.__repr__(value)  # a subclass may print itself otherwise
        if value - value == 0:
            return float.__repr__(value)
        if not self.allow_nan:
            raise ValueError(f"Out of range float values are not JSON compliant: {value!r}")
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"

    def string(self, text: str) -> str:
        return f'"{self.to_escape.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if char in _ESCAPED:
        return _ESCAPED[char]
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
