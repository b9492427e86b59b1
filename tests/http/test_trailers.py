"""What stands in a trailer changes nothing: neither the connection nor the fields of the request."""

from __future__ import annotations

import pytest

from kissapi.http.parser import HttpParser
from kissapi.http.pure import PureHttpParser
from kissapi.http.request import Request

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("parser_class", [HttpParser, PureHttpParser])
@pytest.mark.parametrize("trailer", [b"Connection: close", b"Upgrade: x", b"Host: b", b"Content-Length: 5"])
def test_a_trailer_is_dropped(parser_class: type[HttpParser], trailer: bytes) -> None:
    data = HEAD + b"2\r\nhi\r\n0\r\n" + trailer + b"\r\n\r\nGET"
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        parser = parser_class(request := Request())
        behind = b""
        for piece in pieces:
            if parser.finished:
                behind += piece
            else:
                parser.feed_data(piece)
        assert parser.finished
        assert parser.should_keep_alive()
        assert request.body == b"hi"
        assert parser.unread + behind == b"GET"
        assert (request.headers["host"], len(request.headers)) == ("a", 2)
