"""The reader of JSON texts, for the stand-in of json: values as the standard library reads them."""

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
ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class JSONDecodeError(ValueError):
    def __init__(self, msg: str, doc: str, pos: int) -> None:
        self.msg, self.doc, self.pos = msg, doc, pos
        self.lineno = doc.count("\n", 0, pos) + 1
        self.colno = pos - doc.rfind("\n", 0, pos)
        super().__init__(f"{msg}: line {self.lineno} column {self.colno} (char {pos})")

    def __reduce__(self) -> tuple[type[JSONDecodeError], tuple[str, str, int]]:
        return type(self), (self.msg, self.doc, self.pos)


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
        elif letter in ESCAPES:
            pieces.append(ESCAPES[letter])
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
