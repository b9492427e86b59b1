"""json: `loads` and `dumps` (RFC 8259, with NaN and Infinity as Python adds them), where json is missing.

Its law: the values, the text, and the place of an error are those of the standard library. Of the hooks that
it has for subclasses, `JSONDecoder` has parse_float and parse_constant. The others (cls, object_hook …) are
left out, so that asking for one is a TypeError. Nesting is recursion: what is nested deeper than Python's own
limit is a RecursionError, never a crash.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_BLANKS = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"null|true|false|NaN|-?Infinity")
_WORDS = {"null": None, "true": True, "false": False}
_CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_HEX = re.compile(r"[0-9A-Fa-f]{4}")
_UNESCAPED = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

_TO_ESCAPE = re.compile(r'["\\\x00-\x1f]')
_TO_ESCAPE_IN_ASCII = re.compile(r'["\\]|[^ -~]')
_ESCAPED = {char: "\\" + letter for letter, char in _UNESCAPED.items() if letter != "/"}


class JSONDecodeError(ValueError):
    def __init__(self, msg: str, doc: str, pos: int) -> None:
        self.msg, self.doc, self.pos = msg, doc, pos
        self.lineno = doc.count("\n", 0, pos) + 1
        self.colno = pos - doc.rfind("\n", 0, pos)
        super().__init__(f"{msg}: line {self.lineno} column {self.colno} (char {pos})")

    def __reduce__(self) -> tuple[type[JSONDecodeError], tuple[str, str, int]]:
        return type(self), (self.msg, self.doc, self.pos)


def loads(s: str | bytes | bytearray) -> Any:
    if isinstance(s, (bytes, bytearray)):
        text = s.decode(_encoding(s), "surrogatepass")
    elif not isinstance(s, str):
        raise TypeError(f"the JSON object must be str, bytes or bytearray, not {type(s).__name__}")
    elif s.startswith("\ufeff"):
        raise JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", s, 0)
    else:
        text = s
    return JSONDecoder().decode(text)


class JSONDecoder:
    """Reads one text after the other; `parse_float` gets each number with a fraction or exponent, as written,
    and `parse_constant` each NaN, Infinity and -Infinity.
    """

    def __init__(
        self,
        *,
        parse_float: Callable[[str], Any] | None = None,
        parse_constant: Callable[[str], Any] | None = None,
    ) -> None:
        self.parse_float = parse_float or float
        self.parse_constant = parse_constant or _CONSTANTS.__getitem__

    def decode(self, s: str) -> Any:
        value, at = _read_value(s, _skip(s, 0), self)
        at = _skip(s, at)
        if at != len(s):
            raise JSONDecodeError("Extra data", s, at)
        return value


def _encoding(data: bytes | bytearray) -> str:
    """By the byte order mark, or else by where the zeros are: JSON begins with an ASCII character."""
    if data.startswith((b"\x00\x00\xfe\xff", b"\xff\xfe\x00\x00")):
        return "utf-32"
    if data.startswith((b"\xfe\xff", b"\xff\xfe")):
        return "utf-16"
    if data.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if len(data) >= 4:
        if not data[0]:
            return "utf-16-be" if data[1] else "utf-32-be"
        if not data[1]:
            return "utf-16-le" if data[2] or data[3] else "utf-32-le"
    elif len(data) == 2:
        if not data[0]:
            return "utf-16-be"
        if not data[1]:
            return "utf-16-le"
    return "utf-8"


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def _read_value(text: str, at: int, decoder: JSONDecoder) -> tuple[Any, int]:
    """The value that begins at `at`, and where it ends."""
    first = text[at : at + 1]
    if first == '"':
        return _read_string(text, at)
    if first == "{":
        return _read_object(text, at, decoder)
    if first == "[":
        return _read_array(text, at, decoder)
    if number := _NUMBER.match(text, at):
        whole, fraction, exponent = number.groups()
        value = decoder.parse_float(number[0]) if fraction or exponent else int(whole)
        return value, number.end()
    if word := _WORD.match(text, at):
        return _WORDS[word[0]] if word[0] in _WORDS else decoder.parse_constant(word[0]), word.end()
    raise JSONDecodeError("Expecting value", text, at)


def _read_object(text: str, at: int, decoder: JSONDecoder) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        return members, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        name, at = _read_string(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise JSONDecodeError("Expecting ':' delimiter", text, at)
        members[name], at = _read_value(text, _skip(text, at + 1), decoder)
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return members, at + 1
        if text[at : at + 1] != ",":
            raise JSONDecodeError("Expecting ',' delimiter", text, at)
        at = _skip(text, at + 1)


def _read_array(text: str, at: int, decoder: JSONDecoder) -> tuple[list[Any], int]:
    items: list[Any] = []
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return items, at + 1
    while True:
        item, at = _read_value(text, at, decoder)
        items.append(item)
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return items, at + 1
        if text[at : at + 1] != ",":
            raise JSONDecodeError("Expecting ',' delimiter", text, at)
        at = _skip(text, at + 1)


def _read_string(text: str, begin: int) -> tuple[str, int]:
    pieces: list[str] = []
    at = begin + 1
    while plain := _PLAIN.match(text, at):
        pieces.append(plain[0])
        at = plain.end()
        end = text[at : at + 1]
        if end == '"':
            break
        if end and end != "\\":
            raise JSONDecodeError("Invalid control character at", text, at)
        letter = text[at + 1 : at + 2]
        if not letter:
            raise JSONDecodeError("Unterminated string starting at", text, begin)
        if letter == "u":
            char, at = _read_code(text, at + 1)
            pieces.append(char)
        elif letter in _UNESCAPED:
            pieces.append(_UNESCAPED[letter])
            at += 2
        else:
            raise JSONDecodeError("Invalid \\escape", text, at)
    return "".join(pieces), at + 1


def _read_code(text: str, at: int) -> tuple[str, int]:
    """The character of uXXXX, or of two of them that are the halves of one (RFC 8259 §7)."""
    code = _hex(text, at)
    if 0xD800 <= code < 0xDC00 and text.startswith("\\u", at + 5):
        low = _hex(text, at + 6)
        if 0xDC00 <= low < 0xE000:
            return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)), at + 11
    return chr(code), at + 5


def _hex(text: str, at: int) -> int:
    digits = _HEX.match(text, at + 1)
    if digits is None:
        raise JSONDecodeError("Invalid \\uXXXX escape", text, at)
    return int(digits[0], 16)


def dumps(
    obj: Any,
    *,
    default: Callable[[Any], Any] | None = None,
    separators: tuple[str, str] | None = None,
    ensure_ascii: bool = True,
    indent: int | str | None = None,
    sort_keys: bool = False,
    allow_nan: bool = True,
) -> str:
    writer = _Writer(default, ensure_ascii, sort_keys, allow_nan)
    if separators is not None:
        writer.comma, writer.colon = separators
    elif indent is not None:
        writer.comma = ","
    if indent is not None:
        writer.indent = indent if isinstance(indent, str) else " " * indent
    writer.write(obj, "\n")
    return "".join(writer.pieces)


class _Writer:
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
