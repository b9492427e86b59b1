"""Answer: what becomes of a handler's result: the bytes that go out, or the stream that will.

Law: it raises nothing. What cannot be sent is logged and answered with 500; a client that cannot even be told
so is left. Whether the answer is the last one of its connection is decided here, for the head says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi.fail import Fail
from kissapi.response import WHOLE, Response, Upgrade, declared_length, encode_head, encode_usual, respond
from kissapi.stream import Stream

if TYPE_CHECKING:
    from kissapi.connection import Connection
    from kissapi.request import Request


def answer(connection: Connection, request: Request, result: Any) -> bytes:
    """The bytes that answer `request`; none if a stream will."""
    service = connection.service
    if not connection.close_after:  # else the parser may have failed, and have nothing to say
        try:
            goes_on = (
                connection.parser.should_keep_alive()
                if service.parser_keeps_alive
                else _wants_keep_alive(request)
            )
        except Exception as error:
            service.failure(request, error)
            goes_on = False
        connection.close_after = service.stopping or not goes_on
    if connection.close_after:
        tail = service.tail_close
    elif request.http_version == "1.1":
        tail = service.tail
    else:
        tail = service.tail_keep_alive
    if request.method != "HEAD" and not service.parser_encodes:
        try:
            usual = encode_usual(result, tail)
        except Exception as error:
            result, usual = service.failure(request, error), None
        if usual is not None:
            if service.answered is not None:
                size = len(usual) - usual.index(b"\r\n\r\n") - 4
                service.answered.append((request, 200, size, connection.started))
            return usual
    elif service.parser_encodes_results and not isinstance(result, (Response, Fail)):
        parser = connection.parser
        try:
            data = parser.encode_result(result)
            if not isinstance(data, bytes):
                raise TypeError(f"{type(parser).__name__}.encode_result must return bytes, not {data!r}")
        except Exception as error:
            result = service.failure(request, error)
        else:
            if service.answered is not None:
                service.answered.append((request, 200, len(data), connection.started))
            return data
    try:
        return _encode(connection, request, respond(result), tail)
    except Exception as error:
        return _encode(connection, request, service.failure(request, error), tail)


def _encode(connection: Connection, request: Request, response: Response, tail: bytes) -> bytes:
    service = connection.service
    if "connection" in response.headers and response.headers["connection"].lower() == "close":
        connection.close_after = True
        tail = service.tail_close
    response.prepare(request)
    body, status = response.body, response.status
    bodyless = request.method == "HEAD" or status in (204, 205, 304)  # RFC 9110 §6.4.1, §15.3.6
    if status == 426:  # its field Upgrade counts only with an option of that name (RFC 9110 §7.8)
        other = b"close" if connection.close_after else b"keep-alive"
        tail = service.tail[:-2] + b"Connection: Upgrade, " + other + b"\r\n\r\n"
    size = 0
    if service.parser_encodes:
        if not isinstance(body, bytes) or isinstance(response, Upgrade):
            if hasattr(body, "close"):
                body.close()
            raise TypeError(
                "only HTTP streams and upgrades: with encode(), a handler returns its whole answer"
            )
        encoded = _encode_by_parser(connection, request, response)
        status, data = (500, b"") if encoded is None else (status, encoded)
        size = len(data)
    elif isinstance(response, Upgrade):
        line = b"\r\nConnection: Upgrade\r\nUpgrade: " + response.name.encode("ascii")
        data = encode_head(response, line + service.tail, None)
        connection.await_upgrade(response.protocol)
    elif isinstance(body, bytes):
        length = None if status in (204, 304) else 0 if status == 205 else len(body)
        if request.method == "HEAD" and length == 0:  # a handler of HEAD knows it without making the body
            length = declared_length(response) or 0
        data = encode_head(response, tail, length)
        if not bodyless and len(body) > WHOLE:
            connection.await_stream(Stream(connection, request, response, data, length=length))
            return b""
        if not bodyless:
            data += body
            size = len(body)
    elif bodyless:
        # Framed as GET would be, but where that is forbidden (RFC 9112 §6.1).
        framed = status not in (204, 304)
        length = declared_length(response) if framed else None
        chunked = framed and length is None and request.http_version != "1.0"
        data = encode_head(response, tail, length, chunked)
        if hasattr(body, "close"):
            body.close()
    else:
        length = declared_length(response)
        chunked = length is None and request.http_version != "1.0"
        if length is None and not chunked:  # the end of the connection is that of the body (RFC 9112 §6.3)
            connection.close_after = True
            tail = service.tail_close
        head = encode_head(response, tail, length, chunked)
        connection.await_stream(Stream(connection, request, response, head, length=length, chunked=chunked))
        return b""
    if service.answered is not None:
        service.answered.append((request, status, size, connection.started))
    return data


def _encode_by_parser(connection: Connection, request: Request, response: Response) -> bytes | None:
    """What the parser makes of `response`; None if it fails, for then it cannot be asked for a 500 either."""
    try:
        data = connection.parser.encode(response)
        if not isinstance(data, (bytes, bytearray)):
            raise TypeError(f"{type(connection.parser).__name__}.encode must return bytes, not {data!r}")
        return bytes(data)
    except Exception as error:
        connection.service.failure(request, error)
        connection.close_after = True  # there is no telling what the client would make of anything else
        return None


def _wants_keep_alive(request: Request) -> bool:
    """HTTP's rule (RFC 9112 §9.3), for parsers that have no word of their own."""
    fields = {name.lower(): value for name, value in request.headers.items()}  # a plain dict, perhaps
    options = [option.strip().lower() for option in fields.get("connection", "").split(",")]
    return "close" not in options and (request.http_version != "1.0" or "keep-alive" in options)
