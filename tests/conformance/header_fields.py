"""Fields: a name, a colon, a value, a line end; and not too many (RFC 9112 §5, RFC 9110 §5)."""

from __future__ import annotations

from tests.conformance.case import END, case, fields

X = b"GET /field/x HTTP/1.1"

# fmt: off
CASES = [
    # Names
    case("9110 §5.1", "Names have no case.", fields(b"X: a", start=b"GET /field/X HTTP/1.1"), "=a"),
    case("9110 §5.6.2", "Every character that a name may have.", fields(b"!#$%&'*+-.^_`|~0aZ: b"), "GET /"),
    case("9112 §5.1", "A space before the colon MUST be 400.", fields(b"X : a"), 400),
    case("9112 §5.1", "A tab before the colon.", fields(b"X\t: a"), 400),
    case("9110 §5.6.2", "A space in a name.", fields(b"X Y: a"), 400),
    case("9110 §5.6.2", "A tab in a name.", fields(b"X\tY: a"), 400),
    case("9110 §5.6.2", "An empty name.", fields(b": a"), 400),
    case("9112 §5", "No colon.", fields(b"X"), 400),
    case("9112 §5", "No colon, but a value.", fields(b"X a"), 400),
    *(case("9110 §5.6.2", f"{chr(byte)} in a name.", fields(b"X%cY: a" % byte), 400)
      for byte in b'()<>@,;\\"/[]?={}'),
    *(case("9110 §5.6.2", f"The byte {byte:#04x} in a name.", fields(b"X%cY: a" % byte), 400)
      for byte in (0x00, 0x01, 0x0b, 0x1f, 0x7f, 0x80, 0xa0, 0xff)),
    case("9110 §5.6.2", "UTF-8 in a name.", fields("é: a".encode()), 400),
    case("9110 §5.1", "An underscore is no dash: this is a field like any other.",
         fields(b"Content_Length: 5", b"Transfer_Encoding: chunked"), "GET /"),

    # Values
    case("9110 §5.5", "Blanks round a value are no part of it.", fields(b"X: \t a \t ", start=X), "=a"),
    case("9110 §5.5", "Blanks within a value are.", fields(b"X: a \tb", start=X), "=a \tb"),
    case("9112 §5", "No blank before a value.", fields(b"X:a", start=X), "=a"),
    case("9110 §5.5", "An empty value.", fields(b"X:", start=X), "="),
    case("9110 §5.5", "A value of blanks is empty.", fields(b"X: \t ", start=X), "="),
    case("9112 §5", "The first colon ends the name.", fields(b"X: a: b", start=X), "=a: b"),
    case("9110 §5.5", "UTF-8 in a value is old, but it comes.", fields("X: é".encode(), start=X), "=é"),
    case("9110 §5.3", "A field that comes twice is a list.", fields(b"X: a", b"x: b", start=X), "=a, b"),
    case("6265 §5.4", "Cookies are joined by semicolons.",
         fields(b"Cookie: a=1", b"Cookie: b=2", start=b"GET /field/cookie HTTP/1.1"), "=a=1; b=2"),
    *(case("9110 §5.5", f"The byte {byte:#04x} in a value.", fields(b"X: a%cb" % byte), 400)
      for byte in (0x00, 0x01, 0x07, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f)),
    case("9110 §5.5", "NUL at the end of a value.", fields(b"X: a\x00"), 400),
    case("9112 §2.2", "A bare CR in a value.", fields(b"X: a\rb"), 400),
    case("9112 §2.2", "A bare CR that begins another field, for those who take it for a line end.",
         fields(b"X: a\rTransfer-Encoding: chunked"), 400),
    case("9112 §2.2", "A bare LF in a value.", fields(b"X: a\nb"), 400),
    case("9112 §2.2", "A bare LF that begins another field.", fields(b"X: a\nY: b"), 400),
    case("9112 §2.2", "Two CRs and a LF.", fields(b"X: a\r"), 400),

    # Folding, and the end of the head
    case("9112 §5.2", "A line folded by a space.", fields(b"X: a", b" b"), 400),
    case("9112 §5.2", "A line folded by a tab.", fields(b"X: a", b"\tb"), 400),
    case("9112 §5.2", "A line folded before its value.", fields(b"X:", b" a"), 400),
    case("9112 §5.2", "A line of blanks is folded, too.", fields(b"X: a", b" "), 400),
    case("9112 §2.2", "Blanks before the first field.", b"GET / HTTP/1.1\r\n Host: a" + END, 400),
    case("9112 §2.2", "A tab before the first field.", b"GET / HTTP/1.1\r\n\tHost: a" + END, 400),
    case("9112 §2.2", "A line of blanks before the first field.",
         b"GET / HTTP/1.1\r\n \r\nHost: a" + END, 400),
    case("9112 §2.2", "A head that ends in a bare LF.", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    case("9112 §2.2", "A head that ends in bare LFs.", b"GET / HTTP/1.1\r\nHost: a\n\n", 400),
    case("9112 §2.2", "A head that ends in a bare CR.", b"GET / HTTP/1.1\r\nHost: a\r\n\rX", 400),
    case("9112 §2.1", "Half a head is no request.", b"GET / HTTP/1.1\r\nHost: a\r\n", 400, cut=True),
    case("9112 §2.1", "Half a request line is no request.", b"GET / HTT", 400, cut=True),
    case("9112 §2.1", "Nothing is no request, and no error.", b"", cut=True),

    # Size
    case("6585 §5", "A hundred fields.", fields(*[b"X: a"] * 99), "GET /"),
    case("6585 §5", "A hundred and one.", fields(*[b"X: a"] * 100), 431),
    case("6585 §5", "Ten thousand.", fields(*[b"A: b"] * 10_000), 431),
    case("6585 §5", "A head of 65,536 bytes.", fields(b"X: " + b"a" * 65_504), "GET /"),
    case("6585 §5", "A head of 65,537 bytes.", fields(b"X: " + b"a" * 65_505), 431),
    case("6585 §5", "A name of 70,000 bytes.", fields(b"a" * 70_000 + b": b"), 431),
    case("6585 §5", "A head without an end.", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 66_000, 431),
]
# fmt: on
