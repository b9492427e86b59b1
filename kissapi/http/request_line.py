"""Request line: method, target and version (RFC 9112 §3), and which of them are not served.

Tolerated beyond the grammar: in a query, and there alone, brackets, braces, `|`, `^`, backslash, backtick
and a `%` that escapes nothing, for browsers send them. Refused, though the grammar lets it pass: NUL in a
path, HTTP/1.2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kissapi.core import Fail
from kissapi.http import uri
from kissapi.http.authority import is_authority
from kissapi.http.grammar import is_token

if TYPE_CHECKING:
    from kissapi.http.request import Request

# What may stand in a path but for escapes (RFC 3986 §3.3), in a request line, in a query (§3.4, and what
# browsers leave unescaped there), and in either. A whole URL may have an IP literal, and that its brackets.
PATH_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/"
LINE_BYTES = PATH_BYTES + b"%? "
QUERY_BYTES = PATH_BYTES + b"%?[]{}|\\^`"
ANY_BYTES = QUERY_BYTES + b" "
_IP_LITERAL = re.compile(rb"(?i)(?<= http://)\[[^]]*\]|(?<= https://)\[[^]]*\]")

# The methods that httptools accepts, without CONNECT, which is for proxies, and TRACE, which echoes
# credentials to scripts. They are judged here, for httptools also knows methods of other protocols, and has
# another error for each.
METHODS = frozenset(
    "GET HEAD POST PUT DELETE OPTIONS PATCH QUERY ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE MKACTIVITY"
    " MKCALENDAR MKCOL MOVE NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND"
    " UNLINK UNLOCK UNSUBSCRIBE".split()
)


def read_request_line(line: bytes, request: Request) -> str | None:
    """Set what `line` says on `request`; the authority, if the target is a whole URL (RFC 9112 §3.2.2).

    Raises `Fail`: 400, 501 for a method and 505 for a version that is not served.
    """
    if line.translate(None, LINE_BYTES):
        refuse_bytes(line)
    try:
        method, target, version = line.decode("ascii").split(" ")
    except ValueError:
        raise Fail(400, "Bad Request: a request line is METHOD SP target SP HTTP/1.1") from None
    if version != "HTTP/1.1":
        if version != "HTTP/1.0":
            raise _version_failure(version)
        request.http_version = "1.0"
    request.method = method
    if method not in METHODS:
        raise method_failure(method)
    authority = None
    if not target.startswith("/"):
        authority, target = _special_target(method, target)
    path, _, request.query_string = target.partition("?")
    if "%" in path:
        path = uri.canonical(path)
        if "%00" in path:
            raise Fail(400, "Bad Request: the path contains NUL (RFC 3986, section 7.3)")
    request.path = path
    return authority


def _special_target(method: str, target: str) -> tuple[str | None, str]:
    """Authority, path and query of a target that is not simply a path (RFC 9112 §3.2.2, §3.2.4)."""
    if target == "*" and method == "OPTIONS":
        return None, target
    scheme, _, rest = target.partition("://")
    if scheme.lower() in ("http", "https") and rest:
        authority, slash, path = rest.partition("/")
        authority, question, query = authority.partition("?")
        if question:
            slash, path = "/?", query + slash + path
        if is_authority(authority):
            return authority, (slash or "/") + path
    raise Fail(400, "Bad Request: a target is a path, or a whole http URL, or * for OPTIONS")


def refuse_bytes(line: bytes) -> None:
    """Raise `Fail(400)`, unless all that is unusual in the request line is what browsers leave in queries."""
    # Within brackets as well: a line that has come as far as there gets the same answer as a whole one.
    path, _, _ = _IP_LITERAL.sub(b"", line, 1).partition(b"?")
    if line.translate(None, ANY_BYTES) or path.translate(None, LINE_BYTES):
        raise Fail(
            400, "Bad Request: the request line has bytes that must be percent-encoded (RFC 3986, section 2)"
        )


def method_failure(method: str) -> Fail:
    """A token may be a method of another server (RFC 9112 §3 has 501 for one that is too long, as well)."""
    if is_token(method):
        return Fail(501, f"Not Implemented: {method[:32]}")
    return Fail(400, "Bad Request: a method is a token (RFC 9110, section 9.1)")


def _version_failure(version: str) -> Fail:
    """The answer to another version of HTTP, or to what is none.

    RFC 9110 §2.5 would have HTTP/1.2 read as HTTP/1.1. There is none, nor will there be; a client that sends
    it announces other rules, and is refused, not read by these. 0.9 never had a version in its line.
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
