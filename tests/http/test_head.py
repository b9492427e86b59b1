"""What is read at one look, and what is left to the careful road."""

from __future__ import annotations

import pytest

from kissapi.http.usual_head import usual_head

END = b"\r\n\r\n"
LINE = b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("head", "seen"),
    [
        (LINE + b"Host: a", (b"GET", b"/", None, b"a", None, None, None)),
        (b"PUT /a/b?c=[d] HTTP/1.1\r\nhost: a:80", (b"PUT", b"/a/b", b"c=[d]", b"a:80", None, None, None)),
        (b"GET /? HTTP/1.1\r\nHost: ", (b"GET", b"/", b"", b"", None, None, None)),
        (
            LINE + b"Accept: */*\r\nHost: a\r\nX:\r\nY: caf\xc3\xa9",
            (b"GET", b"/", None, b"a", None, None, None),
        ),
        (LINE + b"Host: a\r\nConnection: keep-alive", (b"GET", b"/", None, b"a", None, None, None)),
        (LINE + b"Host: a\r\nConnection: close", (b"GET", b"/", None, b"a", None, None, b"close")),
        (
            LINE + b"Host: a\r\nTE: x\r\nconnection: close\r\nX: y",
            (b"GET", b"/", None, b"a", None, None, b"close"),
        ),
        (
            LINE + b"Host: a\r\nCookie: a=b\r\nContent-Length: 15\r\nTE: gzip",
            (b"GET", b"/", None, b"a", b"15", None, None),
        ),
        (
            LINE + b"Host: a\r\ntransfer-encoding: chunked\r\nX: y",
            (b"GET", b"/", None, b"a", None, b"chunked", None),
        ),
    ],
)
def test_a_usual_head_is_read_at_one_look(head: bytes, seen: tuple[bytes | None, ...]) -> None:
    found = usual_head(head + END + b"GET /next")
    assert found is not None
    assert found.groups() == seen
    assert found.end() == len(head + END)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\nHost: a",
        b"GET /%41 HTTP/1.1\r\nHost: a",
        b"GET http://a/ HTTP/1.1\r\nHost: a",
        b"\r\n" + LINE + b"Host: a",
        LINE + b"X: y",
        LINE + b"Host: a\r\nHost: a",
        LINE + b"Host: a\r\nhOST: a",
        LINE + b"Host: a b",
        LINE + b"Host:  a",
        LINE + b"Connection: close\r\nHost: a",
        LINE + b"Host: a\r\nConnection: Close",
        LINE + b"Host: a\r\nConnection: close ",
        LINE + b"Host: a\r\nConnection: close, TE",
        LINE + b"Host: a\r\nConnection: close\r\nConnection: close",
        LINE + b"Host: a\r\nContent-Length: 1\r\nConnection: close",
        LINE + b"Host: a\r\nConnection: close\r\nContent-Length: 1",
        LINE + b"Connection: close\r\nHost: a\r\nConnection: close",
        LINE + b"Host: a\r\nConnection: keep-alive, close",
        LINE + b"Host: a\r\nTransfer-Encoding: Chunked",
        LINE + b"Host: a\r\nTransfer-Encoding: chunked ",
        LINE + b"Host: a\r\nTransfer-Encoding: chunked, chunked",
        LINE + b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        LINE + b"Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1",
        LINE + b"Transfer-Encoding: chunked\r\nHost: a",
        LINE + b"Host: a\r\ntRANSFER-eNCODING: chunked",
        LINE + b"Host: a\r\nContent-Length: 01",
        LINE + b"Host: a\r\nContent-Length: +1",
        LINE + b"Host: a\r\nContent-Length: 1, 1",
        LINE + b"Host: a\r\nContent-Length: 1\r\nContent-Length: 1",
        LINE + b"Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        LINE + b"Content-Length: 1\r\nHost: a",
        LINE + b"Host: a\r\nContent-Length: 9999999999999999999",
        LINE + b"Host: a\r\nExpect: 100-continue",
        # Read beyond their ends on CPython 3.11.2, when the loops of the pattern were possessive.
        LINE + b"Expect:\r\nHost: a",
        LINE + b"Expect:\r\nHost: a\r\nExpect:\r\nContent-Length: 60",
        LINE + b"Transfer-Encoding:\r\nHost: a\r\nExpect:\r\nContent-Length: 5",
        LINE + b"Host: a\r\nX : y",
        LINE + b"Host: a\r\n: y",
        LINE + b"Host: a\r\nX: y\r\n folded",
        LINE + b"Host: a\r\nX: \x00",
        LINE + b"Host: a\r\nX: y\nZ: y",
        LINE + b"Host: a\r\nX: y\rZ: y",
    ],
)
def test_any_other_head_is_left_to_the_careful_road(head: bytes) -> None:
    assert usual_head(head + END) is None
