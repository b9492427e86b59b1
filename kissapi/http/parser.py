"""HttpParser: HTTP/1.0 and HTTP/1.1 by the contract of `kissapi.http.contract`. The one door to httptools.

Whatever the pieces in which a message comes, it is judged alike. The modules beside this one know one subject
each: the request line, the authority, framing, the body. This one gathers the bytes, and asks them in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.core import Fail
from kissapi.http.authority import is_authority
from kissapi.http.body import Body, too_large
from kissapi.http.chunked import whole_chunk
from kissapi.http.contract import Parser
from kissapi.http.framing import Framing, framing_fields
from kissapi.http.limits import Limits
from kissapi.http.request_line import ANY_BYTES, METHODS, method_failure, read_request_line, refuse_bytes
from kissapi.http.usual_head import usual_head

try:
    import httptools
except ImportError:
    from kissapi.compat import httptools  # type: ignore[no-redef]

if TYPE_CHECKING:
    from kissapi.http.request import Request


_METHODS = {method.encode(): method for method in METHODS}
_BLANK_LINES = 2  # before a request line: some old clients send one after a body (RFC 9112 §2.2)


class HttpParser(Parser):
    r"""HTTP/1.0 and HTTP/1.1 (RFC 9112), one message at a time.

    A whole head of the usual form is matched by one pattern (`usual_head`). Any other, and every wrong one,
    is judged by httptools, piece by piece as it comes. What httptools does not judge is judged here: the
    request line, Host, framing and limits. Bodies never go through it: it could not be stopped at their end.

    Up to two empty lines before a request are tolerated. What else is tolerated, or is refused though the
    grammar lets it pass, stands at the head of `request_line.py`, `authority.py`, `framing.py`, `chunked.py`.

        >>> from kissapi import Request
        >>> parser = HttpParser(request := Request())
        >>> parser.feed_data(b"GET /hello?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        >>> parser.finished, request.method, request.path, request.query
        (True, 'GET', '/hello', {'x': '1'})
    """

    library: Any = httptools  # or its stand-in: see `kissapi.http.pure`

    def __init__(self, request: Request) -> None:
        self._host: bytes | list[bytes] | None = (
            None  # the last valid one: a client sends the same one each time
        )
        self._plain = False
        self.limits = Limits
        self.reset(request)

    @property
    def limits(self) -> Limits | type[Limits]:
        """What a message may take; the server sets its own."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits | type[Limits]) -> None:
        self._limits = limits
        # A head of this size is within all limits, for a field takes four bytes at least.
        self._small_head = min(limits.max_line, limits.max_head, 4 * limits.max_fields)

    def reset(self, request: Request) -> HttpParser:
        """Start over with the next message of the connection, and fill in `request`."""
        self._request: Any = request  # until it is complete: kept any longer, it would keep its body
        self.finished = False
        if self._plain:
            return self  # the message before left nothing to clear
        self._plain = True  # whole, with no field that changes what becomes of the connection
        # What takes the next bytes of a message under way; not bound to self, which would be a cycle.
        self._go_on: Callable[[HttpParser, bytes], None] | None = None
        self._authority: str | None = None  # of an absolute target
        self._keep_alive = True
        self.unread = b""
        self.in_body = False
        self.expects_continue = False
        self.begun = True
        return self

    @property
    def _finished(self) -> bool:
        """The name that `finished` had."""
        return self.finished

    def should_keep_alive(self) -> bool:
        """Whether the client wants, and its message allows, another request on this connection."""
        return self._keep_alive

    def feed_data(self, data: bytes) -> None:
        """Take the next bytes. Raises `Fail` for what is not a well-formed request, or too large a one."""
        if self._go_on is not None:
            self._go_on(self, data)
            return
        # The fast road: a whole head of the usual form.
        head = usual_head(data)
        if head is not None:
            end = head.end()
            method, path, query, host, length, chunked, close = head.groups()
            if method in _METHODS and (end <= self._small_head or self._fits(data, end)):
                request = self._request
                request.method = _METHODS[method]
                request.path = path.decode()
                if query:
                    request.query_string = query.decode()
                request._head = data[:end]
                self.unread = data[end:]
                if host != self._host:
                    self._check_host(host)
                if close is not None:
                    self._plain = self._keep_alive = False
                if length is None and chunked is None:
                    self.finished, self._request = True, None
                else:
                    size = None if length is None else int(length)
                    if size is not None and size > self._limits.max_body:
                        self._plain = False
                        self.in_body = True  # the head is well-formed: its route may have an answer to 413
                        raise too_large(self._limits.max_body)
                    self._await_body(size)
                return
        self._gathered = bytearray()
        self._checked = 0  # how much of it has been looked at, and given to httptools
        self._blank_lines = 0
        self._line_end = 0
        self._plain = False
        self._httptools = self.library.HttpRequestParser(None)  # no callbacks: all it does is refuse
        self._go_on = HttpParser._gather_head
        self._gather_head(data)

    def _fits(self, data: bytes, end: int) -> bool:
        """Whether a usual head that ends at `end` is within the limits."""
        limits = self._limits
        # So short a head has no line that is too long.
        return (
            end <= min(limits.max_line, limits.max_head)
            and data.count(b"\n", 0, end) - 2 <= limits.max_fields
        )

    # A head that comes in pieces, or breaks a rule of its form. Whatever the pieces, the verdict is the same:
    # no byte over a limit is looked at, and what is under it is judged in the order in which it came.

    def _gather_head(self, data: bytes) -> None:
        head = self._gathered
        self.begun = True
        while not self._line_end:
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
            self._go_on = self._httptools = None
            self.unread = bytes(head[end:])
            self._request._head = bytes(head[:end])
            del self._gathered
            self._end_head(self._request._head)

    def _gather_line(self, head: bytearray) -> bool:
        """Whether the request line is complete, and has been read."""
        limit = self.limits.max_line
        end = head.find(b"\r\n", max(self._checked - 1, 0))
        known = end if end >= 0 else min(len(head), limit + 1)
        if end < 0 and head[known - 1] == 0x0D and known == len(head):
            known -= 1  # half a line end, perhaps
        if head[self._checked : known].translate(None, ANY_BYTES):
            refuse_bytes(bytes(head[:known]))
        self._checked = known
        if end < 0:
            if known > limit:
                if b" " not in head[:limit]:
                    raise method_failure(head.decode("ascii", "replace"))
                raise Fail(414, f"URI Too Long: a request line may have {limit} bytes")
            return False
        self._authority = read_request_line(bytes(head[:end]), self._request)
        self._line_end = end
        self._checked = 0
        return True

    def _gather_fields(self, head: bytearray) -> int:
        """Where the head ends, or 0 if it goes on."""
        limit = self.limits.max_head
        end = head.find(b"\r\n\r\n", max(self._checked - 3, 0)) + 4
        known = min(len(head) if end == 3 else end, limit)
        self._judge(bytes(head[self._checked : known]))
        self._checked = known
        if end > limit or (end == 3 and len(head) >= limit):
            raise Fail(431, f"Request Header Fields Too Large: a head may have {limit} bytes")
        return end if end > 3 else 0

    def _judge(self, data: bytes) -> None:
        """Let httptools judge the next piece of a head."""
        try:
            # Both are blanks (RFC 9110 §5.6.3), but llhttp takes `chunked<TAB>` for another coding.
            self._httptools.feed_data(data.replace(b"\t", b" "))
        except self.library.HttpParserUpgrade:
            pass  # the request is answered as if it had not asked for another protocol
        except self.library.HttpParserError as error:
            raise Fail(400, f"Bad Request: {error}") from None

    def _end_head(self, head: bytes) -> None:
        """The head is complete and well-formed: judge what its fields mean together."""
        if head.count(b"\n") - 2 > self.limits.max_fields:
            raise Fail(431, f"Request Header Fields Too Large: at most {self.limits.max_fields} fields")
        fields = framing_fields(head)
        self._check_host(fields.get(b"host"))
        if self._authority is not None:
            self._request.headers["host"] = self._authority  # a whole URL outranks Host (RFC 9112 §3.2.2)
        try:
            framing = Framing(fields, self._request.http_version, self.limits.max_body)
        except Fail:
            self.in_body = True  # as above
            raise
        self._keep_alive = framing.keep_alive
        self._await_body(framing.size, framing.expects_continue)

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

    def _await_body(self, size: int | None, expects_continue: bool = False) -> None:
        """Take `size` bytes of body, or chunks if it is None."""
        unread = self.unread
        # A small one comes with its head: then there is nothing to wait for.
        if size is None:
            whole = whole_chunk(unread, self._limits.max_body)
        else:
            whole = (unread[:size], unread[size:]) if len(unread) >= size else None
        if whole is not None:
            self._request.body, self.unread = whole
            self.finished, self._request = True, None
            return
        self._plain = False
        self.in_body = True
        self.expects_continue = expects_continue and not unread
        self._body = Body(size, self._limits.max_body)
        self._go_on = HttpParser._take_body
        if unread:
            self._take_body(unread)

    def _take_body(self, data: bytes) -> None:
        unread = self._body.feed(data)
        if unread is None:
            self.unread = b""
            return
        self._request.body = self._body.take()
        self.unread = unread
        del self._body
        self.in_body = self.expects_continue = False
        self.finished, self._request = True, None

    def limit_body(self, most: int) -> None:
        """The body may have `most` bytes. Raises `Fail(413)` if more are announced already."""
        self._body.limit(most)

    def take_body(self) -> bytes:
        """What has come of the body since the last time; `request.body` is then only the rest of it."""
        return self._body.take()

    def body_left(self) -> float:
        """How many bytes of the body are yet to come; infinity if that is not known."""
        return self._body.left()
