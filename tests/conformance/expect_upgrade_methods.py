"""Expect, Upgrade and the methods with a rule of their own (RFC 9110 §7.8, §9.3, §10.1.1)."""

from __future__ import annotations

from tests.conformance.case import END, case, fields, line, post

GET = fields()
HELLO = "POST / hello"
LENGTH = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"
UPGRADE = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
SOCKET = (
    b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
)  # fmt: skip

# fmt: off
CASES = [
    # Expect; that 100 is sent when it is waited for, and only then, is in tests/http/test_connection.py
    case("9110 §10.1.1", "100-continue is met.", post(b"Expect: 100-continue", LENGTH), HELLO),
    case("9110 §10.1.1", "Expectations have no case.", post(b"Expect: 100-Continue", LENGTH), HELLO),
    case("9110 §5.6.3", "Between tabs.", post(b"Expect:\t100-continue\t", LENGTH), HELLO),
    case("9110 §5.6.3", "Another one between tabs.", post(b"Expect:\t100-contin\t", LENGTH), 417),
    case("9110 §10.1.1", "With chunks.",
         post(b"Expect: 100-continue", CHUNKED, body=b"5\r\nhello\r\n0" + END), HELLO),
    case("9110 §10.1.1", "Without a body there is nothing to wait for.",
         fields(b"Expect: 100-continue"), "GET /"),
    case("9110 §10.1.1", "With an empty body neither.",
         post(b"Expect: 100-continue", b"Content-Length: 0", body=b""), "POST /"),
    case("9110 §10.1.1", "An empty list expects nothing.", fields(b"Expect:"), "GET /"),
    case("9110 §10.1.1", "The same twice.",
         post(b"Expect: 100-continue", b"Expect: 100-continue", LENGTH), HELLO),
    case("9110 §10.1.1", "Another expectation.", fields(b"Expect: 200-ok"), 417),
    case("9110 §10.1.1", "Another beside it.", post(b"Expect: 100-continue, a", LENGTH), 417),
    case("9110 §10.1.1", "Another number.", post(b"Expect: 101-continue", LENGTH), 417),
    case("9110 §10.1.1", "A parameter.", post(b"Expect: 100-continue;a=b", LENGTH), 417),
    case("9110 §10.1.1", "Less than the whole word.", post(b"Expect: 100", LENGTH), 417),
    case("9110 §10.1.1", "HTTP/1.0 expects nothing: it MUST be ignored.",
         fields(b"Expect: a", start=b"GET / HTTP/1.0"), "GET /", closes=True),
    case("9110 §15.2", "HTTP/1.0 gets no 100, though it asks.",
         fields(b"Expect: 100-continue", LENGTH, start=b"POST / HTTP/1.0") + b"hello", HELLO, closes=True),
    case("9110 §10.1.1", "A body that will be refused is not asked for.",
         post(b"Expect: 100-continue", b"Content-Length: 99999999", body=b""), 413),
    case("9112 §6.1", "Nor one whose end nobody knows.",
         post(b"Expect: 100-continue", LENGTH, CHUNKED, body=b"0" + END), 400),
    case("9110 §10.1.1", "A client that ends while it waits.",
         post(b"Expect: 100-continue", LENGTH, body=b""), 100, 400, cut=True),

    # Upgrade
    case("9110 §7.8", "h2c is not spoken: the request is one of HTTP/1.1.",
         fields(*UPGRADE) + GET, "GET /", "GET /"),
    case("9110 §7.8", "A body of a request to upgrade is read.",
         post(*UPGRADE, LENGTH) + GET, HELLO, "GET /"),
    case("9110 §7.8", "Chunks of a request to upgrade are read.",
         post(*UPGRADE, CHUNKED, body=b"5\r\nhello\r\n0" + END) + GET, HELLO, "GET /"),
    case("9110 §7.8", "A body over the limit is refused all the same.",
         post(*UPGRADE, b"Content-Length: 99999999", body=b""), 413),
    case("9112 §6.1", "A length and a coding are refused all the same.",
         post(*UPGRADE, LENGTH, CHUNKED, body=b"0" + END), 400),
    case("6455 §4.2.2", "A WebSocket where nobody speaks it.", fields(*SOCKET) + GET, "GET /", "GET /"),
    case("6455 §4.1", "A WebSocket by POST.", post(*SOCKET, LENGTH) + GET, HELLO, "GET /"),
    case("9110 §7.8", "A protocol nobody knows.",
         fields(b"Connection: upgrade", b"Upgrade: x/1") + GET, "GET /", "GET /"),
    case("9110 §7.8", "Upgrade without the option.", fields(b"Upgrade: h2c") + GET, "GET /", "GET /"),
    case("9110 §7.8", "The option without Upgrade.", fields(b"Connection: upgrade") + GET, "GET /", "GET /"),
    case("9110 §5.6.3", "Upgrade between tabs.",
         fields(b"Connection:\tupgrade\t", b"Upgrade:\tx/1\t") + GET, "GET /", "GET /"),
    case("9110 §7.8", "An empty Upgrade.",
         fields(b"Connection: upgrade", b"Upgrade:") + GET, "GET /", "GET /"),
    case("9110 §7.8", "Upgrade in HTTP/1.0 MUST be ignored.",
         fields(*UPGRADE, start=b"GET / HTTP/1.0") + GET, "GET /", closes=True),
    case("9110 §7.8", "An upgrade that closes.",
         fields(b"Connection: upgrade, close", b"Upgrade: x") + GET, "GET /", closes=True),

    # Methods
    case("9110 §9.3.2", "HEAD is GET without the body.", line(b"HEAD / HTTP/1.1") + GET, "HEAD /", "GET /"),
    case("9110 §9.3.2", "HEAD says the length GET would have.",
         line(b"HEAD /abc HTTP/1.1"), "HEAD /abc", fields={"content-length": "9",
         "content-type": "text/plain"}),
    case("9110 §9.3.2", "HEAD of a stream has its coding, and no chunk.",
         line(b"HEAD /stream HTTP/1.1") + GET, "HEAD /stream", "GET /"),
    case("9110 §9.3.2", "An error for HEAD has no body.", b"HEAD / HTTP/1.1" + END, "HEAD 400"),
    case("9110 §9.3.2", "An expectation of HEAD that is not met.",
         fields(b"Expect: a", start=b"HEAD / HTTP/1.1"), "HEAD 417"),
    case("9110 §9.3.7", "OPTIONS says what is allowed.",
         line(b"OPTIONS / HTTP/1.1"), 204, fields={"allow": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"}),
    case("9110 §9.3.7", "OPTIONS of one resource.",
         line(b"OPTIONS /nothing HTTP/1.1"), 204,
         fields={"allow": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"}),
    case("9110 §9.3.7", "OPTIONS of the server.",
         line(b"OPTIONS * HTTP/1.1"), 204, fields={"allow": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"}),
    case("9110 §9.3.7", "OPTIONS with a body.",
         fields(LENGTH, start=b"OPTIONS * HTTP/1.1") + b"hello" + GET, 204, "GET /"),
    case("9110 §15.5.6", "405 MUST say what is allowed.",
         line(b"PROPFIND / HTTP/1.1"), 405, fields={"allow": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"}),
]
# fmt: on
