"""Server headers: the fields that a server adds to every answer, checked once.

They are bytes of the ends of heads (`Roster.tail` and its siblings), so they cost a request nothing. A
response that has one of the fields itself gets its own: then, and only then, the server's is cut out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kissapi.http.headers import Headers

if TYPE_CHECKING:
    from kissapi.http.response import Response

# What the server says of each answer by itself: framing, kind, date, what becomes of the connection.
_REFUSED = frozenset(
    "connection content-length content-type date keep-alive trailer transfer-encoding upgrade".split()
)


class ServerHeaders:
    """`lines` are the fields as they go out, each behind a line end."""

    __slots__ = ("_lines", "lines")

    def __init__(self, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        fields = Headers(headers)
        for name in fields:
            if name in _REFUSED:
                raise ValueError(f"the server sets {name.title()} itself, in each answer as it needs to be")
        self._lines = [
            (name, f"\r\n{name.title()}: {value}".encode("utf-8", "surrogateescape"))
            for name, value in fields.lines()
        ]
        self.lines = b"".join(line for _, line in self._lines)

    def yield_to(self, response: Response, tail: bytes) -> bytes:
        """`tail` without the fields that `response` has itself."""
        for name, line in self._lines:
            if name in response.headers:
                tail = tail.replace(line, b"", 1)
        return tail
