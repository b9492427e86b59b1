"""Heads: the grammar of a request's head (RFC 9112 §3 and §5) as httptools 0.9 has it, and as an automaton.

A byte is refused here where httptools refuses it; `httptools` beside this lists the differences. The states
below EVENTS stop the scan: there `HttpRequestParser` acts on what was read.
"""

from __future__ import annotations

from .automaton import DIGITS, ERROR, LETTERS, TEXT, TOKEN, VISIBLE, Automaton

METHODS = (
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK"
    b" BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH"
    b" PURGE MKCALENDAR LINK UNLINK SOURCE QUERY"
).split()
# Known to llhttp, and so another error than an unknown method; with HTTP they are refused.
RTSP_METHODS = (
    b"ANNOUNCE DESCRIBE FLUSH GET_PARAMETER PAUSE PLAY RECORD REDIRECT SET_PARAMETER SETUP TEARDOWN"
).split()

_head = Automaton()
LINE_END, FIELD_END, HEAD_END, LENGTH_VALUE, CODING_VALUE, NO_VALUE = (_head.state() for _ in range(6))
EVENTS = CODING_VALUE + 1

# The target in its four forms. Whether it suits the method is for the server to say.
_SPACES, _CONNECT_SPACES, _PATH, _SERVER, _AFTER_AT = (_head.state() for _ in range(5))
_SCHEME, _SLASH_1, _SLASH_2 = (_head.state() for _ in range(3))
_VERSION, _LINE_LF = _head.state(), _head.state()
_head.on(_SPACES, b" ", _SPACES)
_head.on(_SPACES, b"/*", _PATH)
_head.on(_SPACES, LETTERS, _SCHEME)
_head.on(_PATH, VISIBLE, _PATH)
_head.on(_PATH, b" ", _VERSION)
_head.on(_SCHEME, LETTERS, _SCHEME)
_head.on(_SCHEME, b":", _SLASH_1)
_head.on(_SLASH_1, b"/", _SLASH_2)
_head.on(_SLASH_2, b"/", _SERVER)
for _state in (_SERVER, _AFTER_AT, _CONNECT_SPACES):
    _head.on(_state, b"!$%&'()*+,-.:;=[]_~" + DIGITS + LETTERS, _SERVER)
    _head.on(_state, b"/?", _PATH)
    _head.on(_state, b" ", _VERSION)
for _state in (_SERVER, _CONNECT_SPACES):
    _head.on(_state, b"@", _AFTER_AT)
_head.on(_CONNECT_SPACES, b" ", _CONNECT_SPACES)

_methods = METHODS + RTSP_METHODS
START = _head.words((m + b" ", _CONNECT_SPACES if m == b"CONNECT" else _SPACES) for m in _methods)
START_LF = _head.state()  # an empty line before the request line is skipped (RFC 9112 §2.2)
_head.on(START, b"\r", START_LF)
_head.on(START_LF, b"\n", START)

_versions = (b"HTTP/0.9\r", b"HTTP/1.0\r", b"HTTP/1.1\r", b"HTTP/2.0\r")
_rest = _head.words((version, _LINE_LF) for version in _versions)
_head.rows[_VERSION][:] = _head.rows[_rest]
_head.on(_VERSION, b" ", _VERSION)
_head.on(_LINE_LF, b"\n", LINE_END)

_NAME, _VALUE, _FIELD_LF, _HEAD_LF = (_head.state() for _ in range(4))
_head.on(_NAME, TOKEN, _NAME)
_head.on(_NAME, b":", _VALUE)
_head.on(_VALUE, TEXT, _VALUE)
_head.on(_VALUE, b"\r", _FIELD_LF)
_head.on(_FIELD_LF, b"\n", FIELD_END)
_framing = ((b"content-length:", LENGTH_VALUE), (b"transfer-encoding:", CODING_VALUE))
FIELD = _head.words(_framing, like=_NAME, fold=True)
_head.on(FIELD, b":", ERROR)
_head.on(FIELD, b"\r", _HEAD_LF)
_head.on(_HEAD_LF, b"\n", HEAD_END)

# A value that is missing is refused with the first byte of the next line: until then the line might go on.
_NO_VALUE_CR, _NO_VALUE_LF = _head.state(), _head.state()
_head.on(NO_VALUE, b"\t ", NO_VALUE)  # nothing may follow, for another field has said it all
_head.on(NO_VALUE, b"\r", _NO_VALUE_CR)
_head.on(_NO_VALUE_CR, b"\n", _NO_VALUE_LF)

_LENGTH_BLANKS, LENGTH_DIGITS, _LENGTH_TAIL, LENGTH_LF = (_head.state() for _ in range(4))
for _state in (LENGTH_VALUE, _LENGTH_BLANKS):
    _head.on(_state, b"\t ", _LENGTH_BLANKS)
    _head.on(_state, DIGITS, LENGTH_DIGITS)
    _head.on(_state, b"\r", _NO_VALUE_CR)
for _state in (LENGTH_DIGITS, _LENGTH_TAIL):
    _head.on(_state, b"\t ", _LENGTH_TAIL)
    _head.on(_state, b"\r", LENGTH_LF)
_head.on(LENGTH_LF, b"\n", FIELD_END)
_head.on(LENGTH_DIGITS, DIGITS, LENGTH_DIGITS)

# A list of codings, in which nothing may follow `chunked` (RFC 9112 §6.1). Blanks before it, spaces after it.
_OTHER_CODING = _head.state()
_head.on(_OTHER_CODING, TEXT, _OTHER_CODING)
_head.on(_OTHER_CODING, b"\r", _FIELD_LF)
_CHUNKED_TAIL = _head.state(like=_OTHER_CODING)
_head.on(_CHUNKED_TAIL, b" ", _CHUNKED_TAIL)
_head.on(_CHUNKED_TAIL, b",", ERROR)
_CODING = _head.state()
_head.on(_OTHER_CODING, b",", _CODING)
_chunked = _head.words(((b"chunked ", _CHUNKED_TAIL), (b"chunked,", ERROR)), like=_OTHER_CODING, fold=True)
_head.rows[_CODING][:] = _head.rows[_chunked]
_head.on(_CODING, b"\t ,", _CODING)
_CODING_BLANKS = _head.state(like=_CODING)
_head.rows[CODING_VALUE][:] = _head.rows[_CODING]
for _state in (CODING_VALUE, _CODING_BLANKS):
    _head.on(_state, b"\t ", _CODING_BLANKS)
    _head.on(_state, b"\r", _NO_VALUE_CR)

ROWS = _head.rows


def where(state: int) -> str:
    """What the automaton is reading in this state."""
    if START <= state <= START_LF:
        return "method"
    if _SPACES <= state < _VERSION:
        return "target"
    return "version" if _VERSION <= state < _NAME else "header"
