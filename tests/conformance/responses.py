"""Responses: one framing, one Date, a type for errors, nothing to be mistaken (RFC 9110 §6, §15)."""

from __future__ import annotations

from tests.conformance.case import END, case, fields, line, post, target

GET = fields()
BARE: dict[str, str | None] = {"content-length": None, "transfer-encoding": None}
ERROR: dict[str, str | None] = {"content-type": "text/plain", "connection": "close"}

# fmt: off
CASES = [
    case("9110 §8.6", "The length of a body.",
         GET, "GET /", fields={"content-length": "5", "transfer-encoding": None}),
    case("9110 §8.6", "204 MUST NOT have a length.", target(b"/nothing") + GET, 204, "GET /"),
    case("9110 §15.3.5", "204 has no body and no framing.", target(b"/nothing"), 204, fields=BARE),
    case("9110 §15.3.5", "Not even if a handler gives it one.", target(b"/answer/204") + GET, 204, "GET /"),
    case("9112 §6.1", "204 to HTTP/1.0.", line(b"GET /nothing HTTP/1.0"), 204, closes=True, fields=BARE),
    case("9110 §15.4.5", "304 has no body.", target(b"/answer/304") + GET, 304, "GET /"),
    case("9110 §15.4.5", "304 has no framing of a body that is not there.",
         target(b"/answer/304"), 304, fields=BARE),
    case("9112 §7.1", "A stream is chunked.", target(b"/stream"), "GET /stream",
         fields={"transfer-encoding": "chunked", "content-length": None}),
    case("9112 §7.1", "A stream ends, and the connection does not.",
         target(b"/stream") + GET, "GET /stream", "GET /"),
    case("9112 §6.1", "HTTP/1.0 gets no chunks.",
         line(b"GET /stream HTTP/1.0"), "GET /stream", closes=True, fields=BARE),
    case("9110 §6.6.1", "What a handler says of framing and Date is not sent.",
         target(b"/lies"), "GET /lies", fields={"content-length": "9", "transfer-encoding": None}),
    case("9110 §15.6.1", "An exception is a 500, and says nothing of itself.",
         target(b"/error"), 500, fields={"content-type": "text/plain", "connection": None}),
    case("9112 §9.6", "400 is text and a close.", b"GET / HTTP/1.1" + END, 400, fields=ERROR),
    case("9112 §9.6", "400 to HTTP/1.0 is text and a close.", b"GET /\x00 HTTP/1.0" + END, 400, fields=ERROR),
    case("9112 §9.6", "413 is text and a close.", post(b"Content-Length: 99999999"), 413, fields=ERROR),
    case("9112 §9.6", "414 is text and a close.", target(b"/" + b"a" * 9000), 414, fields=ERROR),
    case("9112 §9.6", "417 is text and a close.", fields(b"Expect: a"), 417, fields=ERROR),
    case("9112 §9.6", "431 is text and a close.", fields(*[b"X: a"] * 101), 431, fields=ERROR),
    case("9112 §9.6", "501 is text and a close.", line(b"BREW / HTTP/1.1"), 501, fields=ERROR),
    case("9112 §9.6", "505 is text and a close.", line(b"GET / HTTP/2.0"), 505, fields=ERROR),
]
# fmt: on
