"""Streams: `wsgi.input` and `wsgi.errors` of one call."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any


class ClientGone(ConnectionError):
    """The client has left, or does not want the rest: frameworks take an OSError for that."""


class Input(io.RawIOBase):
    """A body as it comes: `more()` waits for the next piece, and gives b"" at the end.

    `io.BufferedReader` round it has the methods of a file.
    """

    def __init__(self, more: Callable[[], bytes], piece: bytes) -> None:
        self._more = more
        self._piece = memoryview(piece)  # what has come
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._piece and not self._ended:
            self._piece = memoryview(self._more())
            self._ended = not self._piece
        piece = self._piece[: len(buffer)]
        buffer[: len(piece)] = piece
        self._piece = self._piece[len(piece) :]
        return len(piece)


class Errors:
    """What the app writes, for the log: `entry(text)` is called with whole lines, several perhaps."""

    _text = ""

    def __init__(self, entry: Callable[[str], None]) -> None:
        self._entry = entry

    def write(self, text: str) -> int:
        """Take `text`; at a line end it goes to the log."""
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes text, not {text!r}")
        self._text += text
        if text.endswith("\n"):
            self.flush()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Take each of `lines`."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Give what is there to the log."""
        text, self._text = self._text.rstrip("\n"), ""
        if text:
            self._entry(text)
