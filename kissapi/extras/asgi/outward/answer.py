"""The messages of an answer: what `kissapi.http.encoder` makes bytes of, as ASGI has it.

Framing and Date are the server's below. The length is given where it is known.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi.http.body_writer import BodyWriter
from kissapi.http.encoder import Refused, close_unsent
from kissapi.http.head import declared_length, is_bodyless
from kissapi.http.response import Response
from kissapi.http.upgrade import Upgrade

if TYPE_CHECKING:
    from kissapi.extras.asgi.outward.transport import Fields, Transport
    from kissapi.http.request import Request

_OWN = frozenset(("connection", "content-length", "content-type", "date", "transfer-encoding"))
_OF_HTTP_1 = frozenset(("keep-alive", "upgrade"))  # RFC 9113 §8.2.2
_TEXT = (b"content-type", b"text/plain")
_UTF8 = (b"content-type", b"text/plain; charset=utf-8")
_JSON = (b"content-type", b"application/json")


def encode(connection: Any, request: Any, result: Any) -> Any:
    """Give the exchange of `connection` the whole answer; or a sender that does. As `Service.encode`."""
    service = connection.service
    kind = type(result)
    if kind is str:
        body = result.encode()
        field = _TEXT if len(body) == len(result) else _UTF8
    elif kind is bytes:
        body, field = result, _TEXT
    elif kind is dict or kind is list:
        body, field = service.to_json(result), _JSON
    elif kind is Refused:
        return partial(result.answer, request)
    else:
        return _encode_response(connection, request, service.run(Response.of, result))
    if request.method == "HEAD" or connection.transport.scope["type"] != "http":
        return _encode_response(connection, request, service.run(Response, result))
    size = request._sent = len(body)
    connection.transport.answer(200, [field, (b"content-length", b"%d" % size), *service.fields], body)
    if service.answered is not None:
        service.answered.append((request, 200, size, connection.received_at))
    return b""


def _encode_response(connection: Any, request: Any, response: Response) -> Any:
    try:
        if not response._prepared:
            response.prepare(request)
        return _encode(connection, request, response)
    except BaseException:
        close_unsent(connection, request, response.body, connection.context)
        raise


def _encode(connection: Any, request: Any, response: Response) -> Any:
    exchange: Transport = connection.transport
    body: Any = response.body
    status: int = response.status
    is_socket = exchange.scope["type"] == "websocket"
    if isinstance(response, Upgrade):
        if not is_socket or response.name.lower() != "websocket":
            raise RuntimeError(
                f"this ASGI server has not offered to upgrade to {response.name}: for WebSockets see its "
                "documentation (uvicorn needs the package websockets), other protocols need kissapi's server"
            )
        if status != 101 or body != b"":
            raise RuntimeError(
                f"a hook has changed the status or the body of the upgrade to {response.name}: "
                "leave a response of status 101 as it is, or raise Fail"
            )
        from kissapi.extras.asgi.outward.websocket import accept

        _note(connection, request, 101, 0)
        return partial(accept, response, fields_of(connection, response, None))
    length = len(body) if isinstance(body, bytes) else declared_length(response)
    bodyless = is_bodyless(request, status)
    if bodyless:
        if request.method == "HEAD" and length == 0:  # a handler may declare it, and make no body
            length = declared_length(response) or 0
        if status in (204, 304):
            length = None
    denied = is_socket and "websocket.http.response" not in (exchange.scope.get("extensions") or ())
    path = None
    if not isinstance(body, bytes):
        if not bodyless and not denied:
            path = _path_to_send(exchange, body)
            if path is None:
                return Writer(connection, request, response, length).run
        close_unsent(connection, request, body, connection.context)
        body = b""
    elif bodyless:
        body = b""
    fields = fields_of(connection, response, length)
    if denied:
        exchange.put({"type": "websocket.close"})  # the server answers 403, whatever the status is
    elif path is not None:
        exchange.send_path(status, fields, path)
    else:
        exchange.answer(status, fields, body)
    _note(connection, request, status, len(body) if path is None else length or 0)
    return b""


def _path_to_send(exchange: Transport, body: Any) -> str | None:
    """The path of the file that `body` sends, if the server sends files by their path."""
    if "http.response.pathsend" not in (exchange.scope.get("extensions") or ()):
        return None
    path: str | None = body.whole_path() if hasattr(body, "whole_path") else None
    return path


def fields_of(connection: Any, response: Response, length: int | None) -> Fields:
    """The fields of a head, with `length` as Content-Length unless it is None."""
    headers, kind, service = response.headers, response.content_type, connection.service
    fields = []
    if kind is not None and response.status != 204:
        fields.append((b"content-type", kind.encode("utf-8", "surrogateescape")))
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    older = connection.transport.scope.get("http_version", "1.1") in ("1.0", "1.1")
    for name, value in headers.lines():
        if name == "connection":
            if older and value.lower() == "close":
                fields.append((b"connection", b"close"))
        elif name not in _OWN and (older or name not in _OF_HTTP_1):
            fields.append((name.encode("ascii"), value.encode("utf-8", "surrogateescape")))
    return fields + [field for field in service.fields if field[0].decode("ascii") not in headers]


def _note(connection: Any, request: Any, status: int, size: int) -> None:
    request._sent = size
    answered = connection.service.answered
    if answered is not None:
        answered.append((request, status, size, connection.received_at))


class Writer(BodyWriter):
    """Sends a body that is made while it is sent, piece by piece."""

    __slots__ = ()

    def __init__(self, connection: Any, request: Request, response: Response, length: int | None) -> None:
        super().__init__(connection, request, response, length)
        self._chunked = False  # the server below sees to framing

    def _head(self) -> bytes:
        connection: Any = self._connection
        self._begun = True
        connection.transport.start(self.response.status, fields_of(connection, self.response, self.length))
        return b""
