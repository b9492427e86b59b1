"""Referee: what a parser makes of a stream of bytes, and whether the others make the same of it.

The two parsers agree in every split on the requests, on where each ends, on what becomes of the
connection, and on the piece with which that is known: a client that stops anywhere gets the same answer. What
they take, h11 takes alike, but for what is told in `excuse`.
"""

from __future__ import annotations

import random
import re
from typing import Any

import h11

from kissapi import HttpParser
from kissapi.http.headers import decode_fields
from kissapi.http.limits import Limits
from kissapi.http.pure import PureHttpParser
from kissapi.http.uri import canonical
from tests.fuzz.grammar import pieces, stream
from tests.fuzz.reading import CLOSED, MORE, Message, Outcome, read

__all__ = ["CLOSED", "MORE", "PARSERS", "TIGHT", "HttpParser", "PureHttpParser", "judge", "run"]

PARSERS: list[Any] = [HttpParser, PureHttpParser]
TIGHT = Limits(max_line=60, max_head=150, max_fields=4, max_body=12)


def judge(data: bytes, dice: random.Random, limits: Limits | None) -> tuple[Outcome, int]:
    """What becomes of `data`, and how many of its requests h11 saw alike; raises if there is a difference."""
    expected, _ = read(PARSERS[0], [data], limits)
    for chunks in ([data], pieces(dice, data)):
        ends = set()
        for parser_class in PARSERS:
            outcome, fed = read(parser_class, chunks, limits)
            ends.add(fed)
            assert outcome == expected, (
                f"{parser_class.__name__} in {len(chunks)} pieces {chunks!r}\n{outcome}\nnot\n{expected}"
            )
        assert len(ends) == 1, f"{chunks!r} are {expected.end} after {ends} bytes, by the parser"
    return expected, compare_with_h11(data, expected.messages)


def compare_with_h11(data: bytes, messages: list[Message]) -> int:
    other = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    other.receive_data(data)
    for count, message in enumerate(messages):
        try:
            seen = read_with_h11(other)
        except h11.RemoteProtocolError as error:
            if not excuse(data[message.start : message.end]):
                raise AssertionError(f"h11 refuses {message}") from error
            return count
        assert alike(message, *seen), f"h11 has {seen}, not {message}"
        if message.version == "1.0":
            return count + 1  # h11 keeps no HTTP/1.0 alive
    return len(messages)


def read_with_h11(other: h11.Connection) -> tuple[h11.Request, bytes]:
    request = body = None
    while True:
        event = other.next_event()
        if isinstance(event, h11.Request):
            request, body = event, b""
        elif isinstance(event, h11.Data):
            assert body is not None
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            raise AssertionError(f"h11 waits for more: {event}")
    assert request is not None
    assert body is not None
    other.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
    other.send(h11.EndOfMessage())
    if other.our_state is h11.DONE and other.their_state is h11.DONE:
        other.start_next_cycle()
    return request, body


def alike(message: Message, request: h11.Request, body: bytes) -> bool:
    target = request.target.decode("ascii")
    absolute = re.match(r"(?i)https?://([^/?]*)", target)
    fields = sorted((name.decode(), decode_fields(value)) for name, value in request.headers)
    if absolute:
        target = target[absolute.end() :]
        target = target if target.startswith("/") else "/" + target
        fields = sorted([*(field for field in fields if field[0] != "host"), ("host", absolute[1])])
    path, _, query = target.partition("?")
    # h11 writes Transfer-Encoding in lower case, and Content-Length without blanks.
    ours = sorted(
        (name, value.lower() if name == "transfer-encoding" else value) for name, value in message.fields
    )
    return (
        message.method == request.method.decode()
        and message.version == request.http_version.decode()
        and (message.path, message.query) == (canonical(path), query)
        and ours == fields
        and message.body == body
    )


def excuse(data: bytes) -> str | None:
    """Why h11 may refuse what kissapi takes."""
    if data.startswith(b"\r\n"):
        return "an empty line before the request: RFC 9112 §2.2 has servers skip at least one"
    if re.search(rb"(?m)^[0-9A-Fa-f]+[\t ]+;|^[0-9A-Fa-f]+;.*[^\r\t -~]", data):
        return "blanks before the ; of a chunk extension (RFC 9110 §5.6.3), or old text within its quotes"
    if re.search(rb"(?i)\r\n0[^\n]*\r\n(?:[^\n]+\r\n)*?(?:content-length|transfer-encoding|host):", data):
        return "a trailer that would frame the message: kissapi drops it, h11 reads it"
    return None


def run(seed: int) -> tuple[Outcome, int]:
    """One seed, from its bytes to the verdict."""
    dice = random.Random(seed)
    return judge(stream(dice), dice, TIGHT if dice.random() < 0.15 else None)
