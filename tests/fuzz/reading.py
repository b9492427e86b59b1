"""Reading: what a parser makes of a stream of bytes, on any Python: it needs nothing installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kissapi import Fail, Request

if TYPE_CHECKING:
    from kissapi.http.limits import Limits

MORE, CLOSED = "more is to come", "closed"


class Message(NamedTuple):
    """One request as an app would see it, and the bytes of the stream it is made of."""

    method: str
    path: str
    query: str
    version: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    start: int
    end: int


class Outcome(NamedTuple):
    messages: list[Message]
    end: int | str  # the status of what cannot be read, or what becomes of the connection


def read(parser_class: Any, chunks: list[bytes], limits: Limits | None = None) -> tuple[Outcome, int]:
    """What a connection would do with `chunks`, and how many bytes it had been fed by then."""
    messages: list[Message] = []
    fed = start = 0
    request = Request()
    parser = parser_class(request)
    if limits is not None:
        parser.limits = limits
    for chunk in chunks:
        fed += len(chunk)
        data = chunk
        while data:
            try:
                parser.feed_data(data)
            except Fail as fail:
                return Outcome(messages, fail.status), fed
            if not parser.finished:
                break
            data = parser.unread
            end = fed - len(data)
            fields = tuple(request.headers.lines())
            messages.append(
                Message(
                    request.method,
                    request.path,
                    request.query_string,
                    request.http_version,
                    fields,
                    request.body,
                    start,
                    end,
                )
            )
            start = end
            if not parser.should_keep_alive():
                return Outcome(messages, CLOSED), fed
            request = Request()
            parser.reset(request)
    return Outcome(messages, MORE), fed
