"""httptools: a stand-in for `httptools.HttpRequestParser` (0.9), in pure Python, for heads.

Fed the same bytes, in whatever pieces, it makes the same calls in the same order, and what httptools refuses
it refuses too, at the same byte or before it. It refuses more:
  - a body: its first byte is a HttpParserError, for `kissapi` gives httptools heads only. So `on_body`,
    `on_chunk_header` and `on_chunk_complete` are never called;
  - a request line without a version, the protocols RTSP and ICE, the method PRI;
  - a bare CR or a bare LF before a request line (RFC 9112 §2.2; whole CRLFs are skipped).
On the rest it agrees, also where httptools is lax (targets, Host, codings, the versions 0.9 and 2.0): a
server has to refuse those in any case. It differs without refusing in three places:
  - the target comes in one piece, with the end of the request line; an error in that line comes without it;
  - a method of RTSP is refused at the end of its line, not within it;
  - an exception that is no `Exception` (Ctrl-C) passes through; httptools makes it a HttpParserCallbackError.
Left out: bodies, responses, `parse_url`, `set_dangerous_leniencies`.

A head that has arrived whole is read by two regular expressions; any other, and every wrong one, is read byte
by byte by the automaton, so that what is wrong is known at its first wrong byte.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .automaton import ERROR, TEXT, TOKEN
from .heads import (
    CODING_VALUE,
    EVENTS,
    FIELD,
    FIELD_END,
    LENGTH_DIGITS,
    LENGTH_LF,
    LENGTH_VALUE,
    LINE_END,
    METHODS,
    NO_VALUE,
    ROWS,
    RTSP_METHODS,
    START,
    START_LF,
    where,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# What a head says, as flags, so that a new message is one assignment.
_CLOSE, _KEEP_ALIVE, _CONNECTION_UPGRADE, _UPGRADE, _LENGTH, _CODED, _CHUNKED = (1 << bit for bit in range(7))
_UPGRADES = _UPGRADE | _CONNECTION_UPGRADE
_CONNECTION_OPTIONS = {b"close": _CLOSE, b"keep-alive": _KEEP_ALIVE, b"upgrade": _CONNECTION_UPGRADE}

# The usual head. A target of another form than /path, and all else that is rare, is left to the automaton.
_REQUEST_LINE = re.compile(rb"([A-Z-]++) (/[!-~]*+) HTTP/(1\.[01])(?=\r\n)")
# A match begins with the CRLF before its line, so the fields are valid if there are as many matches as LFs.
_FIELDS = re.compile(rb"\r\n([%b]++):[\t ]*+([%b]*+)(?=\r\n)" % (re.escape(TOKEN), re.escape(TEXT))).findall
_KNOWN_FIELDS = {b"connection", b"proxy-connection", b"upgrade", b"content-length", b"transfer-encoding"}
_USUAL_METHODS = frozenset(METHODS) - {b"CONNECT"}

_BODY, _CLOSED = -1, -2  # what comes next when it is not a head


class HttpParserError(Exception):
    pass


class HttpParserCallbackError(HttpParserError):
    pass


class HttpParserInvalidStatusError(HttpParserError):
    pass


class HttpParserInvalidMethodError(HttpParserError):
    pass


class HttpParserInvalidURLError(HttpParserError):
    pass


class HttpParserUpgrade(Exception):
    pass


_ERRORS = {"method": HttpParserInvalidMethodError, "target": HttpParserInvalidURLError}


class _Refused(Exception):
    """What the parser has to say itself, as (class, argument); any other exception comes from a callback."""


def _number(digits: bytes | bytearray) -> int:
    """A Content-Length; httptools counts in 64 bits."""
    digits = digits.lstrip(b"0")
    number = int(digits or b"0") if len(digits) <= 20 else 1 << 64
    if number >> 64:
        raise _Refused(HttpParserError, "Content-Length overflow")
    return number


def _ignore(*args: bytes) -> None:
    pass


def _callback(protocol: object, name: str) -> Callable[..., object]:
    return getattr(protocol, name, None) or _ignore


class HttpRequestParser:
    def __init__(self, protocol: object) -> None:
        self._on_message_begin = _callback(protocol, "on_message_begin")
        self._on_url = _callback(protocol, "on_url")
        self._on_header = _callback(protocol, "on_header")
        self._on_headers_complete = _callback(protocol, "on_headers_complete")
        self._on_message_complete = _callback(protocol, "on_message_complete")
        self._method = METHODS[0]  # as httptools says it before there is a request
        self._version = b"0.0"
        self._flags = 0
        self._length = 0  # bytes of the body, as Content-Length has them
        self._upgrade = False
        self._state = START
        self._line = bytearray()
        self._failure: tuple[type[Exception], object] | None = None

    def get_method(self) -> bytes:
        return self._method

    def get_http_version(self) -> str:
        return self._version.decode()

    def should_keep_alive(self) -> bool:
        """Meant for `on_headers_complete` and `on_message_complete`; after them a new message has begun."""
        if self._version == b"1.1":
            return not self._flags & _CLOSE
        return bool(self._flags & _KEEP_ALIVE)

    def should_upgrade(self) -> bool:
        return self._upgrade

    def feed_data(self, data: bytes | bytearray | memoryview) -> None:
        if self._failure is not None:
            kind, argument = self._failure
            raise kind(argument)
        if type(data) is not bytes:
            data = memoryview(data).tobytes()
        try:
            position, end = 0, len(data)
            while position < end:
                if self._state == START:
                    position = self._read_whole_head(data, position) or self._read_head(data, position)
                elif self._state > 0:
                    position = self._read_head(data, position)
                else:
                    position = self._read_behind(data, position)
        except _Refused as refused:
            kind, argument = refused.args
            if kind is not HttpParserUpgrade:
                self._failure = kind, argument
            raise kind(argument) from None
        except Exception:
            self._failure = HttpParserCallbackError, "callback error"
            raise HttpParserCallbackError("callback error")  # noqa: B904  httptools sets __context__, not __cause__

    def _read_whole_head(self, data: bytes, position: int) -> int:
        """Reads a head that begins at `position`, and gives its end, or 0 if that takes the automaton."""
        line = _REQUEST_LINE.match(data, position)
        if line is None:
            return 0
        method, target, version = line.groups()
        start = line.end()
        end = data.find(b"\r\n\r\n", start)
        if end < 0 or method not in _USUAL_METHODS:
            return 0
        fields = _FIELDS(data, start, end + 2)
        if len(fields) != data.count(b"\n", start, end):
            return 0
        self._flags = 0
        self._method = method
        self._version = version
        self._on_message_begin()
        self._on_url(target)
        on_header = self._on_header
        for name, value in fields:
            # Most names differ in length from those that matter, and then need not be copied into lower case.
            if len(name) in {7, 10, 14, 16, 17} and (lower := name.lower()) in _KNOWN_FIELDS:
                self._field(lower, value)
            on_header(name, value)
        self._end_head(end + 4)
        return end + 4

    def _read_head(self, data: bytes, position: int) -> int:
        """Reads on to the next event of the automaton, or to the end of `data`; gives where it stopped."""
        start, state, rows = position, self._state, ROWS
        if state == START:
            if data[position] == 0x0D:
                self._state = START_LF
                return position + 1
            self._flags = 0
            self._on_message_begin()
        elif state == START_LF and data[position] == 0x0A:
            self._state = START
            return position + 1
        for byte in memoryview(data)[position:]:
            following = rows[state][byte]
            position += 1
            if following < EVENTS:
                break
            state = following
        else:
            self._line += data[start:position]
            self._state = state
            if LENGTH_DIGITS <= state <= LENGTH_LF:
                _number(self._line.rpartition(b":")[2].strip(b"\t \r"))  # too large already?
            return position
        if following == ERROR:
            wrong, part = data[position - 1 : position], where(state)
            raise _Refused(_ERRORS.get(part, HttpParserError), f"unexpected byte {wrong!r} in the {part}")
        self._line += data[start:position]
        if following in (LENGTH_VALUE, CODING_VALUE):
            self._state = self._admit(following)
        else:
            line = bytes(self._line[:-2])
            self._line.clear()
            self._end_line(following, line, position)
        return position

    def _admit(self, framing: int) -> int:
        """What to read after the name of a field that frames the message, if it may stand here at all."""
        if self._flags & (_CODED if framing == LENGTH_VALUE else _LENGTH):
            raise _Refused(HttpParserError, "Content-Length beside Transfer-Encoding")
        return NO_VALUE if self._flags & (_LENGTH | _CHUNKED) else framing

    def _end_line(self, event: int, line: bytes, position: int) -> None:
        self._state = FIELD
        if event == LINE_END:
            self._method, target, protocol = line.split()
            self._version = protocol[5:]
            self._on_url(target)
            if self._method in RTSP_METHODS:
                raise _Refused(HttpParserError, "Invalid method for HTTP/x.x request")
        elif event == FIELD_END:
            name, _, value = line.partition(b":")
            value = value.lstrip(b"\t ")
            self._field(name.lower(), value)
            self._on_header(name, value)
        else:
            self._end_head(position)

    def _field(self, name: bytes, value: bytes) -> None:
        """Keeps what a field, its name in lower case, says about the message and its connection."""
        if name == b"connection" or name == b"proxy-connection":
            for option in value.lower().split(b","):
                self._flags |= _CONNECTION_OPTIONS.get(option.strip(b"\t "), 0)
        elif name == b"upgrade":
            if value:
                self._flags |= _UPGRADE
        elif name == b"content-length":
            digits = value.rstrip(b"\t ")
            if self._admit(LENGTH_VALUE) == NO_VALUE or not digits.isdigit():
                raise _Refused(HttpParserError, "Invalid Content-Length")
            self._length = _number(digits)
            self._flags |= _LENGTH
        elif name == b"transfer-encoding":
            # Spaces only: to llhttp `chunked<TAB>` is another coding, refused when the head is over.
            *others, last = [coding.lstrip(b"\t ").rstrip(b" ") for coding in value.lower().split(b",")]
            if self._admit(CODING_VALUE) == NO_VALUE or not value or b"chunked" in others:
                raise _Refused(HttpParserError, "Invalid `Transfer-Encoding` header value")
            self._flags |= _CODED | _CHUNKED if last == b"chunked" else _CODED

    def _end_head(self, position: int) -> None:
        flags = self._flags
        self._upgrade = self._method == b"CONNECT" or flags & _UPGRADES == _UPGRADES
        self._on_headers_complete()
        if self._upgrade:
            self._on_message_complete()
            self._length = 0
            self._state = START if self.should_keep_alive() else _CLOSED
            raise _Refused(HttpParserUpgrade, position)
        if flags & _CODED and not flags & _CHUNKED:
            raise _Refused(HttpParserError, "Request has invalid `Transfer-Encoding`")
        if flags & _CODED or self._length:
            self._state = _BODY
        else:
            self._complete()

    def _read_behind(self, data: bytes, position: int) -> int:
        """Refuse the body behind a head, or what comes behind the last message of a connection."""
        if self._state == _BODY:
            raise _Refused(HttpParserError, "a body: this stand-in for httptools reads heads only")
        if data[position:].strip(b"\r\n"):
            raise _Refused(HttpParserError, "Data after `Connection: close`")
        return len(data)

    def _complete(self) -> None:
        self._on_message_complete()
        self._state = START if self.should_keep_alive() else _CLOSED
        self._flags = 0
