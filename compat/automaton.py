"""Automaton: a grammar as a table, row = state, column = byte, cell = the next state.

An input is refused at the first byte that no valid input could have there, however the input is cut, at one
look-up a byte. (Of half a line a regular expression says only "no match", and would have to read that half
again when the rest of it comes.) `heads` writes the grammar with it, and `httptools` reads the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ERROR, DONE = 0, 1  # the states that end a scan; every cell that no rule fills is ERROR

DIGITS = b"0123456789"
LETTERS = bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B))
TOKEN = b"!#$%&'*+-.^_`|~" + DIGITS + LETTERS  # RFC 9110 §5.6.2
VISIBLE = bytes(range(0x21, 0x7F))
TEXT = b"\t " + VISIBLE + bytes(range(0x80, 0x100))  # what a field value may hold, RFC 9110 §5.5


class Automaton:
    """Built by rules once, at import; afterwards only `rows` is read."""

    def __init__(self) -> None:
        self.rows = [bytearray(256), bytearray(256)]  # a byte a cell, so at most 256 states

    def state(self, like: int = ERROR) -> int:
        """A new state, with the rules that `like` has by now."""
        self.rows.append(bytearray(self.rows[like]))
        return len(self.rows) - 1

    def on(self, state: int, chars: bytes, target: int) -> None:
        for byte in chars:
            self.rows[state][byte] = target

    def words(self, words: Iterable[tuple[bytes, int]], like: int = ERROR, fold: bool = False) -> int:
        """A new state, from which each word leads to its target; where no word goes on, `like` does.

        No word may be the beginning of another. Words that end alike share the states of that end: only so do
        the methods of HTTP fit in a table of bytes.
        """
        states: dict[frozenset[tuple[bytes, int]], int] = {}

        def state_before(ends: frozenset[tuple[bytes, int]]) -> int:
            for end, target in ends:
                if not end:
                    return target
            if ends not in states:
                state = states[ends] = self.state(like)
                for first in sorted({end[:1] for end, _ in ends}):
                    target = state_before(frozenset((e[1:], t) for e, t in ends if e[:1] == first))
                    self.on(state, first.lower() + first.upper() if fold else first, target)
            return states[ends]

        return state_before(frozenset(words))
