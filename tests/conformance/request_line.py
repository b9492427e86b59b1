"""Request line: a method, a target and a version, one space between each (RFC 9112 §3)."""

from __future__ import annotations

from tests.conformance.case import END, case, line, target, version

HOST = b"\r\nHost: a" + END
GET = line(b"GET / HTTP/1.1")

# fmt: off
CASES = [
    case("9112 §3", "The usual line.", GET, "GET /"),

    # Methods
    case("9110 §9.1", "A method nobody knows is not implemented.", line(b"BREW / HTTP/1.1"), 501),
    case("9110 §9.1", "Methods are case-sensitive: get is not GET.", line(b"get / HTTP/1.1"), 501),
    case("9110 §9.1", "Methods are case-sensitive: Get is not GET.", line(b"Get / HTTP/1.1"), 501),
    case("9110 §9.1", "The beginning of a method is another method.", line(b"GE / HTTP/1.1"), 501),
    case("9110 §9.1", "A method with a letter more is another method.", line(b"GETT / HTTP/1.1"), 501),
    case("9110 §15.5.6", "A method that is known but not served here is 405, and no error of form.",
         line(b"M-SEARCH / HTTP/1.1"), 405),
    case("9112 §3", "A method longer than any that is implemented is 501.",
         line(b"A" * 100 + b" / HTTP/1.1"), 501),
    case("9112 §3", "So is one that is longer than a line may be.", b"A" * 9000, 501),
    case("9110 §5.6.2", "A slash is no character of a token.", line(b"GE/T / HTTP/1.1"), 400),
    case("9110 §5.6.2", "A colon is no character of a token.", line(b"GET: / HTTP/1.1"), 400),
    case("9110 §5.6.2", "An at sign is no character of a token.", line(b"G@T / HTTP/1.1"), 400),
    case("9110 §5.6.2", "A parenthesis is no character of a token.", line(b"(GET) / HTTP/1.1"), 400),
    case("9110 §5.6.2", "A quote is no character of a token.", line(b'"GET" / HTTP/1.1'), 400),
    case("9110 §5.6.2", "A byte over 127 is no character of a token.", line(b"G\xc3\x89T / HTTP/1.1"), 400),
    case("9110 §5.6.2", "NUL in a method.", line(b"G\x00T / HTTP/1.1"), 400),
    case("9110 §9.1", "No method at all.", line(b" / HTTP/1.1"), 400),
    case("9110 §9.3.6", "CONNECT is for proxies.", line(b"CONNECT a:443 HTTP/1.1"), 501),
    case("9110 §9.3.6", "CONNECT is for proxies, whatever its target.", line(b"CONNECT / HTTP/1.1"), 501),
    case("9110 §9.3.8", "TRACE would show a script the credentials it may not see.",
         line(b"TRACE / HTTP/1.1"), 501),
    case("9110 §9.3.8", "TRACE may not even have a body.",
         b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5" + END + b"hello", 501),
    case("9110 §9.1", "A method of RTSP.", line(b"DESCRIBE / HTTP/1.1"), 501),
    case("9110 §9.1", "A method of RTSP that HTTP might have had.", line(b"REDIRECT / HTTP/1.1"), 501),
    case("9113 §11.6", "PRI is reserved, so that nobody takes the preface of HTTP/2 for a request.",
         line(b"PRI / HTTP/1.1"), 501),
    case("9113 §3.4", "The preface of HTTP/2.", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),

    # Spaces
    case("9112 §3", "Two spaces before the target: whoever mends that guesses.",
         line(b"GET  / HTTP/1.1"), 400),
    case("9112 §3", "Two spaces before the version.", line(b"GET /  HTTP/1.1"), 400),
    case("9112 §3", "A tab before the target.", line(b"GET\t/ HTTP/1.1"), 400),
    case("9112 §3", "A tab before the version.", line(b"GET /\tHTTP/1.1"), 400),
    case("9112 §3", "A space before the method.", line(b" GET / HTTP/1.1"), 400),
    case("9112 §3", "A tab before the method.", line(b"\tGET / HTTP/1.1"), 400),
    case("9112 §3", "A space behind the version.", line(b"GET / HTTP/1.1 "), 400),
    case("9112 §3", "A tab behind the version.", line(b"GET / HTTP/1.1\t"), 400),
    case("9112 §3", "A space in the target.", line(b"GET /a b HTTP/1.1"), 400),
    case("9112 §3", "A vertical tab for a space.", line(b"GET\x0b/ HTTP/1.1"), 400),
    case("9112 §3", "A form feed for a space.", line(b"GET\x0c/ HTTP/1.1"), 400),
    case("9112 §3", "A no-break space for a space.", line(b"GET\xa0/ HTTP/1.1"), 400),
    case("9112 §3", "A word too many.", line(b"GET / HTTP/1.1 HTTP/1.1"), 400),
    case("9112 §3", "No target.", line(b"GET HTTP/1.1"), 400),
    case("9112 §3", "An empty target.", line(b"GET  HTTP/1.1"), 400),
    case("9112 §3", "A method alone.", line(b"GET"), 400),
    case("9112 §3", "A line of nothing but blanks.", b"   \r\n" + GET, 400),
    case("9112 §3", "No request line at all.", b"Host: a" + END, 400),

    # Targets: a path …
    case("9112 §3.2.1", "A path and a query.", target(b"/a/b?c=d&e"), "GET /a/b?c=d&e"),
    case("3986 §3.4", "A query may have slashes and question marks.", target(b"/a?b/c?d"), "GET /a?b/c?d"),
    case("3986 §3.3", "Every character that a path may have.",
         target(b"/-._~!$&'()*+,;=:@"), "GET /-._~!$&'()*+,;=:@"),
    case("3986 §3.3", "Empty segments are segments.", target(b"//a//"), "GET //a//"),
    case("3986 §6.2.2", "What need not be escaped is one with what is not.", target(b"/%41%7e"), "GET /A~"),
    case("3986 §2.2", "What has to be escaped stays so.", target(b"/a%2fb"), "GET /a%2Fb"),
    case("3986 §2.1", "An escape without digits.", target(b"/%"), 400),
    case("3986 §2.1", "An escape of one digit.", target(b"/%4"), 400),
    case("3986 §2.1", "An escape of letters.", target(b"/%zz"), 400),
    case("3986 §2.1", "An escape of another kind.", target(b"/%u0041"), 400),
    case("3986 §2.1",
    "A percent sign in a query escapes nothing: browsers leave it so, and so does this server.",
         target(b"/?a=%zz"), "GET /?a=%zz"),
    case("3986 §7.3", "NUL, escaped: no path means it, and C ends there.", target(b"/a%00.txt"), 400),
    case("3986 §7.3", "CR and LF, escaped, are text like any other and stay escaped.",
         target(b"/%0d%0aX:y"), "GET /%0D%0AX:y"),
    case("3629 §3", "An overlong slash, escaped, is no slash, and no text either: a handler cannot have it.",
         target(b"/%c0%af"), 400, closes=False),
    case("9112 §3.2.1", "A path begins with a slash.", target(b"a"), 400),
    case("9112 §3.2.1", "A query alone is no path.", target(b"?a"), 400),
    case("9112 §3.2", "A fragment is not for servers.", target(b"/a#b"), 400),
    case("9112 §3.2", "A fragment behind a query.", target(b"/?a#b"), 400),
    *(case("3986 §2", f"{chr(byte)} in a path has to be escaped.", target(b"/a%cb" % byte), 400)
      for byte in b'"<>[]{}|\\^`'),
    *(case("3986 §2", f"{chr(byte)} in a query has to be escaped.",
      target(b"/?%c" % byte), 400) for byte in b'"<>'),
    case("3986 §2", "But these browsers send in queries, and so they are let through.",
         target(b"/?[]{}|\\^`"), "GET /?[]{}|\\^`"),
    case("3986 §2", "Raw UTF-8 in a path.", target("/é".encode()), 400),
    case("3986 §2", "Raw UTF-8 in a query.", target("/?é".encode()), 400),
    case("3629 §3", "A raw overlong slash.", target(b"/\xc0\xaf"), 400),
    *(case("3986 §2", f"The control byte {byte:#04x} in a target.", target(b"/a%cb" % byte), 400)
      for byte in (0x00, 0x01, 0x08, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f)),
    case("9112 §2.2", "A bare CR in a target.", target(b"/a\rb"), 400),
    case("9112 §2.2", "A bare LF in a target.", target(b"/a\nb"), 400),

    # … a whole URL …
    case("9112 §3.2.2", "A whole URL MUST be accepted.", target(b"http://b/x?y"), "GET /x?y"),
    case("9112 §3.2.2", "Its host is the one that counts.", target(b"http://b:81/field/host"), "=b:81"),
    case("9112 §3.2.2", "Without a path it means /.", target(b"http://b"), "GET /"),
    case("3986 §6.2.3", "Without a path, but with a query.", target(b"http://b?x/y"), "GET /?x/y"),
    case("3986 §3.1", "Schemes have no case; https is http here.", target(b"HttpS://b/x"), "GET /x"),
    case("3986 §3.2.2", "An IP literal has brackets.", target(b"http://[::1]:80/x"), "GET /x"),
    case("3986 §3.2.2", "Brackets behind the host are none of its.", target(b"http://[::1]/[x]"), 400),
    case("3986 §3.2.2", "No IP literal in the brackets.", target(b"http://[x]/"), 400),
    case("9110 §4.2.4", "Userinfo in a URL is to be treated as an error.", target(b"http://u:p@b/x"), 400),
    case("9110 §4.2.1", "An http URL without a host is invalid.", target(b"http:///x"), 400),
    case("9110 §4.2.1", "An http URL without anything.", target(b"http://"), 400),
    case("3986 §3", "A scheme and one slash.", target(b"http:/x"), 400),
    case("3986 §3", "A scheme and no slash.", target(b"http:x"), 400),
    case("9110 §4.2", "Other schemes are not served.", target(b"ftp://b/x"), 400),
    case("3986 §3.2.3", "A port that is none.", target(b"http://b:65536/"), 400),
    case("9112 §3.2", "A fragment in a whole URL.", target(b"http://b/#x"), 400),
    case("9112 §3.2.2", "OPTIONS of a whole URL.", line(b"OPTIONS http://b/ HTTP/1.1"), 204),

    # … an authority, or an asterisk
    case("9112 §3.2.3", "An authority is for CONNECT.", target(b"a:80"), 400),
    case("9112 §3.2.3", "A host alone is a path of the wrong form.", target(b"www.example.org"), 400),
    case("9112 §3.2.4", "OPTIONS * asks the server as a whole.", line(b"OPTIONS * HTTP/1.1"), 204),
    case("9112 §3.2.4", "The asterisk is for OPTIONS alone.", target(b"*"), 400),
    case("9112 §3.2.4", "The asterisk is for OPTIONS alone, not for POST.", line(b"POST * HTTP/1.1"), 400),
    case("9112 §3.2.4", "More than an asterisk.", line(b"OPTIONS *a HTTP/1.1"), 400),

    # Versions
    case("9112 §2.3", "HTTP/1.0 is served, and ends with its answer.",
         version(b"HTTP/1.0"), "GET /", closes=True),
    *(case("9110 §15.6.6", f"{text.decode()} is a version, but not one of this server.", version(text), 505)
      for text in (b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9")),
    case("9112 §2.3", "HTTP/0.9 has no version in its line, so this is none.", version(b"HTTP/0.9"), 400),
    case("9112 §3", "The simple request of HTTP/0.9.", b"GET /\r\n", 400),
    case("9112 §3", "The simple request of HTTP/0.9, with fields.", line(b"GET /"), 400),
    *(case("9112 §2.3", f"{text.decode('latin-1')!r} is no version: HTTP/, a digit, a dot, a digit.",
      version(text), 400)
      for text in (
          b"HTTP/1.10", b"HTTP/1.01", b"HTTP/01.1", b"HTTP/11.1", b"HTTP/1", b"HTTP/1.", b"HTTP/.1", b"HTTP/",
          b"HTTP", b"HTTP/1.1.1", b"HTTP/1,1", b"HTTP/1.x", b"HTTP/x.1", b"HTTP/-1.1", b"HTTP/+1.1",
          b"HTTP-1.1",
          b"HTTP//1.1", b"HTTPS/1.1", b"XHTTP/1.1", b"http/1.1", b"Http/1.1", b"hTTP/1.1", b"HTTP/1.1;",
          b"HTTP /1.1", b"HTTP/ 1.1", b"HTTP/1 .1", b"HTTP/1. 1", b"HTTP\t/1.1", b"1.1", b"RTSP/1.0",
          b"ICE/1.0",
          b"HTTP/\xb9.1", b"HTTP/\xef\xbc\x91.1", b"HTTP/1.1\x00", b"H\x00TTP/1.1",
      )),

    # Line ends
    case("9112 §2.2", "A bare LF after the line.", b"GET / HTTP/1.1\nHost: a" + END, 400),
    case("9112 §2.2", "Bare LFs only.", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    case("9112 §2.2", "Bare CRs only.", b"GET / HTTP/1.1\rHost: a\r\r", 400),
    case("9112 §2.2", "Two CRs and a LF.", b"GET / HTTP/1.1\r\r\nHost: a" + END, 400),
    case("9112 §2.2", "A LF and a CR.", b"GET / HTTP/1.1\n\rHost: a" + END, 400),
    case("9112 §2.2", "A CRLF before the request is skipped.", b"\r\n" + GET, "GET /"),
    case("9112 §2.2", "Two are skipped.", b"\r\n\r\n" + GET, "GET /"),
    case("9112 §2.2", "Three are not: somebody tests patience.", b"\r\n\r\n\r\n" + GET, 400),
    case("9112 §2.2", "A CRLF after a body is skipped.",
         b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5" + END + b"hello\r\n" + GET, "POST / hello",
         "GET /"),
    case("9112 §2.2", "A bare LF before the request is not a line end.", b"\n" + GET, 400),
    case("9112 §2.2", "A bare CR before the request is not a line end.", b"\r" + GET, 400),
    case("9112 §2.2", "A space before a CRLF is not an empty line.", b" \r\n" + GET, 400),

    # Lengths
    case("9112 §3", "A line of 8,192 bytes.", target(b"/" + b"a" * 8178), "GET /" + "a" * 8178),
    case("9110 §15.5.15", "A line of 8,193 bytes.", target(b"/" + b"a" * 8179), 414),
    case("9110 §15.5.15", "A query of 70,000 bytes.", target(b"/?" + b"a" * 70_000), 414),
    case("9110 §15.5.15", "A line without an end.", b"GET /" + b"a" * 9000, 414),

    # Something else altogether
    case("9112 §2.2", "NULs.", b"\x00" * 20, 400),
    case("9112 §2.2", "Bytes of all kinds.", bytes(range(128, 256)) + END, 400),
    case("8446 §4.1.2", "A client that speaks TLS.", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    case("1928 §3", "A client that speaks SOCKS.", b"\x05\x01\x00", 400),
    case("4253 §4.2", "A client that speaks SSH.", b"SSH-2.0-OpenSSH_9.2\r\n", 400),
    case("5321 §4.1.1.1", "A client that speaks SMTP.", b"EHLO example.org\r\n", 400),
    case("9112 §4", "A response.", b"HTTP/1.1 200 OK\r\nContent-Length: 0" + END, 400),
    case("8259 §2", "JSON.", b'{"method": "GET"}\r\n\r\n', 400),
]
# fmt: on
