"""Encoder: a handler's result as HTTP/1.1: the bytes of the answer, or a sender for a large or streamed body.

What has an `encode_answer` says itself what answers: bytes, a sender or a `Response`.

The head says whether the answer is the last one of its connection, so that is decided here. If the encoder
raises, the core answers the exception in place of the result. `Service` calls what `encoder_for` returns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi.core import Fail
from kissapi.http.body_writer import BodyWriter
from kissapi.http.grammar import members
from kissapi.http.head import (
    BODYLESS,
    JSON_HEAD,
    NUMBERS,
    TEXT_HEAD,
    UTF8_HEAD,
    WHOLE,
    declared_length,
    encode_head,
    is_bodyless,
)
from kissapi.http.pieces import Begun, encoded_by, is_stream, pieces_of, send_pieces
from kissapi.http.response import Response
from kissapi.http.upgrade import Upgrade

if TYPE_CHECKING:
    from kissapi.http.connection import Connection
    from kissapi.http.contract import Contract
    from kissapi.http.interfaces import Cover
    from kissapi.http.request import Request

Encode = Callable[[Any, Any, Any], Any]


class Refused:
    """In place of a result: `error`, raised where `cover` has not seen it yet."""

    def __init__(self, cover: Cover, error: BaseException) -> None:
        self.cover = cover
        self.error: BaseException | None = error

    def encode_answer(self, connection: Connection, request: Request, tail: bytes) -> Any:
        """The sender of the answer."""
        return partial(self.answer, request)

    async def answer(self, request: Request, connection: Connection) -> Any:
        """A sender: what the arounds and error handlers of the cover answer, else the service."""
        error, self.error = self.error, None  # it holds frames that hold this: no cycle
        return await self.cover.run(None, request, error)


def encoder_for(contract: Contract) -> Encode:
    """The `encode` of a service with parsers of this contract."""
    encode: Encode = partial(encode_by_parser, contract) if contract.encodes else encode_http
    if contract.keeps_alive:
        return encode

    def encode_by_rule(connection: Any, request: Any, result: Any) -> Any:
        connection.close_after = connection.close_after or not _wants_keep_alive(request)
        return encode(connection, request, result)

    return encode_by_rule


def encode_http(connection: Any, request: Any, result: Any) -> Any:
    """The whole answer, or the sender that gives it."""
    service = connection.service
    if connection.take is not None and (drop := _unread(connection, request, result)) is not None:
        return drop
    if connection.close_after:
        tail = service.tail_close
    elif request.http_version == "1.1":
        tail = service.tail
    else:
        tail = service.tail_keep_alive
    # The usual results are 200 with no fields besides, and not large: their heads are made already.
    kind = type(result)
    if kind is str:
        body = result.encode()
        size = len(body)
        head = TEXT_HEAD if size == len(result) else UTF8_HEAD
    elif kind is bytes:
        body, head, size = result, TEXT_HEAD, len(result)
    elif kind is dict or kind is list:
        body = service.to_json(result)
        head, size = JSON_HEAD, len(body)
    elif kind is Response:
        return _encode_response(connection, request, result, tail)
    elif hasattr(kind, "encode_answer"):
        answer = result.encode_answer(connection, request, tail)
        if type(answer) is bytes or not isinstance(answer, Response):
            return answer
        return _encode_response(connection, request, answer, tail)
    else:
        return _encode_response(connection, request, service.run(Response.of, result), tail)
    if size > WHOLE or request.method == "HEAD":
        return _encode_response(connection, request, service.run(Response, result), tail)
    request._sent = size
    if service.answered is not None:
        service.answered.append((request, 200, size, connection.received_at))
    return b"".join((head, NUMBERS[size] if size < 1024 else b"%d" % size, tail, body))


def _unread(connection: Any, request: Any, result: Any) -> Any:
    """A sender that drops the rest of a body that the handler has not read; None if there is no need."""
    reader = request._reader
    body, status = result, 200
    if isinstance(result, Response):
        body, status = result.body, result.status
    elif isinstance(result, Fail):
        body, status = result.data, result.status
    streams = is_stream(body) or hasattr(body, "send_to")
    if reader.ended or (streams and not is_bodyless(request, status)):
        return None  # an answer that streams may still read it

    async def drop(connection: Any) -> Any:
        await reader.finish()
        connection.close_after = connection.close_after or not reader.ended
        connection.take = None
        return result

    return drop


def _encode_response(connection: Any, request: Any, response: Response, tail: bytes) -> Any:
    try:
        if type(response) is not Response:
            if not response._prepared:
                response.prepare(request)
            if isinstance(response, Upgrade):
                return _hand_over(connection, request, response)
        service, fields, status = connection.service, response._headers, response._status
        body: Any = response._body
        if fields is not None and "connection" in fields._values and fields["connection"].lower() == "close":
            connection.close_after = True
            tail = service.tail_close
        if status == 426:  # its field Upgrade counts only with an option of that name (RFC 9110 §7.8)
            other = b"close" if connection.close_after else b"keep-alive"
            tail = service.tail[:-2] + b"Connection: Upgrade, " + other + b"\r\n\r\n"
        if service.has_headers:
            tail = service.headers.yield_to(response, tail)
        if status in BODYLESS or request.method == "HEAD":
            return _encode_bodyless(connection, request, response, tail)
        if isinstance(body, bytes) and (size := len(body)) <= WHOLE:
            request._sent = size
            if service.answered is not None:
                service.answered.append((request, status, size, connection.received_at))
            return encode_head(response, tail, size, body=body)
        length = len(body) if isinstance(body, bytes) else declared_length(response)
        return BodyWriter(connection, request, response, length).run
    except BaseException:
        close_unsent(connection, request, response.body, connection.context)
        raise


def _hand_over(connection: Any, request: Any, response: Upgrade) -> Any:
    if request._reader is not None:
        raise RuntimeError("a body that is taken as it comes cannot be told from what follows the upgrade")
    if response._status != 101 or response._body != b"":
        raise RuntimeError(
            f"a hook has changed the status or the body of the upgrade to {response.name}: "
            "leave a response of status 101 as it is, or raise Fail"
        )
    connection.close_after = False  # it was about HTTP: what follows the head is the next protocol's
    service = connection.service
    line = b"\r\nConnection: Upgrade\r\nUpgrade: " + response.name.encode("ascii")
    head = encode_head(response, line + service.headers.yield_to(response, service.tail), None)
    _note(connection, request, 101, 0)
    return partial(response.hand_over, request, head)


def _encode_bodyless(connection: Any, request: Any, response: Response, tail: bytes) -> bytes:
    body: Any = response._body
    status = response._status
    if isinstance(body, bytes):
        length = None if status in (204, 304) else 0 if status == 205 else len(body)
        if request.method == "HEAD" and length == 0:  # a handler may declare it, and make no body
            length = declared_length(response) or 0
        data = encode_head(response, tail, length)
    else:
        # Framed as GET would be, but where that is forbidden (RFC 9112 §6.1).
        framed = status not in (204, 304)
        length = declared_length(response) if framed else None
        chunked = framed and length is None and request.http_version != "1.0"
        data = encode_head(response, tail, length, chunked)
        close_unsent(connection, request, body, connection.context)
    _note(connection, request, status, 0)
    return data


def close_unsent(connection: Any, request: Any, body: Any, context: Any) -> None:
    """Close a body that is not sent, in a worker thread if `close` may block."""
    close = getattr(body, "aclose", None) or getattr(body, "close", None)
    if close is not None:
        connection.service.run_after(request, close, (), context)


def _note(connection: Any, request: Any, status: int, size: int) -> None:
    request._sent = size
    answered = connection.service.answered
    if answered is not None:
        answered.append((request, status, size, connection.received_at))


def encode_by_parser(contract: Contract, connection: Any, request: Any, result: Any) -> Any:
    """The answer of a parser that has an `encode`, by that, by `encode_result` or by `encode_piece`."""
    service, parser = connection.service, connection.parser
    if isinstance(result, Refused):
        return partial(result.answer, request)
    status = 200
    if contract.encodes_pieces:
        body = result.body if isinstance(result, Response) else result
        if is_stream(body):
            status = result.status if isinstance(result, Response) else 200
            pieces = body if isinstance(body, Begun) else pieces_of(request, body)
            return partial(send_pieces, request, status, pieces)
    if contract.encodes_results and not isinstance(result, (Response, Fail)):
        data = encoded_by(parser, "encode_result", result)
    else:
        response = service.run(Response.of, result)
        if not response._prepared:
            response.prepare(request)
        status, body = response.status, response.body
        if not isinstance(body, bytes) or isinstance(response, Upgrade):
            close_unsent(connection, request, body, connection.context)
            raise TypeError(
                f"{type(parser).__name__} has an encode() and no encode_piece(): "
                "a handler returns its whole answer, and neither streams nor upgrades"
            )
        try:
            data = encoded_by(parser, "encode", response)
        except Exception as error:
            service.report(request, error)
            connection.close_after = True  # no other bytes are certain to be an answer in this protocol
            status, data = 500, b""
    _note(connection, request, status, len(data))
    return data


def _wants_keep_alive(request: Any) -> bool:
    """HTTP's rule (RFC 9112 §9.3), for parsers without `should_keep_alive`."""
    fields = {name.lower(): value for name, value in request.headers.items()}  # a plain dict, perhaps
    options = members(fields.get("connection", "").lower())
    return "close" not in options and (request.http_version != "1.0" or "keep-alive" in options)
