"""Grammar: the classes of bytes that fields, chunks and parameters share (RFC 9110 §5.5, §5.6.2).

A class is written here once. The regular expressions and tables of the other modules are made of these.
"""

from __future__ import annotations

DIGITS = b"0123456789"
TOKEN = b"!#$%&'*+-.^_`|~ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + DIGITS
TEXT = bytes((0x09, *range(0x20, 0x7F), *range(0x80, 0x100)))  # what a field's value may hold

_TOKEN_CHARACTERS = frozenset(TOKEN.decode())


def is_token(text: str) -> bool:
    """Whether `text` may be a field name or a method (RFC 9110 §5.6.2)."""
    return bool(text) and _TOKEN_CHARACTERS.issuperset(text)


def members(field: str) -> list[str]:
    """The members of a field that is a list (RFC 9110 §5.6.1); empty ones do not count.

    >>> members("gzip, , br;q=1")
    ['gzip', 'br;q=1']
    """
    return [member for part in field.split(",") if (member := part.strip(" \t"))]
