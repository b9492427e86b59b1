"""The request that a scope describes: `ScopeParser`, which reads it and its body, and `ScopedRequest`.

The server below has read the head. A path comes in the one spelling that routes are compared with; fields are
looked at when they are asked for. Bodies have kissapi's limits, as many ASGI servers have none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from typing import Any

from kissapi.core import Fail
from kissapi.http import uri
from kissapi.http.body import too_large
from kissapi.http.contract import Parser
from kissapi.http.headers import Headers, RequestHeaders, decode_fields
from kissapi.http.limits import Limits
from kissapi.http.once import once
from kissapi.http.request import Request

Scope = MutableMapping[str, Any]

HEAD = b"head"  # stands for the head where a connection is fed: the scope has it
# What the handshake of kissapi looks at. The server has judged it; over HTTP/2 (RFC 8441), and in test
# clients, it has other fields, or none.
_HANDSHAKE = {
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
_NOT_IN_PATH = re.compile(rb"[^!$&'()*+,./0-9:;=@A-Z_a-z~%-]")
_NOT_DECODED = re.compile(rb"[^!$&'()*+,./0-9:;=@A-Z_a-z~-]")
_NOT_IN_QUERY = re.compile(rb"[^!-~]")


class ScopedRequest(Request):
    """A request over ASGI. `path` is below `root_path`, where the app is mounted; URLs have both."""

    _scope: Scope
    _root: str = ""

    @once
    def headers(self) -> Headers:
        """As of any request."""
        fields = RequestHeaders()
        values = fields._values
        for name, value in self._scope["headers"]:
            values.setdefault(decode_fields(name).lower(), []).append(decode_fields(value).strip(" \t"))
        if self._scope["type"] == "websocket":
            values.update((name, [value]) for name, value in _HANDSHAKE.items())
            subprotocols = self._scope.get("subprotocols")
            if subprotocols:
                values["sec-websocket-protocol"] = [", ".join(subprotocols)]
        return fields

    @property
    def url(self) -> str:
        """The whole URL of the request, percent-encoded."""
        return super().url.replace(self.base_url, self.base_url + self._root, 1)

    def url_for(self, name: str | Callable[..., Any], /, **values: Any) -> str:
        """The path of a route, with its query; see `Request.url_for`."""
        return self._root + super().url_for(name, **values)


def scoped_request_class(request_class: type[Request]) -> type[Request]:
    """`request_class`, with what differs of a request over ASGI."""
    bases = (ScopedRequest,) if request_class is Request else (request_class, ScopedRequest)
    return type(request_class.__name__, bases, {"__module__": request_class.__module__})


def has_body(scope: Scope) -> bool:
    """Whether there is more to come than the scope: a body, or the handshake of a WebSocket."""
    fields = dict(scope["headers"])
    if b"content-length" in fields:
        return bool(fields[b"content-length"] != b"0")
    # HTTP/2 and adapters have bodies without a field that says so; that of a GET is passed over.
    return b"transfer-encoding" in fields or scope.get("method") not in ("GET", "HEAD")


def read_scope(scope: Scope, request: Any) -> None:
    """Fill in `request`. Raises `Fail(400)` for a path that is none."""
    request._scope = scope
    method, version = scope.get("method"), scope.get("http_version")
    if method is not None:  # a WebSocket has none: it is a GET
        request.method = method
    if version != "1.1" and version is not None:
        request.http_version = version
    path, raw, query, root = (
        scope["path"],
        scope.get("raw_path"),
        scope.get("query_string"),
        scope.get("root_path"),
    )
    if raw is None or b"%" in raw or not path.isascii():
        try:
            path = _spelled(path, raw)
        except Fail:
            request._asked = True  # a head that makes no sense goes to no router
            raise
    if root:
        root = _escaped(_NOT_DECODED, root.rstrip("/").encode())
        request._root = root
        if path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
            path = path[len(root) :]  # some servers leave it out
    request.path = path or "/"
    if query:
        request.query_string = _escaped(_NOT_IN_QUERY, query)


def _spelled(path: str, raw: bytes | None) -> str:
    """The path as it arrived, in the one spelling; where that is not known, `path` percent-encoded."""
    if raw:  # an escaped slash survives only there
        path = _escaped(_NOT_IN_PATH, raw.partition(b"?")[0])
    else:
        path = _escaped(_NOT_DECODED, path.encode("utf-8", "surrogatepass"))
    if "%00" in path:
        raise Fail(400, "Bad Request: the path contains NUL (RFC 3986, section 7.3)")
    return uri.canonical(path)


class ScopeParser(Parser):
    """Reads one scope into a request, and takes the pieces of its body, which may have `most` bytes."""

    __slots__ = (
        "_announced",
        "_most",
        "_pieces",
        "_request",
        "_size",
        "finished",
        "in_body",
        "last",
        "scope",
    )

    limits: Any = Limits  # it has limits: see `Contract`

    def __init__(self, request: Request | None, scope: Scope | None = None, most: int = 0) -> None:
        self.scope: Any = scope
        self.finished = False
        self.in_body = False
        self.last = False  # the piece that is fed next is the last one
        self._most = most
        self._announced: int | None = None  # bytes of the body, where that is known
        self._size = 0
        self._pieces: list[bytes] = []

    def reset(self, request: Any) -> ScopeParser:
        """Fill in `request`, the only one. Raises `Fail(400)` for a path that is none."""
        self._request = request
        read_scope(self.scope, request)
        return self

    def feed_data(self, data: bytes) -> None:
        """Take `HEAD`, then the pieces of the body. Raises `Fail(413)` for one that is too large."""
        if not self.in_body:
            self._begin()
            return
        self._size += len(data)
        if self._size > self._most:
            raise too_large(self._most)
        self._pieces.append(data)
        if self.last:
            self._request.body = self.take_body()
            self.in_body = False
            self.finished, self._request = True, None

    def feed_eof(self) -> None:
        """Take a last piece without bytes."""
        if self.last:
            self.feed_data(b"")

    def _begin(self) -> None:
        if self.scope["type"] == "websocket":
            self.finished, self._request = True, None
            return
        self.in_body = True
        length = dict(self.scope["headers"]).get(b"content-length", b"")
        if length.isdigit():
            self._announced = int(length)
            self.limit_body(self._most)

    def limit_body(self, most: int) -> None:
        """The body may have `most` bytes. Raises `Fail(413)` if more are announced, or have come."""
        self._most = most
        if self._size > most or (self._announced is not None and self._announced > most):
            raise too_large(most)

    def take_body(self) -> bytes:
        """What has come of the body since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    def body_left(self) -> float:
        """How many bytes of the body are yet to come; infinity if that is not known."""
        return float("inf") if self._announced is None else self._announced - self._size

    def should_keep_alive(self) -> bool:
        """Never: an exchange has one request."""
        return False


def _escaped(wrong: re.Pattern[bytes], octets: bytes) -> str:
    """`octets` of a path or a query, with what may not stand there percent-encoded."""
    if wrong.search(octets):
        octets = wrong.sub(lambda match: b"%%%02X" % ord(match[0]), octets)
    return octets.decode("ascii")
