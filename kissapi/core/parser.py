"""Parser: what the core asks of a protocol's parser.

A parser turns bytes into ONE request; the connection feeds it, and asks for the next parser by `reset`. An
exception is answered with 400, a `Fail` with its status. Both end the connection, unless the parser has set
`finished` and `unread` before: then it is known where the next message begins.
"""

from typing import Any


class Parser:
    """The base of parsers. A subclass has `feed_data`, and replaces what differs from the defaults."""

    __slots__ = ()

    finished = False  # True when the message is complete; no more data is fed then
    unread = b""  # the bytes behind this message: the start of the next (pipelining)
    begun = True  # False until the message begins: blank lines may come before it

    def __init__(self, request: Any) -> None:
        """A parser that fills in `request`, a new one of the server's request class."""

    def reset(self, request: Any) -> Any:
        """The parser of the next message: this one, made ready for `request`, or a new one."""
        return type(self)(request)

    def feed_data(self, data: bytes) -> None:
        """Parse the next bytes: set `request.method`, `request.path` …, and at the end `finished`."""

    def feed_eof(self) -> None:
        """The client sends no more: set `finished` if that completes the message."""

    def should_keep_alive(self) -> bool:
        """Whether the connection stays open after the answer."""
        return True
