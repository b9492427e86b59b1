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
    begun = True                     # False while only what may stand before a message has come
    in_body = False                  # True while the head is complete and the body is not
    expects_continue = False         # True while the client waits for a word before it sends the body

An exception answers 400 and ends the connection; a `Fail` answers with its status, and ends it too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.fail import Fail
from kissapi.framing import FRAMING, LENGTHS, Body, Framing
from kissapi.host import is_authority
from kissapi.limits import Limits
from kissapi.request_line import QUERY_BYTES, method_failure, read_request_line, refuse_bytes

try:
    import httptools
except ImportError:
    from kissapi.compat import httptools  # type: ignore[no-redef]

if TYPE_CHECKING:
    from kissapi.request import Request


_USUAL_OPTIONS: tuple[list[bytes], ...] = ([], [b"keep-alive"])
_BLANK_LINES = 2  # before a request line: some old clients send one after a body (RFC 9112 §2.2)


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
    r"""HTTP/1.0 and HTTP/1.1 (RFC 9112), one message at a time.

    httptools reads the fields and checks their grammar. What it does not do is done here: where a message
    ends, the request line, Host, framing and limits. Bodies never go through it: it could not be stopped at
    their end.

    Up to two empty lines before a request are tolerated. What else is, or is refused though the grammar lets
    it pass, stands at the head of `request_line.py`, `host.py` and `framing.py`.

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
        self.begun = True

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
            self._authority = read_request_line(data[:line_end], self._request)
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
        self.begun = True
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
                    self.begun = False
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
        if head[self._checked : known].translate(None, QUERY_BYTES):
            refuse_bytes(bytes(head[:known]))
        self._checked = known
        if end < 0:
            if known > limit:
                if b" " not in head[:limit]:
                    raise method_failure(head.decode("ascii", "replace"))
                raise Fail(414, f"URI Too Long: a request line may have {limit} bytes")
            return False
        self._authority = read_request_line(bytes(head[:end]), self._request)
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
        if request.http_version == "1.1" and (
            FRAMING.isdisjoint(fields)
            # Every browser says it, to no effect.
            or (fields.get(b"connection") == b"keep-alive" and LENGTHS.isdisjoint(fields))
        ):
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
        """The message has a body, or a say in what becomes of the connection."""
        self._plain = False
        version = self._request.http_version
        framing = Framing(fields, version, self.limits.max_body)
        self._keep_alive = framing.keep_alive
        if framing.size == 0:
            # httptools reads options its own way, and would wait for the end of the connection.
            if version == "1.0" or b"proxy-connection" in fields or framing.options not in _USUAL_OPTIONS:
                self._httptools = None
            self._finished = True
            return
        self._httptools = None  # it would wait for the body
        size, unread = framing.size, self.unread
        if size is not None and len(unread) >= size:  # a small one comes with its head
            self._request.body = unread[:size]
            self.unread = unread[size:]
            self._finished = True
            return
        self.in_body = True
        self.expects_continue = framing.expects_continue and not unread
        self._body = Body(size, self.limits.max_body)
        self._go_on = HttpParser._take_body
        if unread:
            self._take_body(unread)

    def _take_body(self, data: bytes) -> None:
        unread = self._body.feed(data)
        if unread is None:
            self.unread = b""
            return
        self._request.body = bytes(self._body.data)
        self.unread = unread
        del self._body
        self.in_body = self.expects_continue = False
        self._finished = True
