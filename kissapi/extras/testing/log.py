"""CapturedLog: the log of the client's server, as lines that a test can compare."""

from __future__ import annotations

import io
import re
import sys

from kissapi.log import Log

_COLOUR = re.compile("\x1b\\[[0-9;]*m")


class CapturedLog(Log):
    """Keeps what is logged. Errors go to standard error as well: pytest shows it for a failed test."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        super().__init__(self._text)

    @property
    def lines(self) -> list[str]:
        """The lines so far, without colours."""
        self.flush()
        return _COLOUR.sub("", self._text.getvalue()).splitlines()

    def _line(self, level: str, text: str) -> None:
        super()._line(level, text)
        if level == "ERROR":
            print(text, file=sys.stderr)
