"""Blanks: a tab or a space round a field value is no part of it (RFC 9110 §5.6.3), whatever the field.

Where the value frames the message, tests/conformance has it; here are the fields that extras read.
"""

from __future__ import annotations

from typing import Any

from kissapi import HttpParser, Request, Router
from kissapi.http.pure import PureHttpParser
from tests.wire import Wire, parse_answers, split


def test_a_websocket_handshake_between_tabs(parser_class: Any) -> None:
    router = Router()

    @router.websocket("/ws")
    async def ws(ws: Any) -> None:
        pass

    fields = {
        "Host": "a",
        "Connection": "keep-alive\t,\tUpgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Origin": "http://a",
    }
    lines = "".join(f"{name}:\t{value}\t \t\r\n" for name, value in fields.items())
    for chunks in split(f"GET /ws HTTP/1.1\r\n{lines}\r\n".encode()):
        head, _, _ = Wire(router, parser_class).send(*chunks).received.partition(b"\r\n\r\n")
        ((status, answered, _),) = parse_answers(head + b"\r\n\r\n", ["HEAD"])
        assert (status, answered["sec-websocket-accept"]) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")


def test_an_app_sees_the_value_and_the_tabs_within_it() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nX: \ta\tb\t \r\nTransfer-Encoding:\tchunked\t\r\n\r\n0\r\n\r\n"
    for parser_class in (HttpParser, PureHttpParser):
        for chunks in split(head):
            request = Request()
            parser = parser_class(request)
            for chunk in chunks:
                parser.feed_data(chunk)
            assert parser.finished
            assert (request.headers["x"], request.headers["transfer-encoding"]) == ("a\tb", "chunked")
