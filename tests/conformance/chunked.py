"""Chunked: a size, a line end, as many bytes, a line end; at last a zero and trailers (RFC 9112 §7.1)."""

from __future__ import annotations

from tests.conformance.case import END, case, chunks, fields

GET = fields()
HELLO = "POST / hello"
LAST = b"0" + END
ONE = b"5\r\nhello\r\n"

# fmt: off
CASES = [
    case("9112 §7.1", "One chunk.", chunks(ONE + LAST), HELLO),
    case("9112 §7.1", "No chunk.", chunks(LAST), "POST /"),
    case("9112 §7.1", "Many chunks.", chunks(b"1\r\nh\r\n" + b"2\r\nel\r\n" + b"2\r\nlo\r\n" + LAST), HELLO),
    case("9112 §7.1", "Behind it comes the next request.", chunks(ONE + LAST) + GET, HELLO, "GET /"),
    case("9112 §7.1", "A chunk may have line ends and zeros in it.",
         chunks(b"7\r\n\r\n0\r\n\r\n\r\n" + LAST), "POST / \r\n0\r\n\r\n"),

    # Sizes
    case("9112 §7.1", "Small letters.", chunks(b"a\r\n0123456789\r\n" + LAST), "POST / 0123456789"),
    case("9112 §7.1", "Capital letters.", chunks(b"A\r\n0123456789\r\n" + LAST), "POST / 0123456789"),
    case("9112 §7.1", "Zeros before it, up to sixteen digits.",
         chunks(b"0000000000000005\r\nhello\r\n" + b"0" * 16 + END), HELLO),
    case("9112 §7.1", "More zeros than any size needs.", chunks(b"0" * 17 + b"5\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "More zeros than the last chunk needs.", chunks(ONE + b"0" * 20 + END), 400),
    case("9112 §7.1", "A size of 64 bits is refused before it comes.", chunks(b"ffffffffffffffff\r\n"), 413),
    case("9112 §7.1", "A size of 65 bits is none.", chunks(b"10000000000000005\r\nhello\r\n" + LAST), 400),
    case("9110 §15.5.14", "Over the limit in one chunk.", chunks(b"1000001\r\n"), 413),
    case("9110 §15.5.14", "Over the limit in two chunks.", chunks(ONE + b"fffffc\r\n"), 413),
    case("9112 §7.1", "A sign.", chunks(b"+5\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "A negative size.", chunks(b"-5\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "A negative zero.", chunks(b"-0" + END), 400),
    case("9112 §7.1", "0x before it.", chunks(b"0x5\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "h behind it.", chunks(b"5h\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "An underscore in it.", chunks(b"0_5\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "A space before it.", chunks(b" 5\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "A space behind it.", chunks(b"5 \r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "A tab behind it.", chunks(b"5\t\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "A space behind the last.", chunks(b"0 " + END), 400),
    case("9112 §7.1", "A space in it.", chunks(b"0 5\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "A dot in it.", chunks(b"5.0\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "A comma behind it.", chunks(b"5,\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "Quotes.", chunks(b'"5"\r\nhello\r\n' + LAST), 400),
    case("9112 §7.1", "A letter that is no digit.", chunks(b"g\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "A digit of another script.", chunks("٥\r\nhello\r\n".encode() + LAST), 400),
    case("9112 §7.1", "No size.", chunks(b"\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "An extension and no size.", chunks(b";a\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1", "NUL behind it.", chunks(b"5\x00\r\nhello\r\n" + LAST), 400),

    # Line ends
    case("9112 §2.2", "A bare LF after the size.", chunks(b"5\nhello\r\n" + LAST), 400),
    case("9112 §2.2", "A bare CR after the size.", chunks(b"5\rhello\r\n" + LAST), 400),
    case("9112 §2.2", "Two CRs and a LF after the size.", chunks(b"5\r\r\nhello\r\n" + LAST), 400),
    case("9112 §2.2", "A bare LF after the bytes.", chunks(b"5\r\nhello\n" + LAST), 400),
    case("9112 §2.2", "A bare CR after the bytes.", chunks(b"5\r\nhello\r" + LAST), 400),
    case("9112 §7.1", "No line end after the bytes.", chunks(b"5\r\nhello" + LAST), 400),
    case("9112 §7.1", "Two other bytes after the bytes.", chunks(b"5\r\nhelloXX" + LAST), 400),
    case("9112 §7.1", "More bytes than the size.", chunks(b"5\r\nhello, world\r\n" + LAST), 400),
    case("9112 §7.1", "Fewer bytes than the size.", chunks(b"6\r\nhello\r\n" + LAST), 400),
    case("9112 §2.2", "A bare LF after the last chunk.", chunks(ONE + b"0\n\r\n"), 400),
    case("9112 §2.2", "A bare LF at the end.", chunks(ONE + b"0\r\n\n"), 400),
    case("9112 §2.2", "Bare LFs only.", chunks(b"5\nhello\n0\n\n"), 400),
    case("9112 §2.2", "A bare CR at the end.", chunks(ONE + b"0\r\n\rX"), 400),

    # Extensions
    case("9112 §7.1.1", "Extensions nobody knows MUST be ignored.",
         chunks(b"5;a\r\nhello\r\n" + LAST), HELLO),
    case("9112 §7.1.1", "An extension with a value.", chunks(b"5;a=b\r\nhello\r\n" + LAST), HELLO),
    case("9112 §7.1.1", "An extension with a value in quotes.",
         chunks(b'5;a="b;\\"\t"\r\nhello\r\n' + LAST), HELLO),
    case("9112 §7.1.1", "An extension with an empty value in quotes.",
         chunks(b'5;a=""\r\nhello\r\n' + LAST), HELLO),
    case("9112 §7.1.1", "Many extensions.", chunks(b"5;a;b=c;d\r\nhello\r\n" + LAST), HELLO),
    case("9112 §7.1.1", "An extension of the last chunk.", chunks(ONE + b"0;a=b" + END), HELLO),
    case("9110 §5.6.3", "Blanks round ; and = are bad, but MUST be taken.",
         chunks(b"5 ; a = b\t;c\r\nhello\r\n" + LAST), HELLO),
    case("9112 §7.1.1", "A blank at the end of the line is round nothing.",
         chunks(b"5;a \r\nhello\r\n" + LAST), 400),
    case("9112 §7.1.1", "A ; and nothing.", chunks(b"5;\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1.1", "Two ; and a name.", chunks(b"5;;a\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1.1", "A value without a name.", chunks(b"5;=b\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1.1", "A name, = and no value.", chunks(b"5;a=\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1.1", "Two =.", chunks(b"5;a=b=c\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1.1", "Quotes that stay open.", chunks(b'5;a="b\r\nhello\r\n' + LAST), 400),
    case("9112 §7.1.1", "Text behind the quotes.", chunks(b'5;a="b"c\r\nhello\r\n' + LAST), 400),
    case("9112 §7.1.1", "Quotes round the name.", chunks(b'5;"a"\r\nhello\r\n' + LAST), 400),
    case("9112 §7.1.1", "A name that is no token.", chunks(b"5;a@b\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1.1", "A name beyond ASCII.", chunks("5;é\r\nhello\r\n".encode() + LAST), 400),
    case("9110 §5.5", "NUL in an extension.", chunks(b"5;a\x00\r\nhello\r\n" + LAST), 400),
    case("9112 §2.2", "A bare CR in an extension.", chunks(b"5;a\rb\r\nhello\r\n" + LAST), 400),
    case("9112 §2.2", "A bare LF in an extension.", chunks(b"5;a\nhello\r\n" + LAST), 400),
    case("9112 §2.2", "A bare LF in quotes.", chunks(b'5;a="\n"\r\nhello\r\n' + LAST), 400),
    case("9112 §7.1.1", "Extensions as long as they may be.",
         chunks(b"5;" + b"a" * 4092 + b"\r\nhello\r\n" + LAST), HELLO),
    case("9112 §7.1.1", "Extensions longer than that.",
         chunks(b"5;" + b"a" * 4093 + b"\r\nhello\r\n" + LAST), 400),
    case("9112 §7.1.1", "Extensions of 70,000 bytes.", chunks(b"5;" + b"a" * 70_000), 400),
    case("9112 §7.1.1", "Extensions in quotes, of 70,000 bytes.", chunks(b'5;a="' + b"b" * 70_000), 400),

    # Trailers
    case("9112 §7.1.2", "Trailers are read.", chunks(ONE + b"0\r\nX: a" + END) + GET, HELLO, "GET /"),
    case("9110 §6.5.1", "Trailers MUST NOT be merged into the fields.",
         fields(b"Transfer-Encoding: chunked", start=b"POST /field/x HTTP/1.1") + ONE + b"0\r\nX: a" + END,
         "=(none)"),
    case("9110 §6.5.1", "Not even when announced.",
         fields(b"Transfer-Encoding: chunked", b"Trailer: X", start=b"POST /field/x HTTP/1.1")
         + ONE + b"0\r\nX: a" + END, "=(none)"),
    case("9110 §6.5.1", "A Content-Length is dropped.",
         chunks(ONE + b"0\r\nContent-Length: 50" + END) + GET, HELLO, "GET /"),
    case("9110 §6.5.1", "A Transfer-Encoding is dropped.",
         chunks(ONE + b"0\r\nTransfer-Encoding: gzip" + END) + GET, HELLO, "GET /"),
    case("9110 §6.5.1", "A Connection is dropped: the connection goes on.",
         chunks(ONE + b"0\r\nConnection: close" + END) + GET, HELLO, "GET /"),
    case("9110 §6.5.1", "An Authorization is dropped.",
         fields(b"Transfer-Encoding: chunked", start=b"POST /field/authorization HTTP/1.1")
         + ONE + b"0\r\nAuthorization: Basic YTpi" + END, "=(none)"),
    case("9110 §6.5.1", "A Host is dropped.",
         fields(b"Transfer-Encoding: chunked", start=b"POST /field/host HTTP/1.1") + ONE + b"0\r\nHost: b"
         + END, "=a"),
    case("9110 §6.5.1", "A Content-Type is dropped.",
         fields(b"Transfer-Encoding: chunked", start=b"POST /field/content-type HTTP/1.1")
         + ONE + b"0\r\nContent-Type: text/html" + END, "=(none)"),
    case("9110 §6.5.1", "An Upgrade is dropped.",
         chunks(ONE + b"0\r\nUpgrade: h2c" + END) + GET, HELLO, "GET /"),
    case("9112 §7.1.2", "A space before the colon.", chunks(ONE + b"0\r\nX : a" + END), 400),
    case("9112 §7.1.2", "No colon.", chunks(ONE + b"0\r\nX" + END), 400),
    case("9112 §7.1.2", "An empty name.", chunks(ONE + b"0\r\n: a" + END), 400),
    case("9112 §7.1.2", "Folded.", chunks(ONE + b"0\r\nX: a\r\n b" + END), 400),
    case("9112 §7.1.2", "Blanks before the first.", chunks(ONE + b"0\r\n X: a" + END), 400),
    case("9112 §2.2", "A bare LF.", chunks(ONE + b"0\r\nX: a\n\r\n"), 400),
    case("9112 §2.2", "A bare CR.", chunks(ONE + b"0\r\nX: a\rb" + END), 400),
    case("9110 §5.5", "NUL.", chunks(ONE + b"0\r\nX: \x00" + END), 400),
    case("9112 §7.1.2", "A hundred.", chunks(ONE + b"0\r\n" + b"X: a\r\n" * 100 + b"\r\n"), HELLO),
    case("9112 §7.1.2", "A hundred and one.", chunks(ONE + b"0\r\n" + b"X: a\r\n" * 101 + b"\r\n"), 400),
    case("9112 §7.1.2", "A trailer without an end.", chunks(ONE + b"0\r\nX: " + b"a" * 9000), 400),

    # Half of it
    case("9112 §8", "No chunk.", chunks(b""), 400, cut=True),
    case("9112 §8", "Half a size.", chunks(b"5"), 400, cut=True),
    case("9112 §8", "Half a chunk.", chunks(b"5\r\nhel"), 400, cut=True),
    case("9112 §8", "No line end behind the chunk.", chunks(b"5\r\nhello"), 400, cut=True),
    case("9112 §8", "No last chunk.", chunks(ONE), 400, cut=True),
    case("9112 §8", "Half a last chunk.", chunks(ONE + b"0\r\n"), 400, cut=True),
    case("9112 §8", "Half a line end.", chunks(ONE + b"0\r\n\r"), 400, cut=True),
    case("9112 §8", "Half the trailers.", chunks(ONE + b"0\r\nX: a\r\n"), 400, cut=True),
]
# fmt: on
