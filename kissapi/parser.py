"""The parser contract, and HttpParser, which keeps it. The one door to httptools.

A parser turns bytes into ONE request. This is all it must have:

    class MyParser:
        def __init__(self, request): ...    # a fresh request, of `request_class`
        def feed_data(self, data): ...      # bytes as they come; sets request.method, request.path …
        _finished = False                   # True when the message is complete; no more data is fed then

What it may have besides (looked up once, when the server starts):

    unread = b""                     # bytes behind this message: they are the start of the next (pipelining)
    def should_keep_alive(self): ... # whether the connection goes on; without it, HTTP's rule
    def feed_eof(self): ...          # the client sends no more; the message may be complete now
    def encode(self, response): ...  # the bytes of the answer (a `Response`); without it, HTTP/1.1
    def reset(self, request): ...    # start over with the next message; without it, a new parser is made
    limits                           # is set to the server's `Limits` before the first byte
    in_body = False                  # True while the head is complete and the body is not
    expects_continue = False         # True while the client waits for a word before it sends the body

An exception answers 400 and ends the connection; a `Fail` answers with its status, and ends it too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from kissapi import codec
from kissapi.compat.chunked import Chunked, ChunkedError
from kissapi.fail import Fail
from kissapi.headers import is_token
from kissapi.host import is_authority
from kissapi.limits import Limits

try:
    import httptools
except ImportError:
    from kissapi.compat import httptools  # type: ignore[no-redef]

if TYPE_CHECKING:
    from kissapi.request import Request


class Parser(Protocol):
    """What every parser has; see above for what it may have."""

    _finished: bool

    def feed_data(self, data: bytes, /) -> None: ...


# What may stand in a request line (RFC 3986 §3.3, §3.4), and what browsers leave unescaped in queries.
# A whole URL may have an IP literal, and that its brackets.
_LINE_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@%/? "
_QUERY_BYTES = _LINE_BYTES + b"[]{}|\\^`"
_IP_LITERAL = re.compile(rb"(?i)(?<= http://)\[[^]]*\]|(?<= https://)\[[^]]*\]")

# The fields that say how the message is framed and what becomes of the connection; the last one to httptools.
_FRAMING = frozenset((b"connection", b"content-length", b"expect", b"transfer-encoding", b"proxy-connection"))

_BLANK_LINES = 2  # before a request line: some old clients send one after a body (RFC 9112 §2.2)

# What httptools knows, but for CONNECT, a proxy's business, and TRACE, an echo of credentials to scripts.
# Asked here, for it knows methods of other protocols too, and says of each something else.
_METHODS = frozenset(
    "GET HEAD POST PUT DELETE OPTIONS PATCH QUERY ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE MKACTIVITY"
    " MKCALENDAR MKCOL MOVE NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND"
    " UNLINK UNLOCK UNSUBSCRIBE".split()
)


class Fields:
    """Where httptools puts the fields of one head: by lower-case name, in a list if a name comes again.

    It knows nothing of the parser, so the two make no reference cycle.
    """

    __slots__ = ("by_name", "repeated")

    def __init__(self) -> None:
        self.by_name: dict[bytes, bytes | list[bytes]] = {}
        self.repeated = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        by_name = self.by_name
        if name not in by_name:
            by_name[name] = value
            return
        self.repeated += 1
        first = by_name[name]
        if isinstance(first, list):
            first.append(value)
        else:
            by_name[name] = [first, value]


class HttpParser:
    """HTTP/1.0 and HTTP/1.1 (RFC 9112), one message at a time.

    httptools reads the fields and checks their grammar. What it does not do is done here: where a message
    ends, the request line, Host, framing and limits. Bodies never go through it: it could not be stopped at
    their end.

    Tolerated beyond the grammar: in a query, and there alone, brackets, braces, `|`, `^`, backslash, backtick
    and a `%` that escapes nothing, for browsers send them; and up to two empty lines before a request.
    Refused, though the grammar lets it pass: NUL in a path, a zero before a Content-Length, a comma in Host,
    a tab behind the word `chunked`, empty members beside it, HTTP/1.2.

        >>> parser = HttpParser(request := Request())
        >>> parser.feed_data(b"GET /hello?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        >>> parser._finished, request.method, request.path, request.query
        (True, 'GET', '/hello', {'x': '1'})
    """

    limits: Limits | type[Limits] = Limits
    library: Any = httptools  # or its stand-in: see `kissapi.pure`

    def __init__(self, request: Request) -> None:
        self._fields = Fields()
        self._httptools: Any = None
        self._host: bytes | list[bytes] | None = None  # the last valid one: a client sends the same each time
        self._plain = False
        self.reset(request)

    def reset(self, request: Request) -> None:
        """Start over with the next message of the connection, whose request is `request`."""
        self._request = request
        self._finished = False
        if self._plain:
            return  # the message before left nothing to clear
        self._plain = True  # no body, no field that changes what becomes of the connection
        # What takes the next bytes of a message under way; not bound to self, which would be a cycle.
        self._go_on: Callable[[HttpParser, bytes], None] | None = None
        self._authority: str | None = None  # of an absolute target
        self._keep_alive = True
        self.unread = b""
        self.in_body = False
        self.expects_continue = False

    def should_keep_alive(self) -> bool:
        """Whether the client wants, and its message allows, another request on this connection."""
        return self._keep_alive

    def feed_data(self, data: bytes) -> None:
        """Take the next bytes. Raises `Fail` for what is not a well-formed request, or too large a one."""
        if self._go_on is not None:
            self._go_on(self, data)
            return
        end = data.find(b"\r\n\r\n") + 4
        line_end = data.find(b"\r\n")
        if end > 3 and 0 < line_end <= self.limits.max_line and end <= self.limits.max_head:
            if end == len(data):
                self.unread = b""
            else:
                self.unread = data[end:]
                data = data[:end]
            self._read_line(data[:line_end])
            self._read_fields(data)
            self._end_head()
        else:
            self._head = bytearray()
            self._checked = 0  # how much of it has been looked at, and given to httptools
            self._blank_lines = 0
            self._line_read = self._plain = False
            self._go_on = HttpParser._gather_head
            self._gather_head(data)

    # A head that comes in pieces, or breaks a rule of its form. Whatever the pieces, the verdict is the same:
    # no byte over a limit is looked at, and what is under it is judged in the order in which it came.

    def _gather_head(self, data: bytes) -> None:
        head = self._head
        while not self._line_read:
            room = self.limits.max_line + 2 - len(head)
            head += data[:room]
            data = data[room:]
            if head.startswith(b"\r\n") and self._blank_lines < _BLANK_LINES:
                self._blank_lines += 1
                data = bytes(head[2:]) + data
                head.clear()
                self._checked = 0
                if not data:
                    return
            elif not self._gather_line(head):
                return
        head += data
        end = self._gather_fields(head)
        if end:
            self._go_on = None
            self.unread = bytes(head[end:])
            del self._head
            self._end_head()

    def _gather_line(self, head: bytearray) -> bool:
        """Whether the request line is complete, and has been read."""
        limit = self.limits.max_line
        end = head.find(b"\r\n", max(self._checked - 1, 0))
        known = end if end >= 0 else min(len(head), limit + 1)
        if end < 0 and head[known - 1] == 0x0D and known == len(head):
            known -= 1  # half a line end, perhaps
        if head[self._checked : known].translate(None, _QUERY_BYTES):
            _refuse_line(bytes(head[:known]))
        self._checked = known
        if end < 0:
            if known > limit:
                if b" " not in head[:limit]:
                    raise _method_failure(head.decode("ascii", "replace"))
                raise Fail(414, f"URI Too Long: a request line may have {limit} bytes")
            return False
        self._read_line(bytes(head[:end]))
        self._line_read = True
        self._checked = 0
        return True

    def _gather_fields(self, head: bytearray) -> int:
        """Where the head ends, or 0 if it goes on."""
        limit = self.limits.max_head
        end = head.find(b"\r\n\r\n", max(self._checked - 3, 0)) + 4
        known = min(len(head) if end == 3 else end, limit)
        self._read_fields(bytes(head[self._checked : known]))
        self._checked = known
        if end > limit or (end == 3 and len(head) >= limit):
            raise Fail(431, f"Request Header Fields Too Large: a head may have {limit} bytes")
        return end if end > 3 else 0

    def _read_line(self, line: bytes) -> None:
        request = self._request
        if line.translate(None, _LINE_BYTES):
            _refuse_line(line)
        try:
            method, target, version = line.decode("ascii").split(" ")
        except ValueError:
            raise Fail(400, "Bad Request: a request line is METHOD SP target SP HTTP/1.1") from None
        if version != "HTTP/1.1":
            if version != "HTTP/1.0":
                raise _version_failure(version)
            request.http_version = "1.0"
        request.method = method
        if method not in _METHODS:
            raise _method_failure(method)
        if not target.startswith("/"):
            target = self._special_target(method, target)
        path, _, request.query_string = target.partition("?")
        if "%" in path:
            path = codec.canonical(path)
            if "%00" in path:
                raise Fail(400, "Bad Request: the path contains NUL (RFC 3986, section 7.3)")
        request.path = path

    def _special_target(self, method: str, target: str) -> str:
        """The path and query of a target that is not simply those (RFC 9112 §3.2.2, §3.2.4)."""
        if target == "*" and method == "OPTIONS":
            return target
        scheme, _, rest = target.partition("://")
        if scheme.lower() in ("http", "https") and rest:
            authority, slash, path = rest.partition("/")
            authority, question, query = authority.partition("?")
            if question:
                slash, path = "/?", query + slash + path
            if is_authority(authority):
                self._plain = False
                self._authority = authority
                return (slash or "/") + path
        raise Fail(400, "Bad Request: a target is a path, or a whole http URL, or * for OPTIONS")

    def _read_fields(self, data: bytes) -> None:
        """Give httptools a head, or the next piece of one."""
        if self._httptools is None:
            self._httptools = self.library.HttpRequestParser(self._fields)
        try:
            self._httptools.feed_data(data)
        except self.library.HttpParserUpgrade:
            self._httptools = None  # to a protocol nobody here speaks: answered as if it had not asked
        except self.library.HttpParserError as error:
            raise Fail(400, f"Bad Request: {error}") from None

    def _end_head(self) -> None:
        """The head is complete and well-formed. Does it make sense?"""
        request = self._request
        fields = self._fields.by_name
        request._fields = fields
        if len(fields) + self._fields.repeated > self.limits.max_fields:
            raise Fail(431, f"Request Header Fields Too Large: at most {self.limits.max_fields} fields")
        self._fields.by_name = {}
        self._fields.repeated = 0
        host = fields.get(b"host")
        if host is None or host != self._host:
            self._check_host(host)
        if self._authority is not None:
            fields[b"host"] = self._authority.encode()  # RFC 9112 §3.2.2: the target says it better
        if request.http_version == "1.1" and _FRAMING.isdisjoint(fields):
            self._finished = True
        else:
            self._frame(fields)

    def _check_host(self, host: bytes | list[bytes] | None) -> None:
        if host is None:
            if self._request.http_version == "1.0":
                return
            raise Fail(400, "Bad Request: HTTP/1.1 needs a Host field")
        if isinstance(host, list):
            raise Fail(400, "Bad Request: more than one Host field")
        if not is_authority(host.decode("latin-1").strip(" \t")):
            raise Fail(400, "Bad Request: the Host field is no host and port")
        self._host = host

    def _frame(self, fields: dict[bytes, bytes | list[bytes]]) -> None:
        """Where the message ends and what becomes of the connection (RFC 9112 §6.3, §9.3)."""
        self._plain = False
        options = _tokens(fields.get(b"connection"))
        version = self._request.http_version
        self._keep_alive = b"close" not in options and (version == "1.1" or b"keep-alive" in options)
        coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
        size = 0
        if coding is not None:
            if version == "1.0" or length is not None:
                raise Fail(
                    400,
                    "Bad Request: Transfer-Encoding with HTTP/1.0 or Content-Length (RFC 9112, section 6.1)",
                )
            if not isinstance(coding, bytes) or coding.strip(b" \t").lower() != b"chunked":
                raise _coding_failure(coding)
        elif length is not None:
            size = self._content_length(length)
        if b"expect" in fields and version == "1.1":
            expectations = _tokens(fields[b"expect"])
            if any(expectation != b"100-continue" for expectation in expectations):
                raise Fail(417, "Expectation Failed: the only expectation met here is 100-continue")
            self.expects_continue = bool(expectations) and not self.unread
        if (
            version == "1.0"
            or size
            or coding
            or b"proxy-connection" in fields
            or (options and options != [b"keep-alive"])
        ):
            self._httptools = (
                None  # it would wait for the body, or for nothing more: it reads options its own way
            )
        if not size and not coding:
            self.expects_continue = False
            self._finished = True
            return
        self.in_body = True
        self._body = bytearray()  # not a list of pieces: a body of tiny ones would cost forty times its size
        if coding:
            self._chunked = Chunked(max_size=self.limits.max_body)
            self._go_on = HttpParser._take_chunked
        else:
            self._missing = size
            self._go_on = HttpParser._take_sized
        data, self.unread = self.unread, b""
        if data:
            self._go_on(self, data)

    def _content_length(self, length: bytes | list[bytes]) -> int:
        digits = length.strip(b" \t") if isinstance(length, bytes) else b""
        # A zero before other digits is good grammar, but some read it as octal, and nobody needs it.
        if not digits.isdigit() or (digits[0] == 0x30 and len(digits) > 1):
            raise Fail(400, "Bad Request: Content-Length is one decimal number (RFC 9110, section 8.6)")
        if len(digits) > 18 or int(digits) > self.limits.max_body:
            raise self._too_large()
        return int(digits)

    def _take_sized(self, data: bytes) -> None:
        missing = self._missing
        if len(data) >= missing:
            self._end_body(data[:missing], data[missing:])
        else:
            self._body += data
            self._missing = missing - len(data)

    def _take_chunked(self, data: bytes) -> None:
        decoder = self._chunked
        try:
            pieces = decoder.feed(data)
        except ChunkedError as error:
            if decoder.declared > self.limits.max_body:
                raise self._too_large() from None
            raise Fail(400, f"Bad Request: {error}") from None
        piece = b"".join(pieces)
        if decoder.finished:
            self._end_body(piece, decoder.unread)
        else:
            self._body += piece

    def _end_body(self, piece: bytes, unread: bytes) -> None:
        self._request.body = bytes(self._body + piece) if self._body else piece
        self.unread = unread
        del self._body
        self.in_body = self.expects_continue = False
        self._finished = True

    def _too_large(self) -> Fail:
        return Fail(413, f"Content Too Large: a body may have {self.limits.max_body} bytes")


def _refuse_line(line: bytes) -> None:
    """Raise `Fail(400)`, unless all that is unusual in the request line is what browsers leave in queries."""
    path, _, query = _IP_LITERAL.sub(b"", line, 1).partition(b"?")
    if path.translate(None, _LINE_BYTES) or query.translate(None, _QUERY_BYTES):
        raise Fail(
            400, "Bad Request: the request line has bytes that must be percent-encoded (RFC 3986, section 2)"
        )


def _method_failure(method: str) -> Fail:
    """A token may be a method of somebody else's (RFC 9112 §3 has 501 for one that is too long, as well)."""
    if is_token(method):
        return Fail(501, f"Not Implemented: {method[:32]}")
    return Fail(400, "Bad Request: a method is a token (RFC 9110, section 9.1)")


def _version_failure(version: str) -> Fail:
    """Other versions of HTTP are not spoken here; the rest is no version of HTTP.

    RFC 9110 §2.5 would have HTTP/1.2 read as HTTP/1.1. There is none, nor will there be; who says it anyhow
    is told, and not read by rules that it has announced to differ from. 0.9 never had a version in its line.
    """
    name, _, number = version.partition("/")
    if (
        name == "HTTP"
        and len(number) == 3
        and number[0] in "123456789"
        and number[1] == "."
        and number[2].isdigit()
    ):
        return Fail(505, "HTTP Version Not Supported: HTTP/1.0 and HTTP/1.1 are")
    return Fail(400, "Bad Request: the request line does not end in HTTP/1.1 or HTTP/1.0")


def _coding_failure(values: bytes | list[bytes]) -> Fail:
    """Codings that end in chunked say where the body ends, but nobody here can decode it (RFC 9112 §6.1)."""
    joined = b",".join(values) if isinstance(values, list) else values
    *others, last = [part.strip(b" \t").lower() for part in joined.split(b",")]
    names = [coding.partition(b";")[0].rstrip(b" \t") for coding in others]
    if last == b"chunked" and all(name != last and is_token(name.decode("latin-1")) for name in names):
        return Fail(501, "Not Implemented: the only transfer coding here is chunked")
    return Fail(400, "Bad Request: Transfer-Encoding is a list of codings, the last of them chunked, once")


def _tokens(values: bytes | list[bytes] | None) -> list[bytes]:
    """The members of a comma-separated list, in lower case (RFC 9110 §5.6.1)."""
    if values is None:
        return []
    joined = b",".join(values) if isinstance(values, list) else values
    return [member for part in joined.lower().split(b",") if (member := part.strip(b" \t"))]
