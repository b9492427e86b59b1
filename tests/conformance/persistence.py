"""Persistence: which answer is the last, and that all before it come in order (RFC 9112 §9)."""

from __future__ import annotations

from tests.conformance.case import END, case, fields, line, post, target

GET = fields()
OLD = b"GET / HTTP/1.0"
CLOSE = {"connection": "close"}
ALIVE = {"connection": "keep-alive"}
PLAIN: dict[str, str | None] = {"connection": None}


def connection(*values: bytes) -> bytes:
    return fields(*(b"Connection: " + value for value in values))


def old(*values: bytes) -> bytes:
    return fields(*(b"Connection: " + value for value in values), start=OLD)


# fmt: off
CASES = [
    case("9112 §9.3", "HTTP/1.1 goes on.", GET, "GET /", fields=PLAIN),
    case("9112 §9.3.2", "Answers come in the order of requests.",
         target(b"/1") + target(b"/2") + target(b"/3"), "GET /1", "GET /2", "GET /3"),
    case("9112 §9.3.2", "Whatever is between them.",
         target(b"/1") + post(b"Content-Length: 5") + line(b"OPTIONS / HTTP/1.1") + line(b"HEAD / HTTP/1.1")
         + GET,
         "GET /1", "POST / hello", 204, "HEAD /", "GET /"),
    case("9112 §9.3.2", "An error of a handler ends nothing.", target(b"/error") + GET, 500, "GET /"),
    case("9112 §9.6", "A bad request is answered in its turn, and nothing behind it.",
         target(b"/1") + line(b"BAD") + GET, "GET /1", 400),
    case("9112 §9.6", "Behind a bad body there is nothing to be read.",
         post(b"Content-Length: x") + GET + GET, 400),
    case("9112 §9.6", "close.", connection(b"close") + GET, "GET /", closes=True, fields=CLOSE),
    case("9110 §7.6.1", "Options have no case.",
         connection(b"CLOSE") + GET, "GET /", closes=True, fields=CLOSE),
    case("9110 §7.6.1", "Mixed case.", connection(b"cLoSe") + GET, "GET /", closes=True, fields=CLOSE),
    case("9110 §7.6.1", "close in a list.",
         connection(b"x, close ,y") + GET, "GET /", closes=True, fields=CLOSE),
    case("9110 §7.6.1", "close in a list without blanks.",
         connection(b"x,close") + GET, "GET /", closes=True, fields=CLOSE),
    case("9110 §7.6.1", "close in a list with empty members.",
         connection(b",, close,") + GET, "GET /", closes=True, fields=CLOSE),
    case("9110 §7.6.1", "close behind a tab.",
         connection(b"x,\tclose\t") + GET, "GET /", closes=True, fields=CLOSE),
    case("9110 §5.6.3", "close between tabs.",
         fields(b"Connection:\tclose\t") + GET, "GET /", closes=True, fields=CLOSE),
    case("9110 §5.6.3", "keep-alive between tabs.",
         fields(b"Connection:\tkeep-alive\t", start=OLD) + GET, "GET /", "GET /"),
    case("9110 §7.6.1", "close in a second field.",
         connection(b"x", b"close") + GET, "GET /", closes=True, fields=CLOSE),
    case("9112 §9.3", "close is stronger than keep-alive.",
         connection(b"keep-alive, close") + GET, "GET /", closes=True, fields=CLOSE),
    case("9110 §7.6.1", "A word with close in it is another word.",
         connection(b"closed") + GET, "GET /", "GET /"),
    case("9110 §7.6.1", "A word before close makes it another option.",
         connection(b"not close") + GET, "GET /", "GET /"),
    case("9110 §7.6.1", "Options nobody knows are ignored.", connection(b"x, y") + GET, "GET /", "GET /"),
    case("9110 §7.6.1", "No option at all.", connection(b"") + GET, "GET /", "GET /"),
    case("9112 §9.3", "keep-alive is what HTTP/1.1 does.", connection(b"keep-alive") + GET, "GET /", "GET /"),
    case("9110 §7.6.1", "A field that Connection names is for the next hop, and that is here.",
         fields(b"Connection: x", b"X: a", start=b"GET /field/x HTTP/1.1"), "=a"),
    case("9110 §7.6.1", "Proxy-Connection was never a standard, and is ignored.",
         fields(b"Proxy-Connection: close") + GET, "GET /", "GET /"),
    case("9110 §7.6.1", "Proxy-Connection keeps nothing alive.",
         fields(b"Proxy-Connection: keep-alive", start=OLD) + GET, "GET /", closes=True),
    case("9112 §9.6", "A close with a body: it is read.",
         post(b"Connection: close", b"Content-Length: 5") + GET, "POST / hello", closes=True, fields=CLOSE),
    case("9112 §9.6", "A close with chunks: they are read.",
         post(b"Connection: close", b"Transfer-Encoding: chunked", body=b"1\r\nx\r\n0" + END) + GET,
         "POST / x", closes=True, fields=CLOSE),
    case("9112 §9.6", "What follows a close is ignored, garbage or not.",
         connection(b"close") + b"\x00\xff garbage", "GET /", closes=True, fields=CLOSE),
    case("9112 §9.6", "A close that is refused is a close.", line(b"BREW / HTTP/1.1"), 501, fields=CLOSE),
    case("9112 §9.6", "A handler may close, too.",
         target(b"/last") + GET, "GET /last", closes=True, fields=CLOSE),
    case("9112 §9.3", "HTTP/1.0 ends with its answer.", old() + GET, "GET /", closes=True, fields=CLOSE),
    case("9112 §9.3", "HTTP/1.0 that says so.", old(b"close") + GET, "GET /", closes=True, fields=CLOSE),
    case("9112 §9.3", "HTTP/1.0 that is kept alive is told so.", old(b"keep-alive"), "GET /", fields=ALIVE),
    case("9112 §9.3", "HTTP/1.0 goes on with HTTP/1.1.", old(b"Keep-Alive") + GET, "GET /", "GET /"),
    case("9112 §9.3", "HTTP/1.0 goes on with HTTP/1.0.",
         old(b"keep-alive") + old(), "GET /", "GET /", closes=True, fields=CLOSE),
    case("9112 §9.3", "HTTP/1.0 that wants both.", old(b"keep-alive, close") + GET, "GET /", closes=True),
    case("9112 §9.3", "HTTP/1.0 kept alive with a body.",
         fields(b"Connection: keep-alive", b"Content-Length: 5", start=b"POST / HTTP/1.0") + b"hello" + GET,
         "POST / hello", "GET /"),
    case("9112 §6.3", "HTTP/1.0 gets a stream to the end of the connection.",
         fields(b"Connection: keep-alive", start=b"GET /stream HTTP/1.0") + GET, "GET /stream", closes=True,
         fields=CLOSE),
    case("9112 §9.6", "A client that has said all still gets its answers.", GET + GET, "GET /", "GET /"),
    case("9112 §9.5", "A client that ends in the middle gets those that are due, and a 400.",
         GET + b"GET /half", "GET /", 400, cut=True),
]
# fmt: on
